/* ISA-L's CRC32C: over a header that is in the cache, and over a mebibyte that is in the other
 * core's. */
#include <isa-l/crc.h>
#include <stddef.h>
#include <string.h>

#include "base/atomic.h"
#include "base/os.h"
#include "channel/envelope.h"
#include "harness/bench/references.h"

#define BUFFER_BYTES   (1u << 20)
#define HEADER_SAMPLES 2000

typedef struct crc_state {
    struct crc_shared {
        _Alignas(4096) unsigned char bytes[BUFFER_BYTES];
        _Alignas(128) uint32_t written; /* Turn for which the peer has written. */
        _Alignas(128) uint32_t wanted;  /* Turn for which the lead wants it. */
    } * shared;
    uint32_t turn;
    uint64_t spent_ns; /* Summing alone, in the last run. */
} crc_state;

void *weir_bench_crc_new(void)
{
    static crc_state state;
    state = (crc_state){.shared = weir_pair_shared(sizeof *state.shared)};
    return state.shared != NULL ? &state : NULL;
}

static unsigned char filler(uint32_t turn)
{
    return (unsigned char)(turn * 31 + 7);
}

uint64_t weir_bench_crc_lead(void *context, uint64_t count)
{
    crc_state *state = context;
    uint64_t sum = 0;
    state->spent_ns = 0;
    for (uint64_t i = 0; i < count; i++) {
        weir_store_release_u32(&state->shared->wanted, ++state->turn);
        while (weir_load_acquire_u32(&state->shared->written) != state->turn) {
            weir_cpu_relax();
        }
        const uint64_t begin_ns = weir_os()->clock_ns();
        const uint32_t crc = crc32_iscsi(state->shared->bytes, BUFFER_BYTES, UINT32_MAX);
        state->spent_ns += weir_os()->clock_ns() - begin_ns;
        sum += (uint64_t)crc + state->turn;
    }
    return sum;
}

uint64_t weir_bench_crc_peer(void *context, uint64_t count)
{
    crc_state *state = context;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < count; i++) {
        state->turn++;
        while (weir_load_acquire_u32(&state->shared->wanted) != state->turn) {
            weir_cpu_relax();
        }
        memset(state->shared->bytes, filler(state->turn), BUFFER_BYTES);
        weir_store_release_u32(&state->shared->written, state->turn);
        sum += state->turn;
    }
    /* The checksums that the lead must have seen, made by the library's own front after the clock
     * no longer matters. */
    static unsigned char copy[BUFFER_BYTES];
    for (uint64_t i = 0; i < count; i++) {
        memset(copy, filler(state->turn - (uint32_t)i), BUFFER_BYTES);
        sum += (uint32_t)~weir_crc32c(copy, BUFFER_BYTES);
    }
    return sum;
}

weir_status weir_bench_crc_probe(void *context, weir_sample *sample, weir_error *error)
{
    const weir_pair_probe_context *probe = context;
    const weir_status status = weir_pair_run(probe->pair, probe->part, sample, error);
    if (status == WEIR_OK) {
        const crc_state *state = probe->part->state;
        sample->ns = (double)state->spent_ns / (double)probe->part->count;
    }
    return status;
}

weir_status weir_bench_header_crc_probe(void *context, weir_sample *sample, weir_error *error)
{
    (void)context;
    struct weir_envelope envelope = {.magic = WEIR_ENVELOPE_MAGIC};
    const uint64_t switches = weir_pair_switches();
    const uint64_t begin_ns = weir_os()->clock_ns();
    for (uint64_t i = 0; i < HEADER_SAMPLES; i++) {
        /* Each sum goes into the next header: one after the other, as in a trip. */
        envelope.job_id = envelope.header_crc;
        weir_envelope_seal(&envelope, i);
    }
    sample->ns = (double)(weir_os()->clock_ns() - begin_ns) / HEADER_SAMPLES;
    sample->switches = weir_pair_switches() - switches;
    if (weir_crc32c(&envelope, offsetof(struct weir_envelope, header_crc)) == envelope.header_crc) {
        return WEIR_OK;
    }
    weir_error_set(error, "one header has two checksums; this is a bug of Weir or of this machine");
    return WEIR_CORRUPT;
}
