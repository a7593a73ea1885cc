#include "harness/tally.h"

#include <stddef.h>

static void add(weir_tally_counters *to, const weir_tally_counters *from)
{
    to->parks += from->parks;
    to->spin_hits += from->spin_hits;
    to->wakes_sent += from->wakes_sent;
    to->bytes_copied += from->bytes_copied;
}

void weir_tally_add(weir_tally *tally, const weir_worker_info *workers, size_t count)
{
    tally->ready = 0;
    tally->quarantined = 0;
    tally->restarts = 0;
    tally->seat_count = 0;
    for (size_t i = 0; i < count && i < WEIR_TALLY_SEATS_MAX; i++) {
        const weir_worker_info *worker = &workers[i];
        weir_tally_seat *seat = &tally->seat[i];
        tally->seat_count = (uint32_t)i + 1;
        tally->ready += worker->state == WEIR_SEAT_READY;
        tally->quarantined += worker->state == WEIR_SEAT_QUARANTINED;
        tally->restarts += worker->restarts;
        if (worker->generation == 0) {
            continue; /* an empty seat says nothing; what it last said stays */
        }
        if (worker->generation != seat->generation) {
            add(&tally->past, &seat->last);
            *seat = (weir_tally_seat){.generation = worker->generation};
        }
        if (worker->torn) {
            continue;
        }
        if (worker->wake_strategy != 0 && worker->wake_strategy < 32) {
            tally->strategies_seen |= UINT32_C(1) << worker->wake_strategy;
        }
        seat->last = (weir_tally_counters){.parks = worker->parks,
                                           .spin_hits = worker->spin_hits,
                                           .wakes_sent = worker->wakes_sent,
                                           .bytes_copied = worker->bytes_copied};
    }
}

void weir_tally_look(weir_tally *tally, weir_manager *manager)
{
    weir_worker_info workers[WEIR_TALLY_SEATS_MAX];
    weir_tally_add(tally, workers,
                   weir_manager_read_workers(manager, workers, WEIR_TALLY_SEATS_MAX));
}

weir_tally_counters weir_tally_sum(const weir_tally *tally)
{
    weir_tally_counters sum = tally->past;
    for (size_t i = 0; i < tally->seat_count; i++) {
        add(&sum, &tally->seat[i].last);
    }
    return sum;
}
