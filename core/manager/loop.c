#include "manager/loop.h"

#include "base/atomic.h"
#include "manager/deadlines.h"
#include "manager/dispatcher.h"
#include "manager/ending.h"
#include "manager/ingestor.h"
#include "manager/loop_wait.h"
#include "manager/status_page.h"
#include "manager/supervisor.h"
#include "manager/watch_events.h"

/* A worker gets this long to stop when told to, before it is killed. */
#define STOP_GRACE_NS (1 * WEIR_NS_PER_SECOND)
/* Nothing but a process stuck in the kernel outlives SIGKILL for so long. */
#define KILL_GRACE_NS (10 * WEIR_NS_PER_SECOND)

static size_t ingest_pool(weir_pool *pool, weir_budget *budget)
{
    size_t taken = 0;
    for (uint32_t s = 0; s < pool->seat_count; s++) {
        weir_incarnation *now = pool->seats[s].now;
        if (now != NULL && now->ready_ns != 0) {
            taken += weir_ingest(now, budget);
        }
    }
    return taken;
}

/* Takes in the payload slots that came back when somebody waits for them. Returns true when some
 * did. */
static bool collect_slots(weir_pool *pool)
{
    bool has_any = false;
    if (weir_load_relaxed_u32(&pool->wants_room) == 0) {
        return false;
    }
    pthread_mutex_lock(&pool->lock);
    for (uint32_t s = 0; s < pool->seat_count; s++) {
        weir_incarnation *now = pool->seats[s].now;
        if (now == NULL || now->ready_ns == 0) {
            continue;
        }
        const uint64_t released =
            weir_load_relaxed_u64(&now->arena.worker_control->request_released);
        if (released != now->released_seen) {
            now->released_seen = released;
            has_any = true;
            if (weir_slot_pool_collect(&now->request_slots) != WEIR_OK) {
                weir_incarnation_distrust(now, WEIR_ERROR_CODE_RELEASE);
            }
        }
    }
    if (has_any) {
        weir_pool_changed(pool);
    }
    if (pool->deferred.count == 0 && pool->waiters == 0) {
        weir_store_relaxed_u32(&pool->wants_room, 0);
    }
    pthread_mutex_unlock(&pool->lock);
    return has_any;
}

static bool has_asked_to_drain(const weir_pool *pool)
{
    for (uint32_t s = 0; s < pool->seat_count; s++) {
        const weir_seat *seat = &pool->seats[s];
        if (seat->now != NULL && seat->state == WEIR_SEAT_READY &&
            (weir_load_relaxed_u32(&seat->now->arena.worker_control->state) ==
                 WEIR_WORKER_STATE_DRAINING ||
             weir_incarnation_is_distrusted(seat->now))) {
            return true;
        }
    }
    return false;
}

static bool is_draining(const weir_pool *pool)
{
    for (uint32_t s = 0; s < pool->seat_count; s++) {
        if (pool->seats[s].state == WEIR_SEAT_DRAINING) {
            return true;
        }
    }
    return false;
}

/* Starts, reaps, recovers; then there may be room for what waited. */
static void supervise(weir_manager *manager, uint64_t now_ns, weir_budget *budget)
{
    manager->is_supervision_due = false;
    manager->next_step_ns = weir_supervise(manager, now_ns);
    const uint32_t count = weir_load_acquire_u32(&manager->pool_count);
    for (uint32_t i = 0; i < count; i++) {
        (void)weir_dispatch_deferred(manager->pools[i], budget);
    }
}

bool weir_loop_turn(weir_manager *manager, weir_budget *budget)
{
    /* SYNC(loop.bell): whoever rang has done its work before; it is seen by what follows. */
    const uint32_t bell = weir_load_acquire_u32(&manager->bell);
    const bool was_rung = bell != manager->bell_handled;
    manager->bell_handled = bell;
    bool did_something = was_rung;
    bool is_due = weir_watch_events_handle(manager);
    const uint32_t count = weir_load_acquire_u32(&manager->pool_count);
    const uint64_t now_ns = weir_os()->clock_ns();
    for (uint32_t i = 0; i < count; i++) {
        weir_pool *pool = manager->pools[i];
        const size_t taken = ingest_pool(pool, budget);
        weir_deadlines_expire(pool, now_ns, budget);
        if (collect_slots(pool) || taken > 0 || was_rung || is_due) {
            did_something |= weir_dispatch_deferred(pool, budget) > 0;
        }
        did_something |= taken > 0;
        is_due |= has_asked_to_drain(pool) || (taken > 0 && is_draining(pool));
    }
    manager->is_supervision_due |= is_due || was_rung || now_ns >= manager->next_step_ns;
    if (manager->is_supervision_due && budget->may_take_long) {
        supervise(manager, now_ns, budget);
        did_something |= is_due;
    }
    weir_status_page_update(manager, &manager->status, now_ns);
    return did_something;
}

weir_status weir_loop_poll(weir_manager *manager, uint64_t deadline_ns)
{
    for (;;) {
        weir_budget budget = weir_budget_unlimited();
        if (weir_loop_turn(manager, &budget)) {
            return WEIR_OK;
        }
        if (weir_os()->clock_ns() >= deadline_ns) {
            return WEIR_TIMEOUT;
        }
        weir_loop_wait(manager, deadline_ns);
    }
}

static void cancel_all(weir_pool *pool)
{
    for (;;) {
        weir_endings endings;
        endings.count = 0;
        pthread_mutex_lock(&pool->lock);
        for (uint32_t i = 0; i < pool->jobs.used_mark && endings.count < WEIR_ENDINGS_MAX; i++) {
            weir_job_entry *entry = &pool->jobs.entries[i];
            if (entry->state == WEIR_JOB_IN_FLIGHT || entry->state == WEIR_JOB_DEFERRED) {
                weir_ending_note(pool, &endings, entry, WEIR_OUTCOME_CANCELLED);
            }
        }
        pthread_mutex_unlock(&pool->lock);
        if (endings.count == 0) {
            return;
        }
        weir_ending_deliver(pool, &endings);
    }
}

static void run_until_empty(weir_manager *manager, uint64_t deadline_ns)
{
    while (!weir_supervise_is_empty(manager) && weir_os()->clock_ns() < deadline_ns) {
        const uint64_t look_ns = weir_deadline_in(20 * WEIR_NS_PER_MS);
        if (weir_loop_poll(manager, look_ns < deadline_ns ? look_ns : deadline_ns) ==
            WEIR_TIMEOUT) {
            manager->next_step_ns = 0;
        }
    }
}

static void cancel_everywhere(weir_manager *manager)
{
    for (uint32_t i = 0; i < weir_load_acquire_u32(&manager->pool_count); i++) {
        cancel_all(manager->pools[i]);
    }
}

void weir_loop_shut_down(weir_manager *manager)
{
    cancel_everywhere(manager);
    weir_supervise_stop(manager, weir_os()->clock_ns());
    run_until_empty(manager, weir_deadline_in(STOP_GRACE_NS));
    weir_supervise_kill(manager, weir_os()->clock_ns());
    run_until_empty(manager, weir_deadline_in(KILL_GRACE_NS));
    cancel_everywhere(manager); /* Those that were being submitted when the manager was closed. */
}
