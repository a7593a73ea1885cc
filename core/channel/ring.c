#include "channel/ring.h"

#include <assert.h>

void weir_ring_producer_init(weir_ring_producer *producer, weir_envelope_slice slots,
                             uint64_t *published, const uint64_t *consumed, uint64_t first_index)
{
    assert(slots.count >= 1 && (slots.count & (slots.count - 1)) == 0);
    *producer = (weir_ring_producer){
        .slots = slots.at,
        .published = published,
        .consumed = consumed,
        .capacity = slots.count,
        .tail = first_index,
        .head_seen = first_index,
    };
}

void weir_ring_consumer_init(weir_ring_consumer *consumer, weir_envelope_slice slots,
                             uint64_t *consumed, uint64_t first_index)
{
    assert(slots.count >= 1 && (slots.count & (slots.count - 1)) == 0);
    *consumer = (weir_ring_consumer){
        .slots = slots.at,
        .consumed = consumed,
        .capacity = slots.count,
        .head = first_index,
    };
}

weir_status weir_ring_refresh(weir_ring_producer *producer)
{
    /* SYNC(ring.consume): the slots up to here may be written again after this load. */
    const uint64_t head = weir_load_acquire_u64(producer->consumed);
    /* Differences, so that the check also holds across the wrap-around of the indices. */
    if (head - producer->head_seen > producer->tail - producer->head_seen) {
        return WEIR_PROTOCOL;
    }
    producer->head_seen = head;
    return WEIR_OK;
}
