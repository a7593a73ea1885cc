/**
 * @file
 * A ring of envelopes with one producer and one consumer in different processes.
 *
 * Purpose: hand over 64-byte envelopes at the cost of one cache-line transfer each. A slot says
 * itself that it is published: the last word of an envelope carries the low half of the slot's
 * index plus one, and the producer stores it last. The consumer looks only at the slot that it will
 * read next, so no index travels between the caches on the way of a message
 * (docs/decisions/0001-slots-publish-themselves.md has the measurements).
 *
 * Typical use, producer: weir_ring_room, then weir_ring_stage for each envelope, then
 * weir_ring_publish once. Typical use, consumer: weir_ring_take until WEIR_EMPTY or enough, then
 * weir_ring_consumed once.
 *
 * Threads: one producer and one consumer at a time; each end is a private struct.
 *
 * Blocking and progress: every call is wait-free; full and empty are normal results.
 *
 * Ordering:
 *   SYNC(ring.publish): the release store of the first staged slot's last word comes after all
 * words of the whole batch; the consumer's acquire load of that word comes before it reads them.
 * Release suffices because the consumer never looks at a later slot before it has seen the first.
 *   SYNC(ring.consume): the release store of the consumed count comes after the consumer's last
 * read of the slots; the producer's acquire load of it comes before it writes them again.
 *
 * Ownership: neither end owns the memory. Units: envelopes; indices are free-running and may wrap
 * at 2^64.
 *
 * Trust: the consumer takes no index from the producer. The producer checks the consumer's count
 * against its own (WEIR_PROTOCOL when it runs backwards or ahead). A copied envelope is validated
 * by its reader, see envelope.h.
 *
 * Source: the self-publishing slot is that of FastForward (Giacomoni, Moseley, Vachharajani, PPoPP
 * 2008); the cached remote index that of MCRingBuffer (Lee, Bu, Chandranmenon, IPDPS 2010).
 */
#ifndef WEIR_CHANNEL_RING_H
#define WEIR_CHANNEL_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"
#include "channel/envelope.h"
#include "layout/generated/weir_layout.h"
#include "memory/slice.h"
#include "weir/status.h"

#define WEIR_ENVELOPE_WORDS (sizeof(struct weir_envelope) / sizeof(uint64_t))

/** The producer's end, private to its process. */
typedef struct weir_ring_producer {
    struct weir_envelope *slots;
    uint64_t *published;      /**< Own shared count, for observers. */
    const uint64_t *consumed; /**< The other side's shared count. */
    uint64_t capacity;
    uint64_t tail;      /**< Index of the next envelope to publish. */
    uint64_t staged;    /**< Envelopes written behind tail and not yet published. */
    uint64_t head_seen; /**< Last believed value of *consumed. */
    uint64_t
        first_word; /**< Last word of the first staged envelope, withheld until the publishing. */
} weir_ring_producer;

/** The consumer's end, private to its process. */
typedef struct weir_ring_consumer {
    const struct weir_envelope *slots;
    uint64_t *consumed; /**< Own shared count. */
    uint64_t capacity;
    uint64_t head; /**< Index of the next envelope to take. */
} weir_ring_consumer;

/** Both ends begin at @p first_index, which is 0 except in tests of the wrap-around. The count of
 * @p slots is a power of two; the consumer only reads them. */
void weir_ring_producer_init(weir_ring_producer *producer, weir_envelope_slice slots,
                             uint64_t *published, const uint64_t *consumed, uint64_t first_index);
void weir_ring_consumer_init(weir_ring_consumer *consumer, weir_envelope_slice slots,
                             uint64_t *consumed, uint64_t first_index);

/** Looks at the consumer's count again. Returns WEIR_OK or WEIR_PROTOCOL, after which nothing was
 * believed. */
weir_status weir_ring_refresh(weir_ring_producer *producer) WEIR_MUST_CHECK;

static inline uint64_t weir_ring_room_known(const weir_ring_producer *producer)
{
    return producer->capacity - (producer->tail + producer->staged - producer->head_seen);
}

/**
 * Makes sure that @p wanted more envelopes can be staged; asks the other side's count only when the
 * known room is too small. Returns WEIR_OK, WEIR_FULL or WEIR_PROTOCOL.
 */
WEIR_MUST_CHECK static inline weir_status weir_ring_room(weir_ring_producer *producer,
                                                         uint64_t wanted)
{
    if (weir_ring_room_known(producer) >= wanted) {
        return WEIR_OK;
    }
    const weir_status status = weir_ring_refresh(producer);
    if (status != WEIR_OK) {
        return status;
    }
    return weir_ring_room_known(producer) >= wanted ? WEIR_OK : WEIR_FULL;
}

/** Ring index that the next staged envelope will have; what weir_envelope_seal needs. */
static inline uint64_t weir_ring_next_index(const weir_ring_producer *producer)
{
    return producer->tail + producer->staged;
}

/** Writes a sealed envelope behind those staged before; there must be room. Nobody sees it yet. */
static inline void weir_ring_stage(weir_ring_producer *producer,
                                   const struct weir_envelope *envelope)
{
    const weir_word *words = (const weir_word *)envelope;
    const uint64_t index = producer->tail + producer->staged;
    uint64_t *slot = (uint64_t *)(void *)&producer->slots[index & (producer->capacity - 1)];
    weir_copy_words_out(slot, words, WEIR_ENVELOPE_WORDS - 1);
    if (producer->staged == 0) {
        producer->first_word = words[WEIR_ENVELOPE_WORDS - 1];
    } else {
        weir_store_relaxed_u64(&slot[WEIR_ENVELOPE_WORDS - 1], words[WEIR_ENVELOPE_WORDS - 1]);
    }
    producer->staged++;
}

/** Makes everything staged visible at once; a crash before it leaves nothing behind that a consumer
 * would take. */
static inline void weir_ring_publish(weir_ring_producer *producer)
{
    if (producer->staged == 0) {
        return;
    }
    uint64_t *slot =
        (uint64_t *)(void *)&producer->slots[producer->tail & (producer->capacity - 1)];
    /* SYNC(ring.publish): the whole batch lies before this store. */
    weir_store_release_u64(&slot[WEIR_ENVELOPE_WORDS - 1], producer->first_word);
    producer->tail += producer->staged;
    producer->staged = 0;
    weir_store_relaxed_u64(producer->published, producer->tail);
}

/** Forgets what was staged and not published. */
static inline void weir_ring_unstage(weir_ring_producer *producer)
{
    /* Only the first slot's sequence was withheld. The others already carry theirs, and a consumer
     * that is led there by a shorter batch would take them: each gets one that nobody waits for. */
    for (uint64_t i = 1; i < producer->staged; i++) {
        const uint64_t index = producer->tail + i;
        weir_store_relaxed_u32(&producer->slots[index & (producer->capacity - 1)].sequence,
                               weir_envelope_sequence(index) - 1);
    }
    producer->staged = 0;
}

/** True when an envelope is there to be taken. */
static inline bool weir_ring_ready(const weir_ring_consumer *consumer)
{
    const struct weir_envelope *slot = &consumer->slots[consumer->head & (consumer->capacity - 1)];
    /* SYNC(ring.publish): pairs with weir_ring_publish; what follows reads the batch that it ended.
     */
    return weir_load_acquire_u32(&slot->sequence) == weir_envelope_sequence(consumer->head);
}

/**
 * Copies the next envelope out, once, for validation on the copy. The slot is given back by
 * weir_ring_consumed. Returns WEIR_OK or WEIR_EMPTY.
 */
WEIR_MUST_CHECK static inline weir_status weir_ring_take(weir_ring_consumer *consumer,
                                                         struct weir_envelope *copy)
{
    if (!weir_ring_ready(consumer)) {
        return WEIR_EMPTY;
    }
    weir_copy_words_in(copy, &consumer->slots[consumer->head & (consumer->capacity - 1)],
                       WEIR_ENVELOPE_WORDS);
    consumer->head++;
    return WEIR_OK;
}

/** Undoes the last weir_ring_take, which is not yet given back: it will be taken, and must be
 * checked, again. */
static inline void weir_ring_put_back(weir_ring_consumer *consumer)
{
    consumer->head--;
}

/** Gives back all slots taken since the last call. */
static inline void weir_ring_consumed(weir_ring_consumer *consumer)
{
    /* SYNC(ring.consume): the copies were made before this store. */
    weir_store_release_u64(consumer->consumed, consumer->head);
}

#endif
