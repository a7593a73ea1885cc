/**
 * @file
 * A ring in memory of its own, for tests: slots between guard pages, both counts, both ends.
 *
 * The memory is shared with children forked afterwards. Threads: single-threaded helpers; they
 * report by value or end the process, so that forked children and plain programs can use them.
 */
#ifndef WEIR_CHANNEL_TESTING_RING_BOX_SHARED_H
#define WEIR_CHANNEL_TESTING_RING_BOX_SHARED_H

#include "channel/ring.h"

typedef struct ring_box {
    struct weir_envelope *slots;
    uint64_t *published;
    uint64_t *consumed;
    weir_ring_producer producer;
    weir_ring_consumer consumer;
    void *mapping; /**< NULL: nothing to free. */
    size_t mapping_bytes;
} ring_box;

/** What every envelope of these tests is checked against. */
extern const weir_envelope_terms ring_box_terms;

/**
 * A ring whose slots end at a guard page, with both ends at @p first_index. Its slots look as after
 * the lap before: a zeroed slot would count as published at index 2^32 - 1, which fresh memory
 * never meets because real rings begin at 0.
 */
ring_box ring_box_make(uint32_t capacity, uint64_t first_index);

/** The same in static memory, for many short rounds in one thread; the next call reuses it. */
ring_box ring_box_make_static(uint32_t capacity, uint64_t first_index);

void ring_box_free(ring_box *box);

/** Stages a sealed request with this job id; there must be room. */
void ring_box_stage(ring_box *box, uint64_t number);

/** xorshift64* (Vigna 2016); the state is never 0. */
uint64_t ring_box_random(uint64_t *state);

#endif
