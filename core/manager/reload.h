/**
 * @file
 * Hot reload: every worker of a pool replaced, one at a time, no job lost.
 *
 * Purpose: a fresh worker starts in the pool's spare seat; once it serves, an old one is drained
 * and stopped, and its seat is the spare one for the next. There is always somebody to take jobs.
 *
 * Threads: the manager's thread. Blocking: never.
 */
#ifndef WEIR_MANAGER_RELOAD_H
#define WEIR_MANAGER_RELOAD_H

#include "manager/registry.h"

/** Takes the pool's running reload one step further, if there is something to take. */
void weir_reload_step(weir_pool *pool, uint64_t now_ns);

#endif
