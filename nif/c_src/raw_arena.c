/* An arena's life: made or attached, sealed, woken with, given back. */
#include "raw_arena.h"

#include <fcntl.h>
#include <string.h>

#include "base/os.h"
#include "raw_descriptor.h"

#define CAPABILITIES_ALL                                                                           \
    ((uint32_t)(WEIR_CAPABILITY_PAYLOAD_CRC | WEIR_CAPABILITY_LZ4 | WEIR_CAPABILITY_ZSTD))

bool weir_nif_arena_hold(ErlNifEnv *env, ERL_NIF_TERM term, weir_nif_arena **arena,
                         ERL_NIF_TERM *refusal)
{
    void *found = NULL;
    if (!weir_nif_get(env, term, WEIR_NIF_arena, &found)) {
        *refusal = enif_make_badarg(env);
        return false;
    }
    *arena = found;
    enif_mutex_lock((*arena)->owned.lock);
    if ((*arena)->is_open) {
        return true;
    }
    enif_mutex_unlock((*arena)->owned.lock);
    *refusal = weir_nif_refusal(env, WEIR_CLOSED, "the arena was closed");
    return false;
}

void weir_nif_arena_let_go(weir_nif_arena *arena)
{
    enif_mutex_unlock(arena->owned.lock);
}

/* --- The end --- */

static bool close_now(ErlNifEnv *env, weir_nif_arena *arena)
{
    enif_mutex_lock(arena->owned.lock);
    const bool was_open = arena->is_open;
    const int sleep_fd = arena->sleep_fd;
    const int wake_fd = arena->wake_fd;
    arena->is_open = false;
    arena->sleep_fd = -1;
    arena->wake_fd = -1;
    weir_nif_arena_part(arena);
    weir_arena_destroy(&arena->arena);
    enif_mutex_unlock(arena->owned.lock);
    weir_nif_close(env, arena, sleep_fd, arena->was_selected);
    weir_nif_close(env, arena, wake_fd, false);
    weir_nif_disown(env, &arena->owned);
    return was_open;
}

void weir_nif_arena_free(ErlNifEnv *env, void *resource)
{
    weir_nif_arena *arena = resource;
    if (weir_nif_dying(&arena->owned)) {
        (void)close_now(env, arena);
    }
    weir_nif_unlock_for_good(&arena->owned);
}

void weir_nif_arena_down(ErlNifEnv *env, void *resource, ErlNifPid *pid, ErlNifMonitor *monitor)
{
    (void)pid;
    (void)monitor;
    weir_nif_note(WEIR_NIF_DOWN, resource);
    (void)close_now(env, resource);
}

ERL_NIF_TERM weir_nif_arena_close(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    void *arena = NULL;
    if (!weir_nif_get(env, argv[0], WEIR_NIF_arena, &arena)) {
        return enif_make_badarg(env);
    }
    return close_now(env, arena) ? weir_nif_atoms.ok_
                                 : weir_nif_refusal(env, WEIR_CLOSED, "the arena was closed");
}

/* --- Making --- */

static bool get_classes(ErlNifEnv *env, ERL_NIF_TERM list, weir_size_class *classes,
                        uint32_t *count)
{
    ERL_NIF_TERM head;
    *count = 0;
    while (enif_get_list_cell(env, list, &head, &list)) {
        int arity = 0;
        const ERL_NIF_TERM *pair = NULL;
        if (*count == WEIR_SIZE_CLASSES_MAX || enif_get_tuple(env, head, &arity, &pair) == 0 ||
            arity != 2 ||
            !weir_nif_get_u32(env, pair[0], 0, UINT32_MAX, &classes[*count].slot_bytes) ||
            !weir_nif_get_u32(env, pair[1], 0, UINT32_MAX, &classes[*count].slot_count)) {
            return false;
        }
        (*count)++;
    }
    return enif_is_empty_list(env, list) != 0;
}

static bool get_config(ErlNifEnv *env, ERL_NIF_TERM map, weir_arena_config *config,
                       uint32_t *capabilities)
{
    ERL_NIF_TERM value;
    weir_arena_config_default(config);
    *capabilities = WEIR_CAPABILITY_PAYLOAD_CRC;
    return enif_is_map(env, map) != 0 &&
           (!weir_nif_map_get(env, map, "ring_capacity", &value) ||
            weir_nif_get_u32(env, value, 0, UINT32_MAX, &config->ring_capacity)) &&
           (!weir_nif_map_get(env, map, "backing", &value) ||
            weir_nif_get_u32(env, value, 0, UINT32_MAX, &config->backing)) &&
           (!weir_nif_map_get(env, map, "capabilities", &value) ||
            weir_nif_get_u32(env, value, 0, CAPABILITIES_ALL, capabilities)) &&
           (!weir_nif_map_get(env, map, "request_classes", &value) ||
            get_classes(env, value, config->request_class, &config->request_class_count)) &&
           (!weir_nif_map_get(env, map, "response_classes", &value) ||
            get_classes(env, value, config->response_class, &config->response_class_count));
}

/* A resource that is not open yet. */
static weir_nif_arena *new_arena(ErlNifEnv *env, weir_nif_side side)
{
    weir_nif_arena *arena = weir_nif_new(WEIR_NIF_arena, sizeof *arena);
    if (arena == NULL) {
        return NULL;
    }
    arena->side = side;
    arena->sleep_fd = -1;
    arena->wake_fd = -1;
    arena->arena.manager_object.fd = -1;
    arena->arena.worker_object.fd = -1;
    if (!weir_nif_own(env, &arena->owned, "weir_arena")) {
        enif_release_resource(arena);
        return NULL;
    }
    return arena;
}

static ERL_NIF_TERM opened(ErlNifEnv *env, weir_nif_arena *arena, weir_status status,
                           weir_error *error, uint32_t generation, uint32_t capabilities)
{
    if (status == WEIR_OK) {
        arena->terms = (weir_envelope_terms){.generation = generation,
                                             .version = WEIR_LAYOUT_MINOR,
                                             .capabilities = (uint16_t)capabilities};
        status = weir_nif_arena_join(arena, error);
    }
    if (status != WEIR_OK) {
        enif_release_resource(arena);
        return weir_nif_status(env, status, error);
    }
    arena->is_open = true;
    return weir_nif_ok(env, weir_nif_release_as_term(env, arena));
}

ERL_NIF_TERM weir_nif_arena_create(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    weir_arena_config config;
    uint32_t capabilities = 0;
    uint32_t generation = 0;
    if (!get_config(env, argv[0], &config, &capabilities) ||
        !weir_nif_get_u32(env, argv[1], 1, UINT32_MAX, &generation)) {
        return enif_make_badarg(env);
    }
    weir_nif_arena *arena = new_arena(env, WEIR_NIF_SIDE_MANAGER);
    if (arena == NULL) {
        return weir_nif_refusal(env, WEIR_NO_MEMORY, "no memory for an arena");
    }
    weir_error error = {.text = ""};
    const weir_status status = weir_arena_create(&config, generation, &arena->arena, &error);
    return opened(env, arena, status, &error, generation, capabilities);
}

/* --- Handing over --- */

ERL_NIF_TERM weir_nif_arena_welcome(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    weir_nif_arena *arena = NULL;
    ERL_NIF_TERM map;
    if (!weir_nif_arena_hold(env, argv[0], &arena, &map)) {
        return map;
    }
    const weir_arena *memory = &arena->arena;
    map = enif_make_new_map(env);
    weir_nif_map_put(env, &map, "generation", enif_make_uint(env, memory->generation));
    weir_nif_map_put(env, &map, "backing", enif_make_uint(env, memory->config.backing));
    weir_nif_map_put(env, &map, "capabilities", enif_make_uint(env, arena->terms.capabilities));
    weir_nif_map_put(env, &map, "manager_bytes",
                     enif_make_uint64(env, memory->manager_object.bytes));
    weir_nif_map_put(env, &map, "worker_bytes", enif_make_uint64(env, memory->worker_object.bytes));
    weir_nif_map_put(env, &map, "manager_name", weir_nif_text(env, memory->manager_object.name));
    weir_nif_map_put(env, &map, "worker_name", weir_nif_text(env, memory->worker_object.name));
    weir_nif_arena_let_go(arena);
    return map;
}

ERL_NIF_TERM weir_nif_arena_descriptors(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    weir_nif_arena *arena = NULL;
    ERL_NIF_TERM result;
    if (!weir_nif_arena_hold(env, argv[0], &arena, &result)) {
        return result;
    }
    const weir_arena *memory = &arena->arena;
    if (memory->config.backing != WEIR_BACKING_MEMFD) {
        weir_nif_arena_let_go(arena);
        return weir_nif_refusal(env, WEIR_UNSUPPORTED,
                                "this arena is attached by its names, not by descriptors");
    }
    const int first = fcntl(memory->manager_object.fd, F_DUPFD_CLOEXEC, 0);
    const int second = fcntl(memory->worker_object.fd, F_DUPFD_CLOEXEC, 0);
    weir_nif_arena_let_go(arena);
    if (first < 0 || second < 0) {
        weir_nif_close(env, NULL, first, false);
        weir_nif_close(env, NULL, second, false);
        return weir_nif_refusal(env, WEIR_SYSTEM,
                                "no descriptor is left; raise the limit of open files (ulimit -n)");
    }
    ERL_NIF_TERM a = 0;
    ERL_NIF_TERM b = 0;
    result = weir_nif_descriptor_adopt(env, first, WEIR_NIF_DESCRIPTOR_PLAIN, &a);
    if (a == 0) {
        weir_nif_close(env, NULL, second, false);
        return result;
    }
    result = weir_nif_descriptor_adopt(env, second, WEIR_NIF_DESCRIPTOR_PLAIN, &b);
    return b == 0 ? result : weir_nif_ok(env, enif_make_list2(env, a, b));
}

static bool get_welcome(ErlNifEnv *env, ERL_NIF_TERM map, struct weir_welcome *welcome)
{
    ERL_NIF_TERM value;
    return enif_is_map(env, map) != 0 && weir_nif_map_get(env, map, "generation", &value) &&
           weir_nif_get_u32(env, value, 1, UINT32_MAX, &welcome->generation) &&
           weir_nif_map_get(env, map, "backing", &value) &&
           weir_nif_get_u32(env, value, 0, WEIR_BACKING_MAX, &welcome->backing) &&
           weir_nif_map_get(env, map, "capabilities", &value) &&
           weir_nif_get_u32(env, value, 0, CAPABILITIES_ALL, &welcome->capabilities) &&
           weir_nif_map_get(env, map, "manager_bytes", &value) &&
           weir_nif_get_u64(env, value, 0, UINT64_MAX, &welcome->manager_bytes) &&
           weir_nif_map_get(env, map, "worker_bytes", &value) &&
           weir_nif_get_u64(env, value, 0, UINT64_MAX, &welcome->worker_bytes) &&
           weir_nif_map_get(env, map, "manager_name", &value) &&
           weir_nif_get_text(env, value, (char *)welcome->manager_name,
                             sizeof welcome->manager_name) &&
           weir_nif_map_get(env, map, "worker_name", &value) &&
           weir_nif_get_text(env, value, (char *)welcome->worker_name, sizeof welcome->worker_name);
}

/* A duplicate of the descriptor, -1 when it is closed or none is left. */
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

/* No descriptors, or two of any use. */
static bool get_pair(ErlNifEnv *env, ERL_NIF_TERM list, weir_nif_descriptor *pair[2],
                     uint32_t *count)
{
    ERL_NIF_TERM head;
    *count = 0;
    while (enif_get_list_cell(env, list, &head, &list)) {
        if (*count == 2 || !weir_nif_descriptor_get(env, head, ~0u, &pair[*count])) {
            return false;
        }
        (*count)++;
    }
    return enif_is_empty_list(env, list) != 0 && *count != 1;
}

static bool get_side(ErlNifEnv *env, ERL_NIF_TERM term, weir_nif_side *side)
{
    char name[8];
    if (enif_get_atom(env, term, name, sizeof name, ERL_NIF_LATIN1) == 0) {
        return false;
    }
    *side = strcmp(name, "worker") == 0 ? WEIR_NIF_SIDE_WORKER : WEIR_NIF_SIDE_PEER;
    return *side == WEIR_NIF_SIDE_WORKER || strcmp(name, "peer") == 0;
}

ERL_NIF_TERM weir_nif_arena_attach(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    struct weir_welcome welcome = {.generation = 0};
    weir_nif_descriptor *pair[2] = {NULL, NULL};
    uint32_t count = 0;
    weir_nif_side side = WEIR_NIF_SIDE_WORKER;
    if (!get_welcome(env, argv[0], &welcome) || !get_pair(env, argv[1], pair, &count) ||
        !get_side(env, argv[2], &side)) {
        return enif_make_badarg(env);
    }
    weir_nif_arena *arena = new_arena(env, side);
    if (arena == NULL) {
        return weir_nif_refusal(env, WEIR_NO_MEMORY, "no memory for an arena");
    }
    const int a = count == 0 ? -1 : duplicate(pair[0]);
    const int b = count == 0 ? -1 : duplicate(pair[1]);
    weir_error error = {.text = ""};
    const weir_status status = weir_arena_attach(&welcome, a, b, &arena->arena, &error);
    if (status == WEIR_OK) {
        weir_arena_close_descriptors(&arena->arena);
    }
    return opened(env, arena, status, &error, welcome.generation, welcome.capabilities);
}

ERL_NIF_TERM weir_nif_arena_seal(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    weir_nif_arena *arena = NULL;
    ERL_NIF_TERM result;
    if (!weir_nif_arena_hold(env, argv[0], &arena, &result)) {
        return result;
    }
    weir_error error = {.text = ""};
    if (arena->side != WEIR_NIF_SIDE_MANAGER) {
        result = weir_nif_refusal(env, WEIR_REFUSED, "only the manager's side seals");
    } else {
        const weir_status status = weir_arena_seal_worker_object(&arena->arena, &error);
        if (status == WEIR_OK) {
            weir_arena_close_descriptors(&arena->arena);
        }
        result = weir_nif_status(env, status, &error);
    }
    weir_nif_arena_let_go(arena);
    return result;
}

ERL_NIF_TERM weir_nif_arena_wake_with(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    weir_nif_arena *arena = NULL;
    weir_nif_descriptor *wake = NULL;
    weir_nif_descriptor *sleep = NULL;
    ERL_NIF_TERM result;
    if (!weir_nif_descriptor_get(env, argv[1], ~0u, &wake) ||
        !weir_nif_descriptor_get(env, argv[2], ~0u, &sleep)) {
        return enif_make_badarg(env);
    }
    const int wake_fd = duplicate(wake);
    const int sleep_fd = duplicate(sleep);
    if (!weir_nif_arena_hold(env, argv[0], &arena, &result)) {
        weir_nif_close(env, NULL, wake_fd, false);
        weir_nif_close(env, NULL, sleep_fd, false);
        return result;
    }
    if (wake_fd >= 0 && sleep_fd >= 0 && arena->sleep_fd < 0) {
        arena->wake_fd = wake_fd;
        arena->sleep_fd = sleep_fd;
        arena->waker.eventfd = wake_fd;
        arena->sleeper.eventfd = sleep_fd;
        result = weir_nif_atoms.ok_;
    } else {
        weir_nif_close(env, NULL, wake_fd, false);
        weir_nif_close(env, NULL, sleep_fd, false);
        result = weir_nif_refusal(env, WEIR_INVALID,
                                  "a descriptor is closed, or the arena has its eventfds already");
    }
    weir_nif_arena_let_go(arena);
    return result;
}

ERL_NIF_TERM weir_nif_arena_info(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    static const char *const sides[] = {"manager", "worker", "peer"};
    weir_nif_arena *arena = NULL;
    ERL_NIF_TERM map;
    if (!weir_nif_arena_hold(env, argv[0], &arena, &map)) {
        return map;
    }
    map = enif_make_new_map(env);
    weir_nif_map_put(env, &map, "side", enif_make_atom(env, sides[arena->side]));
    weir_nif_map_put(env, &map, "generation", enif_make_uint(env, arena->arena.generation));
    weir_nif_map_put(env, &map, "ring_capacity",
                     enif_make_uint(env, arena->arena.config.ring_capacity));
    weir_nif_map_put(env, &map, "published", enif_make_uint64(env, arena->out.tail));
    weir_nif_map_put(env, &map, "drained", enif_make_uint64(env, arena->in.head));
    (void)!weir_ring_refresh(&arena->out); /* A count that is not believed leaves the last one. */
    weir_nif_map_put(env, &map, "room", enif_make_uint64(env, weir_ring_room_known(&arena->out)));
    weir_nif_map_put(env, &map, "slots_taken", enif_make_uint(env, arena->pool.taken_count));
    weir_nif_map_put(env, &map, "slots_total", enif_make_uint(env, arena->pool.map.slot_total));
    weir_nif_map_put(env, &map, "wakes_sent", enif_make_uint64(env, arena->waker.calls));
    weir_nif_map_put(env, &map, "truncated", weir_nif_bool(weir_arena_is_truncated(&arena->arena)));
    weir_nif_arena_let_go(arena);
    return map;
}
