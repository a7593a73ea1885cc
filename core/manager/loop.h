/**
 * @file
 * The manager's loop: ingest, dispatch what was deferred, end what is overdue, supervise, sleep.
 *
 * Purpose: the one place that knows all stations and calls them in turn, so that none of them calls
 * another.
 *
 * Threads: one at a time per manager: its own thread, or the caller's that polls.
 *
 * Blocking: sleeps until a worker answers, an event arrives, something is due or the deadline
 * passes. With up to 127 workers in one futex_waitv over their bells and a private word; beyond, or
 * where that is refused, in epoll on their eventfds; where that is refused too, until the wake
 * signal.
 *
 * Ordering: SYNC(gate.park) for every worker at once; SYNC(loop.bell) and SYNC(loop.deadline)
 * towards other threads.
 *
 * Source: futex_waitv(2) documentation in the kernel's userspace-api/futex2.
 */
#ifndef WEIR_MANAGER_LOOP_H
#define WEIR_MANAGER_LOOP_H

#include "manager/budget.h"
#include "manager/registry.h"

/** One turn without sleeping, within the budget; what it may not do is left for a turn that may.
 * Returns true when something was done. */
bool weir_loop_turn(weir_manager *manager, weir_budget *budget);

/** One turn; sleeps first when there is nothing to do. Returns WEIR_OK when something was done,
 * WEIR_TIMEOUT else. */
weir_status weir_loop_poll(weir_manager *manager, uint64_t deadline_ns) WEIR_MUST_CHECK;

/** Ends all jobs, stops all workers, waits for them; kills those that do not stop. On the loop's
 * thread. */
void weir_loop_shut_down(weir_manager *manager);

#endif
