/* The entry of weir_nif.so: load, upgrade, unload and the table of functions. */
#include "chaos.h"
#include "nif_common.h"
#include "nif_functions.h"
#include "nif_times.h"

static int load(ErlNifEnv *env, void **data, ERL_NIF_TERM info)
{
    (void)info;
    weir_nif_atoms_open(env);
    weir_nif_chaos_install();
    return weir_nif_join(env, NULL, data);
}

/* The old library stays loaded until its module is purged; both share what *old points to. */
static int upgrade(ErlNifEnv *env, void **data, void **old, ERL_NIF_TERM info)
{
    (void)info;
    weir_nif_atoms_open(env);
    weir_nif_chaos_install();
    return weir_nif_join(env, *old, data);
}

static void unload(ErlNifEnv *env, void *data)
{
    (void)env;
    weir_nif_leave(data);
}

static ERL_NIF_TERM weir_nif_version(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    (void)argv;
    return weir_nif_text(env, WEIR_NIF_VERSION);
}

static ERL_NIF_TERM weir_nif_trace(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    (void)argv;
    return weir_nif_trace_list(env);
}

static ERL_NIF_TERM weir_nif_trace_clear(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)env;
    (void)argc;
    (void)argv;
    weir_nif_trace_forget();
    return weir_nif_atoms.ok_;
}

static ERL_NIF_TERM weir_nif_resources(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    (void)argv;
    return weir_nif_alive(env);
}

#ifdef WEIR_NIF_TIMES
/* Each function is measured by a wrapper of its own. */
#define TIMED(function, count, dirty)                                                              \
    static ERL_NIF_TERM timed_##function(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])      \
    {                                                                                              \
        static weir_nif_times times = {                                                            \
            .name = #function, .arity = (count), .is_dirty = (dirty) != 0};                        \
        const uint64_t begin_ns = weir_nif_cpu_ns();                                               \
        const ERL_NIF_TERM result = weir_nif_##function(env, argc, argv);                          \
        weir_nif_times_note(&times, weir_nif_cpu_ns() - begin_ns);                                 \
        return result;                                                                             \
    }
WEIR_NIF_FUNCTIONS(TIMED)
#define ENTRY(name, arity, flags) {#name, arity, timed_##name, flags},
#else
#define ENTRY(name, arity, flags) {#name, arity, weir_nif_##name, flags},
#endif

static ErlNifFunc functions[] = {WEIR_NIF_FUNCTIONS(ENTRY)};

ERL_NIF_INIT(Elixir.Weir.Native, functions, load, NULL, upgrade, unload)
