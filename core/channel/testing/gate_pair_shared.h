/**
 * @file
 * Two ends that hand a count to and fro, each asleep at its own gate in between.
 *
 * The memory is one mapping, shared with children forked afterwards and with threads. Threads: each
 * end belongs to one thread. Everything is reported by value, so that forked children and plain
 * programs can use it.
 */
#ifndef WEIR_CHANNEL_TESTING_GATE_PAIR_SHARED_H
#define WEIR_CHANNEL_TESTING_GATE_PAIR_SHARED_H

#include "channel/gate.h"

/** What one side writes and the other reads. */
typedef struct gate_side {
    _Alignas(128) uint64_t count;
    uint64_t parks; /**< How often it was armed; written at the end. */
    uint32_t parked;
    uint32_t bell;
    uint32_t refused;
    uint32_t pid;
    uint32_t tid;
    uint32_t is_joined;
    uint64_t plain; /**< Belongs to whoever has the turn; only for ThreadSanitizer to watch. */
} gate_side;

typedef struct gate_pair {
    gate_side side[2];
    int eventfd[2]; /**< By the side that sleeps on it. */
} gate_pair;

/** NULL when there is no memory or no descriptor. */
gate_pair *gate_pair_make(void);
void gate_pair_free(gate_pair *pair);

/** One side's private part. */
typedef struct gate_end {
    gate_pair *pair;
    gate_side *mine;
    gate_side *theirs;
    weir_sleeper sleeper;
    weir_waker waker;
    uint64_t seen; /**< Of their count. */
} gate_end;

/** Call in the thread that will sleep. */
weir_status gate_end_join(gate_end *end, gate_pair *pair, int side, uint32_t allowed,
                          uint64_t spin_max_ns) WEIR_MUST_CHECK;

/** Waits, by yielding, until the other side has joined. */
weir_status gate_end_meet(const gate_end *end, uint64_t deadline_ns) WEIR_MUST_CHECK;

/** Adds one to the own count and wakes the other side. */
void gate_end_give(gate_end *end);

/** A weir_gate_look: their count is larger than what was seen. */
bool gate_end_look(void *end);

/** Waits for the next count. WEIR_OK or WEIR_TIMEOUT. */
weir_status gate_end_take(gate_end *end, uint64_t deadline_ns) WEIR_MUST_CHECK;

/**
 * Hands the count to and fro. Before each giving a random pause, so that publishing meets every
 * moment of the other side's falling asleep. Each wait has @p patience_ns: a lost wake is a
 * WEIR_TIMEOUT.
 */
weir_status gate_end_storm(gate_end *end, bool is_first, uint64_t rounds, uint64_t patience_ns,
                           uint64_t seed) WEIR_MUST_CHECK;

#endif
