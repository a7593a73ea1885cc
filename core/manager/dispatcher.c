/* Long because one job's way is easier to follow in one place: accept, place, fill, publish. */
#include "manager/dispatcher.h"

#include <assert.h>
#include <string.h>

#include "base/atomic.h"
#include "base/crc.h"
#include "base/failpoint.h"
#include "manager/ending.h"
#include "manager/event.h"
#include "manager/schema_guard.h"

#define BATCH_MAX 32

/** A job with a place at a worker, on its way into the ring. */
typedef struct placement {
    weir_job_entry *entry;
    weir_incarnation *to;
    weir_incarnation
        *from; /**< Dead incarnation that still holds the payload of a job sent again, else NULL. */
    uint32_t from_offset;
} placement;

typedef struct job_batch {
    placement placements[BATCH_MAX];
    size_t count;
    weir_incarnation *touched[BATCH_MAX];
    size_t touched_count;
} job_batch;

/* ---- accept
 * ---------------------------------------------------------------------------------------------- */

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

/* ---- place
 * -----------------------------------------------------------------------------------------------
 */

static bool has_place(weir_pool *pool, weir_incarnation *incarnation)
{
    const uint64_t outstanding = weir_incarnation_outstanding(incarnation);
    if (incarnation->is_throttled && outstanding <= pool->throttle_low) {
        incarnation->is_throttled = false;
    }
    return !incarnation->is_throttled && outstanding < pool->throttle_high;
}

static bool has_free_slot(const weir_slot_pool *slots, uint32_t bytes)
{
    const weir_slot_map *map = &slots->map;
    bool fits_somewhere = false;
    for (uint32_t i = 0; i < map->class_count; i++) {
        if (bytes <= map->classes[i].slot_bytes) {
            fits_somewhere = true;
            if (slots->free_count[i] > 0) {
                return true;
            }
        }
    }
    return !fits_somewhere; /* Too large for all of them: the taking says so. */
}

/* A worker may have places left in its ring and none for a payload of this size. */
static bool has_slot(weir_incarnation *incarnation, uint32_t bytes)
{
    if (bytes == 0 || has_free_slot(&incarnation->request_slots, bytes)) {
        return true;
    }
    if (weir_slot_pool_collect(&incarnation->request_slots) != WEIR_OK) {
        weir_incarnation_distrust(incarnation, WEIR_ERROR_CODE_RELEASE);
        return false;
    }
    return has_free_slot(&incarnation->request_slots, bytes);
}

/* A job sent again carries its stored form, which may be packed; a fresh one may turn out not to
 * shrink. */
static uint32_t bytes_to_store(const weir_job_entry *entry)
{
    return entry->at != NULL ? entry->stored_bytes : entry->payload_bytes;
}

/* The least loaded worker with room; an idle one ends the search, so light load costs one look. */
static weir_incarnation *choose(weir_pool *pool, const weir_job_entry *entry, bool *is_served)
{
    weir_incarnation *best = NULL;
    uint64_t best_load = UINT64_MAX;
    for (uint32_t i = 0; i < pool->seat_count && best_load > 0; i++) {
        uint32_t number = pool->next_seat + i;
        number = number >= pool->seat_count ? number - pool->seat_count : number;
        weir_incarnation *candidate = pool->seats[number].now;
        if (candidate == NULL || !candidate->is_serving) {
            continue;
        }
        if (!weir_incarnation_serves(candidate, entry->opcode)) {
            continue;
        }
        *is_served = true;
        const uint64_t load = weir_incarnation_outstanding(candidate);
        if (load < best_load && has_place(pool, candidate) &&
            has_slot(candidate, bytes_to_store(entry))) {
            best = candidate;
            best_load = load;
        }
    }
    return best;
}

static bool is_anybody_coming(const weir_pool *pool)
{
    for (uint32_t i = 0; i < pool->seat_count; i++) {
        const weir_seat *seat = &pool->seats[i];
        if (seat->is_wanted && seat->state != WEIR_SEAT_READY &&
            seat->state != WEIR_SEAT_QUARANTINED) {
            return true;
        }
    }
    return false;
}

/*
 * Finds a worker and a slot. WEIR_FULL: no room now. WEIR_UNSUPPORTED: nobody serves the opcode and
 * nobody new is coming.
 */
static weir_status place(weir_pool *pool, weir_job_entry *entry, job_batch *batch)
{
    bool is_served = false;
    weir_incarnation *to = choose(pool, entry, &is_served);
    if (to == NULL) {
        return is_served || is_anybody_coming(pool) ? WEIR_FULL : WEIR_UNSUPPORTED;
    }
    if ((entry->envelope_flags & WEIR_PACKING_FLAGS & ~(unsigned)to->pack_flag) != 0) {
        return WEIR_UNSUPPORTED; /* Packed for a worker that could unpack it; this one cannot. */
    }
    const uint32_t bytes = bytes_to_store(entry);
    weir_slot slot = {0};
    if (bytes > 0) {
        const weir_status status = weir_slot_pool_take(&to->request_slots, bytes, &slot);
        if (status != WEIR_OK) {
            return status;
        }
    }
    batch->placements[batch->count++] = (placement){
        .entry = entry,
        .to = to,
        .from = entry->at,
        .from_offset = entry->slot_offset,
    };
    to->reserved++;
    if (weir_incarnation_outstanding(to) >= pool->throttle_high) {
        to->is_throttled = true;
    }
    pool->next_seat = to->seat;
    entry->at = to;
    entry->seat = (uint16_t)to->seat;
    entry->stored_bytes = bytes;
    entry->slot = slot.number;
    entry->slot_offset = slot.offset;
    entry->state = WEIR_JOB_RESERVED;
    return WEIR_OK;
}

/* ---- fill
 * ------------------------------------------------------------------------------------------------
 */

static void count_copied(weir_pool *pool, uint64_t bytes)
{
    (void)weir_fetch_add_relaxed_u64(&pool->manager->bytes_copied, bytes);
}

/* Writes the payload into private memory first and stores what the packer makes of it. */
static void fill_packed(weir_pool *pool, weir_job_entry *entry, uint8_t *slot)
{
    weir_request_packing *packing = &pool->packing;
    size_t packed = 0;
    pthread_mutex_lock(&packing->lock);
    entry->fill(entry->context, packing->buffer, entry->payload_bytes);
    if (weir_pack(&packing->packer, entry->at->pack_flag, packing->buffer, entry->payload_bytes,
                  slot, entry->payload_bytes, &packed) == WEIR_OK) {
        entry->envelope_flags |= entry->at->pack_flag;
        entry->stored_bytes = (uint32_t)packed;
    } else {
        memcpy(slot, packing->buffer, entry->payload_bytes);
    }
    pthread_mutex_unlock(&packing->lock);
    count_copied(pool, entry->payload_bytes);
}

static void fill(weir_pool *pool, const placement *placed)
{
    weir_job_entry *entry = placed->entry;
    weir_incarnation *to = placed->to;
    uint8_t *slot = to->arena.request_payload + entry->slot_offset;
    if (placed->from != NULL) {
        if (entry->stored_bytes > 0) {
            memcpy(slot, placed->from->arena.request_payload + placed->from_offset,
                   entry->stored_bytes);
            count_copied(pool, entry->stored_bytes);
        }
        return; /* Flags and checksum are those of the first time. */
    }
    entry->envelope_flags = entry->idempotent ? WEIR_ENVELOPE_FLAG_IDEMPOTENT : 0;
    entry->payload_crc = 0;
    if (entry->payload_bytes == 0) {
        return;
    }
    if (to->pack_flag != 0 && entry->payload_bytes >= pool->options.compress_min_bytes) {
        fill_packed(pool, entry, slot);
    } else {
        entry->fill(entry->context, slot, entry->payload_bytes);
    }
    WEIR_FAILPOINT(dispatch_after_payload);
    if (to->has_payload_crc) {
        entry->envelope_flags |= WEIR_ENVELOPE_FLAG_PAYLOAD_CRC;
        entry->payload_crc = weir_crc32c(slot, entry->stored_bytes);
    }
}

/* ---- publish
 * --------------------------------------------------------------------------------------------- */

static void stage(weir_pool *pool, weir_job_entry *entry, weir_incarnation *to)
{
    struct weir_envelope envelope = {
        .magic = WEIR_ENVELOPE_MAGIC,
        .version = to->terms.version,
        .flags = entry->envelope_flags,
        .opcode = entry->opcode,
        .status = WEIR_REPLY_STATUS_NONE,
        .generation = to->generation,
        .job_id = entry->id,
        .correlation_id = entry->correlation_id,
        .payload_offset = entry->slot_offset,
        .payload_bytes = entry->stored_bytes,
        .payload_crc = entry->payload_crc,
        .original_bytes = entry->payload_bytes,
        .deadline_ns = entry->deadline_ns == WEIR_NEVER ? 0 : entry->deadline_ns,
    };
    entry->ring_index = weir_ring_next_index(&to->requests);
    weir_envelope_seal(&envelope, entry->ring_index);
    weir_ring_stage(&to->requests, &envelope);
    entry->state = WEIR_JOB_IN_FLIGHT;
    entry->sent_count++;
    weir_job_list_append(&pool->jobs, &to->in_flight, entry);
    pool->stats.sent++;
}

/* The worker was lost between the placing and the publishing: the payload is kept there and the job
 * goes to the front. */
static void put_off(weir_pool *pool, weir_job_entry *entry, weir_incarnation *gone)
{
    weir_incarnation_retain(gone);
    entry->at = gone;
    entry->state = WEIR_JOB_DEFERRED;
    weir_job_list_prepend(&pool->jobs, &pool->deferred, entry);
    weir_pool_want_room(pool);
}

static void touch(job_batch *batch, weir_incarnation *incarnation)
{
    for (size_t i = batch->touched_count; i > 0; i--) {
        if (batch->touched[i - 1] == incarnation) {
            return;
        }
    }
    weir_incarnation_retain(incarnation);
    batch->touched[batch->touched_count++] = incarnation;
}

static void publish(weir_pool *pool, job_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        weir_job_entry *entry = batch->placements[i].entry;
        weir_incarnation *to = batch->placements[i].to;
        to->reserved--;
        /* A worker that answers what it has not consumed can make the ring look full. */
        const weir_status room = to->is_gone ? WEIR_CLOSED : weir_ring_room(&to->requests, 1);
        if (room != WEIR_OK) {
            if (room != WEIR_CLOSED) {
                weir_incarnation_distrust(to, WEIR_ERROR_CODE_RING_INDEX);
            }
            put_off(pool, entry, to);
            continue;
        }
        stage(pool, entry, to);
        touch(batch, to);
    }
    WEIR_FAILPOINT(dispatch_before_publish);
    for (size_t i = 0; i < batch->touched_count; i++) {
        weir_ring_publish(&batch->touched[i]->requests);
    }
    WEIR_FAILPOINT(dispatch_after_publish);
}

/* Fill, publish, wake; takes and leaves the pool unlocked. Empties the batch. */
static void send_batch(weir_pool *pool, job_batch *batch)
{
    if (batch->count == 0) {
        return;
    }
    WEIR_FAILPOINT(dispatch_after_reserve);
    for (size_t i = 0; i < batch->count; i++) {
        fill(pool, &batch->placements[i]);
    }
    pthread_mutex_lock(&pool->lock);
    publish(pool, batch);
    pthread_mutex_unlock(&pool->lock);
    for (size_t i = 0; i < batch->touched_count; i++) {
        weir_incarnation_wake(batch->touched[i]);
        weir_incarnation_release(batch->touched[i]);
    }
    WEIR_FAILPOINT(dispatch_after_wake);
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->placements[i].from != NULL) {
            weir_incarnation_release(batch->placements[i].from);
        }
    }
    batch->count = 0;
    batch->touched_count = 0;
}

static void trace_batch(weir_pool *pool, const job_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        weir_event_trace_sent(pool, batch->placements[i].entry, batch->placements[i].to);
    }
}

/* ---- no room
 * --------------------------------------------------------------------------------------------- */

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
static weir_status wait_for_room(weir_pool *pool, weir_job_entry *entry, job_batch *batch)
{
    for (;;) {
        weir_status status = place(pool, entry, batch);
        if (status == WEIR_FULL) {
            weir_pool_want_room(pool);
            status = place(pool, entry, batch);
        }
        if (status != WEIR_FULL || weir_load_relaxed_u32(&pool->manager->is_closed)) {
            return status;
        }
        if (batch->count > 0) {
            pthread_mutex_unlock(&pool->lock);
            trace_batch(pool, batch);
            send_batch(pool, batch);
            pthread_mutex_lock(&pool->lock);
            continue;
        }
        if (weir_os()->clock_ns() >= entry->deadline_ns ||
            !weir_pool_wait(pool, entry->deadline_ns)) {
            return WEIR_FULL;
        }
    }
}

static void route(weir_pool *pool, weir_job_entry *entry, job_batch *batch, weir_endings *endings)
{
    /* On the loop's own thread nobody else would make room: waiting becomes deferring. */
    weir_room_policy policy = pool->options.policy;
    if (policy == WEIR_ROOM_WAIT && weir_manager_is_loop_thread(pool->manager)) {
        policy = WEIR_ROOM_DEFER;
    }
    weir_status status = WEIR_FULL;
    if (policy == WEIR_ROOM_WAIT) {
        status = wait_for_room(pool, entry, batch);
    } else if (!has_queue_before(pool, policy)) {
        status = place(pool, entry, batch);
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

/* ---- submit
 * ---------------------------------------------------------------------------------------------- */

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
                       uint64_t now_ns, job_batch *batch, weir_endings *endings)
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
    job_batch batch;
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
    trace_batch(pool, &batch);
    send_batch(pool, &batch);
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
        const size_t part = count < BATCH_MAX ? count : BATCH_MAX;
        submit_chunk(pool, specs, part, job_ids, now_ns);
        specs += part;
        count -= part;
        job_ids = job_ids != NULL ? job_ids + part : NULL;
    }
}

/* ---- deferred
 * -------------------------------------------------------------------------------------------- */

static weir_outcome_code end_of_hopeless(const weir_job_entry *entry, weir_status status)
{
    if (entry->sent_count > 0) {
        return WEIR_OUTCOME_WORKER_LOST;
    }
    return status == WEIR_OVERSIZE ? WEIR_OUTCOME_OVERSIZE : WEIR_OUTCOME_UNSUPPORTED;
}

size_t weir_dispatch_deferred(weir_pool *pool)
{
    size_t sent = 0;
    for (;;) {
        job_batch batch;
        weir_endings endings;
        batch.count = batch.touched_count = endings.count = 0;
        pthread_mutex_lock(&pool->lock);
        weir_job_entry *entry;
        while (batch.count < BATCH_MAX && endings.count < BATCH_MAX &&
               (entry = weir_job_list_first(&pool->jobs, &pool->deferred)) != NULL) {
            const weir_status status = place(pool, entry, &batch);
            if (status == WEIR_FULL) {
                break;
            }
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
        trace_batch(pool, &batch);
        WEIR_FAILPOINT(recovery_before_resend);
        send_batch(pool, &batch);
        WEIR_FAILPOINT(recovery_after_resend);
        weir_ending_deliver(pool, &endings);
        if (progressed == 0) {
            return sent;
        }
    }
}
