/**
 * @file
 * The 64 bytes that go across in the bench.
 *
 * Purpose: both contenders of a row write and read the same eight words, and know in closed form
 * what their sum must be. The last word is what the ring needs there: the sequence in its low half.
 *
 * Threads: pure functions.
 */
#ifndef WEIR_HARNESS_BENCH_BENCH_MESSAGE_H
#define WEIR_HARNESS_BENCH_BENCH_MESSAGE_H

#include <stdint.h>

#include "base/atomic.h"
#include "channel/envelope.h"

#define WEIR_BENCH_WORDS 8
/** Capacity of every ring in the bench; the default of libweir's arenas. */
#define WEIR_BENCH_RING 512
/** Envelopes per batch. */
#define WEIR_BENCH_BATCH 32

/** Long enough for the other side to fall asleep, in the parked rows. */
#define WEIR_BENCH_THINK_NS UINT64_C(20000)

/** A message as a plain struct. */
typedef struct weir_bench_message {
    uint64_t words[WEIR_BENCH_WORDS];
} weir_bench_message;

static inline void weir_bench_message_write(weir_word *words, uint64_t index)
{
    for (unsigned i = 0; i < WEIR_BENCH_WORDS - 1; i++) {
        words[i] = index + i;
    }
    words[WEIR_BENCH_WORDS - 1] = (index << 32) | weir_envelope_sequence(index);
}

static inline uint64_t weir_bench_message_read(const weir_word *words)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < WEIR_BENCH_WORDS; i++) {
        sum += words[i];
    }
    return sum;
}

/** Sum over @p count messages from @p first on; all indices below 2^32 - 1. */
static inline uint64_t weir_bench_message_sum(uint64_t first, uint64_t count)
{
    const uint64_t indices = count * first + count * (count - 1) / 2;
    return 8 * indices + 22 * count + (indices << 32);
}

#endif
