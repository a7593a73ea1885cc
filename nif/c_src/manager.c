#include "manager.h"

#include <string.h>

#include "events.h"
#include "manager_options.h"
#include "turns.h"

/* ---- making */

ERL_NIF_TERM weir_nif_manager_create(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    weir_nif_manager_arguments arguments;
    if (!weir_nif_read_manager_options(env, argv[0], &arguments)) {
        return enif_make_badarg(env);
    }
    weir_nif_manager *manager = weir_nif_new(WEIR_NIF_manager, sizeof *manager);
    if (manager != NULL) {
        manager->home = weir_nif_home_new();
    }
    if (manager == NULL || manager->home == NULL) {
        if (manager != NULL) {
            enif_release_resource(manager);
        }
        return weir_nif_refusal(env, WEIR_NO_MEMORY, "no memory for a manager");
    }
    weir_nif_home *home = manager->home;
    weir_nif_pin_library();
    home->host = (weir_host){.start = weir_nif_tell_order, .context = home};
    arguments.options.host = &home->host;
    arguments.options.on_event = weir_nif_tell_event;
    arguments.options.event_context = home;
    weir_error error = {.text = ""};
    const weir_status status = weir_manager_create(&arguments.options, &home->manager, &error);
    if (status != WEIR_OK) {
        home->manager = NULL;
        enif_release_resource(manager);
        return weir_nif_status(env, status, &error);
    }
    home->descriptor = weir_host_descriptor(home->manager);
    return weir_nif_ok(env, weir_nif_release_as_term(env, manager));
}

/* What pinning needs to know; without memory for it the pool is simply not trusted. */
static void remember_pool(weir_nif_home *home, weir_pool_id id,
                          const weir_nif_pool_arguments *arguments)
{
    weir_nif_pool *pool = &home->pools[id];
    weir_arena_config arena = arguments->options.arena;
    if (arena.ring_capacity == 0) {
        weir_arena_config_default(&arena);
    }
    const uint32_t workers = arguments->options.worker_count;
    pool->seats = (workers > 0 ? workers : 1) + 1; /* Reloads use a spare one. */
    pool->class_count = arena.response_class_count;
    memcpy(pool->classes, arena.response_class, sizeof pool->classes);
    if (arguments->is_trusted) {
        const size_t bytes = pool->seats * WEIR_SIZE_CLASSES_MAX * sizeof *pool->pinned;
        pool->pinned = enif_alloc(bytes);
        if (pool->pinned != NULL) {
            memset(pool->pinned, 0, bytes);
            pool->is_trusted = true;
        }
    }
    atomic_store_explicit(&pool->is_there, true, memory_order_release);
}

ERL_NIF_TERM weir_nif_manager_add_pool(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    weir_nif_pool_arguments arguments;
    weir_nif_manager *manager;
    ERL_NIF_TERM result;
    if (!weir_nif_manager_enter(env, argv[0], &manager, &result)) {
        return result;
    }
    weir_nif_home *home = manager->home;
    if (!weir_nif_read_pool_options(env, argv[1], &arguments)) {
        weir_nif_home_leave(home);
        return enif_make_badarg(env);
    }
    weir_nif_round round;
    weir_pool_id id = 0;
    weir_error error = {.text = ""};
    weir_nif_round_begin(home, &round, env);
    const weir_status status =
        weir_manager_add_pool(home->manager, &arguments.options, &id, &error);
    weir_nif_round_end(&round);
    if (status == WEIR_OK) {
        remember_pool(home, id, &arguments);
        result = weir_nif_ok(env, enif_make_uint(env, id));
    } else {
        result = weir_nif_status(env, status, &error);
    }
    weir_nif_home_leave(home);
    return result;
}

ERL_NIF_TERM weir_nif_manager_adopt(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    weir_nif_manager *manager;
    ERL_NIF_TERM refusal;
    ErlNifPid pid;
    if (enif_get_local_pid(env, argv[1], &pid) == 0) {
        return enif_make_badarg(env);
    }
    if (!weir_nif_manager_enter(env, argv[0], &manager, &refusal)) {
        return refusal;
    }
    weir_nif_home *home = manager->home;
    ErlNifMonitor monitor;
    const bool is_alive = enif_monitor_process(env, manager, &pid, &monitor) == 0;
    if (is_alive) {
        pthread_mutex_lock(&home->lock);
        const bool had_owner = home->has_owner;
        ErlNifMonitor former = home->monitor;
        home->has_owner = true;
        home->owner = pid;
        home->monitor = monitor;
        pthread_mutex_unlock(&home->lock);
        if (had_owner) {
            (void)enif_demonitor_process(env, manager, &former);
        }
    }
    weir_nif_home_leave(home);
    return is_alive ? weir_nif_atoms.ok_
                    : weir_nif_refusal(env, WEIR_NOT_FOUND, "the process does not live");
}

/* ---- workers */

ERL_NIF_TERM weir_nif_start_worker(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    weir_nif_manager *manager;
    ERL_NIF_TERM refusal;
    uint32_t pool = 0;
    uint32_t seat = 0;
    if (!weir_nif_get_u32(env, argv[1], 0, UINT32_MAX, &pool) ||
        !weir_nif_get_u32(env, argv[2], 0, UINT32_MAX, &seat)) {
        return enif_make_badarg(env);
    }
    if (!weir_nif_manager_enter(env, argv[0], &manager, &refusal)) {
        return refusal;
    }
    const weir_status status = weir_host_start_worker(manager->home->manager, pool, seat);
    weir_nif_kick(env, manager); /* The order comes in its next long turn. */
    weir_nif_home_leave(manager->home);
    switch (status) {
    case WEIR_OK:
        return weir_nif_atoms.ok_;
    case WEIR_FULL:
        return weir_nif_refusal(env, status, "the seat is taken; wait for the event vacant");
    default:
        return weir_nif_refusal(env, WEIR_NOT_FOUND, "there is no such pool or seat");
    }
}

ERL_NIF_TERM weir_nif_start_failed(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    weir_nif_manager *manager;
    ERL_NIF_TERM refusal;
    uint32_t numbers[3];
    char sentence[512];
    for (int i = 0; i < 3; i++) {
        if (!weir_nif_get_u32(env, argv[1 + i], 0, UINT32_MAX, &numbers[i])) {
            return enif_make_badarg(env);
        }
    }
    if (!weir_nif_get_text(env, argv[4], sentence, sizeof sentence)) {
        return enif_make_badarg(env);
    }
    if (!weir_nif_manager_enter(env, argv[0], &manager, &refusal)) {
        return refusal;
    }
    const weir_status status = weir_host_start_failed(manager->home->manager, numbers[0],
                                                      numbers[1], numbers[2], sentence);
    weir_nif_kick(env, manager);
    weir_nif_home_leave(manager->home);
    return status == WEIR_OK ? weir_nif_atoms.ok_
                             : weir_nif_refusal(env, WEIR_NOT_FOUND,
                                                "no seat waits for that generation's process");
}

ERL_NIF_TERM weir_nif_reload(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    weir_nif_manager *manager;
    ERL_NIF_TERM result;
    uint32_t pool = 0;
    if (!weir_nif_get_u32(env, argv[1], 0, UINT32_MAX, &pool)) {
        return enif_make_badarg(env);
    }
    if (!weir_nif_manager_enter(env, argv[0], &manager, &result)) {
        return result;
    }
    weir_error error = {.text = ""};
    /* The deadline is long past: it is only begun here; the event "reloaded" tells its end. */
    const weir_status status = weir_manager_reload(manager->home->manager, pool, 1, &error);
    weir_nif_kick(env, manager);
    weir_nif_home_leave(manager->home);
    return status == WEIR_TIMEOUT ? weir_nif_atoms.ok_ : weir_nif_status(env, status, &error);
}

/* ---- the end */

static ERL_NIF_TERM drain(ErlNifEnv *env, ERL_NIF_TERM term, bool tells)
{
    weir_nif_manager *manager;
    ERL_NIF_TERM refusal;
    if (!weir_nif_manager_enter(env, term, &manager, &refusal)) {
        return refusal;
    }
    /* The deadline is long past: nothing is waited for. */
    const weir_status status = weir_manager_drain(manager->home->manager, 1);
    weir_nif_home_leave(manager->home);
    return tells ? weir_nif_bool(status == WEIR_OK) : weir_nif_atoms.ok_;
}

ERL_NIF_TERM weir_nif_drain_begin(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    return drain(env, argv[0], false);
}

ERL_NIF_TERM weir_nif_is_drained(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    return drain(env, argv[0], true);
}

ERL_NIF_TERM weir_nif_manager_close(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    void *manager = NULL;
    if (!weir_nif_get(env, argv[0], WEIR_NIF_manager, &manager)) {
        return enif_make_badarg(env);
    }
    weir_nif_manager_shut(env, manager);
    return weir_nif_atoms.ok_;
}
