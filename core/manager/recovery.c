#include "manager/recovery.h"

#include <assert.h>

#include "base/atomic.h"
#include "base/failpoint.h"
#include "manager/ending.h"
#include "manager/ingestor.h"

/* A begun job may have crashed its worker, so it gets this many more tries and no more. */
#define BEGUN_RESENDS_MAX 2

static bool is_to_be_resent(weir_job_entry *entry, bool is_marker_believed, uint64_t begun)
{
    if (is_marker_believed && entry->ring_index >= begun) {
        return true;
    }
    entry->begun_count++;
    return entry->idempotent && entry->begun_count <= BEGUN_RESENDS_MAX;
}

static void queue_again(weir_pool *pool, weir_job_entry *entry, weir_incarnation *incarnation)
{
    weir_job_list_remove(&pool->jobs, &incarnation->in_flight, entry);
    weir_incarnation_retain(
        incarnation); /* Its memory holds the payload until the job is sent again. */
    entry->state = WEIR_JOB_DEFERRED;
    weir_job_list_prepend(&pool->jobs, &pool->deferred, entry);
    weir_pool_want_room(pool);
}

size_t weir_recover(weir_incarnation *incarnation, bool may_resend)
{
    weir_pool *pool = incarnation->pool;
    assert(incarnation->is_gone && incarnation->reserved == 0);
    weir_budget all = weir_budget_unlimited();
    while (weir_ingest(incarnation, &all) > 0) {
    }
    WEIR_FAILPOINT(recovery_after_drain);
    /* SYNC(worker.begun): the process is reaped, so this is its last word. */
    const uint64_t begun = weir_load_acquire_u64(&incarnation->arena.worker_control->begun);
    const bool is_marker_believed =
        !weir_incarnation_is_distrusted(incarnation) && begun <= incarnation->requests.tail;
    size_t resent = 0;
    for (bool has_more = true; has_more;) {
        weir_endings endings;
        endings.count = 0;
        pthread_mutex_lock(&pool->lock);
        weir_job_entry *entry;
        /* From the newest to the oldest, each to the front of the queue: the order stays. */
        while (endings.count < WEIR_ENDINGS_MAX &&
               (entry = weir_job_list_last(&pool->jobs, &incarnation->in_flight)) != NULL) {
            if (may_resend && is_to_be_resent(entry, is_marker_believed, begun)) {
                queue_again(pool, entry, incarnation);
                resent++;
            } else {
                weir_ending_note(pool, &endings, entry, WEIR_OUTCOME_WORKER_LOST);
            }
        }
        has_more = incarnation->in_flight.count > 0;
        pthread_mutex_unlock(&pool->lock);
        weir_ending_deliver(pool, &endings);
    }
    return resent;
}
