/**
 * @file
 * What all workers of a run did, dead ones included.
 *
 * Purpose: the manager tells the counters of the workers that live now; a worker that dies takes
 * its own with it. Looking often and adding up per incarnation keeps the sum.
 *
 * Threads: one. Blocking: never.
 */
#ifndef WEIR_HARNESS_TALLY_H
#define WEIR_HARNESS_TALLY_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/manager.h"

#define WEIR_TALLY_SEATS_MAX 128

/** Counters as the workers say. */
typedef struct weir_tally_counters {
    uint64_t parks;
    uint64_t spin_hits;
    uint64_t wakes_sent;
    uint64_t bytes_copied;
} weir_tally_counters;

typedef struct weir_tally_seat {
    uint32_t generation;
    weir_tally_counters last;
} weir_tally_seat;

/** Starts as `{0}`. */
typedef struct weir_tally {
    weir_tally_counters past; /**< of incarnations that are gone */
    uint32_t seat_count;
    weir_tally_seat seat[WEIR_TALLY_SEATS_MAX];
    uint32_t ready;       /**< workers that serve, at the last look */
    uint32_t quarantined; /**< workers that will not be started again, at the last look */
    uint32_t restarts;
    uint32_t strategies_seen; /**< bits 1 << enum weir_wake_strategy */
} weir_tally;

/** Looks at the workers. */
void weir_tally_look(weir_tally *tally, weir_manager *manager);

/** Adds what was told of @p count workers; weir_tally_look without a manager. */
void weir_tally_add(weir_tally *tally, const weir_worker_info *workers, size_t count);

/** Whether, at the last look, there were workers and each of them had been given up. */
static inline bool weir_tally_is_deserted(const weir_tally *tally)
{
    return tally->seat_count > 0 && tally->quarantined == tally->seat_count;
}

/** The sums. */
weir_tally_counters weir_tally_sum(const weir_tally *tally);

#endif
