#include "held.h"

#include "manager_home.h"

struct weir_nif_held {
    weir_nif_head head;
    weir_held held;
    weir_nif_home *home; /* NULL as long as nothing is held */
    atomic_uint *count;  /* of the slots lent by that worker */
};

/* The count of slots of that size that the worker has lent, and how many it may lend. */
static atomic_uint *find_count(weir_nif_pool *pool, const weir_result *result, uint32_t *most)
{
    if (!atomic_load_explicit(&pool->is_there, memory_order_acquire) || !pool->is_trusted ||
        result->worker >= pool->seats) {
        return NULL;
    }
    /* A small reply may lie in a large slot, and that is what the worker will miss. */
    const uint32_t slot_bytes = weir_result_slot_bytes(result);
    for (uint32_t i = 0; i < pool->class_count; i++) {
        if (slot_bytes == pool->classes[i].slot_bytes) {
            *most = pool->classes[i].slot_count / 2;
            return &pool->pinned[result->worker * WEIR_SIZE_CLASSES_MAX + i];
        }
    }
    return NULL;
}

static bool reserve(atomic_uint *count, uint32_t most)
{
    if (atomic_fetch_add_explicit(count, 1, memory_order_relaxed) >= most) {
        atomic_fetch_sub_explicit(count, 1, memory_order_relaxed);
        return false;
    }
    return true;
}

weir_nif_held *weir_nif_hold(weir_nif_home *home, uint32_t pool, const weir_result *result)
{
    uint32_t most = 0;
    atomic_uint *count = find_count(&home->pools[pool], result, &most);
    if (count == NULL || !reserve(count, most)) {
        return NULL;
    }
    weir_nif_held *held = weir_nif_new(WEIR_NIF_held, sizeof *held);
    if (held == NULL || weir_result_hold(result, &held->held) != WEIR_OK) {
        atomic_fetch_sub_explicit(count, 1, memory_order_relaxed);
        if (held != NULL) {
            enif_release_resource(held);
        }
        return NULL;
    }
    weir_nif_home_hold(home);
    held->home = home;
    held->count = count;
    return held;
}

ERL_NIF_TERM weir_nif_held_term(ErlNifEnv *env, weir_nif_held *held)
{
    const ERL_NIF_TERM term =
        enif_make_resource_binary(env, held, held->held.payload, held->held.payload_bytes);
    enif_release_resource(held);
    return term;
}

void weir_nif_held_free(ErlNifEnv *env, void *resource)
{
    (void)env;
    weir_nif_held *held = resource;
    if (held->home != NULL) {
        weir_held_release(&held->held);
        atomic_fetch_sub_explicit(held->count, 1, memory_order_relaxed);
        weir_nif_home_let_go(held->home);
    }
}
