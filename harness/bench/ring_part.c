/* The ring alone and with its gate: a stream of messages one way. */
#include "harness/bench/channel.h"

/* Inlined into each caller, so that batch and gate are constants there. */
static inline __attribute__((always_inline)) uint64_t
produce(weir_bench_channel *channel, uint64_t count, unsigned batch, bool with_gate)
{
    weir_ring_producer *out = &channel->request_out;
    const uint64_t first = weir_ring_next_index(out);
    for (uint64_t i = 0; i < count; i += batch) {
        weir_status status;
        while ((status = weir_ring_room(out, batch)) == WEIR_FULL) {
            weir_cpu_relax();
        }
        if (status != WEIR_OK) {
            return 0;
        }
        for (unsigned k = 0; k < batch; k++) {
            struct weir_envelope envelope;
            weir_bench_message_write((weir_word *)&envelope, weir_ring_next_index(out));
            weir_ring_stage(out, &envelope);
        }
        weir_ring_publish(out);
        if (with_gate) {
            (void)weir_gate_wake(&channel->peer_waker);
        }
    }
    return weir_bench_message_sum(first, count);
}

static inline __attribute__((always_inline)) uint64_t consume(weir_bench_channel *channel,
                                                              uint64_t count, bool with_gate)
{
    weir_ring_consumer *in = &channel->request_in;
    const uint64_t deadline_ns = weir_deadline_in(WEIR_BENCH_WAIT_NS);
    uint64_t sum = 0;
    for (uint64_t taken = 0; taken < count;) {
        if (with_gate && weir_gate_wait(&channel->peer_sleeper, weir_bench_has_envelope, in,
                                        deadline_ns) != WEIR_OK) {
            break;
        }
        struct weir_envelope copy;
        unsigned batch = 0;
        while (batch < WEIR_BENCH_BATCH && weir_ring_take(in, &copy) == WEIR_OK) {
            sum += weir_bench_message_read((const weir_word *)&copy);
            batch++;
        }
        if (batch == 0) {
            weir_cpu_relax();
            continue;
        }
        weir_ring_consumed(in);
        taken += batch;
    }
    return sum;
}

uint64_t weir_bench_ring_produce_batches(void *channel, uint64_t count)
{
    return produce(channel, count, WEIR_BENCH_BATCH, false);
}

uint64_t weir_bench_ring_produce_single(void *channel, uint64_t count)
{
    return produce(channel, count, 1, false);
}

uint64_t weir_bench_ring_consume(void *channel, uint64_t count)
{
    return consume(channel, count, false);
}

uint64_t weir_bench_gate_produce_batches(void *channel, uint64_t count)
{
    return produce(channel, count, WEIR_BENCH_BATCH, true);
}

uint64_t weir_bench_gate_produce_single(void *channel, uint64_t count)
{
    return produce(channel, count, 1, true);
}

uint64_t weir_bench_gate_consume(void *channel, uint64_t count)
{
    return consume(channel, count, true);
}
