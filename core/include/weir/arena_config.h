/**
 * @file
 * How much shared memory a worker's incarnation gets.
 *
 * Purpose: sizes of the rings and of the payload size classes. The default needs less than 8 MiB
 * for both directions and takes payloads up to 1 MiB.
 *
 * Threads: plain values. Units: bytes and counts.
 */
#ifndef WEIR_ARENA_CONFIG_H
#define WEIR_ARENA_CONFIG_H

#include <stdint.h>

#include "weir/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Most size classes of one payload pool (CLASS_COUNT_MAX of the layout). */
#define WEIR_SIZE_CLASSES_MAX 8

/** Payload slots of one size. */
typedef struct weir_size_class {
    uint32_t slot_bytes; /**< A multiple of 64. */
    uint32_t slot_count;
} weir_size_class;

/** Sizes of one incarnation's memory. */
typedef struct weir_arena_config {
    uint32_t backing; /**< enum weir_backing: 0 memfd (default), 1 POSIX shared memory. */
    uint32_t
        ring_capacity; /**< Envelopes per ring, a power of two; also the most jobs in flight. */
    uint32_t request_class_count;
    uint32_t response_class_count;
    weir_size_class request_class[WEIR_SIZE_CLASSES_MAX];  /**< Ascending by slot_bytes. */
    weir_size_class response_class[WEIR_SIZE_CLASSES_MAX]; /**< Ascending by slot_bytes. */
} weir_arena_config;

/** The default sizes: rings of 512; 256 B x 512, 4 KiB x 64, 64 KiB x 8 and 1 MiB x 2 in each
 * direction. */
WEIR_API void weir_arena_config_default(weir_arena_config *config);

/** Returns WEIR_OK, or WEIR_INVALID with a sentence that names the value and what it may be. */
WEIR_API weir_status weir_arena_config_check(const weir_arena_config *config,
                                             weir_error *error) WEIR_MUST_CHECK;

/** Bytes of both objects together, page and guard alignment included; 0 when the configuration is
 * not valid. */
WEIR_API uint64_t weir_arena_config_bytes(const weir_arena_config *config);

#ifdef __cplusplus
}
#endif

#endif
