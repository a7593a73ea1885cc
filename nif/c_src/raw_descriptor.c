#include "raw_descriptor.h"

#include <errno.h>
#include <sys/eventfd.h>

#include "base/os.h"

ERL_NIF_TERM weir_nif_descriptor_adopt(ErlNifEnv *env, int fd, weir_nif_descriptor **made)
{
    weir_nif_descriptor *descriptor = weir_nif_new(WEIR_NIF_descriptor, sizeof *descriptor);
    if (descriptor == NULL) {
        weir_os()->close(fd);
        return weir_nif_refusal(env, WEIR_NO_MEMORY, "no memory for a descriptor");
    }
    descriptor->fd = fd;
    descriptor->lock = enif_mutex_create("weir_descriptor");
    enif_self(env, &descriptor->owner);
    if (descriptor->lock == NULL ||
        enif_monitor_process(env, descriptor, &descriptor->owner, &descriptor->monitor) != 0) {
        enif_release_resource(descriptor); /* the destructor closes it */
        return weir_nif_refusal(env, WEIR_NO_MEMORY, "the descriptor could not be given an owner");
    }
    if (made != NULL) {
        *made = descriptor;
    }
    return weir_nif_ok(env, weir_nif_release_as_term(env, descriptor));
}

bool weir_nif_descriptor_hold(weir_nif_descriptor *descriptor, int *fd)
{
    enif_mutex_lock(descriptor->lock);
    if (descriptor->fd < 0) {
        enif_mutex_unlock(descriptor->lock);
        return false;
    }
    *fd = descriptor->fd;
    return true;
}

void weir_nif_descriptor_let_go(weir_nif_descriptor *descriptor)
{
    enif_mutex_unlock(descriptor->lock);
}

bool weir_nif_descriptor_close_now(ErlNifEnv *env, weir_nif_descriptor *descriptor)
{
    enif_mutex_lock(descriptor->lock);
    const int fd = descriptor->fd;
    const bool was_selected = descriptor->was_selected;
    descriptor->fd = -1;
    enif_mutex_unlock(descriptor->lock);
    if (fd < 0) {
        return false;
    }
    /* Not under the lock: the stop callback may run before enif_select returns. */
    if (!was_selected || enif_select(env, fd, ERL_NIF_SELECT_STOP, descriptor, NULL,
                                     weir_nif_atoms.undefined_) < 0) {
        weir_os()->close(fd);
    }
    return true;
}

void weir_nif_descriptor_free(ErlNifEnv *env, void *resource)
{
    (void)env;
    weir_nif_descriptor *descriptor = resource;
    /* A descriptor in the poll set keeps its resource alive: this one is not there (any more). */
    if (descriptor->fd >= 0) {
        weir_os()->close(descriptor->fd);
    }
    if (descriptor->lock != NULL) {
        enif_mutex_destroy(descriptor->lock);
    }
}

void weir_nif_descriptor_stop(ErlNifEnv *env, void *resource, ErlNifEvent event, int is_direct)
{
    (void)env;
    (void)is_direct;
    weir_nif_note(WEIR_NIF_STOP, resource);
    weir_os()->close(event);
}

void weir_nif_descriptor_down(ErlNifEnv *env, void *resource, ErlNifPid *pid,
                              ErlNifMonitor *monitor)
{
    (void)pid;
    (void)monitor;
    weir_nif_note(WEIR_NIF_DOWN, resource);
    (void)weir_nif_descriptor_close_now(env, resource);
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
    return weir_nif_descriptor_adopt(env, fd, NULL);
}

ERL_NIF_TERM weir_nif_descriptor_close(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    void *descriptor = NULL;
    if (!weir_nif_get(env, argv[0], WEIR_NIF_descriptor, &descriptor)) {
        return enif_make_badarg(env);
    }
    return weir_nif_descriptor_close_now(env, descriptor)
               ? weir_nif_atoms.ok_
               : weir_nif_refusal(env, WEIR_CLOSED, "the descriptor was closed before");
}

ERL_NIF_TERM weir_nif_descriptor_is_open(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    void *descriptor = NULL;
    int fd = -1;
    if (!weir_nif_get(env, argv[0], WEIR_NIF_descriptor, &descriptor)) {
        return enif_make_badarg(env);
    }
    const bool is_open = weir_nif_descriptor_hold(descriptor, &fd);
    if (is_open) {
        weir_nif_descriptor_let_go(descriptor);
    }
    return weir_nif_bool(is_open);
}
