#include "manager/supervisor.h"

#include <errno.h>

#include "base/atomic.h"
#include "manager/admission.h"
#include "manager/event.h"
#include "manager/host.h"
#include "manager/reload.h"
#include "manager/seat.h"

/* Between the end of a control socket and the end of its process lies only the kernel's clean-up.
 */
#define CLOSED_GRACE_NS (200 * WEIR_NS_PER_MS)

static bool try_reap(weir_incarnation *incarnation)
{
    if (!incarnation->is_reaped && incarnation->manager->options.host != NULL) {
        incarnation->is_reaped = weir_host_has_ended(incarnation);
    } else if (!incarnation->is_reaped) {
        const int result = weir_os()->pidfd_reap(incarnation->pidfd, &incarnation->exit);
        /* ECHILD: somebody else in this program reaped it; it is gone all the same. */
        incarnation->is_reaped = result == 1 || (result < 0 && errno == ECHILD);
    }
    return incarnation->is_reaped;
}

static bool is_silent(weir_incarnation *incarnation, uint64_t now_ns)
{
    const struct weir_telemetry *telemetry = incarnation->arena.telemetry;
    const uint64_t count = weir_load_relaxed_u64(&telemetry->beat_count);
    if (count != incarnation->beat_count_seen) {
        incarnation->beat_count_seen = count;
        incarnation->beat_seen_ns =
            now_ns; /* Our own clock: the worker's stamp could say anything. */
    }
    return now_ns - incarnation->beat_seen_ns > incarnation->pool->options.silence_ns;
}

static bool is_stuck(weir_incarnation *incarnation, uint64_t now_ns)
{
    weir_pool *pool = incarnation->pool;
    bool stuck = false;
    pthread_mutex_lock(&pool->lock);
    if (incarnation->stuck_after_ns != WEIR_NEVER) {
        const uint64_t progress =
            weir_load_relaxed_u64(&incarnation->arena.worker_control->progress);
        /* Replies come in the order of the requests: this one may have been on its way when its
         * deadline passed, and a worker that then has nothing to do makes no progress. */
        if (progress != incarnation->stuck_progress ||
            incarnation->received > incarnation->stuck_index) {
            incarnation->stuck_after_ns = WEIR_NEVER;
        } else {
            stuck = now_ns > incarnation->stuck_after_ns &&
                    now_ns - incarnation->stuck_after_ns > pool->options.stuck_ns;
        }
    }
    pthread_mutex_unlock(&pool->lock);
    return stuck;
}

static bool has_nothing_left(weir_incarnation *incarnation)
{
    pthread_mutex_lock(&incarnation->pool->lock);
    const bool is_idle = weir_incarnation_outstanding(incarnation) == 0;
    pthread_mutex_unlock(&incarnation->pool->lock);
    return is_idle;
}

/* Whatever is wrong with a live worker, worst first; NULL when it is well. */
static const char *find_fault(weir_incarnation *incarnation, uint64_t now_ns, const char **why)
{
    if (weir_arena_is_truncated(&incarnation->arena)) {
        weir_incarnation_distrust(incarnation, WEIR_ERROR_CODE_TRUNCATED);
    }
    const uint32_t reason = weir_load_relaxed_u32(&incarnation->distrust_reason);
    if (reason != 0) {
        *why = weir_error_code_name(reason);
        return "protocol_error";
    }
    if (incarnation->closed_ns != 0 && now_ns - incarnation->closed_ns > CLOSED_GRACE_NS) {
        *why = "it closed its control socket and lives on";
        return "fenced";
    }
    if (is_silent(incarnation, now_ns)) {
        *why = "no heartbeat";
        return "silent";
    }
    if (is_stuck(incarnation, now_ns)) {
        *why = "no progress past a job's deadline";
        return "stuck";
    }
    return NULL;
}

static void watch_serving(weir_pool *pool, weir_seat *seat, uint64_t now_ns)
{
    weir_incarnation *incarnation = seat->now;
    const char *why = NULL;
    const char *fault = find_fault(incarnation, now_ns, &why);
    if (fault != NULL) {
        weir_seat_fence(pool, seat, fault, why, now_ns);
        return;
    }
    /* SYNC(worker.state): a worker that drains by itself (SIGTERM) asks for no more jobs. */
    const uint32_t state = weir_load_acquire_u32(&incarnation->arena.worker_control->state);
    if (seat->state == WEIR_SEAT_READY && state == WEIR_WORKER_STATE_DRAINING) {
        weir_seat_begin_drain(pool, seat, "the worker asked to be drained");
    }
    if (seat->state == WEIR_SEAT_DRAINING) {
        if (has_nothing_left(incarnation)) {
            weir_seat_tell_to_stop(incarnation, now_ns);
        }
        if (incarnation->was_told_to_stop &&
            now_ns - incarnation->told_ns > pool->options.kill_ns) {
            weir_seat_fence(pool, seat, "fenced", "it does not stop when told to", now_ns);
        }
    }
}

static uint64_t supervise_starting(weir_pool *pool, weir_seat *seat, uint64_t now_ns)
{
    const uint64_t limit_ns = seat->now->spawned_ns + pool->options.start_timeout_ns;
    if (now_ns >= limit_ns) {
        weir_error *refusal = &seat->last_refusal;
        pthread_mutex_lock(&pool->lock);
        if (!seat->has_refusal) {
            weir_error_set(
                refusal,
                "%s did not finish the handshake within %llu ms; is it a Weir worker for role %s?",
                pool->options.command[0],
                (unsigned long long)(pool->options.start_timeout_ns / WEIR_NS_PER_MS),
                pool->options.role);
            seat->has_refusal = true;
        }
        pthread_mutex_unlock(&pool->lock);
        weir_seat_fence(pool, seat, "refused", "no READY in time", now_ns);
        return now_ns;
    }
    return limit_ns;
}

static uint64_t supervise_dying(weir_pool *pool, weir_seat *seat, uint64_t now_ns)
{
    const uint64_t limit_ns = seat->now->fenced_ns + pool->options.kill_ns;
    if (now_ns < limit_ns) {
        return limit_ns;
    }
    weir_seat_give_up(pool, seat);
    return now_ns + WEIR_SUPERVISE_PERIOD_NS;
}

static uint64_t supervise_empty(weir_pool *pool, uint32_t number, uint64_t now_ns)
{
    weir_seat *seat = &pool->seats[number];
    if (!seat->is_wanted) {
        return WEIR_NEVER;
    }
    if (now_ns < seat->start_at_ns) {
        return seat->start_at_ns;
    }
    if (pool->manager->options.host != NULL && !weir_host_wants_start(pool, number)) {
        return WEIR_NEVER;
    }
    weir_seat_start(pool, number, now_ns);
    return seat->now != NULL ? now_ns + WEIR_SUPERVISE_PERIOD_NS : seat->start_at_ns;
}

static uint64_t supervise_seat(weir_pool *pool, uint32_t number, uint64_t now_ns)
{
    weir_seat *seat = &pool->seats[number];
    if (seat->now != NULL && try_reap(seat->now)) {
        return weir_seat_bury(pool, seat, now_ns);
    }
    if (seat->now != NULL && seat->now->has_more_output) {
        weir_seat_pump_output(seat->now);
        if (seat->now->has_more_output) {
            return now_ns + WEIR_SEAT_RETRY_NS;
        }
    }
    if (seat->now == NULL) {
        return seat->state == WEIR_SEAT_EMPTY ? supervise_empty(pool, number, now_ns) : WEIR_NEVER;
    }
    switch (seat->state) {
    case WEIR_SEAT_STARTING:
        return supervise_starting(pool, seat, now_ns);
    case WEIR_SEAT_READY:
    case WEIR_SEAT_DRAINING:
        watch_serving(pool, seat, now_ns);
        return now_ns + WEIR_SUPERVISE_PERIOD_NS;
    case WEIR_SEAT_DYING:
        return supervise_dying(pool, seat, now_ns);
    default:
        return now_ns + WEIR_SUPERVISE_PERIOD_NS;
    }
}

static uint64_t supervise_pool(weir_pool *pool, uint64_t now_ns)
{
    uint64_t next_ns = WEIR_NEVER;
    for (uint32_t i = 0; i < pool->seat_count; i++) {
        next_ns = weir_earlier(next_ns, supervise_seat(pool, i, now_ns));
    }
    pthread_mutex_lock(&pool->lock);
    const bool is_reloading = pool->reload.is_running;
    pthread_mutex_unlock(&pool->lock);
    if (is_reloading) {
        weir_reload_step(pool, now_ns);
        next_ns = weir_earlier(next_ns, now_ns + 10 * WEIR_NS_PER_MS);
    }
    return next_ns;
}

uint64_t weir_supervise(weir_manager *manager, uint64_t now_ns)
{
    weir_admission_accept(manager, now_ns);
    uint64_t next_ns = weir_admission_step(manager, now_ns);
    const uint32_t count = weir_load_acquire_u32(&manager->pool_count);
    for (uint32_t i = 0; i < count; i++) {
        next_ns = weir_earlier(next_ns, supervise_pool(manager->pools[i], now_ns));
    }
    return next_ns;
}

void weir_supervise_stop(weir_manager *manager, uint64_t now_ns)
{
    weir_admission_close(manager);
    for (uint32_t p = 0; p < manager->pool_count; p++) {
        weir_pool *pool = manager->pools[p];
        for (uint32_t s = 0; s < pool->seat_count; s++) {
            weir_seat *seat = &pool->seats[s];
            weir_seat_set_wanted(pool, seat, false);
            seat->is_leaving = true;
            if (seat->state == WEIR_SEAT_READY) {
                weir_seat_begin_drain(pool, seat, "the manager is stopping");
            }
            if (seat->state == WEIR_SEAT_DRAINING) {
                weir_seat_tell_to_stop(seat->now, now_ns);
            } else if (seat->state == WEIR_SEAT_STARTING) {
                weir_seat_fence(pool, seat, "fenced", "the manager is stopping", now_ns);
            }
        }
    }
}

void weir_supervise_kill(weir_manager *manager, uint64_t now_ns)
{
    for (uint32_t p = 0; p < manager->pool_count; p++) {
        weir_pool *pool = manager->pools[p];
        for (uint32_t s = 0; s < pool->seat_count; s++) {
            weir_seat *seat = &pool->seats[s];
            if (seat->now != NULL && seat->now->fenced_ns == 0) {
                weir_seat_fence(pool, seat, "fenced", "the manager is stopping", now_ns);
            }
        }
    }
}

bool weir_supervise_is_empty(const weir_manager *manager)
{
    for (uint32_t p = 0; p < manager->pool_count; p++) {
        for (uint32_t s = 0; s < manager->pools[p]->seat_count; s++) {
            const weir_seat *seat = &manager->pools[p]->seats[s];
            if (seat->now != NULL && seat->state != WEIR_SEAT_QUARANTINED) {
                return false;
            }
        }
    }
    return true;
}
