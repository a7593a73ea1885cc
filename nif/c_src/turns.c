#include "turns.h"

#include <sched.h>

#include "base/os.h"
#include "batches.h"
#include "callers.h"

/* How long the ingestor looks on after the last job ended while somebody waits. */
#define SERVE_NS (100 * WEIR_NS_PER_US)
/* How long it sleeps between looks while callers find their own results. */
#define TICK_NS WEIR_NS_PER_MS

const weir_turn_limits weir_nif_short_turn = {.jobs = WEIR_NIF_JOBS_MAX,
                                              .bytes = WEIR_NIF_BYTES_MAX};
const weir_turn_limits weir_nif_large_turn = {.jobs = 256, .bytes = UINT64_C(8) << 20};

void weir_nif_round_begin(weir_nif_home *home, weir_nif_round *round, ErlNifEnv *env)
{
    *round =
        (weir_nif_round){.home = home, .env = env, .outer = pthread_getspecific(home->turn_key)};
    (void)pthread_setspecific(home->turn_key, round);
}

void weir_nif_round_end(weir_nif_round *round)
{
    weir_nif_batches_flush(round);
    if (round->scratch != NULL) {
        enif_free_env(round->scratch);
    }
    if (round->ended > 0) {
        atomic_fetch_add_explicit(&round->home->ended, round->ended, memory_order_relaxed);
    }
    (void)pthread_setspecific(round->home->turn_key, round->outer);
}

weir_nif_round *weir_nif_round_now(weir_nif_home *home)
{
    return pthread_getspecific(home->turn_key);
}

/* A message made on the calling process's own heap is copied once, straight to where the receiver
 * wants it. One with an environment of its own arrives in a piece of memory of 200 words at least,
 * which makes the receiver collect its garbage early; only threads without a process need that. */
ErlNifEnv *weir_nif_round_message(weir_nif_round *round)
{
    if (round->env != NULL && !round->is_callback) {
        return round->env;
    }
    if (round->scratch == NULL) {
        round->scratch = enif_alloc_env();
    } else {
        enif_clear_env(round->scratch);
    }
    return round->scratch;
}

void weir_nif_round_send(weir_nif_round *round, const ErlNifPid *to, ErlNifEnv *env,
                         ERL_NIF_TERM message)
{
    (void)enif_send(round->env, to, env == round->env ? NULL : env, message);
}

/* ---- who looks */

void weir_nif_begin_waiting(weir_nif_home *home)
{
    atomic_fetch_add_explicit(&home->waiting, 1, memory_order_relaxed);
}

void weir_nif_cease_waiting(weir_nif_home *home)
{
    atomic_fetch_sub_explicit(&home->waiting, 1, memory_order_relaxed);
}

void weir_nif_kick(ErlNifEnv *env, weir_nif_manager *manager)
{
    weir_nif_home *home = manager->home;
    ErlNifPid owner;
    if (atomic_exchange_explicit(&home->is_kicked, true, memory_order_acq_rel) ||
        !weir_nif_home_owner(home, &owner)) {
        return;
    }
    ErlNifEnv *message = enif_alloc_env();
    if (message != NULL) {
        (void)enif_send(env, &owner, message,
                        enif_make_tuple2(message, enif_make_atom(message, "weir_ready"),
                                         enif_make_resource(message, manager)));
        enif_free_env(message);
    }
}

void weir_nif_make_watched(ErlNifEnv *env, weir_nif_manager *manager)
{
    weir_nif_home *home = manager->home;
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&home->mode, memory_order_relaxed) != WEIR_NIF_TICKING) {
        return;
    }
    weir_turn turn;
    if (weir_host_park(home->manager, &turn) == WEIR_OK) {
        atomic_store_explicit(&home->is_armed, true, memory_order_release);
        unsigned expected = WEIR_NIF_TICKING;
        (void)atomic_compare_exchange_strong_explicit(&home->mode, &expected, WEIR_NIF_PARKED,
                                                      memory_order_acq_rel, memory_order_relaxed);
    } else {
        weir_nif_kick(env, manager);
    }
}

/* ---- the ingestor's calls */

/* Ends the rings of workers, as far as nobody else has the turn: then the next call does it. */
static void disarm(weir_nif_home *home)
{
    if (atomic_exchange_explicit(&home->is_armed, false, memory_order_acq_rel) &&
        weir_host_unpark(home->manager) == WEIR_FULL) {
        atomic_store_explicit(&home->is_armed, true, memory_order_release);
    }
}

static bool still_moves(weir_nif_home *home)
{
    const uint64_t now_ns = weir_os()->clock_ns();
    const uint64_t ended = atomic_load_explicit(&home->ended, memory_order_relaxed);
    if (ended != home->seen_ended) {
        home->seen_ended = ended;
        home->moved_ns = now_ns;
    }
    return atomic_load_explicit(&home->waiting, memory_order_relaxed) > 0 &&
           now_ns - home->moved_ns < SERVE_NS;
}

static ERL_NIF_TERM wait_term(ErlNifEnv *env, uint64_t next_ns)
{
    if (next_ns == UINT64_MAX) {
        return weir_nif_atoms.infinity_;
    }
    const uint64_t now_ns = weir_os()->clock_ns();
    return enif_make_uint64(env, next_ns > now_ns ? next_ns - now_ns : 0);
}

static ERL_NIF_TERM serve(ErlNifEnv *env, ERL_NIF_TERM term, const weir_turn_limits *limits)
{
    weir_nif_manager *manager;
    ERL_NIF_TERM refusal;
    if (!weir_nif_manager_enter(env, term, &manager, &refusal)) {
        return refusal;
    }
    weir_nif_home *home = manager->home;
    atomic_store_explicit(&home->mode, WEIR_NIF_SERVING, memory_order_relaxed);
    atomic_store_explicit(&home->is_kicked, false, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    disarm(home);
    weir_nif_round round;
    weir_turn done;
    weir_nif_round_begin(home, &round, env);
    const weir_status status = weir_host_turn(home->manager, limits, &done);
    weir_nif_callers_bury(home);
    weir_nif_round_end(&round);
    if (status == WEIR_EMPTY) {
        (void)sched_yield(); /* A worker may wait for this core. */
    }
    const bool is_busy = status == WEIR_FULL;
    const bool has_more =
        done.has_more || is_busy || still_moves(home) || weir_nif_callers_are_dying(home);
    const ERL_NIF_TERM result =
        enif_make_tuple5(env, enif_make_uint(env, done.jobs), weir_nif_bool(has_more),
                         weir_nif_bool(done.needs_long), enif_make_uint(env, done.outstanding),
                         is_busy ? enif_make_uint(env, 0) : wait_term(env, done.next_ns));
    weir_nif_home_leave(home);
    return result;
}

ERL_NIF_TERM weir_nif_turn(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    return serve(env, argv[0], &weir_nif_short_turn);
}

ERL_NIF_TERM weir_nif_turn_long(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    weir_turn_limits limits = weir_nif_large_turn;
    limits.may_take_long = true;
    return serve(env, argv[0], &limits);
}

/* From now on the descriptor's next input becomes a message. */
static bool select_input(ErlNifEnv *env, weir_nif_manager *manager)
{
    weir_nif_home *home = manager->home;
    const int fd = home->descriptor;
    ErlNifPid owner;
    bool is_selected = false;
    if (fd < 0 || !weir_nif_home_owner(home, &owner)) {
        return false;
    }
    ErlNifEnv *message = enif_alloc_env();
    if (message == NULL) {
        return false;
    }
    const ERL_NIF_TERM term = enif_make_tuple2(message, enif_make_atom(message, "weir_ready"),
                                               enif_make_resource(message, manager));
    pthread_mutex_lock(&home->lock); /* Not after the selection was stopped. */
    if (!home->is_closing) {
        is_selected = enif_select_read(env, fd, manager, &owner, term, message) >= 0;
        home->was_selected |= is_selected;
    }
    pthread_mutex_unlock(&home->lock);
    enif_free_env(message);
    return is_selected;
}

/* Sleeps for a tick when jobs came and went lately and nobody waits. */
static bool may_tick(weir_nif_home *home)
{
    const uint64_t ended = atomic_load_explicit(&home->ended, memory_order_relaxed);
    if (ended == home->parked_ended) {
        return false;
    }
    home->parked_ended = ended;
    atomic_store_explicit(&home->mode, WEIR_NIF_TICKING, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&home->waiting, memory_order_relaxed) > 0) {
        atomic_store_explicit(&home->mode, WEIR_NIF_SERVING, memory_order_relaxed);
        return false;
    }
    return true;
}

static ERL_NIF_TERM parked_term(ErlNifEnv *env, ERL_NIF_TERM wait, uint32_t outstanding)
{
    return enif_make_tuple3(env, enif_make_atom(env, "parked"), wait,
                            enif_make_uint(env, outstanding));
}

static ERL_NIF_TERM park(ErlNifEnv *env, weir_nif_manager *manager)
{
    weir_nif_home *home = manager->home;
    const ERL_NIF_TERM tick = enif_make_uint64(env, TICK_NS);
    if (may_tick(home)) {
        (void)select_input(env, manager);
        return parked_term(env, tick, 0);
    }
    weir_turn turn;
    const weir_status status = weir_host_park(home->manager, &turn);
    if (status == WEIR_FULL) {
        return enif_make_atom(env, "busy");
    }
    const bool is_armed = status == WEIR_OK;
    if (is_armed) {
        atomic_store_explicit(&home->is_armed, true, memory_order_release);
    }
    if (!select_input(env, manager) || !is_armed) {
        return parked_term(env, tick, turn.outstanding); /* Look again by the clock. */
    }
    atomic_store_explicit(&home->mode, WEIR_NIF_PARKED, memory_order_release);
    return parked_term(env, wait_term(env, turn.next_ns), turn.outstanding);
}

ERL_NIF_TERM weir_nif_park(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    weir_nif_manager *manager;
    ERL_NIF_TERM refusal;
    if (!weir_nif_manager_enter(env, argv[0], &manager, &refusal)) {
        return refusal;
    }
    const ERL_NIF_TERM result = park(env, manager);
    weir_nif_home_leave(manager->home);
    return result;
}
