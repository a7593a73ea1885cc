#include "manager/ingestor.h"

#include <string.h>

#include "base/atomic.h"
#include "base/crc.h"
#include "base/failpoint.h"
#include "manager/ending.h"
#include "manager/event.h"

#define BATCH_MAX 32

/** One response, from its copied envelope to its outcome. */
typedef struct arrival {
    struct weir_envelope envelope; /**< Private, checked copy. */
    weir_job_entry *entry;         /**< NULL for a stray reply. */
    uint32_t slot;                 /**< Valid when the envelope has a payload. */
    weir_outcome_code outcome;
    const void *payload;
    size_t payload_bytes;
    bool is_in_place;
    bool is_held;
} arrival;

/** What a done function needs to hold a reply. */
typedef struct hold_ticket {
    weir_incarnation *incarnation;
    arrival *arrival;
} hold_ticket;

/* ---- take */

/* What checking it, and unpacking it, will go through. */
static uint64_t bytes_of(const struct weir_envelope *envelope)
{
    return envelope->payload_bytes > envelope->original_bytes ? envelope->payload_bytes
                                                              : envelope->original_bytes;
}

static size_t take_batch(weir_incarnation *incarnation, arrival *arrivals, weir_budget *budget)
{
    size_t count = 0;
    while (count < BATCH_MAX) {
        const uint64_t index = incarnation->responses.head;
        struct weir_envelope *copy = &arrivals[count].envelope;
        if (weir_ring_take(&incarnation->responses, copy) != WEIR_OK) {
            break;
        }
        const enum weir_error_code reason =
            weir_envelope_check_response(copy, index, &incarnation->terms);
        if (reason != WEIR_ERROR_CODE_NONE) {
            weir_incarnation_distrust(incarnation, reason);
            break;
        }
        if (!weir_budget_take(budget, bytes_of(copy))) {
            weir_ring_put_back(&incarnation->responses);
            break;
        }
        count++;
    }
    if (count > 0) {
        weir_ring_consumed(&incarnation->responses);
    }
    return count;
}

/* ---- match */

static bool has_valid_payload(weir_incarnation *incarnation, arrival *arrival)
{
    const struct weir_envelope *envelope = &arrival->envelope;
    return envelope->payload_bytes == 0 ||
           weir_slot_map_find(&incarnation->response_map, envelope->payload_offset,
                              envelope->payload_bytes, &arrival->slot) == WEIR_OK;
}

static weir_job_entry *match(weir_pool *pool, const weir_incarnation *incarnation,
                             const struct weir_envelope *envelope)
{
    weir_job_entry *entry = weir_job_table_find(&pool->jobs, envelope->job_id);
    const bool is_ours = entry != NULL && entry->state == WEIR_JOB_IN_FLIGHT &&
                         entry->at == incarnation && entry->opcode == envelope->opcode &&
                         entry->correlation_id == envelope->correlation_id;
    return is_ours ? entry : NULL;
}

/* Takes the entries out of the in-flight list; from here on nobody else can end them. Returns how
 * many were good. */
static size_t match_batch(weir_incarnation *incarnation, arrival *arrivals, size_t count)
{
    weir_pool *pool = incarnation->pool;
    size_t good = 0;
    pthread_mutex_lock(&pool->lock);
    for (; good < count; good++) {
        arrival *arrival = &arrivals[good];
        if (incarnation->received == incarnation->requests.tail) {
            weir_incarnation_distrust(incarnation,
                                      WEIR_ERROR_CODE_JOB_ID); /* More replies than requests. */
            break;
        }
        if (!has_valid_payload(incarnation, arrival)) {
            weir_incarnation_distrust(incarnation, WEIR_ERROR_CODE_PAYLOAD_RANGE);
            break;
        }
        incarnation->received++;
        arrival->entry = match(pool, incarnation, &arrival->envelope);
        if (arrival->entry == NULL) {
            (void)weir_fetch_add_relaxed_u64(&pool->manager->stray_replies, 1);
            continue;
        }
        weir_job_list_remove(&pool->jobs, &incarnation->in_flight, arrival->entry);
        arrival->entry->state = WEIR_JOB_ENDING;
    }
    if (weir_slot_pool_collect(&incarnation->request_slots) != WEIR_OK) {
        weir_incarnation_distrust(incarnation, WEIR_ERROR_CODE_RELEASE);
    }
    pthread_mutex_unlock(&pool->lock);
    return good;
}

/* ---- verify */

/* A worker without a slot has nowhere to write its reason. */
static const char no_slot_text[] = "no reply slot became free; release held "
                                   "replies sooner or give the response pool more slots";

static weir_outcome_code outcome_of(uint16_t reply_status)
{
    switch (reply_status) {
    case WEIR_REPLY_STATUS_OK:
        return WEIR_OUTCOME_OK;
    case WEIR_REPLY_STATUS_UNSUPPORTED:
        return WEIR_OUTCOME_UNSUPPORTED;
    case WEIR_REPLY_STATUS_CORRUPT:
        return WEIR_OUTCOME_CORRUPT;
    case WEIR_REPLY_STATUS_OVERSIZE:
        return WEIR_OUTCOME_OVERSIZE;
    case WEIR_REPLY_STATUS_EXPIRED:
        return WEIR_OUTCOME_TIMEOUT;
    default:
        return WEIR_OUTCOME_FAILED;
    }
}

static bool matches_checksum(const struct weir_envelope *envelope, const void *stored)
{
    return (envelope->flags & WEIR_ENVELOPE_FLAG_PAYLOAD_CRC) == 0 ||
           weir_crc32c(stored, envelope->payload_bytes) == envelope->payload_crc;
}

static bool reserve_unpack_buffer(weir_manager *manager, size_t bytes)
{
    return manager->unpack_buffer != NULL && bytes <= manager->unpack_bytes;
}

/* Where the reply goes when it may not be read in place: the caller's buffer, else the buffer for
 * unpacking. */
static weir_outcome_code receive_elsewhere(weir_manager *manager, arrival *arrival,
                                           const void *stored)
{
    const struct weir_envelope *envelope = &arrival->envelope;
    const weir_job_entry *entry = arrival->entry;
    const uint32_t packing = envelope->flags & WEIR_PACKING_FLAGS;
    void *to = entry->result_buffer;
    if (to != NULL ? envelope->original_bytes > entry->result_capacity
                   : !reserve_unpack_buffer(manager, envelope->original_bytes)) {
        return WEIR_OUTCOME_OVERSIZE;
    }
    to = to != NULL ? to : manager->unpack_buffer;
    if (packing == 0) {
        /* The copy is what is verified: a worker that rewrites its slot meanwhile changes nothing
         * that is believed. */
        memcpy(to, stored, envelope->payload_bytes);
        if (!matches_checksum(envelope, to)) {
            return WEIR_OUTCOME_CORRUPT;
        }
    } else if (!matches_checksum(envelope, stored) ||
               weir_unpack(&manager->unpacker, packing, stored, envelope->payload_bytes, to,
                           envelope->original_bytes) != WEIR_OK) {
        return WEIR_OUTCOME_CORRUPT;
    }
    (void)weir_fetch_add_relaxed_u64(&manager->bytes_copied, envelope->original_bytes);
    arrival->payload = to;
    arrival->payload_bytes = envelope->original_bytes;
    return WEIR_OUTCOME_OK;
}

/* With a deadline the worker has waited for a slot until then; without one it gave up and the
 * caller is told why. */
static void explain_no_slot(arrival *arrival)
{
    if (arrival->entry->deadline_ns != WEIR_NEVER) {
        arrival->outcome = WEIR_OUTCOME_TIMEOUT;
        return;
    }
    arrival->payload = no_slot_text;
    arrival->payload_bytes = sizeof no_slot_text - 1;
}

static void verify(weir_incarnation *incarnation, arrival *arrival)
{
    const struct weir_envelope *envelope = &arrival->envelope;
    arrival->payload = NULL;
    arrival->payload_bytes = 0;
    arrival->is_in_place = false;
    arrival->is_held = false;
    arrival->outcome = outcome_of(envelope->status);
    if (envelope->payload_bytes == 0) {
        if (envelope->status == WEIR_REPLY_STATUS_NO_SLOT) {
            explain_no_slot(arrival);
        }
        return;
    }
    const uint8_t *stored = weir_bytes_at(incarnation->arena.response_payload,
                                          envelope->payload_offset, envelope->payload_bytes);
    if (arrival->entry->result_buffer != NULL || (envelope->flags & WEIR_PACKING_FLAGS) != 0) {
        const weir_outcome_code received = receive_elsewhere(incarnation->manager, arrival, stored);
        /* A reason that does not fit into the caller's buffer leaves the failure what it is. */
        if (received != WEIR_OUTCOME_OK &&
            !(received == WEIR_OUTCOME_OVERSIZE && arrival->outcome == WEIR_OUTCOME_FAILED)) {
            arrival->outcome = received;
        }
        return;
    }
    if (!matches_checksum(envelope, stored)) {
        arrival->outcome = WEIR_OUTCOME_CORRUPT;
        return;
    }
    arrival->payload = stored;
    arrival->payload_bytes = envelope->payload_bytes;
    arrival->is_in_place = true;
}

/* ---- deliver */

static void deliver(weir_incarnation *incarnation, arrival *arrivals, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (arrivals[i].entry != NULL) {
            verify(incarnation, &arrivals[i]);
        }
    }
    WEIR_FAILPOINT(ingest_before_outcome);
    const uint64_t now_ns = weir_os()->clock_ns();
    for (size_t i = 0; i < count; i++) {
        arrival *arrival = &arrivals[i];
        if (arrival->entry == NULL) {
            continue;
        }
        hold_ticket ticket = {.incarnation = incarnation, .arrival = arrival};
        weir_event_trace_end(incarnation->pool, arrival->entry, arrival->outcome);
        weir_ending_call(arrival->entry, arrival->outcome, arrival->payload, arrival->payload_bytes,
                         now_ns, &ticket);
    }
    WEIR_FAILPOINT(ingest_after_outcome);
}

/* Returns true when some went back. */
static bool release_slots(weir_incarnation *incarnation, const arrival *arrivals, size_t count)
{
    bool has_any = false;
    pthread_mutex_lock(&incarnation->lock);
    for (size_t i = 0; i < count; i++) {
        if (arrivals[i].envelope.payload_bytes > 0 &&
            !(arrivals[i].entry != NULL && arrivals[i].is_held)) {
            weir_release_slot(&incarnation->releases, arrivals[i].slot);
            has_any = true;
        }
    }
    if (has_any) {
        weir_release_publish(&incarnation->releases);
    }
    pthread_mutex_unlock(&incarnation->lock);
    return has_any;
}

/* Returns true when the worker still has requests to answer. */
static bool free_entries(weir_incarnation *incarnation, const arrival *arrivals, size_t count)
{
    weir_pool *pool = incarnation->pool;
    pthread_mutex_lock(&pool->lock);
    for (size_t i = 0; i < count; i++) {
        if (arrivals[i].entry != NULL) {
            weir_ending_free(pool, arrivals[i].entry, arrivals[i].outcome);
        }
    }
    weir_pool_changed(pool);
    const bool has_requests = weir_incarnation_outstanding(incarnation) > 0;
    pthread_mutex_unlock(&pool->lock);
    return has_requests;
}

size_t weir_ingest(weir_incarnation *incarnation, weir_budget *budget)
{
    if (weir_incarnation_is_distrusted(incarnation) || !weir_ring_ready(&incarnation->responses)) {
        return 0;
    }
    WEIR_FAILPOINT(ingest_before_drain);
    arrival arrivals[BATCH_MAX];
    const size_t taken = take_batch(incarnation, arrivals, budget);
    if (taken == 0) {
        return 0;
    }
    WEIR_FAILPOINT(ingest_after_copy_out);
    const size_t good = match_batch(incarnation, arrivals, taken);
    deliver(incarnation, arrivals, good);
    const bool has_released = release_slots(incarnation, arrivals, good);
    WEIR_FAILPOINT(ingest_after_release);
    /* A worker out of reply slots sleeps until some come back; one that has answered everything
     * sleeps for want of requests, and whoever sends the next one wakes it, after the slots were
     * published. */
    if (free_entries(incarnation, arrivals, good) && has_released) {
        weir_incarnation_wake(incarnation);
    }
    return good;
}

/* ---- hold */

uint32_t weir_result_slot_bytes(const weir_result *result)
{
    const hold_ticket *ticket = result->hold_ticket;
    return ticket != NULL && ticket->arrival->is_in_place
               ? weir_slot_map_slot_bytes(&ticket->incarnation->response_map, ticket->arrival->slot)
               : 0;
}

weir_status weir_result_hold(const weir_result *result, weir_held *held)
{
    const hold_ticket *ticket = result->hold_ticket;
    if (ticket == NULL || !ticket->arrival->is_in_place || ticket->arrival->is_held) {
        return WEIR_INVALID;
    }
    weir_incarnation *incarnation = ticket->incarnation;
    weir_manager *manager = incarnation->manager;
    const uint64_t bytes =
        weir_slot_map_slot_bytes(&incarnation->response_map, ticket->arrival->slot);
    if (weir_load_relaxed_u64(&manager->held_bytes) + bytes > manager->options.held_bytes_max) {
        return WEIR_FULL;
    }
    (void)weir_fetch_add_relaxed_u64(&manager->held_bytes, bytes);
    pthread_mutex_lock(&incarnation->lock);
    incarnation->held_results++;
    incarnation->held_bytes += bytes;
    pthread_mutex_unlock(&incarnation->lock);
    weir_incarnation_retain(incarnation);
    ticket->arrival->is_held = true;
    *held = (weir_held){
        .payload = result->payload,
        .payload_bytes = result->payload_bytes,
        .owner = incarnation,
        .slot = ticket->arrival->slot,
    };
    return WEIR_OK;
}

void weir_held_release(weir_held *held)
{
    weir_incarnation *incarnation = held->owner;
    if (incarnation == NULL) {
        return;
    }
    const uint64_t bytes = weir_slot_map_slot_bytes(&incarnation->response_map, held->slot);
    pthread_mutex_lock(&incarnation->lock);
    incarnation->held_results--;
    incarnation->held_bytes -= bytes;
    if (incarnation->manager != NULL) {
        (void)weir_fetch_add_relaxed_u64(&incarnation->manager->held_bytes, (uint64_t)-bytes);
    }
    if (incarnation->pidfd >= 0) { /* Nobody waits for the slots of a dead worker. */
        weir_release_slot(&incarnation->releases, held->slot);
        weir_release_publish(&incarnation->releases);
        (void)weir_gate_wake(&incarnation->waker);
    }
    pthread_mutex_unlock(&incarnation->lock);
    weir_incarnation_release(incarnation);
    *held = (weir_held){0};
}
