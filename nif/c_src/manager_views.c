/* What a manager looks like from Elixir: its counters and its workers. */
#include <string.h>

#include "layout/generated/weir_layout.h"
#include "manager.h"

#define WORKERS_MAX 256

/* map[name] = value, for each listed counter of a struct. */
#define PUT(name) weir_nif_map_put(env, &map, #name, enif_make_uint64(env, from->name));

/* The formatter would move such a list with every run. */
/* clang-format off */
#define STATS(X) \
    X(submitted) X(sent) X(resent) X(deferred) X(stray_replies) X(protocol_errors) \
    X(bytes_copied) X(wakes_sent) X(parks) X(spin_hits) X(restarts) X(held_bytes) X(in_flight) \
    X(deferred_now) X(slots_taken) X(mappings)
/* clang-format on */

static ERL_NIF_TERM stats_term(ErlNifEnv *env, const weir_manager_stats *from)
{
    ERL_NIF_TERM map = enif_make_new_map(env);
    ERL_NIF_TERM outcomes = enif_make_new_map(env);
    STATS(PUT)
    for (uint16_t i = 1; i < WEIR_OUTCOME_CODES; i++) {
        weir_nif_map_put(env, &outcomes, weir_outcome_name(i),
                         enif_make_uint64(env, from->outcomes[i]));
    }
    weir_nif_map_put(env, &map, "outcomes", outcomes);
    return map;
}

ERL_NIF_TERM weir_nif_stats(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    weir_nif_manager *manager;
    ERL_NIF_TERM refusal;
    if (!weir_nif_manager_enter(env, argv[0], &manager, &refusal)) {
        return refusal;
    }
    weir_manager_stats stats;
    weir_manager_read_stats(manager->home->manager, &stats);
    weir_nif_home_leave(manager->home);
    return stats_term(env, &stats);
}

/* The formatter would move such a list with every run. */
/* clang-format off */
#define WORKER(X) \
    X(pool) X(seat) X(generation) X(layout_minor) X(capabilities) X(wake_strategy) X(restarts) \
    X(in_flight) X(request_slots_taken) X(ready_since_ns) X(beat_ns) X(beat_count) X(jobs_ok) \
    X(jobs_failed) X(last_job_ns) X(busy_since_ns) X(queue_depth) X(parks) X(spin_hits) \
    X(wakes_sent) X(bytes_copied) X(errors)
/* clang-format on */

static ERL_NIF_TERM worker_term(ErlNifEnv *env, const weir_worker_info *from)
{
    ERL_NIF_TERM map = enif_make_new_map(env);
    WORKER(PUT)
    weir_nif_map_put(env, &map, "pid", enif_make_int(env, from->pid));
    weir_nif_map_put(env, &map, "role", weir_nif_text(env, from->role));
    weir_nif_map_put(env, &map, "language", weir_nif_text(env, from->language));
    weir_nif_map_put(env, &map, "state", enif_make_atom(env, weir_seat_state_name(from->state)));
    weir_nif_map_put(env, &map, "torn", weir_nif_bool(from->torn));
    return map;
}

ERL_NIF_TERM weir_nif_workers(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    weir_nif_manager *manager;
    ERL_NIF_TERM refusal;
    if (!weir_nif_manager_enter(env, argv[0], &manager, &refusal)) {
        return refusal;
    }
    weir_worker_info *workers = enif_alloc(WORKERS_MAX * sizeof *workers);
    if (workers == NULL) {
        weir_nif_home_leave(manager->home);
        return weir_nif_refusal(env, WEIR_NO_MEMORY, "no memory for the list of workers");
    }
    size_t count = weir_manager_read_workers(manager->home->manager, workers, WORKERS_MAX);
    weir_nif_home_leave(manager->home);
    count = count < WORKERS_MAX ? count : WORKERS_MAX;
    ERL_NIF_TERM list = enif_make_list(env, 0);
    for (size_t i = count; i > 0; i--) {
        list = enif_make_list_cell(env, worker_term(env, &workers[i - 1]), list);
    }
    enif_free(workers);
    return list;
}
