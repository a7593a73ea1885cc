/**
 * @file
 * What the tests of memory share: small arenas, the WELCOME that goes with one, a worker's end of
 * it, and a look at what the process holds.
 *
 * Threads: single-threaded helpers. They report by value, so that forked children can use them.
 */
#ifndef WEIR_MEMORY_TESTING_ARENA_FIXTURE_SHARED_H
#define WEIR_MEMORY_TESTING_ARENA_FIXTURE_SHARED_H

#include "memory/arena.h"

/** Rings of 64 and pools of 24 slots in three classes, one of them no power of two: cheap to make.
 */
weir_arena_config fixture_config(uint32_t backing);

/** What the manager would tell the worker about an arena. */
struct weir_welcome fixture_welcome(const weir_arena *manager);

/** Attaches as the worker, by duplicates of the manager's descriptors or by the names. */
weir_status fixture_attach(const weir_arena *manager, weir_arena *worker,
                           weir_error *error) WEIR_MUST_CHECK;

/** One region as a process sees it. */
typedef struct fixture_region {
    const char *name;
    uint8_t *begin;
    size_t bytes;
    bool is_managers; /**< In object A. */
} fixture_region;

enum { FIXTURE_REGIONS = 11 };

/** All regions of an arena, in the order of their kinds. */
void fixture_regions(const weir_arena *arena, fixture_region regions[FIXTURE_REGIONS]);

/** What of Weir a process holds; equal before and after when nothing leaked. */
typedef struct fixture_holdings {
    int descriptors;
    int mappings;             /**< Of memfd:weir or /dev/shm/weir. */
    uint64_t forbidden_bytes; /**< Address space mapped PROT_NONE. */
    int names;                /**< weir-PID in /dev/shm, with our own PID. */
} fixture_holdings;

fixture_holdings fixture_look(void);

#endif
