/**
 * @file
 * Survives the truncation of shared memory under a mapping.
 *
 * Purpose: POSIX shared memory can be truncated by any process that can open it, and the next
 * access through a mapping then raises SIGBUS. The guard's handler puts an anonymous page of zeros
 * where the access went, so that it completes, and marks the range as truncated; whoever reads it
 * next sees the mark and ends the incarnation. Sealed memfds cannot be truncated and need no guard.
 *
 * Threads: ranges are added and removed by any thread; the handler runs in any thread and only
 * reads the table.
 *
 * Blocking: adding takes a short private lock; the handler never waits.
 *
 * Ownership: the handler is installed with the first range and stays for the life of the process
 * (another handler may stand on top of it by then). A fault outside all ranges goes to the handler
 * that was there before. A handler that the application installs later must in turn pass on what it
 * does not know.
 *
 * Source: mmap(2) "SIGBUS", sigaction(2), signal-safety(7). mmap is a bare system call on Linux.
 */
#ifndef WEIR_MEMORY_BUS_GUARD_H
#define WEIR_MEMORY_BUS_GUARD_H

#include <stdbool.h>
#include <stddef.h>

#include "weir/status.h"

/** Most ranges at a time; each shm incarnation has two. */
#define WEIR_BUS_RANGES_MAX 1024

/** One guarded range. */
typedef struct weir_bus_range weir_bus_range;

/**
 * Guards a range whose length @p bytes is a power of two and which begins at a multiple of it.
 * Returns WEIR_OK, WEIR_NO_MEMORY (the table is full), WEIR_SYSTEM (no handler can be installed).
 */
weir_status weir_bus_guard_add(void *base, size_t bytes, weir_bus_range **range,
                               weir_error *error) WEIR_MUST_CHECK;

/** Forgets a range; no thread may be inside it any more. */
void weir_bus_guard_remove(weir_bus_range *range);

/** True once a page of the range was missing. */
bool weir_bus_guard_is_truncated(const weir_bus_range *range);

#endif
