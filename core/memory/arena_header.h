/**
 * @file
 * The header at the start of object A: written by the manager, checked by the worker.
 *
 * Purpose: from the header the worker learns all sizes. It copies the header once and checks the
 * copy; what comes out is a configuration and a region table that make sense by themselves, and the
 * memory is not asked again.
 *
 * Threads: plain values. Blocking: never. Units: bytes.
 */
#ifndef WEIR_MEMORY_ARENA_HEADER_H
#define WEIR_MEMORY_ARENA_HEADER_H

#include "memory/arena_plan.h"
#include "weir/status.h"

/** Writes a complete header. */
void weir_arena_header_write(struct weir_manager_header *header, const weir_arena_config *config,
                             const weir_arena_plan *plan, uint32_t generation);

/**
 * Checks a private copy of a header against what WELCOME said. On success @p config holds the sizes
 * (backing is the caller's) and @p plan the regions as the header places them.
 *
 * Returns WEIR_OK, WEIR_INCOMPATIBLE (another layout major), WEIR_PROTOCOL (anything else; the
 * sentence names the field).
 */
weir_status weir_arena_header_check(const struct weir_manager_header *header, uint32_t generation,
                                    uint64_t manager_bytes, uint64_t worker_bytes,
                                    weir_arena_config *config, weir_arena_plan *plan,
                                    weir_error *error) WEIR_MUST_CHECK;

#endif
