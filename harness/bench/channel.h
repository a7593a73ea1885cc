/**
 * @file
 * A channel without manager and worker: rings and gates in both directions over plain shared
 * memory.
 *
 * Purpose: what the ring and round-trip rows measure. The control words are the structs of the real
 * layout, so that lines are shared exactly as they are in an arena.
 *
 * Threads: after the fork the lead uses the ends of the manager, the peer those of the worker, each
 * in its own copy of this struct.
 *
 * Ownership: the shared memory lives until the process ends.
 */
#ifndef WEIR_HARNESS_BENCH_CHANNEL_H
#define WEIR_HARNESS_BENCH_CHANNEL_H

#include "channel/gate.h"
#include "channel/ring.h"
#include "harness/bench/bench_message.h"
#include "harness/bench/pair.h"

/** Longest wait of a gate in a part; a wait that ends so makes the sums differ. */
#define WEIR_BENCH_WAIT_NS (10 * WEIR_NS_PER_SECOND)
/** Longest spin of a gate in a stream before it parks; libweir's default. */
#define WEIR_BENCH_STREAM_SPIN_NS (20 * WEIR_NS_PER_US)
/** Longest spin in a round trip of which both sides are meant to spin: far above a hiccup of the
 * machine. */
#define WEIR_BENCH_TRIP_SPIN_NS WEIR_NS_PER_MS

typedef struct weir_bench_channel {
    /* the lead's ends */
    weir_ring_producer request_out;
    weir_ring_consumer response_in;
    weir_sleeper lead_sleeper;
    weir_waker peer_waker; /**< Wakes the peer. */
    /* the peer's ends */
    weir_ring_consumer request_in;
    weir_ring_producer response_out;
    weir_sleeper peer_sleeper;
    weir_waker lead_waker; /**< Wakes the lead. */

    uint64_t sent; /**< By the lead, over all runs. */
} weir_bench_channel;

/** @p spin_max_ns is that of both sleepers; 0 parks at once. Returns WEIR_OK, WEIR_NO_MEMORY or
 * WEIR_SYSTEM. */
weir_status weir_bench_channel_init(weir_bench_channel *channel, uint64_t spin_max_ns,
                                    weir_error *error) WEIR_MUST_CHECK;

/** For weir_gate_wait: the context is a weir_ring_consumer. */
bool weir_bench_has_envelope(void *context);

/** The ring alone: lead produces, peer consumes. */
uint64_t weir_bench_ring_produce_batches(void *channel, uint64_t count);
uint64_t weir_bench_ring_produce_single(void *channel, uint64_t count);
uint64_t weir_bench_ring_consume(void *channel, uint64_t count);

/** The same through the gate. */
uint64_t weir_bench_gate_produce_batches(void *channel, uint64_t count);
uint64_t weir_bench_gate_produce_single(void *channel, uint64_t count);
uint64_t weir_bench_gate_consume(void *channel, uint64_t count);

/** Round trips through rings and gates, one envelope at a time. */
uint64_t weir_bench_trip_lead(void *channel, uint64_t count);
uint64_t weir_bench_trip_peer(void *channel, uint64_t count);
/** The same with the header checksum made and checked on each way. */
uint64_t weir_bench_checked_trip_lead(void *channel, uint64_t count);
uint64_t weir_bench_checked_trip_peer(void *channel, uint64_t count);
/** The same with time for the other side to fall asleep. */
uint64_t weir_bench_parked_trip_lead(void *channel, uint64_t count);
uint64_t weir_bench_parked_trip_peer(void *channel, uint64_t count);

#endif
