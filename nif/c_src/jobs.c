#include "jobs.h"

#include "base/atomic.h"
#include "base/os.h"
#include "jobs_done.h"

/* With more jobs than these under way somebody comes by soon anyway. */
#define FEW_JOBS 2

/* Then one call in so many takes a turn: eight results at once cost little more than one. */
#define CALLS_PER_TURN 8

/* Turns without anything to do between two readings of the clock. */
#define TURNS_PER_CLOCK 4

/* Longest timeout: beyond it the sum with the clock could wrap. */
#define TIMEOUT_MAX_NS (UINT64_C(1) << 62)

typedef struct job_arguments {
    weir_nif_caller *caller;
    ERL_NIF_TERM tag;
    uint32_t pool;
    uint32_t opcode;
    ERL_NIF_TERM payload_term;
    ErlNifBinary payload;
    uint64_t deadline_ns;
    uint32_t flags;
} job_arguments;

bool weir_nif_is_tag(ErlNifEnv *env, ERL_NIF_TERM term)
{
    ErlNifSInt64 number;
    return enif_is_ref(env, term) || enif_is_atom(env, term) ||
           enif_get_int64(env, term, &number) != 0;
}

bool weir_nif_get_deadline(ErlNifEnv *env, ERL_NIF_TERM term, uint64_t *deadline_ns)
{
    uint64_t timeout_ns = 0;
    if (enif_is_identical(term, weir_nif_atoms.infinity_)) {
        *deadline_ns = 0;
        return true;
    }
    if (!weir_nif_get_u64(env, term, 0, TIMEOUT_MAX_NS, &timeout_ns)) {
        return false;
    }
    *deadline_ns = weir_os()->clock_ns() + timeout_ns;
    return true;
}

ERL_NIF_TERM weir_nif_submit_refusal(ErlNifEnv *env, weir_status status, uint32_t pool)
{
    if (status == WEIR_CLOSED) {
        return weir_nif_refusal(env, status, "the manager is draining and takes no new jobs");
    }
    weir_error error;
    weir_error_set(&error, "the manager has no pool %u; add it first", pool);
    return weir_nif_refusal(env, WEIR_NOT_FOUND, error.text);
}

static bool read_arguments(ErlNifEnv *env, const ERL_NIF_TERM argv[], job_arguments *at)
{
    at->tag = argv[1];
    at->payload_term = argv[4];
    return weir_nif_is_tag(env, argv[1]) &&
           weir_nif_get_u32(env, argv[2], 0, WEIR_NIF_POOLS_MAX - 1, &at->pool) &&
           weir_nif_get_u32(env, argv[3], 0, UINT16_MAX, &at->opcode) &&
           enif_inspect_binary(env, argv[4], &at->payload) != 0 && at->payload.size <= UINT32_MAX &&
           weir_nif_get_deadline(env, argv[5], &at->deadline_ns) &&
           weir_nif_get_u32(env, argv[6], 0, WEIR_NIF_IDEMPOTENT | WEIR_NIF_PINNED | WEIR_NIF_LATER,
                            &at->flags);
}

/* ---- looking */

/* The turn can be left to a later caller, or to the ingestor: see weir_nif_make_watched. */
static bool leaves_it_to_others(weir_nif_home *home)
{
    return atomic_load_explicit(&home->waiting, memory_order_relaxed) > FEW_JOBS &&
           atomic_fetch_add_explicit(&home->calls, 1, memory_order_relaxed) % CALLS_PER_TURN != 0;
}

static bool pays_off(const weir_turn *turn, weir_status status)
{
    return (status == WEIR_FULL || turn->outstanding <= FEW_JOBS) && !turn->needs_long;
}

void weir_nif_look_on(weir_nif_caller *caller, const weir_turn_limits *limits, weir_nif_look look,
                      void *context, ErlNifEnv *env)
{
    weir_nif_home *home = caller->manager->home;
    weir_turn turn;
    if (leaves_it_to_others(home)) {
        return;
    }
    weir_status status = weir_host_turn(home->manager, limits, &turn);
    if (turn.needs_long) {
        weir_nif_kick(env, caller->manager);
    }
    if (look(context) || !pays_off(&turn, status)) {
        return;
    }
    const uint64_t begin_ns = weir_os()->clock_ns();
    const uint64_t budget_ns = weir_spin_budget(&caller->spin);
    uint64_t waited_ns = 0;
    while (waited_ns < budget_ns && pays_off(&turn, status)) {
        for (int i = 0; i < TURNS_PER_CLOCK; i++) {
            weir_cpu_relax();
            status = weir_host_turn(home->manager, limits, &turn);
            if (look(context)) {
                weir_spin_adapt(&caller->spin, true, weir_os()->clock_ns() - begin_ns);
                return;
            }
        }
        waited_ns = weir_os()->clock_ns() - begin_ns;
    }
    weir_spin_adapt(&caller->spin, false, waited_ns + caller->spin.max_ns);
}

/* ---- one job */

typedef struct own_look {
    const weir_nif_job *job;
    const weir_nif_round *round;
} own_look;

static bool has_own_result(void *context)
{
    const own_look *own = context;
    return own->round->is_own_done ||
           atomic_load_explicit(&own->job->state, memory_order_acquire) == WEIR_NIF_ENDED;
}

/* The caller goes on; from the exchange on the record is no longer ours. Returns false when the
 * result came first. */
static bool leave_job(ErlNifEnv *env, weir_nif_job *job, ERL_NIF_TERM tag)
{
    weir_nif_caller *caller = job->caller;
    weir_nif_home *home = caller->manager->home;
    weir_nif_job_keep_tag(job, tag);
    const uint64_t id = atomic_load_explicit(&job->id, memory_order_relaxed);
    weir_nif_begin_waiting(home);
    pthread_mutex_lock(&caller->lock);
    weir_nif_caller_link(caller, job);
    const bool is_dead = caller->is_dead;
    pthread_mutex_unlock(&caller->lock);
    unsigned state = WEIR_NIF_INSIDE;
    if (!atomic_compare_exchange_strong_explicit(&job->state, &state, WEIR_NIF_LEFT,
                                                 memory_order_acq_rel, memory_order_acquire)) {
        pthread_mutex_lock(&caller->lock);
        weir_nif_caller_unlink(caller, job);
        pthread_mutex_unlock(&caller->lock);
        weir_nif_cease_waiting(home);
        return false;
    }
    if (is_dead) { /* It was killed during a dirty call, before the job was in the list. */
        (void)!weir_cancel(home->manager, id);
    }
    weir_nif_make_watched(env, caller->manager);
    return true;
}

static ERL_NIF_TERM take_result(ErlNifEnv *env, weir_nif_job *job, weir_nif_round *round,
                                const job_arguments *at)
{
    weir_nif_caller *caller = at->caller;
    ERL_NIF_TERM result = weir_nif_atoms.pending_;
    if ((at->flags & WEIR_NIF_LATER) != 0) {
        if (!leave_job(env, job, at->tag)) {
            weir_nif_job_send_stored(job, round);
            weir_nif_jobs_give_back(caller, job, job, 1);
        }
        return result;
    }
    if (round->is_own_done) {
        result = round->result;
    } else if (atomic_load_explicit(&job->state, memory_order_acquire) == WEIR_NIF_ENDED ||
               !leave_job(env, job, at->tag)) {
        result = weir_nif_job_stored_term(env, job);
    } else {
        return result;
    }
    weir_nif_jobs_give_back(caller, job, job, 1);
    return result;
}

static ERL_NIF_TERM submit_and_look(ErlNifEnv *env, const job_arguments *at, weir_nif_job *job,
                                    const weir_turn_limits *limits)
{
    weir_nif_home *home = at->caller->manager->home;
    job->pool = at->pool;
    job->may_pin = (at->flags & WEIR_NIF_PINNED) != 0;
    const weir_job_spec spec =
        weir_nif_job_spec(job, (uint16_t)at->opcode, (uint32_t)at->payload.size,
                          (at->flags & WEIR_NIF_IDEMPOTENT) != 0, at->deadline_ns);
    weir_nif_round round;
    weir_nif_round_begin(home, &round, env);
    round.own = (at->flags & WEIR_NIF_LATER) != 0 ? NULL : job;
    uint64_t id = 0;
    const weir_status status = weir_submit(home->manager, at->pool, &spec, 1, &id);
    ERL_NIF_TERM result;
    if (status == WEIR_OK) {
        atomic_store_explicit(&job->id, id, memory_order_relaxed);
        own_look own = {.job = job, .round = &round};
        if (!has_own_result(&own) && round.own != NULL) {
            weir_nif_look_on(at->caller, limits, has_own_result, &own, env);
        }
        result = take_result(env, job, &round, at);
    } else {
        weir_nif_jobs_give_back(at->caller, job, job, 1);
        result = weir_nif_submit_refusal(env, status, at->pool);
    }
    weir_nif_round_end(&round);
    return result;
}

static ERL_NIF_TERM run(ErlNifEnv *env, const ERL_NIF_TERM argv[], uint64_t bytes_max,
                        const weir_turn_limits *limits)
{
    job_arguments at;
    ERL_NIF_TERM result;
    if (!read_arguments(env, argv, &at)) {
        return enif_make_badarg(env);
    }
    if (!weir_nif_caller_enter(env, argv[0], &at.caller, &result)) {
        return result;
    }
    weir_nif_job *job = NULL;
    if (at.payload.size > bytes_max) {
        result = enif_make_atom(env, "large");
    } else if (weir_nif_jobs_take(at.caller, &job, 1) == 0) {
        result = weir_nif_refusal(env, WEIR_FULL, "too many jobs are under way");
    } else if (!weir_nif_job_keep_payload(job, at.payload_term, &at.payload)) {
        weir_nif_jobs_give_back(at.caller, job, job, 1);
        result = weir_nif_refusal(env, WEIR_NO_MEMORY, "no memory for a job's payload");
    } else {
        result = submit_and_look(env, &at, job, limits);
    }
    weir_nif_home_leave(at.caller->manager->home);
    return result;
}

ERL_NIF_TERM weir_nif_job_run(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    const ERL_NIF_TERM result = run(env, argv, WEIR_NIF_BYTES_MAX, &weir_nif_short_turn);
    (void)enif_consume_timeslice(env, 1);
    return result;
}

ERL_NIF_TERM weir_nif_job_run_large(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    return run(env, argv, UINT32_MAX, &weir_nif_large_turn);
}

/* ---- cancelling */

ERL_NIF_TERM weir_nif_job_cancel(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    weir_nif_caller *caller;
    ERL_NIF_TERM refusal;
    if (!weir_nif_is_tag(env, argv[1])) {
        return enif_make_badarg(env);
    }
    if (!weir_nif_caller_enter(env, argv[0], &caller, &refusal)) {
        return refusal;
    }
    uint64_t id = 0;
    pthread_mutex_lock(&caller->lock);
    for (weir_nif_job *job = caller->first_live; job != NULL && id == 0; job = job->next) {
        if (enif_is_identical(job->tag, argv[1])) {
            id = atomic_load_explicit(&job->id, memory_order_relaxed);
        }
    }
    pthread_mutex_unlock(&caller->lock);
    weir_nif_home *home = caller->manager->home;
    weir_nif_round round;
    weir_nif_round_begin(home, &round, env);
    const bool is_cancelled = id != 0 && weir_cancel(home->manager, id) == WEIR_OK;
    weir_nif_round_end(&round);
    weir_nif_home_leave(home);
    return is_cancelled ? weir_nif_atoms.ok_ : enif_make_atom(env, "not_found");
}
