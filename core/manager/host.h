/**
 * @file
 * What the stations of the loop ask of a hosted manager; the host's own view is weir/host.h.
 *
 * Purpose: the host starts the processes, so the supervisor orders them here, knows their pid only
 * when they connect, and sees their end without being their parent.
 *
 * Threads: the thread that holds the turn.
 *
 * Blocking: one system call at most.
 */
#ifndef WEIR_MANAGER_HOST_H
#define WEIR_MANAGER_HOST_H

#include "manager/registry.h"
#include "weir/host.h"

/** Tells the host once that the seat is vacant. Returns true when it asked for a start since; the
 * request is used up. */
bool weir_host_wants_start(weir_pool *pool, uint32_t number);

/** Gives the host the order for this incarnation's process. */
void weir_host_order(weir_incarnation *incarnation);

/**
 * The process behind a handshake, by the kernel's word. Watches it from now on. Returns WEIR_OK or
 * WEIR_SYSTEM.
 */
weir_status weir_host_adopt_process(weir_incarnation *incarnation, pid_t pid,
                                    weir_error *error) WEIR_MUST_CHECK;

/** True when its process has ended, or will never come. */
bool weir_host_has_ended(weir_incarnation *incarnation);

#endif
