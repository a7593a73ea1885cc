/* One connection's handshake, after it was accepted. */
#include "base/os.h"
#include "raw_listener.h"

static bool close_handshake(ErlNifEnv *env, weir_nif_handshake *h)
{
    enif_mutex_lock(h->owned.lock);
    const bool was_open = h->is_open;
    const int watch_fd = h->watch_fd;
    if (was_open) {
        if (h->handshake.state == WEIR_HANDSHAKE_DONE) {
            (void)weir_os()->close(h->handshake.fd); /* the caller's since WEIR_OK */
        } else {
            weir_handshake_refuse(&h->handshake, WEIR_ERROR_CODE_NONE, "the manager is closing");
        }
        weir_nif_close(env, NULL, h->request_eventfd, false);
        weir_nif_close(env, NULL, h->response_eventfd, false);
        h->is_open = false;
        h->watch_fd = -1;
    }
    enif_mutex_unlock(h->owned.lock);
    if (was_open) {
        weir_nif_close(env, h, watch_fd, h->was_selected);
        weir_nif_disown(env, &h->owned);
    }
    return was_open;
}

void weir_nif_handshake_free(ErlNifEnv *env, void *resource)
{
    weir_nif_handshake *h = resource;
    if (weir_nif_dying(&h->owned)) {
        (void)close_handshake(env, h);
    }
    if (h->arena != NULL) {
        enif_release_resource(h->arena);
    }
    weir_nif_unlock_for_good(&h->owned);
}

void weir_nif_handshake_down(ErlNifEnv *env, void *resource, ErlNifPid *pid, ErlNifMonitor *monitor)
{
    (void)pid;
    (void)monitor;
    weir_nif_note(WEIR_NIF_DOWN, resource);
    (void)close_handshake(env, resource);
}

ERL_NIF_TERM weir_nif_handshake_close(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    void *h = NULL;
    if (!weir_nif_get(env, argv[0], WEIR_NIF_handshake, &h)) {
        return enif_make_badarg(env);
    }
    return close_handshake(env, h) ? weir_nif_atoms.ok_
                                   : weir_nif_refusal(env, WEIR_CLOSED, "the handshake was closed");
}

static ERL_NIF_TERM agreed(ErlNifEnv *env, const weir_handshake *h)
{
    ERL_NIF_TERM opcodes = enif_make_list(env, 0);
    for (uint32_t i = h->opcode_count; i > 0; i--) {
        opcodes = enif_make_list_cell(env, enif_make_uint(env, h->opcode[i - 1]), opcodes);
    }
    ERL_NIF_TERM map = enif_make_new_map(env);
    weir_nif_map_put(env, &map, "pid", enif_make_int(env, (int)h->peer_pid));
    weir_nif_map_put(env, &map, "role", weir_nif_text(env, h->role));
    weir_nif_map_put(env, &map, "language", weir_nif_text(env, h->language));
    weir_nif_map_put(env, &map, "correlation", weir_nif_text(env, h->correlation));
    weir_nif_map_put(env, &map, "opcodes", opcodes);
    weir_nif_map_put(env, &map, "capabilities", enif_make_uint(env, h->capabilities));
    weir_nif_map_put(env, &map, "layout_minor", enif_make_uint(env, h->layout.minor));
    weir_nif_map_put(env, &map, "relation",
                     enif_make_atom(env, weir_layout_relation_name(h->layout.relation)));
    return weir_nif_ok(env, map);
}

/* The arena must not be closed under the step, which reads it. */
static weir_status step(weir_nif_handshake *h, weir_error *error)
{
    weir_nif_arena *arena = h->arena;
    enif_mutex_lock(arena->owned.lock);
    weir_status status = WEIR_CLOSED;
    if (arena->is_open) {
        status = weir_handshake_step(&h->handshake, weir_os()->clock_ns(), error);
    } else {
        weir_error_set(error, "the arena was closed");
    }
    if (status == WEIR_OK) {
        arena->terms.version = h->handshake.layout.minor;
        arena->terms.capabilities = (uint16_t)h->handshake.capabilities;
    }
    enif_mutex_unlock(arena->owned.lock);
    return status;
}

static bool select_again(ErlNifEnv *env, weir_nif_handshake *h, ERL_NIF_TERM term)
{
    const bool is_selected = weir_nif_select(
        env, h, h->watch_fd, enif_make_tuple2(env, enif_make_atom(env, "weir_ready"), term));
    h->was_selected = h->was_selected || is_selected;
    return is_selected;
}

ERL_NIF_TERM weir_nif_handshake_step(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    void *found = NULL;
    if (!weir_nif_get(env, argv[0], WEIR_NIF_handshake, &found)) {
        return enif_make_badarg(env);
    }
    weir_nif_handshake *h = found;
    weir_error error = {.text = ""};
    weir_status status = WEIR_CLOSED;
    enif_mutex_lock(h->owned.lock);
    if (h->is_open && h->handshake.state == WEIR_HANDSHAKE_DONE) {
        status = WEIR_OK;
    } else if (h->is_open) {
        status = step(h, &error);
    }
    const bool is_pending = status == WEIR_EMPTY && select_again(env, h, argv[0]);
    const ERL_NIF_TERM result = status == WEIR_OK ? agreed(env, &h->handshake) : 0;
    enif_mutex_unlock(h->owned.lock);
    if (status == WEIR_OK) {
        return result;
    }
    if (is_pending) {
        return weir_nif_atoms.pending_;
    }
    (void)close_handshake(env, h);
    return weir_nif_status(env, status == WEIR_EMPTY ? WEIR_SYSTEM : status, &error);
}

/* Whether the worker still holds its end of the socket; nothing else is said there. */
ERL_NIF_TERM weir_nif_handshake_alive(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    void *found = NULL;
    if (!weir_nif_get(env, argv[0], WEIR_NIF_handshake, &found)) {
        return enif_make_badarg(env);
    }
    weir_nif_handshake *h = found;
    bool is_alive = false;
    enif_mutex_lock(h->owned.lock);
    if (h->is_open && h->handshake.state == WEIR_HANDSHAKE_DONE) {
        struct pollfd end = {.fd = h->watch_fd, .events = 0};
        /* POLLHUP is told whatever was asked for. */
        is_alive = weir_os()->poll_until(&end, 1, 0, NULL) == 0;
        if (is_alive) {
            (void)select_again(env, h, argv[0]);
        }
    }
    enif_mutex_unlock(h->owned.lock);
    return weir_nif_bool(is_alive);
}
