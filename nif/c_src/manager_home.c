#include "manager_home.h"

#include <dlfcn.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "callers.h"
#include "turns.h"

#define CLOSED_BIT (UINT64_C(1) << 63)

/* How often the closing thread looks whether the last call has left. */
#define LOOK_NS 200000

weir_nif_home *weir_nif_home_new(void)
{
    weir_nif_home *home = enif_alloc(sizeof *home);
    if (home == NULL) {
        return NULL;
    }
    memset(home, 0, sizeof *home);
    atomic_init(&home->references, 1);
    if (pthread_key_create(&home->turn_key, NULL) != 0) {
        enif_free(home);
        return NULL;
    }
    pthread_mutex_init(&home->lock, NULL);
    weir_nif_records_open(&home->records);
    return home;
}

void weir_nif_home_hold(weir_nif_home *home)
{
    atomic_fetch_add_explicit(&home->references, 1, memory_order_relaxed);
}

void weir_nif_home_let_go(weir_nif_home *home)
{
    if (atomic_fetch_sub_explicit(&home->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (uint32_t i = 0; i < WEIR_NIF_POOLS_MAX; i++) {
        enif_free(home->pools[i].pinned);
    }
    weir_nif_records_close(&home->records);
    pthread_mutex_destroy(&home->lock);
    pthread_key_delete(home->turn_key);
    enif_free(home);
}

bool weir_nif_home_enter(weir_nif_home *home)
{
    if (atomic_fetch_add_explicit(&home->users, 1, memory_order_acquire) & CLOSED_BIT) {
        weir_nif_home_leave(home);
        return false;
    }
    return true;
}

void weir_nif_home_leave(weir_nif_home *home)
{
    atomic_fetch_sub_explicit(&home->users, 1, memory_order_release);
}

ERL_NIF_TERM weir_nif_home_refusal(ErlNifEnv *env)
{
    return weir_nif_refusal(env, WEIR_CLOSED, "the manager is closed; start its instance again");
}

bool weir_nif_manager_enter(ErlNifEnv *env, ERL_NIF_TERM term, weir_nif_manager **manager,
                            ERL_NIF_TERM *refusal)
{
    void *found = NULL;
    if (!weir_nif_get(env, term, WEIR_NIF_manager, &found)) {
        *refusal = enif_make_badarg(env);
        return false;
    }
    *manager = found;
    if (!weir_nif_home_enter((*manager)->home)) {
        *refusal = weir_nif_home_refusal(env);
        return false;
    }
    return true;
}

bool weir_nif_home_owner(weir_nif_home *home, ErlNifPid *owner)
{
    pthread_mutex_lock(&home->lock);
    const bool has_owner = home->has_owner;
    *owner = home->owner;
    pthread_mutex_unlock(&home->lock);
    return has_owner;
}

void weir_nif_pin_library(void)
{
    Dl_info where;
    if (dladdr((const void *)(uintptr_t)weir_nif_pin_library, &where) != 0) {
        /* The handle is given up on purpose: nothing unmaps a library marked so. */
        (void)dlopen(where.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
    }
}

/* ---- closing */

typedef struct closing {
    weir_nif_home *home;        /* a reference of its own */
    weir_nif_manager *resource; /* kept; NULL when the last term is gone already */
} closing;

static void tell_closed(weir_nif_home *home, weir_nif_manager *resource)
{
    ErlNifPid owner;
    ErlNifEnv *message = enif_alloc_env();
    if (message != NULL && weir_nif_home_owner(home, &owner)) {
        (void)enif_send(NULL, &owner, message,
                        enif_make_tuple2(message, enif_make_atom(message, "weir_closed"),
                                         enif_make_resource(message, resource)));
    }
    if (message != NULL) {
        enif_free_env(message);
    }
}

static void *close_down(void *argument)
{
    const closing at = *(closing *)argument;
    enif_free(argument);
    while (atomic_load_explicit(&at.home->users, memory_order_acquire) != CLOSED_BIT) {
        nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL); /* Each call is short. */
    }
    if (at.home->manager != NULL) {
        weir_nif_round round;
        weir_nif_round_begin(at.home, &round, NULL);
        weir_manager_destroy(at.home->manager);
        weir_nif_round_end(&round);
        weir_nif_callers_forget(at.home);
    }
    if (at.resource != NULL) {
        tell_closed(at.home, at.resource);
        enif_release_resource(at.resource);
    }
    weir_nif_home_let_go(at.home);
    return NULL;
}

/* Detached: nobody could wait for it, and the library stays mapped for it. */
static bool start_thread(closing *at)
{
    pthread_t thread;
    pthread_attr_t attributes;
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* The emulator's signals are not for it. */
    const bool is_started = pthread_create(&thread, &attributes, close_down, at) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return is_started;
}

static void close_behind(weir_nif_home *home, weir_nif_manager *resource)
{
    closing *at = enif_alloc(sizeof *at);
    *at = (closing){.home = home, .resource = resource};
    weir_nif_home_hold(home);
    if (!start_thread(at)) {
        close_down(at); /* Without threads the emulator has worse problems than a wait. */
    }
}

void weir_nif_manager_shut(ErlNifEnv *env, weir_nif_manager *manager)
{
    weir_nif_home *home = manager->home;
    pthread_mutex_lock(&home->lock);
    const bool was_closing = home->is_closing;
    const bool was_selected = home->was_selected;
    home->is_closing = true;
    pthread_mutex_unlock(&home->lock);
    if (was_closing) {
        return;
    }
    atomic_fetch_or_explicit(&home->users, CLOSED_BIT, memory_order_acq_rel);
    enif_keep_resource(manager);
    /* The descriptor must leave the emulator's poll set before libweir closes it; the stop callback
     * goes on. */
    if (!was_selected || enif_select(env, home->descriptor, ERL_NIF_SELECT_STOP, manager, NULL,
                                     weir_nif_atoms.undefined_) < 0) {
        close_behind(home, manager);
    }
}

void weir_nif_manager_stop(ErlNifEnv *env, void *resource, ErlNifEvent event, int is_direct)
{
    (void)env;
    (void)event;
    (void)is_direct;
    weir_nif_note(WEIR_NIF_STOP, resource);
    close_behind(((weir_nif_manager *)resource)->home, resource);
}

void weir_nif_manager_down(ErlNifEnv *env, void *resource, ErlNifPid *pid, ErlNifMonitor *monitor)
{
    (void)pid;
    weir_nif_manager *manager = resource;
    pthread_mutex_lock(&manager->home->lock);
    const bool is_owner =
        manager->home->has_owner && enif_compare_monitors(&manager->home->monitor, monitor) == 0;
    pthread_mutex_unlock(&manager->home->lock);
    weir_nif_note(WEIR_NIF_DOWN, resource);
    if (is_owner) {
        weir_nif_manager_shut(env, manager);
    }
}

void weir_nif_manager_free(ErlNifEnv *env, void *resource)
{
    (void)env;
    weir_nif_home *home = ((weir_nif_manager *)resource)->home;
    if (home == NULL) {
        return;
    }
    if (!home->is_closing && home->manager != NULL) { /* Nobody else is left: no lock. */
        home->is_closing = true;
        atomic_fetch_or_explicit(&home->users, CLOSED_BIT, memory_order_acq_rel);
        close_behind(home, NULL);
    }
    weir_nif_home_let_go(home);
}
