/* How long the calls of each function take, in thread CPU time: what a scheduler spends, whatever
 * else the machine does. Only in builds with WEIR_NIF_TIMES; Weir.Native.call_times/0 reads it. Any
 * thread may note at any time. */
#ifndef WEIR_NIF_TIMES_H
#define WEIR_NIF_TIMES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <erl_nif.h>

typedef struct weir_nif_times {
    const char *name;
    unsigned arity;
    bool is_dirty;
    atomic_uint_fast64_t calls;
    atomic_uint_fast64_t longest_ns;
    atomic_uint_fast64_t total_ns;
    atomic_bool is_listed;
    struct weir_nif_times *next;
} weir_nif_times;

/** CPU time of this thread. */
uint64_t weir_nif_cpu_ns(void);
void weir_nif_times_note(weir_nif_times *times, uint64_t took_ns);

/** [{name, arity, is_dirty, calls, longest_ns, total_ns}] of the functions called so far. */
ERL_NIF_TERM weir_nif_call_times(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]);

#endif
