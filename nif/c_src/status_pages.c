#include "status_pages.h"

#include <stdio.h>
#include <string.h>

#include "layout/generated/weir_layout.h"
#include "weir/status_page.h"

/* More managers than one user runs. */
#define MANAGERS_MAX 256

/* map[name] = value, for each listed number of a struct. */
#define PUT(name) weir_nif_map_put(env, &map, #name, enif_make_uint64(env, from->name));

static void put_text(ErlNifEnv *env, ERL_NIF_TERM *map, const char *name, const void *text)
{
    weir_nif_map_put(env, map, name, weir_nif_text(env, text));
}

/* Only for names that the layout has: an unknown value is :unknown. */
static void put_atom(ErlNifEnv *env, ERL_NIF_TERM *map, const char *name, const char *atom)
{
    weir_nif_map_put(env, map, name, enif_make_atom(env, atom));
}

/* The names of the bits that are set; bits without a name are left out. */
static ERL_NIF_TERM bits_term(ErlNifEnv *env, uint32_t bits, const char *(*name_of)(uint32_t))
{
    ERL_NIF_TERM list = enif_make_list(env, 0);
    for (uint32_t bit = UINT32_C(1) << 31; bit != 0; bit >>= 1) {
        if ((bits & bit) != 0 && strcmp(name_of(bit), "unknown") != 0) {
            list = enif_make_list_cell(env, enif_make_atom(env, name_of(bit)), list);
        }
    }
    return list;
}

static ERL_NIF_TERM process_term(ErlNifEnv *env, const weir_process_view *from)
{
    ERL_NIF_TERM map = enif_make_new_map(env);
    const char state[2] = {from->state, '\0'};
    put_text(env, &map, "state", state);
    PUT(cpu_ns)
    return map;
}

/* ---- one manager */

/* clang-format off */
#define HEADER(X) \
    X(pid) X(layout_major) X(layout_minor) X(started_ns) X(started_wall_ns) X(updated_ns) \
    X(seat_total) X(pool_count) X(event_count) X(submitted) X(sent) X(resent) X(deferred) \
    X(deferred_now) X(in_flight) X(stray_replies) X(protocol_errors) X(restarts) X(slots_taken) \
    X(held_bytes) X(bytes_copied) X(wakes_sent) X(parks) X(spin_hits) X(mappings)
/* clang-format on */

static ERL_NIF_TERM header_term(ErlNifEnv *env, const struct weir_status_header *from)
{
    ERL_NIF_TERM map = enif_make_new_map(env);
    ERL_NIF_TERM outcomes = enif_make_new_map(env);
    HEADER(PUT)
    for (uint32_t i = 1; i < WEIR_OUTCOME_COUNT; i++) {
        weir_nif_map_put(env, &outcomes, weir_outcome_name(i),
                         enif_make_uint64(env, from->outcomes[i]));
    }
    weir_nif_map_put(env, &map, "outcomes", outcomes);
    put_text(env, &map, "name", from->name);
    put_atom(env, &map, "kind", weir_manager_kind_name(from->kind));
    put_atom(env, &map, "wake_strategy", weir_wake_strategy_name(from->wake_strategy));
    weir_nif_map_put(env, &map, "layout_digest",
                     weir_nif_bytes(env, from->layout_digest, sizeof from->layout_digest));
    weir_nif_map_put(env, &map, "flags", bits_term(env, from->flags, weir_status_flag_name));
    weir_nif_map_put(env, &map, "torn", weir_nif_bool((from->sequence & 1) != 0));
    return map;
}

/* clang-format off */
#define SEAT(X) \
    X(pool) X(seat) X(pid) X(generation) X(layout_minor) X(protocol_version) X(restarts) \
    X(deaths_in_row) X(in_flight) X(in_flight_max) X(ring_capacity) X(request_fill) \
    X(response_fill) X(request_slots) X(request_slots_taken) X(response_slots) \
    X(response_slots_held) X(wake_switches) X(spawned_ns) X(ready_ns) X(start_at_ns) \
    X(beat_seen_ns) X(beat_count) X(beat_ns) X(progress) X(queue_depth) X(busy_since_ns) \
    X(last_job_ns) X(jobs_ok) X(jobs_failed) X(errors) X(parks) X(spin_hits) X(wakes_sent) \
    X(bytes_copied) X(request_bytes) X(response_bytes) X(slot_waits)
/* clang-format on */

static ERL_NIF_TERM seat_term(ErlNifEnv *env, const struct weir_status_seat *from,
                              const weir_process_view *process)
{
    ERL_NIF_TERM map = enif_make_new_map(env);
    SEAT(PUT)
    put_text(env, &map, "role", from->role);
    put_text(env, &map, "language", from->language);
    put_atom(env, &map, "state", weir_status_seat_state_name(from->state));
    put_atom(env, &map, "wake_strategy", weir_wake_strategy_name(from->wake_strategy));
    put_atom(env, &map, "distrust_reason", weir_error_code_name(from->distrust_reason));
    weir_nif_map_put(env, &map, "flags", bits_term(env, from->flags, weir_status_seat_flag_name));
    weir_nif_map_put(env, &map, "capabilities",
                     bits_term(env, from->capabilities, weir_capability_name));
    weir_nif_map_put(env, &map, "process", process_term(env, process));
    weir_nif_map_put(env, &map, "torn", weir_nif_bool((from->sequence & 1) != 0));
    return map;
}

static ERL_NIF_TERM event_term(ErlNifEnv *env, const struct weir_status_event *from)
{
    ERL_NIF_TERM map = enif_make_new_map(env);
    PUT(number)
    PUT(time_ns)
    PUT(pool)
    PUT(seat)
    PUT(generation)
    PUT(pid)
    put_text(env, &map, "kind", from->kind);
    put_text(env, &map, "role", from->role);
    put_text(env, &map, "text", from->text);
    weir_nif_map_put(env, &map, "torn", weir_nif_bool((from->sequence & 1) != 0));
    return map;
}

/* clang-format off */
#define LINK(X) \
    X(from_pool) X(from_seat) X(from_generation) X(to_pool) X(to_seat) X(to_generation) X(state) \
    X(created_ns) X(exchanges) X(bytes)
/* clang-format on */

static ERL_NIF_TERM link_term(ErlNifEnv *env, const struct weir_status_link *from)
{
    ERL_NIF_TERM map = enif_make_new_map(env);
    LINK(PUT)
    weir_nif_map_put(env, &map, "torn", weir_nif_bool((from->sequence & 1) != 0));
    return map;
}

static ERL_NIF_TERM snapshot_term(ErlNifEnv *env, const weir_status_snapshot *from)
{
    ERL_NIF_TERM map = enif_make_new_map(env);
    ERL_NIF_TERM seats = enif_make_list(env, 0);
    ERL_NIF_TERM events = enif_make_list(env, 0);
    ERL_NIF_TERM links = enif_make_list(env, 0);
    for (uint32_t i = from->header->seat_count; i > 0; i--) {
        seats = enif_make_list_cell(env, seat_term(env, &from->seats[i - 1], &from->workers[i - 1]),
                                    seats);
    }
    for (size_t i = from->event_count; i > 0; i--) {
        events = enif_make_list_cell(env, event_term(env, &from->events[i - 1]), events);
    }
    for (uint32_t i = from->header->link_count; i > 0; i--) {
        links = enif_make_list_cell(env, link_term(env, &from->links[i - 1]), links);
    }
    PUT(read_ns)
    put_atom(env, &map, "life", weir_manager_life_name(from->life));
    weir_nif_map_put(env, &map, "torn", weir_nif_bool(from->is_torn));
    weir_nif_map_put(env, &map, "process", process_term(env, &from->process));
    weir_nif_map_put(env, &map, "manager", header_term(env, from->header));
    weir_nif_map_put(env, &map, "seats", seats);
    weir_nif_map_put(env, &map, "events", events);
    weir_nif_map_put(env, &map, "links", links);
    return map;
}

/* ---- the functions */

/* A path, or nil for the default. */
static bool get_base(ErlNifEnv *env, ERL_NIF_TERM term, char *text, size_t size, const char **base)
{
    *base = NULL;
    if (enif_is_identical(term, weir_nif_atoms.nil_)) {
        return true;
    }
    *base = text;
    return weir_nif_get_text(env, term, text, size);
}

static ERL_NIF_TERM entry_term(ErlNifEnv *env, const weir_status_entry *from)
{
    ERL_NIF_TERM map = enif_make_new_map(env);
    const char *slash = strrchr(from->directory, '/');
    put_text(env, &map, "id", slash != NULL ? slash + 1 : from->directory);
    put_text(env, &map, "name", from->name);
    weir_nif_map_put(env, &map, "pid", enif_make_int(env, from->pid));
    put_atom(env, &map, "kind", weir_manager_kind_name(from->kind));
    put_atom(env, &map, "life", weir_manager_life_name(from->life));
    put_atom(env, &map, "status", weir_status_name(from->status));
    return map;
}

ERL_NIF_TERM weir_nif_status_list(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    char text[256];
    char path[256];
    const char *base;
    if (!get_base(env, argv[0], text, sizeof text, &base)) {
        return enif_make_badarg(env);
    }
    weir_error error = {{0}};
    weir_status status = weir_status_directory(base, path, sizeof path, &error);
    if (status != WEIR_OK) {
        return weir_nif_status(env, status, &error);
    }
    weir_status_entry *entries = enif_alloc(MANAGERS_MAX * sizeof *entries);
    if (entries == NULL) {
        return weir_nif_refusal(env, WEIR_NO_MEMORY, "no memory for the list of managers");
    }
    size_t found = 0;
    status = weir_status_list(base, entries, MANAGERS_MAX, &found, &error);
    ERL_NIF_TERM list = enif_make_list(env, 0);
    for (size_t i = found < MANAGERS_MAX ? found : MANAGERS_MAX; i > 0; i--) {
        list = enif_make_list_cell(env, entry_term(env, &entries[i - 1]), list);
    }
    enif_free(entries);
    if (status != WEIR_OK && status != WEIR_NOT_FOUND) {
        return weir_nif_status(env, status, &error);
    }
    return weir_nif_ok(env, enif_make_tuple2(env, weir_nif_text(env, path), list));
}

/* The name of a private directory and nothing that leads out of the runtime directory. */
static bool is_id(const char *id)
{
    return strncmp(id, "m-", 2) == 0 && strchr(id, '/') == NULL;
}

ERL_NIF_TERM weir_nif_status_read(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    char text[256];
    char path[256];
    char id[128];
    char directory[400];
    const char *base;
    if (!get_base(env, argv[0], text, sizeof text, &base) ||
        !weir_nif_get_text(env, argv[1], id, sizeof id) || !is_id(id)) {
        return enif_make_badarg(env);
    }
    weir_error error = {{0}};
    weir_status_snapshot *snapshot = NULL;
    weir_status status = weir_status_directory(base, path, sizeof path, &error);
    if (status == WEIR_OK) {
        (void)snprintf(directory, sizeof directory, "%s/%s", path, id);
        status = weir_status_open(directory, &snapshot, &error);
    }
    if (status != WEIR_OK) {
        return weir_nif_status(env, status, &error);
    }
    const ERL_NIF_TERM term = snapshot_term(env, snapshot);
    weir_status_free(snapshot);
    return weir_nif_ok(env, term);
}
