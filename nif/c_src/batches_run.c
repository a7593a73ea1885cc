/* The calls of a batch: begin, run, cancel. */
#include "batches.h"
#include "jobs.h"
#include "jobs_done.h"

#define BATCH_JOBS_MAX 1000000u

/* Ids that one call cancels. */
#define CANCEL_MAX 64u

static bool read_terms(ErlNifEnv *env, const ERL_NIF_TERM argv[], weir_nif_batch *batch)
{
    uint32_t opcode = 0;
    uint32_t flags = 0;
    if (!weir_nif_is_tag(env, argv[1]) ||
        !weir_nif_get_u32(env, argv[2], 0, WEIR_NIF_POOLS_MAX - 1, &batch->pool) ||
        !weir_nif_get_u32(env, argv[3], 0, UINT16_MAX, &opcode) ||
        !weir_nif_get_u32(env, argv[4], 1, BATCH_JOBS_MAX, &batch->count) ||
        !weir_nif_get_u32(env, argv[5], 1, BATCH_JOBS_MAX, &batch->window) ||
        !weir_nif_get_deadline(env, argv[6], &batch->deadline_ns) ||
        !weir_nif_get_u32(env, argv[7], 0, WEIR_NIF_IDEMPOTENT | WEIR_NIF_PINNED, &flags)) {
        return false;
    }
    batch->opcode = (uint16_t)opcode;
    batch->is_idempotent = (flags & WEIR_NIF_IDEMPOTENT) != 0;
    batch->may_pin = (flags & WEIR_NIF_PINNED) != 0;
    return true;
}

static void adopt_caller(weir_nif_batch *batch, weir_nif_caller *caller)
{
    enif_keep_resource(caller);
    batch->caller = caller;
    pthread_mutex_lock(&caller->lock);
    batch->next_of_caller = caller->first_batch;
    if (batch->next_of_caller != NULL) {
        batch->next_of_caller->previous_of_caller = batch;
    }
    caller->first_batch = batch;
    pthread_mutex_unlock(&caller->lock);
}

ERL_NIF_TERM weir_nif_batch_begin(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    void *caller = NULL;
    weir_nif_batch *batch = weir_nif_new(WEIR_NIF_batch, sizeof *batch);
    if (batch == NULL) {
        return weir_nif_refusal(env, WEIR_NO_MEMORY, "no memory for a batch");
    }
    if (!weir_nif_get(env, argv[0], WEIR_NIF_caller, &caller) || !read_terms(env, argv, batch)) {
        enif_release_resource(batch);
        return enif_make_badarg(env);
    }
    batch->env = enif_alloc_env();
    batch->ids = enif_alloc(batch->count * sizeof *batch->ids);
    if (batch->env == NULL || batch->ids == NULL) {
        enif_release_resource(batch);
        return weir_nif_refusal(env, WEIR_NO_MEMORY, "no memory for a batch");
    }
    batch->tag = enif_make_copy(batch->env, argv[1]);
    adopt_caller(batch, caller);
    return weir_nif_ok(env, weir_nif_release_as_term(env, batch));
}

/* ---- one call */

/** What one call submits. */
typedef struct portion {
    weir_nif_job *jobs[WEIR_NIF_JOBS_MAX];
    weir_job_spec specs[WEIR_NIF_JOBS_MAX];
    uint32_t count;
    ERL_NIF_TERM rest;
    bool has_large; /**< The rest begins with a payload that is too large for this call. */
    bool is_bad;    /**< It is no list of binaries. */
} portion;

static uint32_t room_in(weir_nif_batch *batch)
{
    const uint32_t unsubmitted =
        batch->count - atomic_load_explicit(&batch->submitted, memory_order_relaxed);
    pthread_mutex_lock(&batch->caller->lock);
    const uint32_t room = batch->live < batch->window ? batch->window - batch->live : 0;
    pthread_mutex_unlock(&batch->caller->lock);
    const uint32_t most = room < unsubmitted ? room : unsubmitted;
    return most < WEIR_NIF_JOBS_MAX ? most : WEIR_NIF_JOBS_MAX;
}

/* Looks at the payloads before anything is taken, so that a wrong one leaves nothing behind. */
static uint32_t measure(ErlNifEnv *env, portion *portion, uint32_t most, uint64_t bytes_max,
                        ErlNifBinary *payloads, ERL_NIF_TERM *terms)
{
    uint64_t bytes = 0;
    uint32_t count = 0;
    ERL_NIF_TERM tail;
    while (count < most && enif_get_list_cell(env, portion->rest, &terms[count], &tail) != 0) {
        if (enif_inspect_binary(env, terms[count], &payloads[count]) == 0 ||
            payloads[count].size > UINT32_MAX) {
            portion->is_bad = true;
            return 0;
        }
        bytes += payloads[count].size;
        const bool is_alone_in_dirty_call = count == 0 && bytes_max > WEIR_NIF_BYTES_MAX;
        if (bytes > bytes_max && !is_alone_in_dirty_call) {
            portion->has_large = count == 0;
            break;
        }
        portion->rest = tail;
        count++;
    }
    return count;
}

static void describe(weir_nif_batch *batch, portion *portion, const ErlNifBinary *payloads)
{
    const uint32_t first = atomic_load_explicit(&batch->submitted, memory_order_relaxed);
    for (uint32_t i = 0; i < portion->count; i++) {
        weir_nif_job *job = portion->jobs[i];
        job->batch = batch;
        job->index = first + i;
        job->pool = batch->pool;
        job->may_pin = batch->may_pin;
        portion->specs[i] = weir_nif_job_spec(job, batch->opcode, (uint32_t)payloads[i].size,
                                              batch->is_idempotent, batch->deadline_ns);
    }
}

static void give_back_from(weir_nif_batch *batch, portion *portion, uint32_t from)
{
    for (uint32_t i = from; i < portion->count; i++) {
        weir_nif_jobs_give_back(batch->caller, portion->jobs[i], portion->jobs[i], 1);
    }
    portion->count = from;
}

static weir_status prepare(ErlNifEnv *env, weir_nif_batch *batch, portion *portion,
                           uint64_t bytes_max)
{
    ErlNifBinary payloads[WEIR_NIF_JOBS_MAX];
    ERL_NIF_TERM terms[WEIR_NIF_JOBS_MAX];
    const ERL_NIF_TERM all = portion->rest;
    const uint32_t wanted = measure(env, portion, room_in(batch), bytes_max, payloads, terms);
    portion->count = wanted > 0 ? weir_nif_jobs_take(batch->caller, portion->jobs, wanted) : 0;
    uint32_t kept = 0;
    while (kept < portion->count &&
           weir_nif_job_keep_payload(portion->jobs[kept], terms[kept], &payloads[kept])) {
        kept++;
    }
    if (kept < wanted) {
        give_back_from(batch, portion, 0);
        portion->rest = all;
        return WEIR_FULL;
    }
    describe(batch, portion, payloads);
    return WEIR_OK;
}

static weir_status submit(weir_nif_batch *batch, portion *portion)
{
    weir_nif_caller *caller = batch->caller;
    pthread_mutex_lock(&caller->lock);
    if (batch->live == 0) {
        enif_keep_resource(batch);
    }
    batch->live += portion->count;
    pthread_mutex_unlock(&caller->lock);
    const uint32_t first = atomic_load_explicit(&batch->submitted, memory_order_relaxed);
    const weir_status status = weir_submit(caller->manager->home->manager, batch->pool,
                                           portion->specs, portion->count, batch->ids + first);
    if (status == WEIR_OK) {
        atomic_store_explicit(&batch->submitted, first + portion->count, memory_order_release);
        return WEIR_OK;
    }
    pthread_mutex_lock(&caller->lock);
    batch->live -= portion->count;
    const bool is_idle = batch->live == 0;
    pthread_mutex_unlock(&caller->lock);
    give_back_from(batch, portion, 0);
    if (is_idle) {
        enif_release_resource(batch);
    }
    return status;
}

static bool has_items(void *context)
{
    const weir_nif_round *round = context;
    weir_nif_batch *batch = round->batch;
    if (round->item_count > 0) {
        return true;
    }
    pthread_mutex_lock(&batch->caller->lock);
    const bool has_ended = batch->ended_count > 0;
    pthread_mutex_unlock(&batch->caller->lock);
    return has_ended;
}

static ERL_NIF_TERM answer(ErlNifEnv *env, const char *how, ERL_NIF_TERM rest, ERL_NIF_TERM items,
                           uint32_t left)
{
    return enif_make_tuple4(env, enif_make_atom(env, how), rest, items, enif_make_uint(env, left));
}

/* What has ended by now, or :pending when the caller can only wait. */
static ERL_NIF_TERM conclude(ErlNifEnv *env, weir_nif_batch *batch, const portion *portion,
                             weir_nif_round *round)
{
    weir_nif_batch_come_back(batch, round);
    const char *how = portion->has_large ? "large" : "ok";
    if (round->item_count == 0 && portion->count == 0 && !portion->has_large) {
        if (weir_nif_batch_go_away(batch)) {
            weir_nif_make_watched(env, batch->caller->manager);
            how = "pending";
        } else {
            weir_nif_batch_come_back(batch, round);
        }
    }
    pthread_mutex_lock(&batch->caller->lock);
    const uint32_t left = batch->count - batch->handed_out;
    pthread_mutex_unlock(&batch->caller->lock);
    return answer(env, how, portion->rest, round->items, left);
}

static ERL_NIF_TERM work(ErlNifEnv *env, weir_nif_batch *batch, ERL_NIF_TERM payloads,
                         uint64_t bytes_max, const weir_turn_limits *limits)
{
    portion portion;
    portion.count = 0;
    portion.rest = payloads;
    portion.has_large = portion.is_bad = false;
    weir_status status = prepare(env, batch, &portion, bytes_max);
    if (portion.is_bad) {
        return enif_make_badarg(env);
    }
    weir_nif_round round;
    weir_nif_round_begin(batch->caller->manager->home, &round, env);
    round.batch = batch;
    round.items = enif_make_list(env, 0);
    weir_nif_batch_come_back(batch, &round);
    if (status == WEIR_OK && portion.count > 0) {
        status = submit(batch, &portion);
    }
    ERL_NIF_TERM result;
    if (status == WEIR_OK) {
        weir_nif_look_on(batch->caller, limits, has_items, &round, env);
        result = conclude(env, batch, &portion, &round);
    } else if (round.item_count > 0) { /* First what has ended; the refusal comes again. */
        portion.rest = payloads;
        result = conclude(env, batch, &portion, &round);
    } else if (status == WEIR_FULL) {
        result = weir_nif_refusal(env, status, "too many jobs are under way");
    } else {
        result = weir_nif_submit_refusal(env, status, batch->pool);
    }
    weir_nif_round_end(&round);
    return result;
}

static ERL_NIF_TERM run(ErlNifEnv *env, const ERL_NIF_TERM argv[], uint64_t bytes_max,
                        const weir_turn_limits *limits)
{
    void *found = NULL;
    if (!weir_nif_get(env, argv[0], WEIR_NIF_batch, &found) || !enif_is_list(env, argv[1])) {
        return enif_make_badarg(env);
    }
    weir_nif_batch *batch = found;
    weir_nif_home *home = batch->caller->manager->home;
    if (atomic_exchange_explicit(&batch->is_busy, true, memory_order_acquire)) {
        return enif_make_badarg(env); /* Two processes at once. */
    }
    ERL_NIF_TERM result;
    if (weir_nif_home_enter(home)) {
        result = work(env, batch, argv[1], bytes_max, limits);
        weir_nif_home_leave(home);
    } else {
        result = weir_nif_home_refusal(env);
    }
    atomic_store_explicit(&batch->is_busy, false, memory_order_release);
    return result;
}

ERL_NIF_TERM weir_nif_batch_run(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    const ERL_NIF_TERM result = run(env, argv, WEIR_NIF_BYTES_MAX, &weir_nif_short_turn);
    (void)enif_consume_timeslice(env, 5);
    return result;
}

ERL_NIF_TERM weir_nif_batch_run_large(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    return run(env, argv, weir_nif_large_turn.bytes, &weir_nif_large_turn);
}

ERL_NIF_TERM weir_nif_batch_cancel(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    void *found = NULL;
    if (!weir_nif_get(env, argv[0], WEIR_NIF_batch, &found)) {
        return enif_make_badarg(env);
    }
    weir_nif_batch *batch = found;
    weir_nif_home *home = batch->caller->manager->home;
    if (!weir_nif_home_enter(home)) {
        return weir_nif_home_refusal(env);
    }
    uint64_t ids[CANCEL_MAX];
    pthread_mutex_lock(&batch->caller->lock);
    const uint32_t count = weir_nif_batch_list_ids(batch, ids, CANCEL_MAX);
    pthread_mutex_unlock(&batch->caller->lock);
    weir_nif_round round;
    weir_nif_round_begin(home, &round, env);
    for (uint32_t i = 0; i < count; i++) {
        (void)!weir_cancel(home->manager, ids[i]); /* Some have ended. */
    }
    weir_nif_round_end(&round);
    weir_nif_home_leave(home);
    return enif_make_atom(env, count == CANCEL_MAX ? "more" : "ok");
}
