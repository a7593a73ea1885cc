#include "loopback/routines/pathfind_heap.h"

#include <stdlib.h>

/** Entries of the first allocation; most searches need no more. */
#define FIRST_ENTRIES ((size_t)4096)

static bool before(pathfind_heap_entry a, pathfind_heap_entry b)
{
    return a.cost < b.cost || (a.cost == b.cost && a.cell < b.cell);
}

static bool make_room(pathfind_heap *heap)
{
    const size_t capacity = heap->memory->bytes / sizeof(pathfind_heap_entry);
    if (heap->count < capacity) {
        return true;
    }
    const size_t bytes =
        (capacity > 0 ? 2 * capacity : FIRST_ENTRIES) * sizeof(pathfind_heap_entry);
    void *memory = realloc(heap->memory->memory, bytes);
    if (memory == NULL) {
        return false;
    }
    *heap->memory = (routine_scratch){.memory = memory, .bytes = bytes};
    return true;
}

bool pathfind_heap_push(pathfind_heap *heap, pathfind_heap_entry entry)
{
    if (!make_room(heap)) {
        return false;
    }
    pathfind_heap_entry *entries = heap->memory->memory;
    size_t at = heap->count++;
    while (at > 0 && before(entry, entries[(at - 1) / 2])) {
        entries[at] = entries[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    entries[at] = entry;
    return true;
}

pathfind_heap_entry pathfind_heap_pop(pathfind_heap *heap)
{
    pathfind_heap_entry *entries = heap->memory->memory;
    const pathfind_heap_entry first = entries[0];
    const pathfind_heap_entry last = entries[--heap->count];
    size_t at = 0;
    for (size_t child = 1; child < heap->count; child = 2 * at + 1) {
        if (child + 1 < heap->count && before(entries[child + 1], entries[child])) {
            child++;
        }
        if (!before(entries[child], last)) {
            break;
        }
        entries[at] = entries[child];
        at = child;
    }
    entries[at] = last;
    return first;
}
