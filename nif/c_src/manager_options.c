#include "manager_options.h"

#include <stddef.h>
#include <string.h>

/* Options that are a number or a truth value each: their name, place and range. */
typedef struct field {
    const char *name;
    size_t offset;
    size_t width; /* 1 for bool, else 4 or 8 */
    uint64_t most;
} field;

#define MANAGER_FIELD(name, width, most)                                                           \
    {                                                                                              \
#name, offsetof(weir_manager_options, name), width, most                                   \
    }
#define POOL_FIELD(name, width, most)                                                              \
    {                                                                                              \
#name, offsetof(weir_pool_options, name), width, most                                      \
    }

static const field manager_fields[] = {
    MANAGER_FIELD(job_capacity, 4, 65536),
    MANAGER_FIELD(seed, 8, UINT64_MAX),
    MANAGER_FIELD(held_bytes_max, 8, UINT64_MAX / 2),
    MANAGER_FIELD(trace_jobs, 1, 1),
};

static const field pool_fields[] = {
    POOL_FIELD(worker_count, 4, 1023),
    POOL_FIELD(in_flight_max, 4, UINT32_MAX),
    POOL_FIELD(high_percent, 4, 100),
    POOL_FIELD(low_percent, 4, 100),
    POOL_FIELD(deferred_max, 4, UINT32_MAX),
    POOL_FIELD(wake_strategies, 4, UINT32_MAX),
    POOL_FIELD(capabilities, 4, UINT32_MAX),
    POOL_FIELD(without_payload_crc, 1, 1),
    POOL_FIELD(compress_min_bytes, 4, UINT32_MAX),
    POOL_FIELD(spin_ns, 8, UINT64_MAX / 2),
    POOL_FIELD(start_timeout_ns, 8, UINT64_MAX / 2),
    POOL_FIELD(silence_ns, 8, UINT64_MAX / 2),
    POOL_FIELD(stuck_ns, 8, UINT64_MAX / 2),
    POOL_FIELD(kill_ns, 8, UINT64_MAX / 2),
    POOL_FIELD(stable_ns, 8, UINT64_MAX / 2),
    POOL_FIELD(deaths_max, 4, UINT32_MAX),
};

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

/* Returns how many of the fields the map has, or -1 when one is wrong. */
static int read_fields(ErlNifEnv *env, ERL_NIF_TERM map, const field *fields, size_t count,
                       void *options)
{
    int found = 0;
    for (size_t i = 0; i < count; i++) {
        ERL_NIF_TERM value;
        uint8_t *at = (uint8_t *)options + fields[i].offset;
        uint64_t number = 0;
        uint32_t narrow = 0;
        if (!weir_nif_map_get(env, map, fields[i].name, &value)) {
            continue;
        }
        found++;
        if (fields[i].width == 1) {
            if (!weir_nif_get_bool(env, value, (bool *)at)) {
                return -1;
            }
            continue;
        }
        if (!weir_nif_get_u64(env, value, 0, fields[i].most, &number)) {
            return -1;
        }
        narrow = (uint32_t)number;
        memcpy(at, fields[i].width == 4 ? (const void *)&narrow : (const void *)&number,
               fields[i].width);
    }
    return found;
}

static bool has_no_others(ErlNifEnv *env, ERL_NIF_TERM map, int known)
{
    size_t size = 0;
    return enif_get_map_size(env, map, &size) != 0 && known >= 0 && size == (size_t)known;
}

bool weir_nif_read_manager_options(ErlNifEnv *env, ERL_NIF_TERM map,
                                   weir_nif_manager_arguments *arguments)
{
    memset(arguments, 0, sizeof *arguments);
    ERL_NIF_TERM value;
    if (!enif_is_map(env, map)) {
        return false;
    }
    int known = read_fields(env, map, manager_fields, COUNT(manager_fields), &arguments->options);
    if (known >= 0 && weir_nif_map_get(env, map, "runtime_directory", &value)) {
        if (!weir_nif_get_text(env, value, arguments->directory, sizeof arguments->directory)) {
            return false;
        }
        arguments->options.runtime_directory = arguments->directory;
        known++;
    }
    if (known >= 0 && weir_nif_map_get(env, map, "name", &value)) {
        if (!weir_nif_get_text(env, value, arguments->name, sizeof arguments->name)) {
            return false;
        }
        arguments->options.name = arguments->name;
        known++;
    }
    return has_no_others(env, map, known);
}

/* ---- pools */

static bool read_command(ErlNifEnv *env, ERL_NIF_TERM list, weir_nif_pool_arguments *arguments)
{
    ERL_NIF_TERM head;
    size_t used = 0;
    uint32_t count = 0;
    while (enif_get_list_cell(env, list, &head, &list) != 0) {
        if (count == WEIR_NIF_ARGUMENTS_MAX ||
            !weir_nif_get_text(env, head, arguments->text + used, sizeof arguments->text - used)) {
            return false;
        }
        arguments->command[count++] = arguments->text + used;
        used += strlen(arguments->text + used) + 1;
    }
    arguments->command[count] = NULL;
    arguments->options.command = arguments->command;
    return count > 0 && enif_is_empty_list(env, list);
}

static bool read_policy(ErlNifEnv *env, ERL_NIF_TERM term, weir_room_policy *policy)
{
    static const struct {
        const char *name;
        weir_room_policy policy;
    } policies[] = {
        {"reject", WEIR_ROOM_REJECT},
        {"drop_oldest", WEIR_ROOM_DROP_OLDEST},
        {"defer", WEIR_ROOM_DEFER},
        /* No scheduler waits: the job does, in libweir's queue, and its caller for the message. */
        {"wait", WEIR_ROOM_DEFER},
    };
    for (size_t i = 0; i < COUNT(policies); i++) {
        if (enif_is_identical(term, enif_make_atom(env, policies[i].name))) {
            *policy = policies[i].policy;
            return true;
        }
    }
    return false;
}

/* [{slot_bytes, slot_count}] */
static bool read_classes(ErlNifEnv *env, ERL_NIF_TERM list, weir_size_class *classes,
                         uint32_t *count)
{
    ERL_NIF_TERM head;
    uint32_t read = 0;
    while (enif_get_list_cell(env, list, &head, &list) != 0) {
        const ERL_NIF_TERM *pair;
        int arity = 0;
        if (read == WEIR_SIZE_CLASSES_MAX || enif_get_tuple(env, head, &arity, &pair) == 0 ||
            arity != 2 ||
            !weir_nif_get_u32(env, pair[0], 1, UINT32_MAX, &classes[read].slot_bytes) ||
            !weir_nif_get_u32(env, pair[1], 1, UINT32_MAX, &classes[read].slot_count)) {
            return false;
        }
        read++;
    }
    *count = read;
    return read > 0 && enif_is_empty_list(env, list);
}

/* %{ring_capacity: n, request_classes: [...], response_classes: [...]}, each with its default */
static bool read_arena(ErlNifEnv *env, ERL_NIF_TERM map, weir_arena_config *arena)
{
    ERL_NIF_TERM value;
    int known = 0;
    if (!enif_is_map(env, map)) {
        return false;
    }
    weir_arena_config_default(arena);
    if (weir_nif_map_get(env, map, "ring_capacity", &value)) {
        known += weir_nif_get_u32(env, value, 1, UINT32_MAX, &arena->ring_capacity);
    }
    if (weir_nif_map_get(env, map, "request_classes", &value)) {
        known += read_classes(env, value, arena->request_class, &arena->request_class_count);
    }
    if (weir_nif_map_get(env, map, "response_classes", &value)) {
        known += read_classes(env, value, arena->response_class, &arena->response_class_count);
    }
    return has_no_others(env, map, known);
}

bool weir_nif_read_pool_options(ErlNifEnv *env, ERL_NIF_TERM map,
                                weir_nif_pool_arguments *arguments)
{
    memset(arguments, 0, sizeof *arguments);
    weir_pool_options *options = &arguments->options;
    ERL_NIF_TERM value;
    if (!enif_is_map(env, map)) {
        return false;
    }
    int known = read_fields(env, map, pool_fields, COUNT(pool_fields), options);
    if (known < 0 || !weir_nif_map_get(env, map, "role", &value) ||
        !weir_nif_get_text(env, value, arguments->role, sizeof arguments->role) ||
        !weir_nif_map_get(env, map, "command", &value) || !read_command(env, value, arguments)) {
        return false;
    }
    options->role = arguments->role;
    known += 2;
    if (weir_nif_map_get(env, map, "policy", &value)) {
        known += read_policy(env, value, &options->policy);
    }
    if (weir_nif_map_get(env, map, "trusted", &value)) {
        known += weir_nif_get_bool(env, value, &arguments->is_trusted);
    }
    if (weir_nif_map_get(env, map, "arena", &value)) {
        known += read_arena(env, value, &options->arena);
    }
    return has_no_others(env, map, known);
}
