#include "raw_descriptor.h"

#include <errno.h>
#include <sys/eventfd.h>

#include "base/os.h"

#define ANY_USE (~0u)

ERL_NIF_TERM weir_nif_descriptor_adopt(ErlNifEnv *env, int fd, weir_nif_descriptor_use use,
                                       ERL_NIF_TERM *term)
{
    weir_nif_descriptor *descriptor = weir_nif_new(WEIR_NIF_descriptor, sizeof *descriptor);
    if (descriptor == NULL) {
        (void)weir_os()->close(fd);
        return weir_nif_refusal(env, WEIR_NO_MEMORY, "no memory for a descriptor");
    }
    descriptor->fd = fd;
    descriptor->use = use;
    if (!weir_nif_own(env, &descriptor->owned, "weir_descriptor")) {
        enif_release_resource(descriptor); /* the destructor closes it */
        return weir_nif_refusal(env, WEIR_NO_MEMORY, "the descriptor could not be given an owner");
    }
    const ERL_NIF_TERM made = weir_nif_release_as_term(env, descriptor);
    if (term != NULL) {
        *term = made;
    }
    return weir_nif_ok(env, made);
}

bool weir_nif_descriptor_get(ErlNifEnv *env, ERL_NIF_TERM term, unsigned uses,
                             weir_nif_descriptor **descriptor)
{
    void *found = NULL;
    if (!weir_nif_get(env, term, WEIR_NIF_descriptor, &found)) {
        return false;
    }
    *descriptor = found;
    return (uses & (1u << (*descriptor)->use)) != 0;
}

bool weir_nif_descriptor_hold(weir_nif_descriptor *descriptor, int *fd)
{
    enif_mutex_lock(descriptor->owned.lock);
    if (descriptor->fd < 0) {
        enif_mutex_unlock(descriptor->owned.lock);
        return false;
    }
    *fd = descriptor->fd;
    return true;
}

void weir_nif_descriptor_let_go(weir_nif_descriptor *descriptor)
{
    enif_mutex_unlock(descriptor->owned.lock);
}

ERL_NIF_TERM weir_nif_descriptor_is_closed(ErlNifEnv *env)
{
    return weir_nif_refusal(env, WEIR_CLOSED, "the descriptor was closed before");
}

static bool close_now(ErlNifEnv *env, weir_nif_descriptor *descriptor)
{
    int fd = -1;
    if (!weir_nif_descriptor_hold(descriptor, &fd)) {
        return false;
    }
    descriptor->fd = -1;
    const bool was_selected = descriptor->was_selected;
    weir_nif_descriptor_let_go(descriptor);
    weir_nif_close(env, descriptor, fd, was_selected);
    weir_nif_disown(env, &descriptor->owned);
    return true;
}

void weir_nif_descriptor_free(ErlNifEnv *env, void *resource)
{
    (void)env;
    weir_nif_descriptor *descriptor = resource;
    /* A descriptor in the poll set keeps its resource alive: this one is not there (any more). */
    if (descriptor->fd >= 0) {
        (void)weir_os()->close(descriptor->fd);
    }
    weir_nif_unlock_for_good(&descriptor->owned);
}

void weir_nif_descriptor_down(ErlNifEnv *env, void *resource, ErlNifPid *pid,
                              ErlNifMonitor *monitor)
{
    (void)pid;
    (void)monitor;
    weir_nif_note(WEIR_NIF_DOWN, resource);
    (void)close_now(env, resource);
}

ERL_NIF_TERM weir_nif_eventfd_create(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    (void)argv;
    const int fd = weir_os()->eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) {
        weir_error error;
        const weir_status status = weir_error_system(&error, errno, "cannot make an eventfd",
                                                     "raise the limit of open files (ulimit -n)");
        return weir_nif_status(env, status, &error);
    }
    return weir_nif_descriptor_adopt(env, fd, WEIR_NIF_DESCRIPTOR_EVENTFD, NULL);
}

/* Rings or drains. */
static ERL_NIF_TERM use_eventfd(ErlNifEnv *env, ERL_NIF_TERM term, int (*call)(int fd),
                                const char *doing)
{
    weir_nif_descriptor *descriptor = NULL;
    int fd = -1;
    if (!weir_nif_descriptor_get(env, term, 1u << WEIR_NIF_DESCRIPTOR_EVENTFD, &descriptor)) {
        return enif_make_badarg(env);
    }
    if (!weir_nif_descriptor_hold(descriptor, &fd)) {
        return weir_nif_descriptor_is_closed(env);
    }
    const int result = call(fd);
    const int reason = errno;
    weir_nif_descriptor_let_go(descriptor);
    if (result == 0) {
        return weir_nif_atoms.ok_;
    }
    if (reason == EAGAIN) {
        return weir_nif_refusal(env, WEIR_EMPTY, "nobody has rung the eventfd");
    }
    weir_error error;
    const weir_status status = weir_error_system(&error, reason, doing, NULL);
    return weir_nif_status(env, status, &error);
}

ERL_NIF_TERM weir_nif_eventfd_ring(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    return use_eventfd(env, argv[0], weir_os()->eventfd_ring, "cannot ring the eventfd");
}

ERL_NIF_TERM weir_nif_eventfd_drain(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    return use_eventfd(env, argv[0], weir_os()->eventfd_drain, "cannot drain the eventfd");
}

ERL_NIF_TERM weir_nif_descriptor_select(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    weir_nif_descriptor *descriptor = NULL;
    int fd = -1;
    if (!weir_nif_descriptor_get(env, argv[0], ANY_USE, &descriptor)) {
        return enif_make_badarg(env);
    }
    if (!weir_nif_descriptor_hold(descriptor, &fd)) {
        return weir_nif_descriptor_is_closed(env);
    }
    const ERL_NIF_TERM message = enif_make_tuple2(env, enif_make_atom(env, "weir_ready"), argv[0]);
    const bool is_selected = weir_nif_select(env, descriptor, fd, message);
    descriptor->was_selected = descriptor->was_selected || is_selected;
    weir_nif_descriptor_let_go(descriptor);
    return is_selected
               ? weir_nif_atoms.ok_
               : weir_nif_refusal(env, WEIR_UNSUPPORTED, "this descriptor cannot be waited for");
}

ERL_NIF_TERM weir_nif_descriptor_close(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    weir_nif_descriptor *descriptor = NULL;
    if (!weir_nif_descriptor_get(env, argv[0], ANY_USE, &descriptor)) {
        return enif_make_badarg(env);
    }
    return close_now(env, descriptor) ? weir_nif_atoms.ok_ : weir_nif_descriptor_is_closed(env);
}

ERL_NIF_TERM weir_nif_descriptor_is_open(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    weir_nif_descriptor *descriptor = NULL;
    int fd = -1;
    if (!weir_nif_descriptor_get(env, argv[0], ANY_USE, &descriptor)) {
        return enif_make_badarg(env);
    }
    const bool is_open = weir_nif_descriptor_hold(descriptor, &fd);
    if (is_open) {
        weir_nif_descriptor_let_go(descriptor);
    }
    return weir_nif_bool(is_open);
}
