/**
 * @file
 * Payload slots: written once by the producer, read in place by the consumer, given back in any
 * order.
 *
 * Purpose: each side allocates the slots of its own payload region from private lists (one per size
 * class); the other side gives slots back through a ring of slot numbers in memory that it owns. A
 * release ring has room for every slot of the pool and a slot is released at most once per
 * allocation, so a release never waits and needs no index back.
 *
 * Threads: a pool belongs to one thread at a time (the manager holds its worker's lock); likewise a
 * release writer. The two ends run in different processes.
 *
 * Blocking: never. No heap after initialisation.
 *
 * Ordering: SYNC(slots.release): the releaser's store of the count releases its last read of the
 * payload; the owner's acquire of the count comes before it writes the slot again.
 *
 * Ownership: a slot taken belongs to the taker until it is published; from the publishing on to the
 * reader, until the release arrives. Slot numbers count through all classes of a pool from 0.
 */
#ifndef WEIR_MEMORY_SLOTS_H
#define WEIR_MEMORY_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/arena_config.h"
#include "weir/status.h"

/** Where the classes of a pool lie; a private copy on each side. */
typedef struct weir_slot_map {
    uint32_t class_count;
    uint32_t slot_total;
    struct weir_slot_map_class {
        uint32_t slot_bytes;
        uint32_t slot_count;
        uint32_t first_slot;   /**< Number of its first slot. */
        uint32_t first_offset; /**< Bytes from the start of the payload region. */
    } classes[WEIR_SIZE_CLASSES_MAX];
} weir_slot_map;

/** Lays the classes one behind the other, each on a 64-byte boundary. Both sides and the arena
 * compute it alike. */
void weir_slot_map_init(weir_slot_map *map, const weir_size_class *classes, uint32_t class_count);

/** Bytes that the pool's payload region needs. */
size_t weir_slot_map_bytes(const weir_slot_map *map);

/**
 * The slot that begins at @p offset and holds at least @p bytes: how a reader checks what an
 * envelope says. Returns WEIR_OK, or WEIR_PROTOCOL when no slot begins there or it is smaller.
 */
weir_status weir_slot_map_find(const weir_slot_map *map, uint32_t offset, uint32_t bytes,
                               uint32_t *slot) WEIR_MUST_CHECK;

/** Offset of a slot by its number, which must be below slot_total. */
uint32_t weir_slot_map_offset(const weir_slot_map *map, uint32_t slot);
/** Size of a slot by its number. */
uint32_t weir_slot_map_slot_bytes(const weir_slot_map *map, uint32_t slot);

/** The owner's side. */
typedef struct weir_slot_pool {
    weir_slot_map map;
    uint32_t *free_slots; /**< One stack per class, in one allocation. */
    uint32_t free_count[WEIR_SIZE_CLASSES_MAX];
    uint8_t *is_taken; /**< By slot number: catches double and invented releases. */
    uint32_t taken_count;
    const uint32_t *entries; /**< The other side's release ring. */
    uint32_t entry_mask;
    const uint64_t *released; /**< The other side's count. */
    uint64_t collected;       /**< How many of its entries were taken in. */
} weir_slot_pool;

/** A slot in the owner's hands. */
typedef struct weir_slot {
    uint32_t number;
    uint32_t offset; /**< From the start of the payload region. */
    uint32_t bytes;  /**< Size of the slot. */
} weir_slot;

/** Returns WEIR_OK or WEIR_NO_MEMORY. @p capacity is that of the release ring, a power of two >=
 * slot_total. */
weir_status weir_slot_pool_init(weir_slot_pool *pool, const weir_slot_map *map,
                                const uint32_t *entries, uint32_t capacity,
                                const uint64_t *released) WEIR_MUST_CHECK;
void weir_slot_pool_destroy(weir_slot_pool *pool);

/**
 * Takes a slot of the smallest class that holds @p bytes and has one free (a larger class serves
 * when the best is empty). Returns WEIR_OK, WEIR_FULL (call weir_slot_pool_collect and try again),
 * WEIR_OVERSIZE (no class is that large).
 */
weir_status weir_slot_pool_take(weir_slot_pool *pool, uint32_t bytes,
                                weir_slot *slot) WEIR_MUST_CHECK;

/** Gives back a slot that was never published. */
void weir_slot_pool_put_back(weir_slot_pool *pool, uint32_t slot);

/**
 * Takes in what the other side has released since the last call; bounded by the pool's size.
 * Returns WEIR_OK or WEIR_PROTOCOL (a count that runs backwards or too far, a slot number that is
 * not out).
 */
weir_status weir_slot_pool_collect(weir_slot_pool *pool) WEIR_MUST_CHECK;

/** The reader's side: gives slots back. */
typedef struct weir_release_writer {
    uint32_t *entries;
    uint32_t entry_mask;
    uint64_t *released; /**< Own shared count. */
    uint64_t written;   /**< Private; may run ahead of the shared count until it is published. */
} weir_release_writer;

void weir_release_writer_init(weir_release_writer *writer, uint32_t *entries, uint32_t capacity,
                              uint64_t *released);
/** Notes a release; visible to the owner after weir_release_publish. */
void weir_release_slot(weir_release_writer *writer, uint32_t slot);
/** Makes all noted releases visible. */
void weir_release_publish(weir_release_writer *writer);

#endif
