#include "manager/sending.h"

#include <string.h>

#include "base/atomic.h"
#include "base/crc.h"
#include "base/failpoint.h"
#include "manager/event.h"

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

static void fill(weir_pool *pool, const weir_placement *placed)
{
    weir_job_entry *entry = placed->entry;
    weir_incarnation *to = placed->to;
    uint8_t *slot =
        weir_bytes_at(to->arena.request_payload, entry->slot_offset, entry->stored_bytes);
    if (placed->from != NULL) {
        if (entry->stored_bytes > 0) {
            memcpy(slot,
                   weir_bytes_at(placed->from->arena.request_payload, placed->from_offset,
                                 entry->stored_bytes),
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

static void touch(weir_job_batch *batch, weir_incarnation *incarnation)
{
    for (size_t i = batch->touched_count; i > 0; i--) {
        if (batch->touched[i - 1] == incarnation) {
            return;
        }
    }
    weir_incarnation_retain(incarnation);
    batch->touched[batch->touched_count++] = incarnation;
}

static void publish(weir_pool *pool, weir_job_batch *batch)
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

static void trace_batch(weir_pool *pool, const weir_job_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        weir_event_trace_sent(pool, batch->placements[i].entry, batch->placements[i].to);
    }
}

/* Fill, publish, wake; takes and leaves the pool unlocked. Empties the batch. */
void weir_send(weir_pool *pool, weir_job_batch *batch)
{
    if (batch->count == 0) {
        return;
    }
    WEIR_FAILPOINT(dispatch_after_reserve);
    trace_batch(pool, batch);
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
