/**
 * @file
 * What happens to the jobs of a worker that is gone.
 *
 * Purpose: once a process is reaped (so that it can write no more), take in the replies that it
 * completely published, then decide each job that is left: not begun ones are sent again, begun
 * ones only if the caller called them idempotent, at most twice; the rest ends as worker_lost.
 * After a protocol error neither replies nor the begun marker are believed.
 *
 * Threads: the manager's thread. Blocking: the callers' done functions only.
 */
#ifndef WEIR_MANAGER_RECOVERY_H
#define WEIR_MANAGER_RECOVERY_H

#include "manager/registry.h"

/**
 * Recovers the jobs of an incarnation that is marked gone, has no reserved places and is reaped.
 * With @p may_resend false (a process that would not die may still be working) every job ends as
 * worker_lost. Returns how many will be sent again.
 */
size_t weir_recover(weir_incarnation *incarnation, bool may_resend);

#endif
