#include "manager/dispatcher.h"

#include "base/atomic.h"
#include "base/failpoint.h"
#include "manager/ending.h"
#include "manager/placement.h"
#include "manager/schema_guard.h"
#include "manager/sending.h"

static void note_deadline(weir_pool *pool, uint64_t deadline_ns)
{
    if (deadline_ns < weir_load_relaxed_u64(&pool->next_deadline_ns)) {
        weir_store_relaxed_u64(&pool->next_deadline_ns, deadline_ns);
    }
}

static void describe(weir_job_entry *entry, const weir_job_spec *spec, uint64_t now_ns)
{
    entry->fill = spec->fill;
    entry->done = spec->done;
    entry->context = spec->context;
    entry->deadline_ns = spec->deadline_ns == 0 ? WEIR_NEVER : spec->deadline_ns;
    entry->correlation_id = spec->correlation_id;
    entry->submitted_ns = now_ns;
    entry->result_buffer = spec->result_buffer;
    entry->result_capacity = spec->result_capacity;
    entry->payload_bytes = spec->payload_bytes;
    entry->opcode = spec->opcode;
    entry->idempotent = spec->idempotent;
}

/* The outcome of a job that no worker could ever serve, or none. */
static weir_outcome_code judge(const weir_pool *pool, const weir_job_spec *spec)
{
    switch (weir_schema_check_request(spec->opcode, spec->payload_bytes, NULL)) {
    case WEIR_OK:
        break;
    case WEIR_UNSUPPORTED:
        return WEIR_OUTCOME_UNSUPPORTED;
    default:
        return WEIR_OUTCOME_INCOMPATIBLE;
    }
    return spec->payload_bytes > pool->slot_bytes_max ? WEIR_OUTCOME_OVERSIZE : WEIR_OUTCOME_NONE;
}

static void defer(weir_pool *pool, weir_job_entry *entry)
{
    entry->state = WEIR_JOB_DEFERRED;
    entry->at = NULL;
    weir_job_list_append(&pool->jobs, &pool->deferred, entry);
    weir_pool_want_room(pool);
    pool->stats.deferred++;
}

/* The oldest job in the queue that was never sent; those sent before were accepted long ago and
 * keep their turn. */
static weir_job_entry *oldest_unsent(weir_pool *pool)
{
    weir_job_entry *entry = weir_job_list_first(&pool->jobs, &pool->deferred);
    while (entry != NULL && entry->at != NULL) {
        entry = entry->next == WEIR_NO_JOB ? NULL : &pool->jobs.entries[entry->next];
    }
    return entry;
}

static void apply_policy(weir_pool *pool, weir_job_entry *entry, weir_room_policy policy,
                         weir_endings *endings)
{
    const bool has_space = pool->deferred.count < pool->options.deferred_max;
    if (policy == WEIR_ROOM_REJECT || (policy == WEIR_ROOM_DEFER && !has_space)) {
        weir_ending_note(pool, endings, entry, WEIR_OUTCOME_REJECTED);
        return;
    }
    if (!has_space) {
        weir_job_entry *oldest = oldest_unsent(pool);
        weir_ending_note(pool, endings, oldest != NULL ? oldest : entry, WEIR_OUTCOME_REJECTED);
        if (oldest == NULL) {
            return;
        }
    }
    defer(pool, entry);
}

static bool has_queue_before(const weir_pool *pool, weir_room_policy policy)
{
    return pool->deferred.count > 0 &&
           (policy == WEIR_ROOM_DEFER || policy == WEIR_ROOM_DROP_OLDEST);
}

/* Needs the lock, gives it up while waiting. Sends what the batch holds first: others may wait for
 * those to end. */
static weir_status wait_for_room(weir_pool *pool, weir_job_entry *entry, weir_job_batch *batch)
{
    for (;;) {
        weir_status status = weir_place(pool, entry, batch);
        if (status == WEIR_FULL) {
            weir_pool_want_room(pool);
            status = weir_place(pool, entry, batch);
        }
        if (status != WEIR_FULL || weir_load_relaxed_u32(&pool->manager->is_closed)) {
            return status;
        }
        if (batch->count > 0) {
            pthread_mutex_unlock(&pool->lock);
            weir_send(pool, batch);
            pthread_mutex_lock(&pool->lock);
            continue;
        }
        if (weir_os()->clock_ns() >= entry->deadline_ns ||
            !weir_pool_wait(pool, entry->deadline_ns)) {
            return WEIR_FULL;
        }
    }
}

static void route(weir_pool *pool, weir_job_entry *entry, weir_job_batch *batch,
                  weir_endings *endings)
{
    /* On the loop's own thread nobody else would make room, and a host's thread never waits:
     * waiting becomes deferring. */
    weir_room_policy policy = pool->options.policy;
    if (policy == WEIR_ROOM_WAIT &&
        (pool->manager->options.host != NULL || weir_manager_is_loop_thread(pool->manager))) {
        policy = WEIR_ROOM_DEFER;
    }
    weir_status status = WEIR_FULL;
    if (policy == WEIR_ROOM_WAIT) {
        status = wait_for_room(pool, entry, batch);
    } else if (!has_queue_before(pool, policy)) {
        status = weir_place(pool, entry, batch);
    }
    switch (status) {
    case WEIR_OK:
        break;
    case WEIR_UNSUPPORTED:
        weir_ending_note(pool, endings, entry, WEIR_OUTCOME_UNSUPPORTED);
        break;
    case WEIR_OVERSIZE:
        weir_ending_note(pool, endings, entry, WEIR_OUTCOME_OVERSIZE);
        break;
    default:
        apply_policy(pool, entry, policy == WEIR_ROOM_WAIT ? WEIR_ROOM_REJECT : policy, endings);
        break;
    }
}

/* The table is full: the job never gets an entry, only its end. */
static void end_unlisted(weir_pool *pool, const weir_job_spec *spec, uint64_t now_ns)
{
    weir_job_entry entry = {0};
    describe(&entry, spec, now_ns);
    weir_ending_call(&entry, WEIR_OUTCOME_REJECTED, NULL, 0, now_ns, NULL);
    pthread_mutex_lock(&pool->lock);
    pool->stats.submitted++;
    pool->stats.outcomes[WEIR_OUTCOME_REJECTED]++;
    pthread_mutex_unlock(&pool->lock);
}

static void accept_job(weir_pool *pool, weir_job_entry *entry, const weir_job_spec *spec,
                       uint64_t now_ns, weir_job_batch *batch, weir_endings *endings)
{
    describe(entry, spec, now_ns);
    pool->stats.submitted++;
    pool->live_jobs++;
    const weir_outcome_code verdict = judge(pool, spec);
    if (verdict != WEIR_OUTCOME_NONE) {
        weir_ending_note(pool, endings, entry, verdict);
        return;
    }
    note_deadline(pool, entry->deadline_ns);
    route(pool, entry, batch, endings);
}

static void ring_if_deadline_is_near(weir_pool *pool)
{
    /* SYNC(loop.deadline): the deadline was stored before the fence, the loop stores its plan
     * before its own. */
    weir_fence_full();
    const uint64_t sleep_until_ns = weir_load_relaxed_u64(&pool->manager->sleep_until_ns);
    if (weir_load_relaxed_u64(&pool->next_deadline_ns) < sleep_until_ns) {
        weir_manager_ring(pool->manager);
    }
}

static void submit_chunk(weir_pool *pool, const weir_job_spec *specs, size_t count,
                         uint64_t *job_ids, uint64_t now_ns)
{
    weir_job_batch batch;
    weir_endings endings;
    batch.count = batch.touched_count = endings.count = 0;
    uint32_t unlisted = 0; /* Bit set of those for which there was no entry. */
    WEIR_FAILPOINT(dispatch_before_reserve);
    pthread_mutex_lock(&pool->lock);
    for (size_t i = 0; i < count; i++) {
        weir_job_entry *entry = weir_job_table_take(&pool->jobs);
        if (job_ids != NULL) {
            job_ids[i] = entry != NULL ? entry->id : 0;
        }
        if (entry != NULL) {
            accept_job(pool, entry, &specs[i], now_ns, &batch, &endings);
        } else {
            unlisted |= UINT32_C(1) << i;
        }
    }
    const bool has_deferred = pool->deferred.count > 0;
    pthread_mutex_unlock(&pool->lock);
    weir_send(pool, &batch);
    weir_ending_deliver(pool, &endings);
    for (size_t i = 0; unlisted != 0 && i < count; i++) {
        if (unlisted & UINT32_C(1) << i) {
            end_unlisted(pool, &specs[i], now_ns);
        }
    }
    if (has_deferred) {
        weir_manager_ring(pool->manager);
    } else if (weir_load_relaxed_u64(&pool->next_deadline_ns) != WEIR_NEVER) {
        ring_if_deadline_is_near(pool);
    }
}

void weir_dispatch_submit(weir_pool *pool, const weir_job_spec *specs, size_t count,
                          uint64_t *job_ids)
{
    const uint64_t now_ns = weir_os()->clock_ns();
    while (count > 0) {
        const size_t part = count < WEIR_BATCH_MAX ? count : WEIR_BATCH_MAX;
        submit_chunk(pool, specs, part, job_ids, now_ns);
        specs += part;
        count -= part;
        job_ids = job_ids != NULL ? job_ids + part : NULL;
    }
}

static weir_outcome_code end_of_hopeless(const weir_job_entry *entry, weir_status status)
{
    if (entry->sent_count > 0) {
        return WEIR_OUTCOME_WORKER_LOST;
    }
    return status == WEIR_OVERSIZE ? WEIR_OUTCOME_OVERSIZE : WEIR_OUTCOME_UNSUPPORTED;
}

size_t weir_dispatch_deferred(weir_pool *pool, weir_budget *budget)
{
    size_t sent = 0;
    for (;;) {
        weir_job_batch batch;
        weir_endings endings;
        batch.count = batch.touched_count = endings.count = 0;
        pthread_mutex_lock(&pool->lock);
        weir_job_entry *entry;
        while (batch.count < WEIR_BATCH_MAX && endings.count < WEIR_BATCH_MAX &&
               (entry = weir_job_list_first(&pool->jobs, &pool->deferred)) != NULL) {
            if (!weir_budget_fits(budget, entry->payload_bytes)) {
                break;
            }
            const weir_status status = weir_place(pool, entry, &batch);
            if (status == WEIR_FULL) {
                break;
            }
            (void)weir_budget_take(budget, entry->payload_bytes);
            if (status == WEIR_OK) {
                /* place has made it RESERVED already; the list's links are still those of the
                 * queue. */
                weir_job_list_remove(&pool->jobs, &pool->deferred, entry);
                pool->stats.resent += entry->sent_count > 0;
            } else {
                weir_ending_note(pool, &endings, entry, end_of_hopeless(entry, status));
            }
        }
        pthread_mutex_unlock(&pool->lock);
        const size_t progressed = batch.count + endings.count;
        sent += batch.count;
        WEIR_FAILPOINT(recovery_before_resend);
        weir_send(pool, &batch);
        WEIR_FAILPOINT(recovery_after_resend);
        weir_ending_deliver(pool, &endings);
        if (progressed == 0) {
            return sent;
        }
    }
}
