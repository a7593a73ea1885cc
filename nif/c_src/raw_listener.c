#include "raw_listener.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/os.h"
#include "raw_descriptor.h"

#define TIMEOUT_MS_MAX 60000u

/* --- The listener --- */

static bool close_listener(ErlNifEnv *env, weir_nif_listener *listener)
{
    enif_mutex_lock(listener->owned.lock);
    const int fd = listener->listener.fd;
    if (fd >= 0) {
        /* The path goes now; the descriptor when the poll set lets go of it. */
        (void)weir_os()->unlink(listener->listener.path);
        listener->listener.fd = -1;
    }
    enif_mutex_unlock(listener->owned.lock);
    weir_nif_close(env, listener, fd, listener->was_selected);
    weir_nif_disown(env, &listener->owned);
    return fd >= 0;
}

void weir_nif_listener_free(ErlNifEnv *env, void *resource)
{
    weir_nif_listener *listener = resource;
    if (weir_nif_dying(&listener->owned)) {
        (void)close_listener(env, listener);
    }
    weir_nif_unlock_for_good(&listener->owned);
}

void weir_nif_listener_down(ErlNifEnv *env, void *resource, ErlNifPid *pid, ErlNifMonitor *monitor)
{
    (void)pid;
    (void)monitor;
    weir_nif_note(WEIR_NIF_DOWN, resource);
    (void)close_listener(env, resource);
}

static bool is_private(const char *directory)
{
    struct stat found;
    return weir_os()->lstat(directory, &found) == 0 && S_ISDIR(found.st_mode) &&
           found.st_uid == weir_os()->geteuid() && (found.st_mode & 077) == 0;
}

ERL_NIF_TERM weir_nif_listener_open(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    char directory[1024];
    char name[256];
    if (!weir_nif_get_text(env, argv[0], directory, sizeof directory) ||
        !weir_nif_get_text(env, argv[1], name, sizeof name) || strchr(name, '/') != NULL ||
        name[0] == '\0') {
        return enif_make_badarg(env);
    }
    if (!is_private(directory)) {
        return weir_nif_refusal(env, WEIR_REFUSED,
                                "the directory must exist, be this user's and have mode 0700");
    }
    weir_nif_listener *listener = weir_nif_new(WEIR_NIF_listener, sizeof *listener);
    if (listener == NULL) {
        return weir_nif_refusal(env, WEIR_NO_MEMORY, "no memory for a listener");
    }
    listener->listener.fd = -1;
    weir_error error = {.text = ""};
    weir_status status = WEIR_NO_MEMORY;
    if (weir_nif_own(env, &listener->owned, "weir_listener")) {
        status = weir_listener_open(directory, name, &listener->listener, &error);
    }
    if (status != WEIR_OK) {
        listener->listener.fd = -1;
        enif_release_resource(listener);
        return weir_nif_status(env, status, &error);
    }
    return weir_nif_ok(env, weir_nif_release_as_term(env, listener));
}

ERL_NIF_TERM weir_nif_listener_close(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    void *listener = NULL;
    if (!weir_nif_get(env, argv[0], WEIR_NIF_listener, &listener)) {
        return enif_make_badarg(env);
    }
    return close_listener(env, listener)
               ? weir_nif_atoms.ok_
               : weir_nif_refusal(env, WEIR_CLOSED, "the listener was closed");
}

/* --- Accepting --- */

typedef struct wanted {
    weir_nif_arena *arena;
    weir_nif_descriptor *request;
    weir_nif_descriptor *response;
    uint8_t token[WEIR_TOKEN_BYTES];
    char role[32];
    char correlation[48];
    uint32_t timeout_ms;
} wanted;

static bool get_wanted(ErlNifEnv *env, const ERL_NIF_TERM argv[], wanted *want)
{
    void *arena = NULL;
    int arity = 0;
    const ERL_NIF_TERM *pair = NULL;
    ERL_NIF_TERM value;
    char token[WEIR_TOKEN_TEXT_BYTES];
    want->timeout_ms = 10000;
    if (!weir_nif_get(env, argv[1], WEIR_NIF_arena, &arena) ||
        enif_get_tuple(env, argv[2], &arity, &pair) == 0 || arity != 2 ||
        !weir_nif_descriptor_get(env, pair[0], ~0u, &want->request) ||
        !weir_nif_descriptor_get(env, pair[1], ~0u, &want->response) ||
        enif_is_map(env, argv[3]) == 0 || !weir_nif_map_get(env, argv[3], "token", &value) ||
        !weir_nif_get_text(env, value, token, sizeof token) ||
        weir_token_read(token, want->token, NULL) != WEIR_OK) {
        return false;
    }
    want->arena = arena;
    return want->arena->side == WEIR_NIF_SIDE_MANAGER &&
           (!weir_nif_map_get(env, argv[3], "role", &value) ||
            weir_nif_get_text(env, value, want->role, sizeof want->role)) &&
           (!weir_nif_map_get(env, argv[3], "correlation", &value) ||
            weir_nif_get_text(env, value, want->correlation, sizeof want->correlation)) &&
           (!weir_nif_map_get(env, argv[3], "timeout_ms", &value) ||
            weir_nif_get_u32(env, value, 1, TIMEOUT_MS_MAX, &want->timeout_ms));
}

static int duplicate(weir_nif_descriptor *descriptor)
{
    int fd = -1;
    if (!weir_nif_descriptor_hold(descriptor, &fd)) {
        return -1;
    }
    const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    weir_nif_descriptor_let_go(descriptor);
    return copy;
}

static const weir_handshake_terms *find(void *context, const uint8_t token[WEIR_TOKEN_BYTES])
{
    weir_nif_handshake *handshake = context;
    if (handshake->token_used || !weir_token_equal(handshake->token, token)) {
        return NULL;
    }
    handshake->token_used = true;
    return &handshake->terms;
}

/* A connection whose descriptor is the handshake's from here on. NULL: it was closed. */
static weir_nif_handshake *begin(ErlNifEnv *env, int fd, const wanted *want)
{
    weir_nif_handshake *h = weir_nif_new(WEIR_NIF_handshake, sizeof *h);
    if (h == NULL) {
        (void)weir_os()->close(fd);
        return NULL;
    }
    weir_handshake_begin(&h->handshake, fd, weir_deadline_in(want->timeout_ms * WEIR_NS_PER_MS),
                         find, h);
    h->is_open = true;
    h->watch_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    h->request_eventfd = duplicate(want->request);
    h->response_eventfd = duplicate(want->response);
    memcpy(h->token, want->token, sizeof h->token);
    memcpy(h->role, want->role, sizeof h->role);
    memcpy(h->correlation, want->correlation, sizeof h->correlation);
    h->arena = want->arena;
    enif_keep_resource(h->arena);
    h->terms = (weir_handshake_terms){
        .generation = h->arena->terms.generation,
        .arena = &h->arena->arena,
        .request_eventfd = h->request_eventfd,
        .response_eventfd = h->response_eventfd,
        .capabilities = h->arena->terms.capabilities,
        .wake_strategies = WEIR_STRATEGY_BIT(WEIR_WAKE_STRATEGY_EVENTFD),
        .role = h->role[0] != '\0' ? h->role : NULL,
        .correlation = h->correlation[0] != '\0' ? h->correlation : NULL,
    };
    if (!weir_nif_own(env, &h->owned, "weir_handshake") || h->watch_fd < 0 ||
        h->request_eventfd < 0 || h->response_eventfd < 0) {
        enif_release_resource(h);
        return NULL;
    }
    return h;
}

ERL_NIF_TERM weir_nif_listener_accept(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    void *found = NULL;
    wanted want = {.arena = NULL};
    if (!weir_nif_get(env, argv[0], WEIR_NIF_listener, &found) || !get_wanted(env, argv, &want)) {
        return enif_make_badarg(env);
    }
    weir_nif_listener *listener = found;
    weir_error error = {.text = ""};
    int fd = -1;
    enif_mutex_lock(listener->owned.lock);
    weir_status status = WEIR_CLOSED;
    bool is_selected = false;
    if (listener->listener.fd >= 0) {
        status = weir_listener_accept(&listener->listener, &fd, &error);
        if (status == WEIR_EMPTY) {
            is_selected =
                weir_nif_select(env, listener, listener->listener.fd,
                                enif_make_tuple2(env, enif_make_atom(env, "weir_ready"), argv[0]));
            listener->was_selected = listener->was_selected || is_selected;
        }
    }
    enif_mutex_unlock(listener->owned.lock);
    if (is_selected) {
        return weir_nif_atoms.pending_;
    }
    if (status != WEIR_OK) {
        return weir_nif_status(env, status == WEIR_EMPTY ? WEIR_SYSTEM : status, &error);
    }
    weir_nif_handshake *handshake = begin(env, fd, &want);
    return handshake == NULL
               ? weir_nif_refusal(env, WEIR_INVALID,
                                  "an eventfd is closed, or no memory or descriptor is left")
               : weir_nif_ok(env, weir_nif_release_as_term(env, handshake));
}
