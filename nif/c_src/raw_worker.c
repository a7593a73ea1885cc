/* A worker's life but for its jobs, which are in raw_worker_jobs.c. */
#include "raw_worker.h"

#include <string.h>

#include "base/os.h"
#include "worker/setup.h"

/* Messages taken from the control socket per call. */
#define MESSAGES_MAX 8

bool weir_nif_worker_hold(ErlNifEnv *env, ERL_NIF_TERM term, weir_nif_worker **worker)
{
    void *found = NULL;
    if (!weir_nif_get(env, term, WEIR_NIF_worker, &found)) {
        return false;
    }
    *worker = found;
    enif_mutex_lock((*worker)->owned.lock);
    return true;
}

void weir_nif_worker_let_go(weir_nif_worker *worker)
{
    enif_mutex_unlock(worker->owned.lock);
}

ERL_NIF_TERM weir_nif_worker_not_now(ErlNifEnv *env, const weir_nif_worker *worker)
{
    switch (worker->phase) {
    case WEIR_NIF_WORKER_APPROACHING:
        return weir_nif_refusal(env, WEIR_INVALID,
                                "the handshake is not over; call worker_handshake");
    case WEIR_NIF_WORKER_SERVING:
        return weir_nif_refusal(env, WEIR_INVALID, "the handshake is over; take jobs");
    default:
        return weir_nif_refusal(env, WEIR_CLOSED, "the worker was closed");
    }
}

/* --- The end --- */

/* Gives everything back; safe twice. The lock is not held. */
static bool finish(ErlNifEnv *env, weir_nif_worker *worker)
{
    enif_mutex_lock(worker->owned.lock);
    if (worker->phase == WEIR_NIF_WORKER_ENDED) {
        enif_mutex_unlock(worker->owned.lock);
        return false;
    }
    if (worker->phase == WEIR_NIF_WORKER_SERVING) {
        weir_worker_flush(worker->worker);
        weir_worker_set_state(worker->worker, WEIR_WORKER_STATE_ENDED);
        weir_health_beat(&worker->health);
        weir_worker_teardown(worker->worker);
        worker->worker = NULL;
    }
    worker->phase = WEIR_NIF_WORKER_ENDED;
    weir_worker_terms *terms = &worker->approach.terms;
    const int socket_fd = terms->socket_fd;
    const int eventfd = terms->request_eventfd;
    terms->socket_fd = -1;
    terms->request_eventfd = -1;
    weir_worker_handshake_close(terms);
    enif_mutex_unlock(worker->owned.lock);
    weir_nif_close(env, worker, socket_fd, worker->socket_selected);
    weir_nif_close(env, worker, eventfd, worker->eventfd_selected);
    weir_nif_disown(env, &worker->owned);
    return true;
}

void weir_nif_worker_free(ErlNifEnv *env, void *resource)
{
    weir_nif_worker *worker = resource;
    if (weir_nif_dying(&worker->owned)) {
        /* Nothing is selected any more: that would keep the resource alive. */
        (void)finish(env, worker);
    }
    weir_nif_unlock_for_good(&worker->owned);
}

void weir_nif_worker_down(ErlNifEnv *env, void *resource, ErlNifPid *pid, ErlNifMonitor *monitor)
{
    (void)pid;
    (void)monitor;
    weir_nif_note(WEIR_NIF_DOWN, resource);
    (void)finish(env, resource);
}

ERL_NIF_TERM weir_nif_worker_close(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    void *worker = NULL;
    if (!weir_nif_get(env, argv[0], WEIR_NIF_worker, &worker)) {
        return enif_make_badarg(env);
    }
    return finish(env, worker) ? weir_nif_atoms.ok_ : weir_nif_worker_not_now(env, worker);
}

/* --- Handshake --- */

static weir_status never_called(weir_job *job, void *context)
{
    (void)job;
    (void)context;
    return WEIR_UNSUPPORTED;
}

static bool get_opcodes(ErlNifEnv *env, ERL_NIF_TERM list, weir_nif_worker *worker)
{
    size_t count = 0;
    ERL_NIF_TERM head;
    while (enif_get_list_cell(env, list, &head, &list)) {
        uint32_t opcode = 0;
        if (count == WEIR_OPCODE_COUNT_MAX ||
            !weir_nif_get_u32(env, head, 1, UINT16_MAX, &opcode)) {
            return false;
        }
        for (size_t i = 0; i < count; i++) {
            if (worker->routines[i].opcode == opcode) {
                return false;
            }
        }
        worker->routines[count++] =
            (weir_worker_routine){.opcode = (uint16_t)opcode, .run = never_called};
    }
    worker->options.routines = worker->routines;
    worker->options.routine_count = count;
    return enif_is_empty_list(env, list) && count > 0;
}

typedef struct names {
    char socket[WEIR_CONTROL_PATH_BYTES];
    char token[WEIR_TOKEN_TEXT_BYTES];
    char correlation[48];
    char role[32];
} names;

static bool get_options(ErlNifEnv *env, ERL_NIF_TERM map, weir_nif_worker *worker, names *said)
{
    ERL_NIF_TERM value;
    return enif_is_map(env, map) && weir_nif_map_get(env, map, "socket", &value) &&
           weir_nif_get_text(env, value, said->socket, sizeof said->socket) &&
           weir_nif_map_get(env, map, "token", &value) &&
           weir_nif_get_text(env, value, said->token, sizeof said->token) &&
           (!weir_nif_map_get(env, map, "correlation", &value) ||
            weir_nif_get_text(env, value, said->correlation, sizeof said->correlation)) &&
           (!weir_nif_map_get(env, map, "role", &value) ||
            weir_nif_get_text(env, value, said->role, sizeof said->role)) &&
           weir_nif_map_get(env, map, "opcodes", &value) && get_opcodes(env, value, worker);
}

static weir_status approach(weir_nif_worker *worker, const names *said, weir_error *error)
{
    worker->options.socket_path = said->socket;
    worker->options.role = said->role[0] != '\0' ? said->role : NULL;
    worker->options.wake_strategies = 1u << WEIR_WAKE_STRATEGY_EVENTFD;
    weir_status status = weir_worker_handshake_name(
        &worker->options, said->token, said->correlation, "elixir", &worker->identity, error);
    /* Both pointed into the caller's frame. */
    worker->options.socket_path = worker->identity.socket_path;
    worker->options.role = worker->identity.role;
    if (status == WEIR_OK) {
        status = weir_worker_approach_begin(&worker->identity, &worker->approach, error);
    }
    explicit_bzero(worker->identity.token, sizeof worker->identity.token);
    return status;
}

static bool select_socket(ErlNifEnv *env, weir_nif_worker *worker, ERL_NIF_TERM term)
{
    const ERL_NIF_TERM message = enif_make_tuple2(env, enif_make_atom(env, "weir_control"), term);
    worker->socket_selected =
        weir_nif_select(env, worker, worker->approach.terms.socket_fd, message) ||
        worker->socket_selected;
    return worker->socket_selected;
}

ERL_NIF_TERM weir_nif_worker_connect(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    weir_nif_worker *worker = weir_nif_new(WEIR_NIF_worker, sizeof *worker);
    if (worker == NULL) {
        return weir_nif_refusal(env, WEIR_NO_MEMORY, "no memory for a worker");
    }
    worker->phase = WEIR_NIF_WORKER_ENDED; /* nothing to give back yet */
    names said = {.socket = ""};
    weir_error error = {.text = ""};
    if (!get_options(env, argv[0], worker, &said)) {
        enif_release_resource(worker);
        return enif_make_badarg(env);
    }
    weir_status status = WEIR_NO_MEMORY;
    if (weir_nif_own(env, &worker->owned, "weir_worker")) {
        status = approach(worker, &said, &error);
    }
    explicit_bzero(said.token, sizeof said.token);
    if (status != WEIR_OK) {
        enif_release_resource(worker);
        return weir_nif_status(env, status, &error);
    }
    worker->phase = WEIR_NIF_WORKER_APPROACHING;
    const ERL_NIF_TERM term = weir_nif_release_as_term(env, worker);
    (void)select_socket(env, worker, term);
    return weir_nif_ok(env, term);
}

static ERL_NIF_TERM agreed(ErlNifEnv *env, const weir_nif_worker *worker)
{
    const weir_worker_terms *terms = &worker->approach.terms;
    ERL_NIF_TERM map = enif_make_new_map(env);
    weir_nif_map_put(env, &map, "generation", enif_make_uint(env, terms->generation));
    weir_nif_map_put(env, &map, "layout_minor", enif_make_uint(env, terms->layout_minor));
    weir_nif_map_put(env, &map, "capabilities", enif_make_uint(env, terms->capabilities));
    weir_nif_map_put(env, &map, "ring_capacity",
                     enif_make_uint(env, terms->arena.config.ring_capacity));
    weir_nif_map_put(env, &map, "request_bytes_max",
                     enif_make_uint(env, worker->worker->request_bytes_max));
    weir_nif_map_put(env, &map, "response_bytes_max",
                     enif_make_uint(env, worker->worker->response_bytes_max));
    weir_nif_map_put(env, &map, "manager_pid", enif_make_int(env, (int)terms->manager_pid));
    return weir_nif_ok(env, map);
}

/* Memory is mapped: from here on the worker serves. */
static weir_status begin_serving(weir_nif_worker *worker, weir_error *error)
{
    const weir_status status =
        weir_worker_setup(&worker->options, &worker->approach.terms, &worker->worker, error);
    if (status != WEIR_OK) {
        return status;
    }
    worker->health = (weir_health){.worker = worker->worker};
    worker->phase = WEIR_NIF_WORKER_SERVING;
    weir_health_beat(&worker->health);
    weir_worker_set_state(worker->worker, WEIR_WORKER_STATE_SERVING);
    return WEIR_OK;
}

ERL_NIF_TERM weir_nif_worker_handshake(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    weir_nif_worker *worker = NULL;
    if (!weir_nif_worker_hold(env, argv[0], &worker)) {
        return enif_make_badarg(env);
    }
    ERL_NIF_TERM result;
    if (worker->phase != WEIR_NIF_WORKER_APPROACHING) {
        result = weir_nif_worker_not_now(env, worker);
        weir_nif_worker_let_go(worker);
        return result;
    }
    weir_error error = {.text = ""};
    weir_status status = weir_worker_approach_step(&worker->approach, &error);
    if (status == WEIR_EMPTY) {
        result = select_socket(env, worker, argv[0])
                     ? weir_nif_atoms.pending_
                     : weir_nif_refusal(env, WEIR_SYSTEM, "the socket cannot be waited for");
        weir_nif_worker_let_go(worker);
        return result;
    }
    if (status == WEIR_OK) {
        status = begin_serving(worker, &error);
    }
    if (status == WEIR_OK) {
        (void)select_socket(env, worker, argv[0]);
        result = agreed(env, worker);
        weir_nif_worker_let_go(worker);
        return result;
    }
    weir_nif_worker_let_go(worker);
    (void)finish(env, worker);
    return weir_nif_status(env, status, &error);
}

ERL_NIF_TERM weir_nif_worker_control(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    weir_nif_worker *worker = NULL;
    if (!weir_nif_worker_hold(env, argv[0], &worker)) {
        return enif_make_badarg(env);
    }
    weir_error error = {.text = ""};
    weir_status status = WEIR_INVALID;
    if (worker->phase == WEIR_NIF_WORKER_SERVING) {
        status = WEIR_OK;
        for (int i = 0; i < MESSAGES_MAX && (status == WEIR_OK || status == WEIR_PROTOCOL); i++) {
            /* No message is defined for a serving worker: what arrives is counted and dropped. */
            weir_control_descriptors descriptors;
            status = weir_control_receive(worker->approach.terms.socket_fd, &worker->health.message,
                                          &descriptors, &error);
            weir_control_close_descriptors(&descriptors);
            worker->health.errors += status == WEIR_OK || status == WEIR_PROTOCOL ? 1 : 0;
        }
    }
    ERL_NIF_TERM result;
    if (worker->phase != WEIR_NIF_WORKER_SERVING) {
        result = weir_nif_worker_not_now(env, worker);
    } else if (status == WEIR_PEER_DEAD || status == WEIR_SYSTEM || status == WEIR_NO_MEMORY) {
        result = weir_nif_refusal(env, WEIR_PEER_DEAD, "the manager is gone; this worker ends");
    } else {
        result = select_socket(env, worker, argv[0])
                     ? weir_nif_atoms.ok_
                     : weir_nif_refusal(env, WEIR_SYSTEM, "the socket cannot be waited for");
    }
    weir_nif_worker_let_go(worker);
    return result;
}
