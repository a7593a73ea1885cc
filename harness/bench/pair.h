/**
 * @file
 * Two pinned processes that run a part together.
 *
 * Purpose: the lead (this process) and a forked peer, each pinned to a core of its own, start each
 * run of a part at the same moment and are timed from there to the end of the later one.
 *
 * Typical use: build every part's state, weir_pair_start, weir_pair_run as often as wanted,
 * weir_pair_stop.
 *
 * Threads: the process must have one thread when the pair starts; afterwards one thread uses it.
 *
 * Blocking: a run that does not end within WEIR_PAIR_LIMIT_SECONDS ends both processes with a
 * sentence and exit status 1, since neither can be trusted to come back.
 *
 * Ownership: part states are built before the start; each process then changes its own copy, except
 * for what lies in memory from weir_pair_shared. The peer is killed when the lead ends, however it
 * ends, and parks between runs, so that its core is free.
 *
 * Source: sched_setaffinity(2), getrusage(2), prctl(2) PR_SET_PDEATHSIG.
 */
#ifndef WEIR_HARNESS_BENCH_PAIR_H
#define WEIR_HARNESS_BENCH_PAIR_H

#include <sched.h>
#include <stddef.h>
#include <stdint.h>

#include "harness/bench/rounds.h"
#include "weir/status.h"

#define WEIR_PAIR_LIMIT_SECONDS 30

/** One side of a part: does @p count operations and returns a sum over all bytes that went across,
 * which must come out alike on both sides. */
typedef uint64_t (*weir_pair_role)(void *state, uint64_t count);

typedef struct weir_pair_part {
    const char *name;
    weir_pair_role lead;
    weir_pair_role peer;
    void *state;
    uint64_t count; /**< Operations per run. */
} weir_pair_part;

/** The two cores. */
typedef struct weir_pair_cores {
    int lead;
    int peer;
} weir_pair_cores;

typedef struct weir_pair weir_pair;

/** Two cores that this process may use. Returns WEIR_OK or WEIR_UNSUPPORTED. */
weir_status weir_pair_cores_find(weir_pair_cores *cores, weir_error *error) WEIR_MUST_CHECK;

/** Zeroed memory, touched, that both processes write; NULL when there is none. Lives until
 * weir_pair_shared_free. */
void *weir_pair_shared(size_t bytes);
/** Frees everything that weir_pair_shared gave. */
void weir_pair_shared_free(void);

/** Pins this process, forks the peer and pins it. @p parts must outlive the pair. Returns WEIR_OK
 * or WEIR_SYSTEM. */
weir_status weir_pair_start(weir_pair *pair, const weir_pair_part *parts, size_t part_count,
                            const weir_pair_cores *cores, weir_error *error) WEIR_MUST_CHECK;

/** One run of a part. Returns WEIR_OK, or WEIR_CORRUPT when the sums of the two sides differ. */
weir_status weir_pair_run(weir_pair *pair, const weir_pair_part *part, weir_sample *sample,
                          weir_error *error) WEIR_MUST_CHECK;

/** Ends and reaps the peer, and unpins this process; safe on a zeroed pair and twice. */
void weir_pair_stop(weir_pair *pair);

/** Ends the process, naming @p name, if the next @p seconds do not suffice; 0 calls it off. */
void weir_pair_watch(const weir_pair *pair, const char *name, unsigned seconds);

/**
 * Busy for @p ns that do not count, in a role of a part in which one side always waits for the
 * other. The other side uses them to fall asleep: without them two awake sides keep each other
 * awake, and a futex ping-pong takes 0.3 us in which nobody was ever parked.
 */
void weir_pair_think(uint64_t ns);

/** Involuntary context switches of this process so far. */
uint64_t weir_pair_switches(void);

struct weir_pair {
    struct weir_pair_board *board; /**< Shared. */
    const weir_pair_part *parts;
    size_t part_count;
    int peer; /**< Process id; 0 when there is none. */
    uint32_t turn;
    cpu_set_t cores_before; /**< Of this process, restored at the end. */
};

/** A part as a probe: the context of weir_pair_probe. */
typedef struct weir_pair_probe_context {
    weir_pair *pair;
    const weir_pair_part *part;
} weir_pair_probe_context;

weir_status weir_pair_probe(void *context, weir_sample *sample, weir_error *error) WEIR_MUST_CHECK;

#endif
