/**
 * @file
 * How the manager's loop sleeps on all its workers at once; see loop.h.
 *
 * Threads: the loop's.
 */
#ifndef WEIR_MANAGER_LOOP_WAIT_H
#define WEIR_MANAGER_LOOP_WAIT_H

#include "base/atomic.h"
#include "manager/registry.h"

/** Spins, then parks, until there may be something to do or the deadline passes. */
void weir_loop_wait(weir_manager *manager, uint64_t deadline_ns);

/** The first half of a sleep for a host that sleeps elsewhere: from here on whatever happens makes
 * the loop's epoll descriptor readable. Returns WEIR_OK, WEIR_FULL (there is something to do; not
 * parked), WEIR_SYSTEM (no descriptor). */
weir_status weir_loop_park_hosted(weir_manager *manager) WEIR_MUST_CHECK;

/** The second half: empties the descriptor; the workers stop ringing it. */
void weir_loop_unpark_hosted(weir_manager *manager);

/** True between the two halves. */
static inline bool weir_loop_is_parked(const weir_manager *manager)
{
    return weir_load_relaxed_u32(&manager->parked_strategy) != WEIR_WAKE_STRATEGY_AWAKE;
}

/** Makes the loop's epoll descriptor if there is none yet. */
bool weir_loop_open_epoll(weir_manager *manager);

/** When the loop wants to look again if nothing happens: @p deadline_ns or an earlier one of a job.
 */
uint64_t weir_loop_next_deadline(weir_manager *manager, uint64_t deadline_ns);

#endif
