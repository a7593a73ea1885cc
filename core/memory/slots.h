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
 *
 * What runs once per job is defined here, so that it is inlined.
 */
#ifndef WEIR_MEMORY_SLOTS_H
#define WEIR_MEMORY_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"
#include "memory/slice.h"
#include "weir/arena_config.h"
#include "weir/status.h"

/** slot_shift of a class whose slots are not a power of two long. */
#define WEIR_SLOT_NO_SHIFT UINT32_MAX

/** Where the classes of a pool lie; a private copy on each side. */
typedef struct weir_slot_map {
    uint32_t class_count;
    uint32_t slot_total;
    struct weir_slot_map_class {
        uint32_t slot_bytes;
        uint32_t slot_count;
        uint32_t first_slot;   /**< Number of its first slot. */
        uint32_t first_offset; /**< Bytes from the start of the payload region. */
        uint32_t end_offset;   /**< The first offset behind the class. */
        uint32_t slot_shift;   /**< log2 of slot_bytes, or WEIR_SLOT_NO_SHIFT: spares a division. */
    } classes[WEIR_SIZE_CLASSES_MAX];
} weir_slot_map;

/**
 * Lays the classes one behind the other, each on a 64-byte boundary. Both sides and the arena
 * compute it alike. The classes must have passed weir_arena_config_check.
 */
void weir_slot_map_init(weir_slot_map *map, const weir_size_class *classes, uint32_t class_count);

/** Bytes that the pool's payload region needs. */
size_t weir_slot_map_bytes(const weir_slot_map *map);

/**
 * The slot that begins at @p offset and holds at least @p bytes: how a reader checks what an
 * envelope says. Returns WEIR_OK, or WEIR_PROTOCOL when no slot begins there or it is smaller.
 */
static inline WEIR_MUST_CHECK weir_status weir_slot_map_find(const weir_slot_map *map,
                                                             uint32_t offset, uint32_t bytes,
                                                             uint32_t *slot)
{
    for (uint32_t i = 0; i < map->class_count; i++) {
        const struct weir_slot_map_class *class = &map->classes[i];
        if (offset >= class->end_offset) {
            continue;
        }
        /* The classes leave no gaps, so the offset is not below this one's first. */
        const uint32_t inside = offset - class->first_offset;
        const uint32_t index = class->slot_shift != WEIR_SLOT_NO_SHIFT ? inside >> class->slot_shift
                                                                       : inside / class->slot_bytes;
        if (index * class->slot_bytes != inside || bytes > class->slot_bytes) {
            return WEIR_PROTOCOL;
        }
        *slot = class->first_slot + index;
        return WEIR_OK;
    }
    return WEIR_PROTOCOL;
}

/** Index of the class of a slot, whose number must be below slot_total. */
static inline uint32_t weir_slot_map_class_of(const weir_slot_map *map, uint32_t slot)
{
    uint32_t i = 0;
    while (slot - map->classes[i].first_slot >= map->classes[i].slot_count) {
        i++;
    }
    return i;
}

/** Offset of a slot by its number, which must be below slot_total. */
uint32_t weir_slot_map_offset(const weir_slot_map *map, uint32_t slot);
/** Size of a slot by its number, which must be below slot_total. */
uint32_t weir_slot_map_slot_bytes(const weir_slot_map *map, uint32_t slot);

/** The owner's side. */
typedef struct weir_slot_pool {
    weir_slot_map map;
    uint32_t *free_slots; /**< One stack per class, in one allocation; is_taken lies behind them. */
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

/** Returns WEIR_OK or WEIR_NO_MEMORY. @p entries is the other side's release ring, which the pool
 * only reads; its count is a power of two >= slot_total. */
weir_status weir_slot_pool_init(weir_slot_pool *pool, const weir_slot_map *map,
                                weir_release_slice entries,
                                const uint64_t *released) WEIR_MUST_CHECK;

/** Frees the lists; safe on a zeroed pool and twice. */
void weir_slot_pool_destroy(weir_slot_pool *pool);

/**
 * Takes a slot of the smallest class that holds @p bytes and has one free (a larger class serves
 * when the best is empty). Returns WEIR_OK, WEIR_FULL (call weir_slot_pool_collect and try again),
 * WEIR_OVERSIZE (no class is that large).
 */
static inline WEIR_MUST_CHECK weir_status weir_slot_pool_take(weir_slot_pool *pool, uint32_t bytes,
                                                              weir_slot *slot)
{
    const weir_slot_map *map = &pool->map;
    bool is_too_large = true;
    for (uint32_t i = 0; i < map->class_count; i++) {
        const struct weir_slot_map_class *class = &map->classes[i];
        if (bytes > class->slot_bytes) {
            continue;
        }
        is_too_large = false;
        if (pool->free_count[i] == 0) {
            continue;
        }
        /* The slot given back last is the one most likely still in the cache. */
        const uint32_t number = pool->free_slots[class->first_slot + --pool->free_count[i]];
        pool->is_taken[number] = 1;
        pool->taken_count++;
        slot->number = number;
        slot->offset = class->first_offset + (number - class->first_slot) * class->slot_bytes;
        slot->bytes = class->slot_bytes;
        return WEIR_OK;
    }
    return is_too_large ? WEIR_OVERSIZE : WEIR_FULL;
}

/**
 * Gives back a slot that was never published. A slot that is not out is left alone: a lying peer
 * may have released it before it ever saw it.
 */
static inline void weir_slot_pool_put_back(weir_slot_pool *pool, uint32_t slot)
{
    if (slot >= pool->map.slot_total || pool->is_taken[slot] == 0) {
        return;
    }
    const uint32_t i = weir_slot_map_class_of(&pool->map, slot);
    pool->is_taken[slot] = 0;
    pool->taken_count--;
    pool->free_slots[pool->map.classes[i].first_slot + pool->free_count[i]++] = slot;
}

/**
 * Takes in what the other side has released since the last call; bounded by the slots that are out.
 * Returns WEIR_OK or WEIR_PROTOCOL (a count that runs backwards or too far, a slot number that is
 * not out); what was released correctly before the bad entry has been taken in, nothing behind it.
 */
static inline WEIR_MUST_CHECK weir_status weir_slot_pool_collect(weir_slot_pool *pool)
{
    /* SYNC(slots.release): acquire, so that the entries are there and the reader's last read of
     * each slot lies before whatever its owner writes into it next. */
    const uint64_t released = weir_load_acquire_u64(pool->released);
    uint64_t pending = released - pool->collected;
    if (pending > pool->taken_count) {
        return WEIR_PROTOCOL;
    }
    for (; pending > 0; pending--) {
        const uint32_t slot =
            weir_load_relaxed_u32(&pool->entries[pool->collected & pool->entry_mask]);
        if (slot >= pool->map.slot_total || pool->is_taken[slot] == 0) {
            return WEIR_PROTOCOL;
        }
        weir_slot_pool_put_back(pool, slot);
        pool->collected++;
    }
    return WEIR_OK;
}

/** The reader's side: gives slots back. */
typedef struct weir_release_writer {
    uint32_t *entries;
    uint32_t entry_mask;
    uint64_t *released; /**< Own shared count. */
    uint64_t written;   /**< Private; may run ahead of the shared count until it is published. */
} weir_release_writer;

/** Begins at count 0, in fresh memory. The count of @p entries is a power of two. */
void weir_release_writer_init(weir_release_writer *writer, weir_release_slice entries,
                              uint64_t *released);

/** Notes a release; visible to the owner after weir_release_publish. */
static inline void weir_release_slot(weir_release_writer *writer, uint32_t slot)
{
    weir_store_relaxed_u32(&writer->entries[writer->written & writer->entry_mask], slot);
    writer->written++;
}

/** Makes all noted releases visible. */
static inline void weir_release_publish(weir_release_writer *writer)
{
    /* SYNC(slots.release): release, so that the entries and the last read of every slot named in
     * them come first. */
    weir_store_release_u64(writer->released, writer->written);
}

#endif
