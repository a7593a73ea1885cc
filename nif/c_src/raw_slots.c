/* An arena's payload slots: own ones are taken, written and published; the other side's are read
 * and released. */
#include <string.h>

#include "raw_arena.h"

/* --- Own slots --- */

static weir_status take(weir_nif_arena *arena, uint32_t bytes, weir_slot *slot)
{
    weir_status status = weir_slot_pool_take(&arena->pool, bytes, slot);
    if (status == WEIR_FULL) {
        status = weir_slot_pool_collect(&arena->pool);
        if (status == WEIR_OK) {
            status = weir_slot_pool_take(&arena->pool, bytes, slot);
        }
    }
    return status;
}

ERL_NIF_TERM weir_nif_slot_take(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    uint32_t bytes = 0;
    weir_nif_arena *arena = NULL;
    ERL_NIF_TERM result;
    if (!weir_nif_get_u32(env, argv[1], 1, UINT32_MAX, &bytes)) {
        return enif_make_badarg(env);
    }
    if (!weir_nif_arena_hold(env, argv[0], &arena, &result)) {
        return result;
    }
    weir_slot slot = {.number = 0};
    const weir_status status = take(arena, bytes, &slot);
    if (status == WEIR_OK) {
        arena->is_ours[slot.number] = 1;
        result =
            enif_make_tuple4(env, weir_nif_atoms.ok_, enif_make_uint(env, slot.number),
                             enif_make_uint(env, slot.offset), enif_make_uint(env, slot.bytes));
    } else if (status == WEIR_FULL) {
        result = weir_nif_atoms.full_;
    } else if (status == WEIR_PROTOCOL) {
        result = weir_nif_arena_fault(env, arena, WEIR_ERROR_CODE_RELEASE);
    } else {
        result = weir_nif_refusal(env, status, "no slot is that large");
    }
    weir_nif_arena_let_go(arena);
    return result;
}

ERL_NIF_TERM weir_nif_slot_write(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    uint32_t slot = 0;
    uint32_t at = 0;
    ErlNifBinary bytes;
    weir_nif_arena *arena = NULL;
    ERL_NIF_TERM result;
    if (!weir_nif_get_u32(env, argv[1], 0, UINT32_MAX, &slot) ||
        !weir_nif_get_u32(env, argv[2], 0, UINT32_MAX, &at) ||
        enif_inspect_binary(env, argv[3], &bytes) == 0 || bytes.size > WEIR_NIF_BYTES_MAX) {
        return enif_make_badarg(env);
    }
    if (!weir_nif_arena_hold(env, argv[0], &arena, &result)) {
        return result;
    }
    const weir_slot_map *map = &arena->pool.map;
    /* Only what is taken and not published: afterwards the slot is the reader's. */
    if (slot >= map->slot_total || arena->is_ours[slot] == 0 ||
        at > weir_slot_map_slot_bytes(map, slot) ||
        bytes.size > weir_slot_map_slot_bytes(map, slot) - at) {
        result = enif_make_badarg(env);
    } else {
        memcpy(weir_bytes_at(arena->out_bytes, weir_slot_map_offset(map, slot) + at, bytes.size),
               bytes.data, bytes.size);
        result = weir_nif_atoms.ok_;
    }
    weir_nif_arena_let_go(arena);
    return result;
}

ERL_NIF_TERM weir_nif_slot_put_back(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    uint32_t slot = 0;
    weir_nif_arena *arena = NULL;
    ERL_NIF_TERM result;
    if (!weir_nif_get_u32(env, argv[1], 0, UINT32_MAX, &slot)) {
        return enif_make_badarg(env);
    }
    if (!weir_nif_arena_hold(env, argv[0], &arena, &result)) {
        return result;
    }
    if (slot >= arena->pool.map.slot_total || arena->is_ours[slot] == 0) {
        result = enif_make_badarg(env);
    } else {
        arena->is_ours[slot] = 0;
        weir_slot_pool_put_back(&arena->pool, slot);
        result = weir_nif_atoms.ok_;
    }
    weir_nif_arena_let_go(arena);
    return result;
}

/* --- The other side's slots --- */

/* A slot that was drained and not released, of at least @p bytes bytes. */
static bool find_held(const weir_nif_arena *arena, uint32_t offset, uint32_t bytes, uint32_t *slot)
{
    return weir_slot_map_find(&arena->peer_map, offset, bytes, slot) == WEIR_OK &&
           arena->is_held[*slot] != 0;
}

ERL_NIF_TERM weir_nif_slot_read(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    uint32_t offset = 0;
    uint32_t bytes = 0;
    uint32_t slot = 0;
    weir_nif_arena *arena = NULL;
    ERL_NIF_TERM result;
    if (!weir_nif_get_u32(env, argv[1], 0, UINT32_MAX, &offset) ||
        !weir_nif_get_u32(env, argv[2], 0, WEIR_NIF_BYTES_MAX, &bytes)) {
        return enif_make_badarg(env);
    }
    if (!weir_nif_arena_hold(env, argv[0], &arena, &result)) {
        return result;
    }
    result =
        find_held(arena, offset, bytes, &slot)
            ? weir_nif_ok(env,
                          weir_nif_bytes(env, weir_bytes_at(arena->in_bytes, offset, bytes), bytes))
            : enif_make_badarg(env);
    weir_nif_arena_let_go(arena);
    return result;
}

static bool get_offsets(ErlNifEnv *env, ERL_NIF_TERM list, uint32_t *offsets, uint32_t *count)
{
    ERL_NIF_TERM head;
    *count = 0;
    while (enif_get_list_cell(env, list, &head, &list)) {
        if (*count == WEIR_NIF_JOBS_MAX ||
            !weir_nif_get_u32(env, head, 0, UINT32_MAX, &offsets[(*count)++])) {
            return false;
        }
    }
    return enif_is_empty_list(env, list) != 0;
}

/* All or none: a slot that is named twice is held only once. */
static bool release_all(weir_nif_arena *arena, const uint32_t *offsets, uint32_t count)
{
    uint32_t slots[WEIR_NIF_JOBS_MAX];
    for (uint32_t i = 0; i < count; i++) {
        if (!find_held(arena, offsets[i], 0, &slots[i])) {
            while (i > 0) {
                arena->is_held[slots[--i]] = 1;
            }
            return false;
        }
        arena->is_held[slots[i]] = 0;
    }
    for (uint32_t i = 0; i < count; i++) {
        weir_release_slot(&arena->releases, slots[i]);
    }
    weir_release_publish(&arena->releases);
    return true;
}

ERL_NIF_TERM weir_nif_slot_release(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    uint32_t offsets[WEIR_NIF_JOBS_MAX];
    uint32_t count = 0;
    weir_nif_arena *arena = NULL;
    ERL_NIF_TERM result;
    if (!get_offsets(env, argv[1], offsets, &count)) {
        return enif_make_badarg(env);
    }
    if (!weir_nif_arena_hold(env, argv[0], &arena, &result)) {
        return result;
    }
    result = release_all(arena, offsets, count) ? weir_nif_atoms.ok_ : enif_make_badarg(env);
    weir_nif_arena_let_go(arena);
    return result;
}
