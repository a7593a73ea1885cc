/**
 * @file
 * Two threads over one ring in one mapping: the body of ring_tsan.c and ring_planted_tsan.c.
 *
 * A header and not a library, because the planted program has to compile it, and the real
 * channel/ring.h with it, against a vocabulary in which the publishing store is weaker.
 *
 * Payloads beside the ring are written and read by plain accesses, so ThreadSanitizer sees whether
 * publishing orders the writing before the reading, and giving back the reading before the next
 * writing.
 */
#ifndef WEIR_CHANNEL_TESTING_RING_PAIR_H
#define WEIR_CHANNEL_TESTING_RING_PAIR_H

#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>

#include "base/os.h"
#include "channel/ring.h"

enum { RING_PAIR_CAPACITY = 16, RING_PAIR_ENVELOPES = 100000, RING_PAIR_BATCH_MAX = 5 };

typedef struct ring_pair {
    struct weir_envelope slots[RING_PAIR_CAPACITY];
    uint64_t published;
    _Alignas(128) uint64_t consumed;
    uint64_t payload[RING_PAIR_CAPACITY]; /* plain */
    uint64_t wrong;                       /* read after the threads have joined */
} ring_pair;

static inline weir_envelope_slice ring_pair_slots(ring_pair *pair)
{
    return (weir_envelope_slice){.at = pair->slots, .count = RING_PAIR_CAPACITY};
}

static inline void *ring_pair_consume(void *argument)
{
    ring_pair *pair = argument;
    weir_ring_consumer consumer;
    weir_ring_consumer_init(&consumer, ring_pair_slots(pair), &pair->consumed, 0);
    uint64_t wrong = 0;
    for (uint64_t taken = 0; taken < RING_PAIR_ENVELOPES;) {
        struct weir_envelope copy;
        uint64_t got = 0;
        while (got < RING_PAIR_BATCH_MAX && weir_ring_take(&consumer, &copy) == WEIR_OK) {
            wrong +=
                copy.job_id != taken || pair->payload[taken % RING_PAIR_CAPACITY] != taken * 3 ||
                copy.header_crc != weir_crc32c(&copy, offsetof(struct weir_envelope, header_crc));
            taken++;
            got++;
        }
        weir_ring_consumed(&consumer);
        if (got == 0) {
            weir_os()->yield();
        }
    }
    pair->wrong = wrong;
    return NULL;
}

static inline void ring_pair_produce(ring_pair *pair)
{
    weir_ring_producer producer;
    weir_ring_producer_init(&producer, ring_pair_slots(pair), &pair->published, &pair->consumed, 0);
    for (uint64_t sent = 0; sent < RING_PAIR_ENVELOPES;) {
        uint64_t batch = sent % RING_PAIR_BATCH_MAX + 1;
        batch = batch < RING_PAIR_ENVELOPES - sent ? batch : RING_PAIR_ENVELOPES - sent;
        if (weir_ring_room(&producer, batch) != WEIR_OK) {
            weir_os()->yield();
            continue;
        }
        for (uint64_t i = 0; i < batch; i++, sent++) {
            pair->payload[sent % RING_PAIR_CAPACITY] = sent * 3;
            struct weir_envelope envelope = {.magic = WEIR_ENVELOPE_MAGIC, .job_id = sent};
            weir_envelope_seal(&envelope, weir_ring_next_index(&producer));
            weir_ring_stage(&producer, &envelope);
        }
        weir_ring_publish(&producer);
    }
}

/** The program: 0 when every payload was the expected one. */
static inline int ring_pair_run(ring_pair *pair)
{
    pthread_t consumer;
    if (pthread_create(&consumer, NULL, ring_pair_consume, pair) != 0) {
        return 2;
    }
    ring_pair_produce(pair);
    pthread_join(consumer, NULL);
    printf("%d envelopes, %llu wrong\n", RING_PAIR_ENVELOPES, (unsigned long long)pair->wrong);
    return pair->wrong != 0;
}

static inline ring_pair *ring_pair_make(void)
{
    void *memory =
        mmap(NULL, sizeof(ring_pair), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return memory != MAP_FAILED ? memory : NULL;
}

#endif
