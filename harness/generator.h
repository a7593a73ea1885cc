/**
 * @file
 * The jobs of a run, made from its seed.
 *
 * Purpose: job number n of a seed is always the same request: opcode, size and content follow from
 * the two numbers alone, whichever thread asks, so a run can be repeated and a reply can be checked
 * without keeping its request.
 *
 * Content: echo and crc requests begin with eight bytes that belong to the job number alone, so
 * that two jobs' payloads never pass for each other, followed by a slice of a block of random
 * bytes. The other requests are one of the prepared scenarios.
 *
 * Threads: constant once made; any number of threads. Blocking: making one computes for up to a
 * second, the rest never.
 */
#ifndef WEIR_HARNESS_GENERATOR_H
#define WEIR_HARNESS_GENERATOR_H

#include <stdint.h>

#include "harness/workload.h"
#include "weir/status.h"

typedef struct weir_generator weir_generator;

/** One job's request, before it is written. */
typedef struct weir_task {
    uint64_t number;
    uint64_t stamp;  /**< first eight bytes of an echo or crc request */
    uint32_t bytes;  /**< of the request */
    uint32_t detail; /**< offset in the block, or the scenario's number */
    uint16_t opcode;
    uint8_t routine;
    uint8_t entry; /**< of the mix */
} weir_task;

/** Returns WEIR_OK, WEIR_NO_MEMORY, or WEIR_CORRUPT (see scenarios.h). */
weir_status weir_generator_create(const weir_workload *workload, uint64_t seed,
                                  weir_generator **generator, weir_error *error) WEIR_MUST_CHECK;

void weir_generator_free(weir_generator *generator);

/** Describes job number @p number. */
void weir_generator_task(const weir_generator *generator, uint64_t number, weir_task *task);

/** Writes its request of task->bytes bytes. */
void weir_generator_fill(const weir_generator *generator, const weir_task *task, void *payload);

/** Checks its reply against the oracle: NULL when it is right, else a static sentence. */
const char *weir_generator_check(const weir_generator *generator, const weir_task *task,
                                 const void *reply, size_t reply_bytes);

#endif
