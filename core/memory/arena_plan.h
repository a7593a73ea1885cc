/**
 * @file
 * Where everything lies in the two objects, computed from a configuration.
 *
 * Purpose: the manager lays out a new arena by it, the worker computes the same sizes from the
 * classes in the header and compares.
 *
 * Threads: plain values. Blocking: never. Units: bytes.
 */
#ifndef WEIR_MEMORY_ARENA_PLAN_H
#define WEIR_MEMORY_ARENA_PLAN_H

#include <stdint.h>

#include "layout/generated/weir_layout.h"
#include "memory/slots.h"
#include "weir/arena_config.h"

/** Regions per object; kinds of A come before those of B. */
enum {
    WEIR_MANAGER_REGIONS = WEIR_REGION_REQUEST_PAYLOAD,
    WEIR_WORKER_REGIONS = WEIR_REGION_MAX - WEIR_REGION_REQUEST_PAYLOAD,
    WEIR_ARENA_REGIONS = WEIR_REGION_MAX,
};

/** Sizes and places that follow from a configuration. */
typedef struct weir_arena_plan {
    weir_slot_map request_map;
    weir_slot_map response_map;
    uint32_t request_release_capacity;
    uint32_t response_release_capacity;
    struct weir_region_entry region[WEIR_ARENA_REGIONS]; /**< Region of kind k at index k - 1. */
    uint64_t manager_bytes;
    uint64_t worker_bytes;
} weir_arena_plan;

/**
 * Lays out both objects. The classes of @p config must each be within the object limit; whether the
 * objects as a whole are, the caller asks manager_bytes and worker_bytes. Every region begins on a
 * multiple of 64 KiB, and at least one such unit behind its end stays empty for the guard.
 */
void weir_arena_plan_init(weir_arena_plan *plan, const weir_arena_config *config);

#endif
