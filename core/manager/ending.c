#include "manager/ending.h"

#include <assert.h>

#include "base/atomic.h"
#include "manager/event.h"

static void take_out_of_lists(weir_pool *pool, weir_job_entry *entry)
{
    weir_incarnation *at = entry->at;
    switch (entry->state) {
    case WEIR_JOB_IN_FLIGHT:
        weir_job_list_remove(&pool->jobs, &at->in_flight, entry);
        entry->at = NULL;
        break;
    case WEIR_JOB_DEFERRED:
        weir_job_list_remove(&pool->jobs, &pool->deferred, entry);
        break;
    case WEIR_JOB_RESERVED:
        if (at != NULL) {
            at->reserved--;
            if (entry->stored_bytes > 0) {
                weir_slot_pool_put_back(&at->request_slots, entry->slot);
            }
            entry->at = NULL;
        }
        break;
    default:
        assert(!"a job that has ended is ended again");
        break;
    }
}

void weir_ending_note(weir_pool *pool, weir_endings *endings, weir_job_entry *entry,
                      weir_outcome_code outcome)
{
    assert(endings->count < WEIR_ENDINGS_MAX);
    take_out_of_lists(pool, entry);
    entry->state = WEIR_JOB_ENDING;
    endings->entries[endings->count] = entry;
    endings->outcomes[endings->count] = outcome;
    endings->count++;
}

void weir_ending_call(const weir_job_entry *entry, weir_outcome_code outcome, const void *payload,
                      size_t payload_bytes, uint64_t ended_ns, const void *ticket)
{
    const weir_result result = {
        .job_id = entry->id,
        .correlation_id = entry->correlation_id,
        .opcode = entry->opcode,
        .outcome = outcome,
        .sent_count = entry->sent_count,
        .worker = entry->seat,
        .payload = payload,
        .payload_bytes = payload_bytes,
        .submitted_ns = entry->submitted_ns,
        .ended_ns = ended_ns,
        .hold_ticket = ticket,
    };
    entry->done(entry->context, &result);
}

void weir_ending_free(weir_pool *pool, weir_job_entry *entry, weir_outcome_code outcome)
{
    pool->stats.outcomes[outcome]++;
    pool->live_jobs--;
    weir_job_table_free(&pool->jobs, entry);
}

void weir_ending_deliver(weir_pool *pool, weir_endings *endings)
{
    if (endings->count == 0) {
        return;
    }
    const uint64_t now_ns = weir_os()->clock_ns();
    for (size_t i = 0; i < endings->count; i++) {
        weir_job_entry *entry = endings->entries[i];
        weir_event_trace_end(pool, entry, endings->outcomes[i]);
        weir_ending_call(entry, endings->outcomes[i], NULL, 0, now_ns, NULL);
    }
    pthread_mutex_lock(&pool->lock);
    for (size_t i = 0; i < endings->count; i++) {
        weir_job_entry *entry = endings->entries[i];
        weir_incarnation *from = entry->at;
        entry->at = NULL;
        weir_ending_free(pool, entry, endings->outcomes[i]);
        if (from != NULL) { /* Its payload was kept in a dead incarnation to be sent again. */
            weir_incarnation_release(from);
        }
    }
    weir_pool_changed(pool);
    pthread_mutex_unlock(&pool->lock);
    endings->count = 0;
}
