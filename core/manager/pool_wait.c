#include "base/atomic.h"
#include "manager/loop.h"
#include "manager/registry.h"

/* Without a thread of its own the manager is run by whoever waits, a slice at a time. */
#define POLL_SLICE_NS (10 * WEIR_NS_PER_MS)

/** Says whether the wait is over; called under the pool's lock. */
typedef bool (*pool_look)(weir_pool *pool);

/* Waits in the condition, or runs the loop when there is no thread that does. */
static weir_status wait_for(weir_pool *pool, pool_look look, uint64_t deadline_ns)
{
    weir_manager *manager = pool->manager;
    /* By the manager's own thread, or by the host's turns. */
    const bool is_run_elsewhere = manager->has_thread || manager->options.host != NULL;
    for (;;) {
        pthread_mutex_lock(&pool->lock);
        bool is_over = look(pool);
        if (!is_over && is_run_elsewhere) {
            (void)weir_pool_wait(pool, deadline_ns);
            is_over = look(pool);
        }
        pthread_mutex_unlock(&pool->lock);
        if (is_over) {
            return WEIR_OK;
        }
        const uint64_t now_ns = weir_os()->clock_ns();
        if (now_ns >= deadline_ns) {
            return WEIR_TIMEOUT;
        }
        if (!is_run_elsewhere) {
            const uint64_t slice_ns = now_ns + POLL_SLICE_NS;
            if (weir_loop_poll(manager, slice_ns < deadline_ns ? slice_ns : deadline_ns) ==
                WEIR_CLOSED) {
                return WEIR_TIMEOUT;
            }
        }
    }
}

static uint32_t count_ready(const weir_pool *pool)
{
    uint32_t ready = 0;
    for (uint32_t i = 0; i < pool->seat_count; i++) {
        ready += pool->seats[i].state == WEIR_SEAT_READY;
    }
    return ready;
}

static const weir_seat *find_refused(const weir_pool *pool)
{
    for (uint32_t i = 0; i < pool->seat_count; i++) {
        const weir_seat *seat = &pool->seats[i];
        if (seat->state == WEIR_SEAT_QUARANTINED ||
            (seat->has_refusal && seat->state != WEIR_SEAT_READY)) {
            return seat;
        }
    }
    return NULL;
}

/* Why a worker that is not ready ended the last time; empty when none did. */
static const char *find_last_words(const weir_pool *pool)
{
    for (uint32_t i = 0; i < pool->seat_count; i++) {
        const weir_seat *seat = &pool->seats[i];
        if (seat->is_wanted && seat->state != WEIR_SEAT_READY && seat->last_refusal.text[0] != 0) {
            return seat->last_refusal.text;
        }
    }
    return "";
}

static bool is_ready_or_refused(weir_pool *pool)
{
    return count_ready(pool) >= pool->options.worker_count || find_refused(pool) != NULL;
}

weir_status weir_manager_await_ready(weir_manager *manager, weir_pool_id id, uint64_t deadline_ns,
                                     weir_error *error)
{
    weir_pool *pool = weir_manager_pool(manager, id);
    if (pool == NULL) {
        weir_error_set(error, "there is no pool %u", id);
        return WEIR_REFUSED;
    }
    if (wait_for(pool, is_ready_or_refused, deadline_ns) != WEIR_OK) {
        pthread_mutex_lock(&pool->lock);
        const char *reason = find_last_words(pool);
        weir_error_set(error,
                       "%u of %u workers of pool %s are ready; the others still start%s%.320s",
                       count_ready(pool), pool->options.worker_count, pool->options.role,
                       reason[0] != '\0' ? "; " : "", reason);
        pthread_mutex_unlock(&pool->lock);
        return WEIR_TIMEOUT;
    }
    pthread_mutex_lock(&pool->lock);
    const weir_seat *refused = find_refused(pool);
    if (refused != NULL && error != NULL) {
        *error = refused->last_refusal;
    }
    pthread_mutex_unlock(&pool->lock);
    return refused != NULL ? WEIR_REFUSED : WEIR_OK;
}

static bool has_no_jobs(weir_pool *pool)
{
    return pool->live_jobs == 0;
}

weir_status weir_manager_drain(weir_manager *manager, uint64_t deadline_ns)
{
    weir_store_release_u32(&manager->is_closed, 1);
    for (uint32_t i = 0; i < weir_load_acquire_u32(&manager->pool_count); i++) {
        const weir_status status = wait_for(manager->pools[i], has_no_jobs, deadline_ns);
        if (status != WEIR_OK) {
            return status;
        }
    }
    return WEIR_OK;
}

static bool has_reloaded(weir_pool *pool)
{
    return !pool->reload.is_running;
}

weir_status weir_manager_reload(weir_manager *manager, weir_pool_id id, uint64_t deadline_ns,
                                weir_error *error)
{
    weir_pool *pool = weir_manager_pool(manager, id);
    if (pool == NULL) {
        weir_error_set(error, "there is no pool %u to reload", id);
        return WEIR_INVALID;
    }
    if (weir_load_acquire_u32(&manager->is_closed)) {
        weir_error_set(error, "the manager is stopping; nothing is reloaded any more");
        return WEIR_CLOSED;
    }
    pthread_mutex_lock(&pool->lock);
    if (!pool->reload.is_running) { /* One that is under way serves this caller too. */
        pool->reload = (weir_reload){.is_running = true};
    }
    pthread_mutex_unlock(&pool->lock);
    weir_manager_ring(manager);
    const weir_status status = wait_for(pool, has_reloaded, deadline_ns);
    if (status != WEIR_OK) {
        weir_error_set(error, "the reload of pool %s goes on behind the deadline",
                       pool->options.role);
        return status;
    }
    pthread_mutex_lock(&pool->lock);
    const bool has_failed = pool->reload.has_failed;
    pthread_mutex_unlock(&pool->lock);
    if (has_failed) {
        weir_error_set(error, "the new worker of pool %s does not start; the old ones serve on",
                       pool->options.role);
        return WEIR_INVALID;
    }
    return WEIR_OK;
}
