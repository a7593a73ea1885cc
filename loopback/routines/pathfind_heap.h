/**
 * The open list of `pathfind`: a binary heap, smallest cost first, equal costs by cell, so that the
 * order is the same on every run.
 *
 * Callers: one thread per heap. Blocking: never. Ownership: the entries live in the scratch memory
 * that the heap is given; it doubles when it is full and stays for the next search.
 */
#ifndef LOOPBACK_ROUTINES_PATHFIND_HEAP_H
#define LOOPBACK_ROUTINES_PATHFIND_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loopback/routines/routine.h"

typedef struct pathfind_heap_entry {
    double cost;
    uint32_t cell;
} pathfind_heap_entry;

typedef struct pathfind_heap {
    routine_scratch *memory;
    size_t count;
} pathfind_heap;

/** Returns false when the heap is full and there is no memory to grow it. */
bool pathfind_heap_push(pathfind_heap *heap, pathfind_heap_entry entry);

/** The heap must not be empty. */
pathfind_heap_entry pathfind_heap_pop(pathfind_heap *heap);

#endif
