/*
 * One job: payload check, begun marker, routine, reply.
 *
 * A reply may wait for others of its batch, but not for a slow job behind it. Reading the clock for
 * every job would cost as much as the job, so its length is foretold: jobs of one routine and
 * payload width are timed at first, then every 64th time, and every time while they are long enough
 * for two readings not to matter. What was never timed counts as slow.
 */
#include <string.h>

#include "base/crc.h"
#include "base/failpoint.h"
#include "worker/loop.h"
#include "worker/reply.h"

/* From here on two readings of the clock are lost in the job's own time. */
#define ALWAYS_TIMED_NS 1000

/* Quick jobs that go untimed between two that are timed. */
#define UNTIMED_RUN 63

const void *weir_job_request(const weir_job *job, size_t *bytes)
{
    *bytes = job->payload_bytes;
    return job->payload;
}

weir_status weir_job_request_crc(const weir_job *job, uint32_t *crc)
{
    if (job->payload_bytes > 0 && ((job->request.flags & WEIR_PACKING_FLAGS) != 0 ||
                                   (job->request.flags & WEIR_ENVELOPE_FLAG_PAYLOAD_CRC) == 0)) {
        return WEIR_NOT_FOUND;
    }
    *crc = job->payload_bytes > 0 ? job->request.payload_crc : 0;
    return WEIR_OK;
}

uint16_t weir_job_opcode(const weir_job *job)
{
    return job->request.opcode;
}

uint64_t weir_job_id(const weir_job *job)
{
    return job->request.job_id;
}

uint64_t weir_job_deadline_ns(const weir_job *job)
{
    return job->request.deadline_ns;
}

void weir_job_fail(weir_job *job, const char *reason)
{
    job->has_failed = true;
    const size_t bytes = reason != NULL ? strnlen(reason, sizeof job->reason - 1) : 0;
    memcpy(job->reason, reason != NULL ? reason : "", bytes);
    job->reason[bytes] = '\0';
}

void weir_job_progress(weir_job *job)
{
    weir_counter_add(&job->worker->control->progress, 1);
}

/* The payload's place must be the beginning of a slot that is long enough; anything else is the
 * manager's fault. */
static weir_status find_payload(weir_worker *worker, weir_job *job, uint64_t index)
{
    const struct weir_envelope *request = &job->request;
    if (request->payload_bytes == 0) {
        return WEIR_OK;
    }
    if (weir_slot_map_find(&worker->request_map, request->payload_offset, request->payload_bytes,
                           &job->request_slot) != WEIR_OK ||
        request->original_bytes > worker->request_bytes_max) {
        return weir_worker_fault(worker, WEIR_ERROR_CODE_PAYLOAD_RANGE, index);
    }
    job->has_request_slot = true;
    job->payload = weir_bytes_at(worker->terms->arena.request_payload, request->payload_offset,
                                 request->payload_bytes);
    job->payload_bytes = request->payload_bytes;
    return WEIR_OK;
}

static uint32_t reject_payload(weir_worker *worker, uint32_t error_code)
{
    weir_counter_add(&worker->counters.errors[error_code], 1);
    return WEIR_REPLY_STATUS_CORRUPT;
}

/* Checks and unpacks. Returns WEIR_REPLY_STATUS_NONE when the payload is sound. */
static uint32_t open_payload(weir_worker *worker, weir_job *job)
{
    const struct weir_envelope *request = &job->request;
    if (request->payload_bytes == 0) {
        return WEIR_REPLY_STATUS_NONE;
    }
    const uint32_t packing = request->flags & WEIR_PACKING_FLAGS;
    if (packing != 0) {
        /* A private copy, so that what is unpacked is what was checked. */
        memcpy(worker->stored_scratch,
               weir_bytes_at(worker->terms->arena.request_payload, request->payload_offset,
                             request->payload_bytes),
               request->payload_bytes);
        weir_counter_add(&worker->counters.bytes_copied, request->payload_bytes);
        job->payload = worker->stored_scratch;
    }
    if ((request->flags & WEIR_ENVELOPE_FLAG_PAYLOAD_CRC) != 0 &&
        weir_crc32c(job->payload, request->payload_bytes) != request->payload_crc) {
        return reject_payload(worker, WEIR_ERROR_CODE_PAYLOAD_CRC);
    }
    if (packing != 0) {
        if (weir_unpack(&worker->packer, packing, job->payload, request->payload_bytes,
                        worker->unpacked_scratch, request->original_bytes) != WEIR_OK) {
            return reject_payload(worker, WEIR_ERROR_CODE_PAYLOAD_UNPACK);
        }
        weir_counter_add(&worker->counters.bytes_copied, request->original_bytes);
        job->payload = worker->unpacked_scratch;
        job->payload_bytes = request->original_bytes;
    }
    weir_counter_add(&worker->counters.request_bytes, request->payload_bytes);
    return WEIR_REPLY_STATUS_NONE;
}

static uint32_t reply_status_of(weir_job *job, weir_status status)
{
    switch (status) {
    case WEIR_OK:
        return job->has_failed ? WEIR_REPLY_STATUS_FAILED : WEIR_REPLY_STATUS_OK;
    case WEIR_OVERSIZE:
        return WEIR_REPLY_STATUS_OVERSIZE;
    case WEIR_TIMEOUT:
        return WEIR_REPLY_STATUS_NO_SLOT;
    default:
        if (!job->has_failed) {
            weir_job_fail(job, weir_status_name(status));
        }
        return WEIR_REPLY_STATUS_FAILED;
    }
}

/* What stands against the job: WEIR_REPLY_STATUS_NONE when its routine can be called. */
static uint32_t examine(weir_worker *worker, weir_job *job)
{
    if (worker->routine_of[job->request.opcode] == 0) {
        weir_counter_add(&worker->counters.errors[WEIR_ERROR_CODE_OPCODE], 1);
        return WEIR_REPLY_STATUS_UNSUPPORTED;
    }
    const uint64_t deadline_ns = job->request.deadline_ns;
    if (deadline_ns != 0 && weir_worker_now(worker) >= deadline_ns) {
        weir_counter_add(&worker->counters.errors[WEIR_ERROR_CODE_DEADLINE], 1);
        return WEIR_REPLY_STATUS_EXPIRED;
    }
    return open_payload(worker, job);
}

static uint32_t execute(weir_worker *worker, weir_job *job)
{
    const uint8_t routine = worker->routine_of[job->request.opcode];
    WEIR_FAILPOINT(worker_before_execute);
    const weir_status status =
        worker->options->routines[routine - 1].run(job, worker->options->context);
    WEIR_FAILPOINT(worker_after_execute);
    return reply_status_of(job, status);
}

static weir_worker_cost *cost_of(weir_worker *worker, const struct weir_envelope *request)
{
    const uint32_t width =
        request->original_bytes == 0 ? 0 : 32 - (uint32_t)__builtin_clz(request->original_bytes);
    return &worker->cost[worker->routine_of[request->opcode]][width];
}

/* Rises at once, falls slowly: to publish too often costs less than to keep a reply back. */
static void learn(weir_worker_cost *cost, uint64_t took_ns)
{
    const uint32_t took = took_ns < UINT32_MAX / 2 ? (uint32_t)took_ns : UINT32_MAX / 2;
    if (cost->expected_ns == UINT32_MAX || took >= cost->expected_ns) {
        cost->expected_ns = took;
    } else {
        cost->expected_ns -= (cost->expected_ns - took + 15) / 16;
    }
    cost->until_measure = UNTIMED_RUN;
}

static bool begin_timing(weir_worker *worker, weir_worker_cost *cost)
{
    if (worker->responses.staged > 0 && worker->held_ns + cost->expected_ns > WEIR_WORKER_HOLD_NS) {
        weir_worker_flush(worker);
    }
    if (cost->expected_ns < ALWAYS_TIMED_NS && cost->until_measure > 0) {
        cost->until_measure--;
        return false;
    }
    worker->now_ns = weir_os()->clock_ns();
    worker->now_age_ns = 0;
    weir_store_relaxed_u64(&worker->counters.busy_since_ns, worker->now_ns);
    return true;
}

static void end_timing(weir_worker *worker, weir_worker_cost *cost, bool is_timed,
                       uint64_t begin_ns)
{
    uint64_t took_ns = cost->expected_ns;
    if (is_timed) {
        worker->now_ns = weir_os()->clock_ns();
        worker->now_age_ns = 0;
        took_ns = worker->now_ns - begin_ns;
        learn(cost, took_ns);
        weir_store_relaxed_u64(&worker->counters.busy_since_ns, 0);
        weir_store_relaxed_u64(&worker->counters.last_job_ns, took_ns);
    } else {
        worker->now_age_ns += took_ns;
    }
    /* The first reply of a batch was staged at the end of its own job: only the later ones make it
     * older. */
    worker->held_ns = worker->responses.staged > 1 ? worker->held_ns + took_ns : 0;
}

static void prepare(weir_worker *worker, weir_job *job, const struct weir_envelope *request)
{
    job->worker = worker;
    job->request = *request;
    job->payload = NULL;
    job->payload_bytes = 0;
    job->has_request_slot = false;
    job->is_asked = false;
    job->has_reply_slot = false;
    job->has_failed = false;
    job->reply = NULL;
    job->reply_bytes = 0;
}

weir_status weir_worker_begin_job(weir_worker *worker, const struct weir_envelope *request,
                                  uint64_t index, uint32_t *reason)
{
    weir_job *job = &worker->job;
    prepare(worker, job, request);
    job->index = index;
    const weir_status status = find_payload(worker, job, index);
    if (status != WEIR_OK) {
        return status;
    }
    job->cost = cost_of(worker, request);
    job->is_timed = begin_timing(worker, job->cost);
    job->begin_ns = worker->now_ns;
    /* SYNC(worker.begun): before the routine can have any effect. */
    weir_store_release_u64(&worker->control->begun, index + 1);
    WEIR_FAILPOINT(worker_after_begun);
    *reason = examine(worker, job);
    return WEIR_OK;
}

weir_status weir_worker_end_job(weir_worker *worker, uint32_t reply_status)
{
    weir_job *job = &worker->job;
    const weir_status status =
        worker->fault == WEIR_ERROR_CODE_NONE ? weir_reply_stage(job, reply_status) : WEIR_PROTOCOL;
    if (job->has_request_slot) {
        weir_release_slot(&worker->releases, job->request_slot);
    }
    weir_counter_add(&worker->control->progress, 1);
    weir_store_relaxed_u64(&worker->counters.finished, job->index + 1);
    end_timing(worker, job->cost, job->is_timed, job->begin_ns);
    return status;
}

weir_status weir_worker_run_job(weir_worker *worker, const struct weir_envelope *request,
                                uint64_t index)
{
    uint32_t reply_status = WEIR_REPLY_STATUS_NONE;
    const weir_status status = weir_worker_begin_job(worker, request, index, &reply_status);
    if (status != WEIR_OK) {
        return status;
    }
    if (reply_status == WEIR_REPLY_STATUS_NONE) {
        reply_status = execute(worker, &worker->job);
    }
    return weir_worker_end_job(worker, reply_status);
}
