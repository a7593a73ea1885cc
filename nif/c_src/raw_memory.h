/**
 * @file
 * Memory shared by name, and futexes in it.
 *
 * Purpose: POSIX shared memory as a resource: made or opened, mapped, read and written in bounded
 * copies, unlinked, given back. For peers that cannot take a descriptor; sealed memfds (arenas) are
 * better in every other case, since whoever can open this memory can truncate it. A truncation does
 * not end the virtual machine: the bytes read as zero from then on and memory_read says :closed.
 *
 * Threads: any; a lock per mapping. Blocking: futex_wait sleeps 1 ms at most, futex_wait_long 1 s
 * at most, on a dirty scheduler; neither holds the lock.
 *
 * Units: bytes; futex words are 32-bit, little-endian, at multiples of 4; microseconds and
 * milliseconds.
 *
 * Source: shm_overview(7), mmap(2), futex(2).
 */
#ifndef WEIR_NIF_RAW_MEMORY_H
#define WEIR_NIF_RAW_MEMORY_H

#include "memory/arena.h"
#include "nif_common.h"

#define WEIR_NIF_MEMORY_FUNCTIONS(F)                                                               \
    F(shm_create, 2, ERL_NIF_DIRTY_JOB_IO_BOUND)                                                   \
    F(shm_open, 3, 0)                                                                              \
    F(shm_unlink, 1, 0)                                                                            \
    F(memory_info, 1, 0)                                                                           \
    F(memory_read, 3, 0)                                                                           \
    F(memory_write, 3, 0)                                                                          \
    F(memory_close, 1, ERL_NIF_DIRTY_JOB_IO_BOUND)                                                 \
    F(futex_wait, 4, 0)                                                                            \
    F(futex_wait_long, 4, ERL_NIF_DIRTY_JOB_IO_BOUND)                                              \
    F(futex_wake, 3, 0)

/** Largest mapping: the death of its owner unmaps it on a normal scheduler, within a millisecond.
 */
#define WEIR_NIF_MEMORY_BYTES_MAX (8u * 1024u * 1024u)

typedef struct weir_nif_memory {
    weir_nif_owned owned;
    weir_object object; /**< base NULL when closed. */
    size_t bytes;       /**< As asked for; the object may be longer by less than a page. */
    bool is_writable;
    uint32_t
        waiters; /**< Sleeping in a futex of this mapping: it stays mapped until they are out. */
    bool is_closing;
} weir_nif_memory;

void weir_nif_memory_free(ErlNifEnv *env, void *resource);
void weir_nif_memory_down(ErlNifEnv *env, void *resource, ErlNifPid *pid, ErlNifMonitor *monitor);

WEIR_NIF_MEMORY_FUNCTIONS(WEIR_NIF_DECLARE)

#endif
