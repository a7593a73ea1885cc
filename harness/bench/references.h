/**
 * @file
 * What Weir is held against: ck_ring, bare cache lines, bare futexes, a socket, ISA-L.
 *
 * Purpose: each reference does the least that could do the job, in the same two processes, with the
 * same number of operations.
 *
 * Threads: as weir_pair_role. Ownership: states live until the process ends.
 *
 * Source: ck_ring(3); futex(2); unix(7) SOCK_SEQPACKET; ISA-L crc32_iscsi.
 */
#ifndef WEIR_HARNESS_BENCH_REFERENCES_H
#define WEIR_HARNESS_BENCH_REFERENCES_H

#include "harness/bench/pair.h"

/** ck_ring between one producer and one consumer, with values of 64 bytes. */
void *weir_bench_ck_ring_new(void);
uint64_t weir_bench_ck_ring_produce(void *context, uint64_t count);
uint64_t weir_bench_ck_ring_consume(void *context, uint64_t count);

/** Pairs of lines that the runs take in turn. One line's way between two cores depends on where it
 * lives in the shared cache, by up to a third; a ring's lines live everywhere. */
#define WEIR_BENCH_WORD_PAIRS 61

/** One word each way. */
typedef struct weir_bench_words {
    struct weir_bench_shared_words {
        _Alignas(128) uint32_t ping;
        _Alignas(128) uint32_t pong;
    } * shared; /**< WEIR_BENCH_WORD_PAIRS of them. */
    uint32_t turn;
    uint32_t run;
} weir_bench_words;

/** Returns @p words, or NULL when there is no memory. */
void *weir_bench_words_new(weir_bench_words *words);

/** Both sides spinning; the state is of weir_bench_words. */
uint64_t weir_bench_ping_pong_lead(void *context, uint64_t count);
uint64_t weir_bench_ping_pong_peer(void *context, uint64_t count);

/** One word each way, both sides asleep in FUTEX_WAIT; the state is of weir_bench_words. */
uint64_t weir_bench_futex_lead(void *context, uint64_t count);
uint64_t weir_bench_futex_peer(void *context, uint64_t count);

/** 64 bytes each way over a SOCK_SEQPACKET pair with blocking calls. */
void *weir_bench_socket_new(void);
/** Closes both ends; NULL is nothing. */
void weir_bench_socket_free(void *context);
uint64_t weir_bench_socket_lead(void *context, uint64_t count);
uint64_t weir_bench_socket_peer(void *context, uint64_t count);

/** CRC32C over memory that the other core has just written; the operations are buffers. The lead
 * sums, the peer writes, and only the lead's summing is timed: weir_bench_crc_probe. */
void *weir_bench_crc_new(void);
uint64_t weir_bench_crc_lead(void *context, uint64_t count);
uint64_t weir_bench_crc_peer(void *context, uint64_t count);
/** Context as for weir_pair_probe. */
weir_status weir_bench_crc_probe(void *context, weir_sample *sample,
                                 weir_error *error) WEIR_MUST_CHECK;

/** One checksum of an envelope's header, on the lead alone; no context. */
weir_status weir_bench_header_crc_probe(void *context, weir_sample *sample,
                                        weir_error *error) WEIR_MUST_CHECK;

#endif
