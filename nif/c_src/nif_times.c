#include "nif_times.h"

#include <time.h>

#include "nif_common.h"

static _Atomic(weir_nif_times *) all;

uint64_t weir_nif_cpu_ns(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* The list only grows, by static entries, one per function. */
static void enlist(weir_nif_times *times)
{
    if (atomic_exchange_explicit(&times->is_listed, true, memory_order_relaxed)) {
        return;
    }
    weir_nif_times *first = atomic_load_explicit(&all, memory_order_relaxed);
    do {
        times->next = first;
    } while (!atomic_compare_exchange_weak_explicit(&all, &first, times, memory_order_release,
                                                    memory_order_relaxed));
}

void weir_nif_times_note(weir_nif_times *times, uint64_t took_ns)
{
    if (atomic_fetch_add_explicit(&times->calls, 1, memory_order_relaxed) == 0) {
        enlist(times);
    }
    atomic_fetch_add_explicit(&times->total_ns, took_ns, memory_order_relaxed);
    uint_fast64_t longest = atomic_load_explicit(&times->longest_ns, memory_order_relaxed);
    while (took_ns > longest &&
           !atomic_compare_exchange_weak_explicit(&times->longest_ns, &longest, took_ns,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

ERL_NIF_TERM weir_nif_call_times(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    (void)argv;
    ERL_NIF_TERM list = enif_make_list(env, 0);
    for (weir_nif_times *at = atomic_load_explicit(&all, memory_order_acquire); at != NULL;
         at = at->next) {
        const ERL_NIF_TERM entry = enif_make_tuple6(
            env, enif_make_atom(env, at->name), enif_make_uint(env, at->arity),
            weir_nif_bool(at->is_dirty), enif_make_uint64(env, atomic_load(&at->calls)),
            enif_make_uint64(env, atomic_load(&at->longest_ns)),
            enif_make_uint64(env, atomic_load(&at->total_ns)));
        list = enif_make_list_cell(env, entry, list);
    }
    return list;
}
