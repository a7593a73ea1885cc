/**
 * @file
 * One memory object: made or opened, mapped with guards, sealed, given back.
 *
 * Purpose: what arena.c needs for A and B alike, for both backings.
 *
 * Threads: one thread sets an object up and destroys it. Blocking: system calls only.
 *
 * Ownership: an object owns its descriptor, its address range and, where it made it, its shm name.
 * After a failure of any function here weir_object_destroy gives back what there was.
 *
 * Source: memfd_create(2), fcntl(2) "File Sealing", shm_overview(7), mmap(2), madvise(2).
 */
#ifndef WEIR_MEMORY_OBJECT_H
#define WEIR_MEMORY_OBJECT_H

#include "memory/arena.h"

/** Seals that A and B carry from the start, and those that follow once the writer has B mapped. */
#define WEIR_SEALS_SIZE  (F_SEAL_SHRINK | F_SEAL_GROW)
#define WEIR_SEALS_WRITE (F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)

/**
 * Makes a new object of @p bytes bytes, none of them allocated yet. @p name is the shm name
 * ("/weir-…") or, without its slash, what the memfd is called in /proc.
 *
 * Returns WEIR_OK, WEIR_NO_MEMORY, WEIR_SYSTEM.
 */
weir_status weir_object_create(weir_object *object, uint32_t backing, const char *name,
                               size_t bytes, weir_error *error) WEIR_MUST_CHECK;

/** Allocates the regions' pages, so that no access has to wait for memory or die for want of it. */
weir_status weir_object_allocate(const weir_object *object, const struct weir_region_entry *regions,
                                 uint32_t count, weir_error *error) WEIR_MUST_CHECK;

/**
 * Takes over an object that the other side has made: @p fd (memfd) or @p name (shm). Its real size
 * must be @p bytes, and a memfd must carry @p seals. @p what names it in error texts.
 *
 * Returns WEIR_OK, WEIR_PROTOCOL (size or seals), WEIR_SYSTEM.
 */
weir_status weir_object_open(weir_object *object, const char *what, int fd, const char *name,
                             bool is_writable, size_t bytes, int seals,
                             weir_error *error) WEIR_MUST_CHECK;

/** Reserves the address range, all of it PROT_NONE. Returns WEIR_OK, WEIR_NO_MEMORY, WEIR_SYSTEM.
 */
weir_status weir_object_reserve(weir_object *object, weir_error *error) WEIR_MUST_CHECK;

/**
 * Maps regions into the reserved range, over earlier mappings of the same regions. No forked child
 * inherits any of it. Returns WEIR_OK, WEIR_NO_MEMORY, WEIR_SYSTEM.
 */
weir_status weir_object_map(const weir_object *object, const struct weir_region_entry *regions,
                            uint32_t count, bool is_writable, weir_error *error) WEIR_MUST_CHECK;

/**
 * Adds seals to a memfd and asks the kernel whether they hold; nothing to do for shm.
 * Returns WEIR_OK, WEIR_PROTOCOL (somebody else has sealed it already), WEIR_SYSTEM.
 */
weir_status weir_object_seal(const weir_object *object, int seals,
                             weir_error *error) WEIR_MUST_CHECK;

/** Removes the shm name, if this side made it and it is still there. Returns WEIR_OK or
 * WEIR_SYSTEM. */
weir_status weir_object_unlink(weir_object *object, weir_error *error) WEIR_MUST_CHECK;

/** Closes the descriptor; mappings stay. */
void weir_object_close(weir_object *object);

/** True once the memory under the mapping was found missing (shm only). */
bool weir_object_is_truncated(const weir_object *object);

/** Gives everything back; safe on a zeroed object and twice. */
void weir_object_destroy(weir_object *object);

#endif
