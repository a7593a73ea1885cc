/* The part of a job that faces the response pool: room, packing, checksum, envelope. */
#include "worker/reply.h"

#include <assert.h>
#include <string.h>

#include "base/failpoint.h"

/* Without a deadline of the job's own, a full pool is given this long. */
#define SLOT_WAIT_NS WEIR_NS_PER_SECOND

/* The manager wakes for requests; its releases are looked for this often. */
#define SLOT_LOOK_NS WEIR_NS_PER_MS

static bool see_release(void *context)
{
    const weir_worker *worker = context;
    return weir_load_relaxed_u64(worker->response_pool.released) !=
               worker->response_pool.collected ||
           (weir_load_relaxed_u32(&worker->manager->command) & WEIR_COMMAND_SHUTDOWN) != 0;
}

/* WEIR_FULL means none for now; WEIR_PROTOCOL a release that cannot be. */
static weir_status try_slot(weir_worker *worker, uint32_t bytes, weir_slot *slot)
{
    weir_status status = weir_slot_pool_take(&worker->response_pool, bytes, slot);
    if (status != WEIR_FULL) {
        return status;
    }
    status = weir_slot_pool_collect(&worker->response_pool);
    return status == WEIR_OK ? weir_slot_pool_take(&worker->response_pool, bytes, slot) : status;
}

static weir_status wait_for_slot(weir_job *job, uint32_t bytes, weir_slot *slot)
{
    weir_worker *worker = job->worker;
    weir_counter_add(&worker->counters.slot_waits, 1);
    /* What is finished must be out: the manager can only release what it has seen. */
    weir_worker_flush(worker);
    const uint64_t now = weir_os()->clock_ns();
    const uint64_t deadline =
        job->request.deadline_ns != 0 ? job->request.deadline_ns : now + SLOT_WAIT_NS;
    for (;;) {
        const uint64_t look_again = weir_deadline_in(SLOT_LOOK_NS);
        const weir_status woken = weir_gate_wait(&worker->sleeper, see_release, worker,
                                                 look_again < deadline ? look_again : deadline);
        const weir_status status = try_slot(worker, bytes, slot);
        if (status != WEIR_FULL) {
            return status;
        }
        const bool is_leaving =
            (weir_load_relaxed_u32(&worker->manager->command) & WEIR_COMMAND_SHUTDOWN) != 0;
        if (is_leaving || (woken != WEIR_OK && weir_os()->clock_ns() >= deadline)) {
            return WEIR_TIMEOUT;
        }
    }
}

/* The reply's slot in the arena; reply_bytes never exceeds it. */
static uint8_t *slot_of(const weir_job *job)
{
    return weir_bytes_at(job->worker->terms->arena.response_payload, job->reply_slot.offset,
                         job->reply_slot.bytes);
}

/* WEIR_FULL when there is no slot now. */
static weir_status ask(weir_job *job, size_t bytes, bool may_wait, void **reply)
{
    weir_worker *worker = job->worker;
    if (job->is_asked) {
        return WEIR_INVALID;
    }
    if (bytes > worker->response_bytes_max) {
        return WEIR_OVERSIZE;
    }
    if (bytes == 0) {
        job->is_asked = true;
        *reply = job->reason; /* any valid address: nothing will be written there */
        return WEIR_OK;
    }
    weir_status status = try_slot(worker, (uint32_t)bytes, &job->reply_slot);
    if (status == WEIR_FULL && may_wait) {
        status = wait_for_slot(job, (uint32_t)bytes, &job->reply_slot);
    }
    if (status == WEIR_PROTOCOL) {
        (void)weir_worker_fault(worker, WEIR_ERROR_CODE_RELEASE, worker->response_pool.collected);
        return WEIR_TIMEOUT; /* the worker ends once the routine has returned */
    }
    if (status != WEIR_OK) {
        return status;
    }
    job->is_asked = true;
    job->has_reply_slot = true;
    job->reply_bytes = (uint32_t)bytes;
    job->reply = slot_of(job);
    if (worker->reply_scratch != NULL && bytes >= worker->terms->compress_min_bytes) {
        job->reply = worker->reply_scratch;
    }
    *reply = job->reply;
    return WEIR_OK;
}

weir_status weir_job_reply(weir_job *job, size_t bytes, void **reply)
{
    return ask(job, bytes, true, reply);
}

weir_status weir_reply_try(weir_job *job, size_t bytes, void **reply)
{
    const weir_status room = weir_ring_room(&job->worker->responses, 1);
    if (room != WEIR_OK) {
        return room;
    }
    return ask(job, bytes, false, reply);
}

void weir_job_shrink_reply(weir_job *job, size_t bytes)
{
    if (bytes < job->reply_bytes) {
        job->reply_bytes = (uint32_t)bytes;
    }
}

static uint32_t choose_packing(const weir_job *job)
{
    const uint32_t packing = job->request.flags & WEIR_PACKING_FLAGS;
    if (packing != 0) {
        return packing; /* the manager's choice for this job */
    }
    return job->worker->terms->capabilities & WEIR_CAPABILITY_LZ4 ? WEIR_ENVELOPE_FLAG_LZ4
                                                                  : WEIR_ENVELOPE_FLAG_ZSTD;
}

/* From scratch into the slot, shorter if that is possible. Returns the flag that tells. */
static uint32_t move_from_scratch(weir_job *job, uint8_t *slot, uint32_t *stored_bytes)
{
    weir_worker *worker = job->worker;
    const uint32_t packing = choose_packing(job);
    size_t packed = 0;
    uint32_t flag = 0;
    if (job->reply_bytes >= worker->terms->compress_min_bytes &&
        weir_pack(&worker->packer, packing, job->reply, job->reply_bytes, slot,
                  job->reply_slot.bytes, &packed) == WEIR_OK) {
        *stored_bytes = (uint32_t)packed;
        flag = packing;
    } else {
        memcpy(slot, job->reply, job->reply_bytes);
    }
    weir_counter_add(&worker->counters.bytes_copied, *stored_bytes);
    return flag;
}

static void drop_reply(weir_job *job)
{
    if (job->has_reply_slot) {
        weir_slot_pool_put_back(&job->worker->response_pool, job->reply_slot.number);
    }
    job->has_reply_slot = false;
    job->reply_bytes = 0;
}

/* The sentence for the caller becomes the payload if a slot is free; it is not worth a wait. */
static void put_reason(weir_job *job)
{
    weir_worker *worker = job->worker;
    drop_reply(job);
    const uint32_t bytes = job->has_failed ? (uint32_t)strnlen(job->reason, sizeof job->reason) : 0;
    if (bytes == 0 || try_slot(worker, bytes, &job->reply_slot) != WEIR_OK) {
        return;
    }
    job->has_reply_slot = true;
    job->reply_bytes = bytes;
    job->reply = slot_of(job);
    memcpy(job->reply, job->reason, bytes);
    weir_counter_add(&worker->counters.bytes_copied, bytes);
}

static bool see_room(void *context)
{
    const weir_worker *worker = context;
    return weir_load_relaxed_u64(worker->responses.consumed) != worker->responses.head_seen ||
           (weir_load_relaxed_u32(&worker->manager->command) & WEIR_COMMAND_SHUTDOWN) != 0;
}

/*
 * Jobs in flight never exceed the ring, so it can only be full for the moment between the manager's
 * taking of replies and its saying so. A manager that is stopped just there is waited for; its
 * death ends the process.
 */
static weir_status wait_for_room(weir_worker *worker)
{
    weir_worker_flush(worker);
    for (;;) {
        const weir_status status = weir_ring_room(&worker->responses, 1);
        if (status == WEIR_PROTOCOL) {
            return weir_worker_fault(worker, WEIR_ERROR_CODE_RING_INDEX,
                                     weir_ring_next_index(&worker->responses));
        }
        if (status == WEIR_OK) {
            return WEIR_OK;
        }
        if (weir_load_relaxed_u32(&worker->manager->command) & WEIR_COMMAND_SHUTDOWN) {
            return WEIR_FULL; /* nobody will take this reply */
        }
        (void)!weir_gate_wait(&worker->sleeper, see_room, worker, weir_deadline_in(SLOT_LOOK_NS));
    }
}

static void count_reply(weir_worker *worker, uint32_t status, uint32_t stored_bytes)
{
    weir_worker_counters *counters = &worker->counters;
    weir_counter_add(status == WEIR_REPLY_STATUS_OK ? &counters->jobs_ok : &counters->jobs_failed,
                     1);
    weir_counter_add(&counters->response_bytes, stored_bytes);
}

weir_status weir_reply_stage(weir_job *job, uint32_t status)
{
    weir_worker *worker = job->worker;
    if (status != WEIR_REPLY_STATUS_OK) {
        put_reason(job);
    }
    if (job->has_reply_slot && job->reply_bytes == 0) {
        drop_reply(job);
    }
    if (weir_ring_room(&worker->responses, 1) != WEIR_OK) {
        const weir_status room = wait_for_room(worker);
        if (room != WEIR_OK) {
            drop_reply(job);
            return room == WEIR_FULL ? WEIR_OK : room;
        }
    }
    uint32_t stored_bytes = job->reply_bytes;
    struct weir_envelope reply = {
        .magic = WEIR_ENVELOPE_MAGIC,
        .version = worker->envelope_terms.version,
        .opcode = job->request.opcode,
        .status = (uint16_t)status,
        .generation = worker->envelope_terms.generation,
        .job_id = job->request.job_id,
        .correlation_id = job->request.correlation_id,
        .original_bytes = job->reply_bytes,
        .deadline_ns = job->request.deadline_ns,
    };
    if (job->has_reply_slot) {
        uint8_t *slot = slot_of(job);
        if (job->reply != slot) {
            reply.flags |= (uint16_t)move_from_scratch(job, slot, &stored_bytes);
        }
        reply.payload_offset = job->reply_slot.offset;
        reply.payload_bytes = stored_bytes;
        if (worker->envelope_terms.capabilities & WEIR_CAPABILITY_PAYLOAD_CRC) {
            assert(stored_bytes <= job->reply_slot.bytes);
            reply.flags |= WEIR_ENVELOPE_FLAG_PAYLOAD_CRC;
            reply.payload_crc = weir_crc32c(slot, stored_bytes);
        }
    }
    weir_envelope_seal(&reply, weir_ring_next_index(&worker->responses));
    weir_ring_stage(&worker->responses, &reply);
    count_reply(worker, status, stored_bytes);
    return WEIR_OK;
}
