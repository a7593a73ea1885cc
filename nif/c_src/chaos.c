/* Every n-th wake by futex is not made. */
#include "chaos.h"

#include <stdatomic.h>

#include "base/os.h"

static atomic_uint drop_every;
static atomic_uint_fast64_t wakes;
static atomic_uint_fast64_t dropped;

static int wake_most(const uint32_t *address, int count)
{
    const unsigned every = atomic_load_explicit(&drop_every, memory_order_relaxed);
    if (every != 0 &&
        (atomic_fetch_add_explicit(&wakes, 1, memory_order_relaxed) + 1) % every == 0) {
        atomic_fetch_add_explicit(&dropped, 1, memory_order_relaxed);
        return 1; /* As if somebody had been there and woken. */
    }
    return weir_os_linux()->futex_wake(address, count);
}

void weir_nif_chaos_install(void)
{
    static weir_os_table table;
    table = *weir_os_linux();
    table.futex_wake = wake_most;
    (void)weir_os_replace(&table);
}

ERL_NIF_TERM weir_nif_drop_wakes(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    uint32_t every = 0;
    if (!weir_nif_get_u32(env, argv[0], 0, UINT32_MAX, &every)) {
        return enif_make_badarg(env);
    }
    atomic_store_explicit(&drop_every, every, memory_order_relaxed);
    return weir_nif_atoms.ok_;
}

ERL_NIF_TERM weir_nif_dropped_wakes(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    (void)argv;
    return enif_make_uint64(env, atomic_load_explicit(&dropped, memory_order_relaxed));
}
