#include "channel/telemetry.h"

#include "base/atomic.h"

/* A write takes some 50 ns and comes twice a second: who fails this often meets a dead writer. */
#define READ_TRIES 64

#define SAMPLE_WORDS (sizeof(struct weir_telemetry) / sizeof(uint64_t))

_Static_assert(offsetof(struct weir_telemetry, sequence) == 0, "the sequence is word 0");
_Static_assert(sizeof(struct weir_telemetry) % sizeof(uint64_t) == 0, "whole words only");

void weir_telemetry_write(struct weir_telemetry *shared, const struct weir_telemetry *sample)
{
    const weir_word *from = (const weir_word *)(const void *)sample;
    weir_word *to = (weir_word *)(void *)shared;
    const uint64_t sequence = weir_load_relaxed_u64(&shared->sequence) | 1;
    weir_store_relaxed_u64(&shared->sequence, sequence);
    for (size_t i = 1; i < SAMPLE_WORDS; i++) {
        /* SYNC(telemetry.sequence): release, so that who sees this word sees the odd sequence
         * before it. */
        weir_store_release_u64((uint64_t *)(void *)&to[i], from[i]);
    }
    /* SYNC(telemetry.sequence): all words lie before the even sequence. */
    weir_store_release_u64(&shared->sequence, sequence + 1);
}

weir_status weir_telemetry_read(const struct weir_telemetry *shared, struct weir_telemetry *copy)
{
    const weir_word *from = (const weir_word *)(const void *)shared;
    weir_word *to = (weir_word *)(void *)copy;
    for (int i = 0; i < READ_TRIES; i++) {
        /* SYNC(telemetry.sequence): the words of this sample are visible behind this load. */
        const uint64_t before = weir_load_acquire_u64(&shared->sequence);
        for (size_t k = 1; k < SAMPLE_WORDS; k++) {
            /* SYNC(telemetry.sequence): acquire, so that a newer word brings its odd sequence
             * along. */
            to[k] = weir_load_acquire_u64((const uint64_t *)(const void *)&from[k]);
        }
        if ((before & 1) == 0 && weir_load_relaxed_u64(&shared->sequence) == before) {
            copy->sequence = before;
            return WEIR_OK;
        }
        weir_cpu_relax();
    }
    return WEIR_EMPTY;
}
