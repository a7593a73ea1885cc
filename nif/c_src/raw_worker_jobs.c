/* A worker's jobs, one at a time: taken, answered, waited for. */
#include <string.h>

#include "base/os.h"
#include "channel/gate.h"
#include "raw_worker.h"
#include "worker/reply.h"

/* Jobs that are refused without their routine (late, damaged, unknown) per call. */
#define REFUSED_MAX WEIR_NIF_JOBS_MAX

#define LONGEST_REASON (sizeof(((weir_job *)NULL)->reason) - 1)

static ERL_NIF_TERM broken(ErlNifEnv *env, const weir_nif_worker *worker)
{
    weir_error error;
    weir_error_set(&error,
                   "the manager broke the protocol at request %llu (%s); this worker ends, the "
                   "manager starts a new one",
                   (unsigned long long)worker->worker->fault_index,
                   weir_error_code_name(worker->worker->fault));
    return weir_nif_refusal(env, WEIR_PROTOCOL, error.text);
}

static void unpark(weir_nif_worker *worker)
{
    if (worker->is_parked) {
        worker->is_parked = false;
        weir_sleeper_disarm(&worker->worker->sleeper);
        /* Empty unless it was rung; either is well. */
        (void)weir_os()->eventfd_drain(worker->approach.terms.request_eventfd);
    }
}

/* --- Taking --- */

/* Makes sure that an envelope is at hand. WEIR_EMPTY, or WEIR_PROTOCOL. */
static weir_status look_for_batch(weir_nif_worker *worker)
{
    if (worker->batch_next < worker->batch_count) {
        return WEIR_OK;
    }
    weir_worker *w = worker->worker;
    if (worker->batch_reason != WEIR_ERROR_CODE_NONE) {
        return weir_worker_fault(w, worker->batch_reason,
                                 worker->batch_index + worker->batch_count);
    }
    weir_worker_flush(w);
    /* Before the look, so that an empty ring behind a command stays empty. */
    weir_worker_obey(w);
    worker->batch_index = w->requests.head;
    worker->batch_next = 0;
    worker->batch_count = weir_worker_take_batch(w, &worker->batch_reason);
    if (worker->batch_count > 0) {
        return WEIR_OK;
    }
    return worker->batch_reason == WEIR_ERROR_CODE_NONE
               ? WEIR_EMPTY
               : weir_worker_fault(w, worker->batch_reason, worker->batch_index);
}

static bool is_large(const struct weir_envelope *request)
{
    return request->payload_bytes > WEIR_NIF_BYTES_MAX ||
           request->original_bytes > WEIR_NIF_BYTES_MAX;
}

/* Begins the job at hand. WEIR_OK: it is open; WEIR_EMPTY: it was refused and answered; WEIR_FULL:
 * the reply would have to wait; WEIR_PROTOCOL. */
static weir_status begin(weir_nif_worker *worker)
{
    weir_worker *w = worker->worker;
    weir_status status = weir_ring_room(&w->responses, 1);
    if (status == WEIR_PROTOCOL) {
        return weir_worker_fault(w, WEIR_ERROR_CODE_RING_INDEX,
                                 weir_ring_next_index(&w->responses));
    }
    if (status != WEIR_OK) {
        return status;
    }
    const uint32_t at = worker->batch_next++;
    uint32_t reason = WEIR_REPLY_STATUS_NONE;
    status = weir_worker_begin_job(w, &w->batch[at], worker->batch_index + at, &reason);
    if (status != WEIR_OK) {
        return status;
    }
    if (reason == WEIR_REPLY_STATUS_NONE) {
        worker->has_job = true;
        return WEIR_OK;
    }
    status = weir_worker_end_job(w, reason);
    return status == WEIR_OK ? WEIR_EMPTY : status;
}

static ERL_NIF_TERM job_term(ErlNifEnv *env, const weir_job *job)
{
    const ERL_NIF_TERM payload = weir_nif_bytes(env, job->payload, job->payload_bytes);
    return enif_make_tuple5(env, enif_make_atom(env, "job"),
                            enif_make_uint(env, job->request.opcode), payload,
                            enif_make_uint64(env, job->request.job_id),
                            enif_make_uint64(env, job->request.deadline_ns));
}

static ERL_NIF_TERM nothing_to_do(ErlNifEnv *env, weir_nif_worker *worker)
{
    const uint32_t commands = worker->worker->commands;
    if (commands & WEIR_COMMAND_SHUTDOWN) {
        return enif_make_atom(env, "shutdown");
    }
    const bool is_draining = worker->worker->state == WEIR_WORKER_STATE_DRAINING;
    return is_draining ? enif_make_atom(env, "drained") : weir_nif_atoms.empty_;
}

static ERL_NIF_TERM next_job(ErlNifEnv *env, weir_nif_worker *worker, bool is_dirty)
{
    if (worker->phase != WEIR_NIF_WORKER_SERVING) {
        return weir_nif_worker_not_now(env, worker);
    }
    if (worker->has_job) {
        return weir_nif_refusal(env, WEIR_INVALID, "a job is open; answer it first");
    }
    unpark(worker);
    weir_worker *w = worker->worker;
    for (uint32_t i = 0; i < REFUSED_MAX && w->fault == WEIR_ERROR_CODE_NONE; i++) {
        weir_status status = look_for_batch(worker);
        if (status == WEIR_EMPTY) {
            return nothing_to_do(env, worker);
        }
        if (status == WEIR_OK && !is_dirty && is_large(&w->batch[worker->batch_next])) {
            return enif_make_atom(env, "large");
        }
        if (status == WEIR_OK) {
            status = begin(worker);
        }
        if (status == WEIR_OK) {
            return job_term(env, &w->job);
        }
        if (status == WEIR_FULL) {
            weir_worker_flush(w);
            return weir_nif_atoms.full_;
        }
    }
    weir_worker_flush(w);
    return w->fault == WEIR_ERROR_CODE_NONE ? weir_nif_atoms.more_ : broken(env, worker);
}

static ERL_NIF_TERM next_locked(ErlNifEnv *env, ERL_NIF_TERM term, bool is_dirty)
{
    weir_nif_worker *worker = NULL;
    if (!weir_nif_worker_hold(env, term, &worker)) {
        return enif_make_badarg(env);
    }
    const ERL_NIF_TERM result = next_job(env, worker, is_dirty);
    weir_nif_worker_let_go(worker);
    return result;
}

ERL_NIF_TERM weir_nif_worker_next(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    return next_locked(env, argv[0], false);
}

ERL_NIF_TERM weir_nif_worker_next_large(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    return next_locked(env, argv[0], true);
}

/* --- Answering --- */

static bool get_reply_status(ErlNifEnv *env, ERL_NIF_TERM term, uint32_t *status)
{
    static const struct {
        const char *name;
        uint32_t status;
    } known[] = {{"ok", WEIR_REPLY_STATUS_OK},
                 {"failed", WEIR_REPLY_STATUS_FAILED},
                 {"oversize", WEIR_REPLY_STATUS_OVERSIZE},
                 {"no_slot", WEIR_REPLY_STATUS_NO_SLOT}};
    char name[16];
    if (enif_get_atom(env, term, name, sizeof name, ERL_NIF_LATIN1) == 0) {
        return false;
    }
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(name, known[i].name) == 0) {
            *status = known[i].status;
            return true;
        }
    }
    return false;
}

/* A sentence for the caller; what does not fit is cut. */
static void give_reason(weir_job *job, const ErlNifBinary *text)
{
    char reason[LONGEST_REASON + 1];
    const size_t bytes = text->size < LONGEST_REASON ? text->size : LONGEST_REASON;
    memcpy(reason, text->data, bytes);
    reason[bytes] = '\0';
    weir_job_fail(job, reason);
}

/* Everything that can be refused comes first: the job stays open then. */
static weir_status answer(weir_nif_worker *worker, uint32_t status, const ErlNifBinary *payload)
{
    weir_worker *w = worker->worker;
    if (status == WEIR_REPLY_STATUS_OK) {
        void *to = NULL;
        const weir_status room = weir_reply_try(&w->job, payload->size, &to);
        if (room != WEIR_OK) {
            return room;
        }
        if (payload->size > 0) {
            memcpy(to, payload->data, payload->size);
        }
    } else {
        const weir_status room = weir_ring_room(&w->responses, 1);
        if (room != WEIR_OK) {
            return room;
        }
        if (status == WEIR_REPLY_STATUS_FAILED) {
            give_reason(&w->job, payload);
        }
    }
    const weir_status ended = weir_worker_end_job(w, status);
    worker->has_job = false;
    return ended;
}

static ERL_NIF_TERM reply(ErlNifEnv *env, weir_nif_worker *worker, uint32_t status,
                          const ErlNifBinary *payload)
{
    if (worker->phase != WEIR_NIF_WORKER_SERVING) {
        return weir_nif_worker_not_now(env, worker);
    }
    if (!worker->has_job) {
        return weir_nif_refusal(env, WEIR_INVALID, "no job is open; take one with worker_next");
    }
    weir_worker *w = worker->worker;
    const weir_status answered = answer(worker, status, payload);
    if (answered == WEIR_PROTOCOL && w->fault == WEIR_ERROR_CODE_NONE) {
        (void)weir_worker_fault(w, WEIR_ERROR_CODE_RING_INDEX, weir_ring_next_index(&w->responses));
    }
    /* At once: the process may be preempted before it calls again. */
    weir_worker_flush(w);
    if (w->fault != WEIR_ERROR_CODE_NONE) {
        return broken(env, worker);
    }
    switch (answered) {
    case WEIR_OK:
        return weir_nif_atoms.ok_;
    case WEIR_FULL:
        return weir_nif_atoms.full_;
    case WEIR_OVERSIZE:
        return weir_nif_refusal(env, WEIR_OVERSIZE,
                                "no response slot is that large; answer with :oversize");
    default:
        return weir_nif_refusal(env, answered, "the reply could not be made");
    }
}

static ERL_NIF_TERM reply_locked(ErlNifEnv *env, const ERL_NIF_TERM argv[], bool is_dirty)
{
    weir_nif_worker *worker = NULL;
    uint32_t status = 0;
    ErlNifBinary payload;
    if (!get_reply_status(env, argv[1], &status) ||
        enif_inspect_binary(env, argv[2], &payload) == 0 ||
        !weir_nif_worker_hold(env, argv[0], &worker)) {
        return enif_make_badarg(env);
    }
    const ERL_NIF_TERM result = !is_dirty && payload.size > WEIR_NIF_BYTES_MAX
                                    ? enif_make_atom(env, "large")
                                    : reply(env, worker, status, &payload);
    weir_nif_worker_let_go(worker);
    return result;
}

ERL_NIF_TERM weir_nif_worker_reply(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    return reply_locked(env, argv, false);
}

ERL_NIF_TERM weir_nif_worker_reply_large(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    return reply_locked(env, argv, true);
}

/* --- Waiting and health --- */

static ERL_NIF_TERM park(ErlNifEnv *env, weir_nif_worker *worker, ERL_NIF_TERM term)
{
    if (worker->has_job) {
        return weir_nif_refusal(env, WEIR_INVALID, "a job is open; answer it first");
    }
    weir_worker *w = worker->worker;
    unpark(worker);
    weir_worker_flush(w);
    if (worker->batch_next < worker->batch_count) {
        return enif_make_atom(env, "busy");
    }
    weir_sleeper_arm_as(&w->sleeper, WEIR_WAKE_STRATEGY_EVENTFD);
    weir_sleeper_fence();
    worker->is_parked = true;
    if (weir_worker_see_work(w)) {
        unpark(worker);
        return enif_make_atom(env, "busy");
    }
    const ERL_NIF_TERM message = enif_make_tuple2(env, enif_make_atom(env, "weir_ready"), term);
    if (!weir_nif_select(env, worker, worker->approach.terms.request_eventfd, message)) {
        unpark(worker);
        return weir_nif_refusal(env, WEIR_SYSTEM, "the eventfd cannot be waited for");
    }
    worker->eventfd_selected = true;
    weir_store_relaxed_u32(&w->counters.wake_strategy, WEIR_WAKE_STRATEGY_EVENTFD);
    return enif_make_atom(env, "parked");
}

static ERL_NIF_TERM beat(ErlNifEnv *env, weir_nif_worker *worker, ERL_NIF_TERM term)
{
    (void)env;
    (void)term;
    weir_health_beat(&worker->health);
    return weir_nif_atoms.ok_;
}

static ERL_NIF_TERM progress(ErlNifEnv *env, weir_nif_worker *worker, ERL_NIF_TERM term)
{
    (void)env;
    (void)term;
    weir_counter_add(&worker->worker->control->progress, 1);
    return weir_nif_atoms.ok_;
}

static ERL_NIF_TERM drain(ErlNifEnv *env, weir_nif_worker *worker, ERL_NIF_TERM term)
{
    (void)env;
    (void)term;
    weir_store_relaxed_u32(&worker->worker->counters.term_seen, 1);
    weir_worker_obey(worker->worker);
    return weir_nif_atoms.ok_;
}

static ERL_NIF_TERM stats(ErlNifEnv *env, weir_nif_worker *worker, ERL_NIF_TERM term)
{
    (void)term;
    const weir_worker_counters *counters = &worker->worker->counters;
    ERL_NIF_TERM map = enif_make_new_map(env);
    weir_nif_map_put(env, &map, "jobs_ok", enif_make_uint64(env, counters->jobs_ok));
    weir_nif_map_put(env, &map, "jobs_failed", enif_make_uint64(env, counters->jobs_failed));
    weir_nif_map_put(env, &map, "request_bytes", enif_make_uint64(env, counters->request_bytes));
    weir_nif_map_put(env, &map, "response_bytes", enif_make_uint64(env, counters->response_bytes));
    weir_nif_map_put(env, &map, "slot_waits", enif_make_uint64(env, counters->slot_waits));
    weir_nif_map_put(env, &map, "wakes_sent", enif_make_uint64(env, counters->wakes_sent));
    weir_nif_map_put(env, &map, "parks",
                     enif_make_uint64(env, worker->worker->sleeper.stats.parks));
    weir_nif_map_put(env, &map, "state", enif_make_uint(env, worker->worker->state));
    return map;
}

typedef ERL_NIF_TERM (*serving_call)(ErlNifEnv *env, weir_nif_worker *worker, ERL_NIF_TERM term);

static ERL_NIF_TERM while_serving(ErlNifEnv *env, ERL_NIF_TERM term, serving_call call)
{
    weir_nif_worker *worker = NULL;
    if (!weir_nif_worker_hold(env, term, &worker)) {
        return enif_make_badarg(env);
    }
    const ERL_NIF_TERM result = worker->phase == WEIR_NIF_WORKER_SERVING
                                    ? call(env, worker, term)
                                    : weir_nif_worker_not_now(env, worker);
    weir_nif_worker_let_go(worker);
    return result;
}

#define WHILE_SERVING(name, call)                                                                  \
    ERL_NIF_TERM weir_nif_##name(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])              \
    {                                                                                              \
        (void)argc;                                                                                \
        return while_serving(env, argv[0], call);                                                  \
    }
WHILE_SERVING(worker_park, park)
WHILE_SERVING(worker_beat, beat)
WHILE_SERVING(worker_progress, progress)
WHILE_SERVING(worker_drain, drain)
WHILE_SERVING(worker_stats, stats)
