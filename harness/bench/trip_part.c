/* Round trips: one envelope there, one back, through rings and gates. */
#include "harness/bench/channel.h"

/* What both sides take for granted in a trip's envelopes. */
static const weir_envelope_terms terms = {
    .generation = 1, .version = 1, .capabilities = WEIR_CAPABILITY_PAYLOAD_CRC};

static inline struct weir_envelope request_for(uint64_t index)
{
    return (struct weir_envelope){
        .magic = WEIR_ENVELOPE_MAGIC,
        .version = terms.version,
        .opcode = WEIR_OPCODE_ECHO,
        .generation = terms.generation,
        .job_id = index,
        .correlation_id = ~index,
    };
}

static inline __attribute__((always_inline)) bool
put(weir_ring_producer *out, weir_waker *waker, struct weir_envelope *envelope, bool is_checked)
{
    if (weir_ring_room(out, 1) != WEIR_OK) {
        return false;
    }
    if (is_checked) {
        weir_envelope_seal(envelope, weir_ring_next_index(out));
    } else {
        envelope->sequence = weir_envelope_sequence(weir_ring_next_index(out));
    }
    weir_ring_stage(out, envelope);
    weir_ring_publish(out);
    (void)weir_gate_wake(waker);
    return true;
}

static inline __attribute__((always_inline)) bool
get(weir_ring_consumer *in, weir_sleeper *sleeper, struct weir_envelope *copy, uint64_t deadline_ns)
{
    return weir_gate_wait(sleeper, weir_bench_has_envelope, in, deadline_ns) == WEIR_OK &&
           weir_ring_take(in, copy) == WEIR_OK;
}

/* What a trip does besides travelling. */
typedef enum trip_kind { TRIP_PLAIN, TRIP_CHECKED, TRIP_PARKED } trip_kind;

static inline __attribute__((always_inline)) uint64_t lead(weir_bench_channel *channel,
                                                           uint64_t count, trip_kind kind)
{
    const bool is_checked = kind != TRIP_PLAIN;
    const uint64_t deadline_ns = weir_deadline_in(WEIR_BENCH_WAIT_NS);
    weir_ring_consumer *in = &channel->response_in;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < count; i++) {
        struct weir_envelope envelope = request_for(channel->sent++);
        struct weir_envelope copy;
        if (kind == TRIP_PARKED) {
            weir_pair_think(WEIR_BENCH_THINK_NS);
        }
        if (!put(&channel->request_out, &channel->peer_waker, &envelope, is_checked) ||
            !get(in, &channel->lead_sleeper, &copy, deadline_ns) ||
            (is_checked &&
             weir_envelope_check_response(&copy, in->head - 1, &terms) != WEIR_ERROR_CODE_NONE)) {
            return 0;
        }
        weir_ring_consumed(in);
        sum += weir_bench_message_read((const weir_word *)&copy);
    }
    return sum;
}

static inline __attribute__((always_inline)) uint64_t peer(weir_bench_channel *channel,
                                                           uint64_t count, trip_kind kind)
{
    const bool is_checked = kind != TRIP_PLAIN;
    const uint64_t deadline_ns = weir_deadline_in(WEIR_BENCH_WAIT_NS);
    weir_ring_consumer *in = &channel->request_in;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < count; i++) {
        struct weir_envelope copy;
        if (!get(in, &channel->peer_sleeper, &copy, deadline_ns) ||
            (is_checked &&
             weir_envelope_check_request(&copy, in->head - 1, &terms) != WEIR_ERROR_CODE_NONE)) {
            return 1;
        }
        if (kind == TRIP_PARKED) {
            weir_pair_think(WEIR_BENCH_THINK_NS);
        }
        copy.status = WEIR_REPLY_STATUS_OK;
        if (!put(&channel->response_out, &channel->lead_waker, &copy, is_checked)) {
            return 1;
        }
        weir_ring_consumed(in);
        sum += weir_bench_message_read((const weir_word *)&copy);
    }
    return sum;
}

uint64_t weir_bench_trip_lead(void *channel, uint64_t count)
{
    return lead(channel, count, TRIP_PLAIN);
}

uint64_t weir_bench_trip_peer(void *channel, uint64_t count)
{
    return peer(channel, count, TRIP_PLAIN);
}

uint64_t weir_bench_checked_trip_lead(void *channel, uint64_t count)
{
    return lead(channel, count, TRIP_CHECKED);
}

uint64_t weir_bench_checked_trip_peer(void *channel, uint64_t count)
{
    return peer(channel, count, TRIP_CHECKED);
}

uint64_t weir_bench_parked_trip_lead(void *channel, uint64_t count)
{
    return lead(channel, count, TRIP_PARKED);
}

uint64_t weir_bench_parked_trip_peer(void *channel, uint64_t count)
{
    return peer(channel, count, TRIP_PARKED);
}
