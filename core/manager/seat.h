/**
 * @file
 * A seat's transitions: start, fence, bury, drain, stop.
 *
 * Purpose: the steps that the supervisor and a reload take a seat through. A seat goes from empty
 * over starting to ready, from there over draining or dying back to empty, or to quarantined.
 *
 * Threads: the manager's thread. Blocking: posix_spawn when starting; the callers' done functions
 * when burying.
 */
#ifndef WEIR_MANAGER_SEAT_H
#define WEIR_MANAGER_SEAT_H

#include "manager/registry.h"

/** How soon to try again what a caller's payload that is just being written keeps from happening.
 */
#define WEIR_SEAT_RETRY_NS WEIR_NS_PER_MS

static inline uint64_t weir_earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void weir_seat_set_state(weir_pool *pool, weir_seat *seat, weir_seat_state state);
void weir_seat_set_wanted(weir_pool *pool, weir_seat *seat, bool is_wanted);

/** Makes an incarnation and starts its process; a failure counts as a death. */
void weir_seat_start(weir_pool *pool, uint32_t number, uint64_t now_ns);

/** A worker ended or could not be started: again after a backoff, or never. */
void weir_seat_note_death(weir_pool *pool, uint32_t number, bool was_stable, uint64_t now_ns);

/** The seat is not filled again. */
void weir_seat_quarantine(weir_pool *pool, uint32_t number, const char *why);

/** Kills the process through its pidfd; nothing is sent there any more, its jobs go nowhere before
 * it is reaped. */
void weir_seat_fence(weir_pool *pool, weir_seat *seat, const char *kind, const char *why,
                     uint64_t now_ns);

/** The process is reaped: takes in what it left, recovers its jobs, empties the seat. Returns when
 * to look again. */
uint64_t weir_seat_bury(weir_pool *pool, weir_seat *seat, uint64_t now_ns);

/** The process outlives SIGKILL: its jobs end, they may still be running; the seat is quarantined.
 */
void weir_seat_give_up(weir_pool *pool, weir_seat *seat);

/** No more jobs; what is published is finished. */
void weir_seat_begin_drain(weir_pool *pool, weir_seat *seat, const char *why);

/** Gives the shutdown command, once. */
void weir_seat_tell_to_stop(weir_incarnation *incarnation, uint64_t now_ns);

/** Hands on what the worker printed, a bounded turn. */
void weir_seat_pump_output(weir_incarnation *incarnation);

#endif
