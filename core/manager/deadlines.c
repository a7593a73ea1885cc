#include "manager/deadlines.h"

#include "base/atomic.h"
#include "manager/ending.h"

/* A begun job whose deadline passed: from now on the worker must make progress or count as stuck.
 */
static void watch_if_begun(weir_job_entry *entry)
{
    weir_incarnation *at = entry->at;
    const struct weir_worker_control *control = at->arena.worker_control;
    /* SYNC(worker.begun): only a hint here; the supervisor acts on progress that stops. */
    if (weir_load_acquire_u64(&control->begun) <= entry->ring_index) {
        return;
    }
    /* One that is watched already stays, unless the worker got past it. */
    const uint64_t progress = weir_load_relaxed_u64(&control->progress);
    if (at->stuck_after_ns == WEIR_NEVER || progress != at->stuck_progress) {
        at->stuck_after_ns = entry->deadline_ns;
        at->stuck_progress = progress;
        at->stuck_index = entry->ring_index;
    }
}

static uint64_t expire_some(weir_pool *pool, uint64_t now_ns, weir_endings *endings)
{
    uint64_t next_ns = WEIR_NEVER;
    for (uint32_t i = 0; i < pool->jobs.used_mark; i++) {
        weir_job_entry *entry = &pool->jobs.entries[i];
        if (entry->state != WEIR_JOB_IN_FLIGHT && entry->state != WEIR_JOB_DEFERRED) {
            /* A reserved job is looked at again once it is published. */
            if (entry->state == WEIR_JOB_RESERVED && entry->deadline_ns < next_ns) {
                next_ns = entry->deadline_ns;
            }
            continue;
        }
        if (entry->deadline_ns > now_ns || endings->count == WEIR_ENDINGS_MAX) {
            next_ns = entry->deadline_ns < next_ns ? entry->deadline_ns : next_ns;
            continue;
        }
        if (entry->state == WEIR_JOB_IN_FLIGHT) {
            watch_if_begun(entry);
        }
        weir_ending_note(pool, endings, entry, WEIR_OUTCOME_TIMEOUT);
    }
    return next_ns;
}

void weir_deadlines_expire(weir_pool *pool, uint64_t now_ns, weir_budget *budget)
{
    while (weir_load_relaxed_u64(&pool->next_deadline_ns) <= now_ns &&
           weir_budget_fits(budget, 0)) {
        weir_endings endings;
        endings.count = 0;
        pthread_mutex_lock(&pool->lock);
        const uint64_t next_ns = expire_some(pool, now_ns, &endings);
        weir_store_relaxed_u64(&pool->next_deadline_ns, next_ns);
        pthread_mutex_unlock(&pool->lock);
        const size_t ended = endings.count;
        weir_budget_take_jobs(budget, ended);
        weir_ending_deliver(pool, &endings);
        if (ended == 0) {
            return;
        }
    }
}
