/**
 * @file
 * The memory of one incarnation: two objects, each with one writer.
 *
 * Purpose: a worker's life has object A (manager writes, worker reads) and object B (worker writes,
 * manager reads). The manager makes both, maps A writable and B read-only, and seals each against
 * any further writable mapping once its one writer has it mapped: A before it is handed over, B
 * after READY. Memory is never reused by the next incarnation.
 *
 * Typical use (manager): weir_arena_config_default, weir_arena_create, hand over the descriptors,
 * weir_arena_seal_worker_object after READY, weir_arena_close_descriptors, at the end
 * weir_arena_destroy. Typical use (worker): weir_arena_attach with the descriptors from WELCOME, at
 * the end weir_arena_destroy.
 *
 * Threads: an arena is set up and destroyed by one thread; in between its pointers are read by any.
 *
 * Blocking: system calls only; fallocate touches every page.
 *
 * Ownership: the arena owns mappings and descriptors. Mappings are MADV_DONTFORK, so a forked child
 * has none.
 *
 * Placement: each object is mapped in an address range of its own whose size is a power of two and
 * which is aligned to that size; regions are aligned to 64 KiB and surrounded by PROT_NONE, so that
 * running over a region's end faults (at the end of its last page: a region that is no multiple of
 * the page has slack up to there). 64 KiB in front of the range are PROT_NONE too. Offsets in the
 * address range equal offsets in the object.
 *
 * Units: bytes.
 *
 * Source: memfd_create(2), fcntl(2) "File Sealing", madvise(2), shm_overview(7).
 */
#ifndef WEIR_MEMORY_ARENA_H
#define WEIR_MEMORY_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "layout/generated/weir_layout.h"
#include "memory/slice.h"
#include "weir/arena_config.h"
#include "weir/status.h"

/** One memory object as this process sees it. */
typedef struct weir_object {
    int fd;                       /**< -1 once closed. */
    uint8_t *base;                /**< Start of the mapping, NULL when not mapped. */
    size_t bytes;                 /**< Length of the object; 0 in a zeroed or destroyed one. */
    size_t reserved_bytes;        /**< Length of the address range from base, a power of two. */
    uint32_t backing;             /**< enum weir_backing. */
    int32_t owner_pid;            /**< Who mapped it: a forked child unmaps and unlinks nothing. */
    char name[72];                /**< shm name while this side has to unlink it, else empty. */
    struct weir_bus_range *guard; /**< Entry of the SIGBUS guard, NULL for memfd. */
} weir_object;

/**
 * Both objects with pointers to their structs and slices of their other regions. Everything that
 * sizes an access (counts, classes, lengths) is a private copy, checked once; nothing is taken from
 * shared memory again. What points into the object that the other side writes must only be read
 * through core/base/atomic.h or validated copies.
 */
typedef struct weir_arena {
    weir_object manager_object; /**< A. */
    weir_object worker_object;  /**< B. */
    uint32_t generation;
    weir_arena_config config; /**< Private copy of all sizes. */

    struct weir_manager_header *manager_header;
    struct weir_manager_control *manager_control;
    weir_envelope_slice request_ring;
    weir_release_slice response_release; /**< Its count is a power of two. */
    weir_byte_slice request_payload;

    struct weir_worker_header *worker_header;
    struct weir_worker_control *worker_control;
    struct weir_telemetry *telemetry;
    weir_envelope_slice response_ring;
    weir_release_slice request_release; /**< Its count is a power of two. */
    weir_byte_slice response_payload;
} weir_arena;

/**
 * Makes both objects and maps them as the manager. A is complete (header written) and sealed; B is
 * allocated and sealed against changes of size. On failure nothing is left behind.
 *
 * Returns WEIR_OK, WEIR_INVALID (the configuration, see weir_arena_config_check), WEIR_NO_MEMORY,
 * WEIR_SYSTEM.
 */
weir_status weir_arena_create(const weir_arena_config *config, uint32_t generation,
                              weir_arena *arena, weir_error *error) WEIR_MUST_CHECK;

/**
 * Maps both objects as the worker: A read-only, B writable, from descriptors (memfd; the arena owns
 * them from here on, also when it fails) or from the names in @p welcome (shm; descriptors are -1).
 * Everything in A's header is checked against the objects' real sizes and against the limits of the
 * layout; for memfd the seals are demanded (size and future writes of A, size of B).
 *
 * Returns WEIR_OK, WEIR_PROTOCOL (the manager's header makes no sense), WEIR_INCOMPATIBLE,
 * WEIR_NO_MEMORY, WEIR_SYSTEM.
 */
weir_status weir_arena_attach(const struct weir_welcome *welcome, int manager_fd, int worker_fd,
                              weir_arena *arena, weir_error *error) WEIR_MUST_CHECK;

/**
 * Manager, after READY: no new writable mapping of B from here on (memfd), or both names unlinked
 * (shm). The manager's own mapping of B is made anew under the seal, so that not even this process
 * can turn it writable (memfd).
 *
 * Returns WEIR_OK, WEIR_PROTOCOL (the worker has closed B's seals itself), WEIR_NO_MEMORY,
 * WEIR_SYSTEM.
 */
weir_status weir_arena_seal_worker_object(weir_arena *arena, weir_error *error) WEIR_MUST_CHECK;

/** Closes the descriptors; the mappings stay. */
void weir_arena_close_descriptors(weir_arena *arena);

/** True once the memory under a mapping was taken away (shm truncated by the peer): end the
 * incarnation. */
bool weir_arena_is_truncated(const weir_arena *arena);

/**
 * Unmaps, closes and unlinks all that is left; safe on a zeroed arena and twice. In a forked child
 * it only closes the child's descriptors.
 */
void weir_arena_destroy(weir_arena *arena);

#endif
