#include <stdio.h>
#include <string.h>

#include "base/atomic.h"
#include "channel/telemetry.h"
#include "manager/registry.h"

const char *weir_seat_state_name(weir_seat_state state)
{
    static const char *const names[] = {
        [WEIR_SEAT_EMPTY] = "empty", [WEIR_SEAT_STARTING] = "starting",
        [WEIR_SEAT_READY] = "ready", [WEIR_SEAT_DRAINING] = "draining",
        [WEIR_SEAT_DYING] = "dying", [WEIR_SEAT_QUARANTINED] = "quarantined",
    };
    return (unsigned)state < sizeof names / sizeof names[0] ? names[state] : "unknown";
}

static bool is_mapped_for_good(const weir_seat *seat)
{
    return seat->state == WEIR_SEAT_READY || seat->state == WEIR_SEAT_DRAINING;
}

static void add_pool_stats(weir_pool *pool, weir_manager_stats *sum)
{
    pthread_mutex_lock(&pool->lock);
    sum->submitted += pool->stats.submitted;
    sum->sent += pool->stats.sent;
    sum->resent += pool->stats.resent;
    sum->deferred += pool->stats.deferred;
    sum->deferred_now += pool->deferred.count;
    for (size_t i = 0; i < WEIR_OUTCOME_CODES; i++) {
        sum->outcomes[i] += pool->stats.outcomes[i];
    }
    for (uint32_t s = 0; s < pool->seat_count; s++) {
        weir_seat *seat = &pool->seats[s];
        sum->restarts += seat->restarts;
        if (seat->now != NULL) {
            /* Before READY the manager's thread still maps object B anew. */
            if (is_mapped_for_good(seat) &&
                weir_slot_pool_collect(&seat->now->request_slots) != WEIR_OK) {
                weir_incarnation_distrust(seat->now, WEIR_ERROR_CODE_RELEASE);
            }
            sum->slots_taken += seat->now->request_slots.taken_count;
            sum->in_flight += seat->now->in_flight.count;
        }
    }
    pthread_mutex_unlock(&pool->lock);
}

void weir_manager_read_stats(weir_manager *manager, weir_manager_stats *stats)
{
    memset(stats, 0, sizeof *stats);
    const uint32_t count = weir_load_acquire_u32(&manager->pool_count);
    for (uint32_t i = 0; i < count; i++) {
        add_pool_stats(manager->pools[i], stats);
    }
    stats->stray_replies = weir_load_relaxed_u64(&manager->stray_replies);
    stats->protocol_errors = weir_load_relaxed_u64(&manager->protocol_errors);
    stats->bytes_copied = weir_load_relaxed_u64(&manager->bytes_copied);
    stats->wakes_sent = weir_load_relaxed_u64(&manager->wakes_sent);
    stats->parks = weir_load_relaxed_u64(&manager->parks);
    stats->spin_hits = weir_load_relaxed_u64(&manager->spin_hits);
    stats->held_bytes = weir_load_relaxed_u64(&manager->held_bytes);
    stats->mappings = weir_load_relaxed_u64(&manager->mappings);
}

/* What the worker says of itself; believed by nobody, shown to people. */
static void sample_telemetry(const struct weir_telemetry *shared, weir_worker_info *info)
{
    struct weir_telemetry sample;
    info->torn = weir_telemetry_read(shared, &sample) != WEIR_OK;
    if (info->torn) {
        return;
    }
    info->beat_ns = sample.beat_ns;
    info->beat_count = sample.beat_count;
    info->jobs_ok = sample.jobs_ok;
    info->jobs_failed = sample.jobs_failed;
    info->last_job_ns = sample.last_job_ns;
    info->busy_since_ns = sample.busy_since_ns;
    info->queue_depth = sample.queue_depth;
    info->parks = sample.parks;
    info->spin_hits = sample.spin_hits;
    info->wakes_sent = sample.wakes_sent;
    info->bytes_copied = sample.bytes_copied;
    info->wake_strategy = sample.wake_strategy;
    for (size_t i = 0; i < sizeof sample.errors / sizeof sample.errors[0]; i++) {
        info->errors += sample.errors[i];
    }
}

static void describe_worker(weir_pool *pool, uint32_t number, weir_worker_info *info)
{
    const weir_seat *seat = &pool->seats[number];
    memset(info, 0, sizeof *info);
    snprintf(info->role, sizeof info->role, "%s", pool->options.role);
    info->pool = pool->id;
    info->seat = number;
    info->state = seat->state;
    info->restarts = seat->restarts;
    weir_incarnation *now = seat->now;
    if (now == NULL) {
        return;
    }
    info->generation = now->generation;
    info->pid = now->pid;
    info->in_flight = now->in_flight.count;
    info->request_slots_taken = now->request_slots.taken_count;
    if (is_mapped_for_good(seat)) {
        snprintf(info->language, sizeof info->language, "%s", now->language);
        info->layout_minor = now->terms.version;
        info->capabilities = now->agreed;
        info->ready_since_ns = now->ready_ns;
        sample_telemetry(now->arena.telemetry, info);
    }
}

size_t weir_manager_read_workers(weir_manager *manager, weir_worker_info *workers, size_t capacity)
{
    size_t total = 0;
    const uint32_t count = weir_load_acquire_u32(&manager->pool_count);
    for (uint32_t p = 0; p < count; p++) {
        weir_pool *pool = manager->pools[p];
        pthread_mutex_lock(&pool->lock);
        for (uint32_t s = 0; s < pool->seat_count; s++) {
            /* The spare seat is nobody's business while it is empty. */
            if (pool->seats[s].now == NULL && !pool->seats[s].is_wanted) {
                continue;
            }
            if (total < capacity) {
                describe_worker(pool, s, &workers[total]);
            }
            total++;
        }
        pthread_mutex_unlock(&pool->lock);
    }
    return total;
}
