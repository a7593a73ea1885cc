/* The reference of the ring rows: ck_ring as its own documentation uses it, values copied in and
 * out. */
#include <ck_ring.h>
#include <stdbool.h>
#include <stdlib.h>

#include "harness/bench/bench_message.h"
#include "harness/bench/references.h"

CK_RING_PROTOTYPE(message, weir_bench_message)

typedef struct ck_state {
    struct ck_shared {
        _Alignas(4096) weir_bench_message values[WEIR_BENCH_RING];
        _Alignas(4096) ck_ring_t ring;
    } * shared;
    uint64_t sent;
} ck_state;

void *weir_bench_ck_ring_new(void)
{
    static ck_state state;
    state.shared = weir_pair_shared(sizeof *state.shared);
    if (state.shared == NULL) {
        return NULL;
    }
    ck_ring_init(&state.shared->ring, WEIR_BENCH_RING);
    return &state;
}

uint64_t weir_bench_ck_ring_produce(void *context, uint64_t count)
{
    ck_state *state = context;
    const uint64_t first = state->sent;
    for (uint64_t i = 0; i < count; i++) {
        weir_bench_message message;
        weir_bench_message_write((weir_word *)message.words, first + i);
        while (
            !CK_RING_ENQUEUE_SPSC(message, &state->shared->ring, state->shared->values, &message)) {
            weir_cpu_relax();
        }
    }
    state->sent += count;
    return weir_bench_message_sum(first, count);
}

uint64_t weir_bench_ck_ring_consume(void *context, uint64_t count)
{
    ck_state *state = context;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < count; i++) {
        weir_bench_message message;
        while (
            !CK_RING_DEQUEUE_SPSC(message, &state->shared->ring, state->shared->values, &message)) {
            weir_cpu_relax();
        }
        sum += weir_bench_message_read((const weir_word *)message.words);
    }
    return sum;
}
