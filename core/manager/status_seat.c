#include "manager/status_seat.h"

#include <string.h>

#include "base/atomic.h"
#include "channel/telemetry.h"

_Static_assert((int)WEIR_SEAT_EMPTY == WEIR_STATUS_SEAT_STATE_EMPTY, "one numbering of states");
_Static_assert((int)WEIR_SEAT_QUARANTINED == WEIR_STATUS_SEAT_STATE_QUARANTINED,
               "one numbering of states");

static void take_telemetry(const struct weir_telemetry *shared, struct weir_status_seat *block)
{
    struct weir_telemetry sample;
    if (weir_telemetry_read(shared, &sample) != WEIR_OK) {
        block->flags |= WEIR_STATUS_SEAT_FLAG_TORN;
        return;
    }
    block->beat_count = sample.beat_count;
    block->beat_ns = sample.beat_ns;
    block->queue_depth = sample.queue_depth;
    block->busy_since_ns = sample.busy_since_ns;
    block->last_job_ns = sample.last_job_ns;
    block->jobs_ok = sample.jobs_ok;
    block->jobs_failed = sample.jobs_failed;
    block->parks = sample.parks;
    block->spin_hits = sample.spin_hits;
    block->wakes_sent = sample.wakes_sent;
    block->bytes_copied = sample.bytes_copied;
    block->request_bytes = sample.request_bytes;
    block->response_bytes = sample.response_bytes;
    block->slot_waits = sample.slot_waits;
    block->wake_strategy = sample.wake_strategy;
    block->wake_switches = sample.wake_switches;
    for (size_t i = 0; i < sizeof sample.errors / sizeof sample.errors[0]; i++) {
        block->errors += sample.errors[i];
    }
}

/* Counts of both sides are loaded one after the other, and one of them may be a lie. */
static uint32_t fill_of(uint64_t written, uint64_t taken, uint32_t capacity)
{
    const uint64_t fill = written - taken;
    return (int64_t)fill < 0 ? 0 : fill > capacity ? capacity : (uint32_t)fill;
}

/* What is known of a worker once it was ready: both objects are mapped for good. */
static void describe_worker(weir_incarnation *now, struct weir_status_seat *block)
{
    const struct weir_worker_control *theirs = now->arena.worker_control;
    if (weir_slot_pool_collect(&now->request_slots) != WEIR_OK) {
        weir_incarnation_distrust(now, WEIR_ERROR_CODE_RELEASE);
    }
    memcpy(block->language, now->language, sizeof block->language);
    block->layout_minor = now->terms.version;
    block->protocol_version = WEIR_PROTOCOL_VERSION;
    block->capabilities = now->agreed;
    block->ready_ns = now->ready_ns;
    block->beat_seen_ns = now->beat_seen_ns;
    block->progress = weir_load_relaxed_u64(&theirs->progress);
    block->request_fill = fill_of(
        now->requests.tail, weir_load_relaxed_u64(&theirs->request_consumed), block->ring_capacity);
    block->response_fill = fill_of(weir_load_relaxed_u64(&theirs->response_published),
                                   now->received, block->ring_capacity);
    pthread_mutex_lock(&now->lock);
    block->response_slots_held = now->held_results;
    pthread_mutex_unlock(&now->lock);
    take_telemetry(now->arena.telemetry, block);
}

static void describe_incarnation(weir_incarnation *now, struct weir_status_seat *block)
{
    block->generation = now->generation;
    block->pid = (uint32_t)now->pid;
    block->spawned_ns = now->spawned_ns;
    block->in_flight = now->in_flight.count;
    block->request_slots = now->request_slots.map.slot_total;
    block->response_slots = now->response_map.slot_total;
    block->distrust_reason = weir_load_relaxed_u32(&now->distrust_reason);
    block->flags |= (now->is_throttled ? WEIR_STATUS_SEAT_FLAG_THROTTLED : 0u) |
                    (block->distrust_reason != 0 ? WEIR_STATUS_SEAT_FLAG_DISTRUSTED : 0u);
    if (now->ready_ns != 0) {
        describe_worker(now, block);
    }
    block->request_slots_taken = now->request_slots.taken_count;
}

void weir_status_seat_describe(weir_pool *pool, uint32_t number, struct weir_status_seat *block)
{
    weir_seat *seat = &pool->seats[number];
    memset(block, 0, sizeof *block);
    strncpy((char *)block->role, pool->options.role, sizeof block->role - 1);
    block->pool = pool->id;
    block->seat = number;
    block->in_flight_max = pool->options.in_flight_max;
    block->ring_capacity = pool->options.arena.ring_capacity;
    pthread_mutex_lock(&pool->lock);
    block->state = (uint32_t)seat->state;
    block->flags = seat->is_wanted ? 0u : WEIR_STATUS_SEAT_FLAG_SPARE;
    block->restarts = seat->restarts;
    block->deaths_in_row = seat->deaths_in_row;
    block->start_at_ns = seat->start_at_ns;
    if (seat->now != NULL) {
        describe_incarnation(seat->now, block);
    }
    pthread_mutex_unlock(&pool->lock);
}
