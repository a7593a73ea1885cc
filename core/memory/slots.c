#include "memory/slots.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static uint32_t shift_of(uint32_t bytes)
{
    const bool is_power_of_two = (bytes & (bytes - 1)) == 0;
    return is_power_of_two ? (uint32_t)__builtin_ctz(bytes) : WEIR_SLOT_NO_SHIFT;
}

void weir_slot_map_init(weir_slot_map *map, const weir_size_class *classes, uint32_t class_count)
{
    assert(class_count <= WEIR_SIZE_CLASSES_MAX);
    memset(map, 0, sizeof *map);
    map->class_count = class_count;
    uint32_t offset = 0;
    for (uint32_t i = 0; i < class_count; i++) {
        /* Slots are multiples of 64 bytes, so each class ends where the next may begin. */
        assert(classes[i].slot_bytes > 0 && classes[i].slot_bytes % 64 == 0);
        struct weir_slot_map_class *class = &map->classes[i];
        class->slot_bytes = classes[i].slot_bytes;
        class->slot_count = classes[i].slot_count;
        class->first_slot = map->slot_total;
        class->first_offset = offset;
        class->slot_shift = shift_of(classes[i].slot_bytes);
        offset += classes[i].slot_bytes * classes[i].slot_count;
        class->end_offset = offset;
        map->slot_total += classes[i].slot_count;
    }
}

size_t weir_slot_map_bytes(const weir_slot_map *map)
{
    return map->class_count == 0 ? 0 : map->classes[map->class_count - 1].end_offset;
}

uint32_t weir_slot_map_offset(const weir_slot_map *map, uint32_t slot)
{
    assert(slot < map->slot_total);
    const struct weir_slot_map_class *class = &map->classes[weir_slot_map_class_of(map, slot)];
    return class->first_offset + (slot - class->first_slot) * class->slot_bytes;
}

uint32_t weir_slot_map_slot_bytes(const weir_slot_map *map, uint32_t slot)
{
    assert(slot < map->slot_total);
    return map->classes[weir_slot_map_class_of(map, slot)].slot_bytes;
}

weir_status weir_slot_pool_init(weir_slot_pool *pool, const weir_slot_map *map,
                                weir_release_slice entries, const uint64_t *released)
{
    assert(entries.count >= map->slot_total && (entries.count & (entries.count - 1)) == 0);
    memset(pool, 0, sizeof *pool);
    const size_t total = map->slot_total;
    uint32_t *lists = malloc(total * (sizeof *lists + sizeof *pool->is_taken));
    if (lists == NULL) {
        return WEIR_NO_MEMORY;
    }
    pool->map = *map;
    pool->free_slots = lists;
    pool->is_taken = (uint8_t *)(lists + total);
    memset(pool->is_taken, 0, total);
    for (uint32_t i = 0; i < map->class_count; i++) {
        const struct weir_slot_map_class *class = &map->classes[i];
        pool->free_count[i] = class->slot_count;
        /* Top of the stack is the last element: the lowest numbers go out first. */
        for (uint32_t k = 0; k < class->slot_count; k++) {
            lists[class->first_slot + k] = class->first_slot + class->slot_count - 1 - k;
        }
    }
    pool->entries = entries.at;
    pool->entry_mask = entries.count - 1;
    pool->released = released;
    return WEIR_OK;
}

void weir_slot_pool_destroy(weir_slot_pool *pool)
{
    free(pool->free_slots);
    memset(pool, 0, sizeof *pool);
}

void weir_release_writer_init(weir_release_writer *writer, weir_release_slice entries,
                              uint64_t *released)
{
    assert(entries.count >= 1 && (entries.count & (entries.count - 1)) == 0);
    writer->entries = entries.at;
    writer->entry_mask = entries.count - 1;
    writer->released = released;
    writer->written = 0;
}
