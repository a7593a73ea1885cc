#include "base/atomic.h"
#include "manager/dispatcher.h"
#include "manager/ending.h"
#include "manager/registry.h"

weir_status weir_submit(weir_manager *manager, weir_pool_id id, const weir_job_spec *specs,
                        size_t count, uint64_t *job_ids)
{
    weir_pool *pool = weir_manager_pool(manager, id);
    if (pool == NULL) {
        return WEIR_INVALID;
    }
    for (size_t i = 0; i < count; i++) {
        if (specs[i].done == NULL || (specs[i].fill == NULL && specs[i].payload_bytes > 0)) {
            return WEIR_INVALID;
        }
    }
    if (weir_load_acquire_u32(&manager->is_closed)) {
        return WEIR_CLOSED;
    }
    weir_dispatch_submit(pool, specs, count, job_ids);
    return WEIR_OK;
}

weir_status weir_cancel(weir_manager *manager, uint64_t job_id)
{
    weir_pool *pool = weir_manager_pool(manager, weir_job_id_pool(job_id));
    if (pool == NULL) {
        return WEIR_NOT_FOUND;
    }
    weir_endings endings;
    endings.count = 0;
    pthread_mutex_lock(&pool->lock);
    weir_job_entry *entry = weir_job_table_find(&pool->jobs, job_id);
    if (entry != NULL &&
        (entry->state == WEIR_JOB_IN_FLIGHT || entry->state == WEIR_JOB_DEFERRED)) {
        weir_ending_note(pool, &endings, entry, WEIR_OUTCOME_CANCELLED);
    }
    pthread_mutex_unlock(&pool->lock);
    if (endings.count == 0) {
        return WEIR_NOT_FOUND;
    }
    weir_ending_deliver(pool, &endings);
    return WEIR_OK;
}
