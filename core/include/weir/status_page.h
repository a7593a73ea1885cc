/**
 * @file
 * Looking at managers from outside.
 *
 * Purpose: lists the managers of a runtime directory and takes pictures of their status pages. It
 * needs nothing of the manager, which may be busy, stopped or dead.
 *
 * Typical use: weir_status_list, then weir_status_open for one of them, weir_status_free.
 *
 * Threads: any; there is no shared state. Blocking: file system calls only; each block of the page
 * is tried a bounded number of times and then shown torn.
 *
 * Trust: everything is checked. Counts are within their bounds and all texts are terminated, valid
 * UTF-8 without control characters; numbers mean what the manager (or, where the layout says so,
 * the worker) claims.
 *
 * Units: nanoseconds of CLOCK_MONOTONIC unless said otherwise; bytes.
 *
 * Source: docs/protocol.md, "A manager's status page". The structs are those of the generated
 * weir_layout.h.
 */
#ifndef WEIR_STATUS_PAGE_H
#define WEIR_STATUS_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct weir_status_header;
struct weir_status_seat;
struct weir_status_event;
struct weir_status_link;

/** Whether a manager lives; the order is that of interest. */
typedef enum weir_manager_life {
    WEIR_MANAGER_RUNNING = 0,
    WEIR_MANAGER_STOPPED, /**< Alive, but stopped by a signal or a debugger. */
    WEIR_MANAGER_DEAD,    /**< Its lock is free: killed, and not yet swept. */
} weir_manager_life;

/** "running", "stopped" or "dead". */
WEIR_API const char *weir_manager_life_name(weir_manager_life life);

/** One manager in a list. */
typedef struct weir_status_entry {
    char directory[512]; /**< Its private directory, for weir_status_open. */
    char name[64];       /**< Empty when its page cannot be read. */
    int32_t pid;
    uint32_t kind; /**< enum weir_manager_kind */
    weir_manager_life life;
    weir_status status; /**< WEIR_OK, or why its page cannot be read; see weir_status_open. */
} weir_status_entry;

/**
 * Lists the managers of the runtime directory @p base (NULL: the default) by directory. Fills at
 * most @p capacity entries; @p found is how many there are. Managers whose page is just being made
 * or removed are left out. Returns WEIR_OK, WEIR_NOT_FOUND (no runtime directory), WEIR_INVALID (it
 * is not private to this user), WEIR_SYSTEM.
 */
WEIR_API weir_status weir_status_list(const char *base, weir_status_entry *entries, size_t capacity,
                                      size_t *found, weir_error *error) WEIR_MUST_CHECK;

/** Path of the runtime directory @p base (NULL: the default). Returns WEIR_OK, WEIR_INVALID. */
WEIR_API weir_status weir_status_directory(const char *base, char *path, size_t path_bytes,
                                           weir_error *error) WEIR_MUST_CHECK;

/** What the kernel says of one process; zero where it says nothing. */
typedef struct weir_process_view {
    char state;      /**< As in proc(5): R, S, D, T, Z, ... */
    uint64_t cpu_ns; /**< Processor time used, user and system; in steps of 10 ms. */
} weir_process_view;

/** A picture of one manager. */
typedef struct weir_status_snapshot {
    weir_manager_life life;
    uint64_t read_ns; /**< When it was taken. */
    bool is_torn;     /**< Some block was being written; that block's sequence is odd. */
    weir_process_view process;
    struct weir_status_header *header;
    struct weir_status_seat *seats;   /**< header->seat_count of them; empty spare ones included. */
    weir_process_view *workers;       /**< As many. */
    struct weir_status_event *events; /**< Oldest first. */
    size_t event_count;
    struct weir_status_link *links; /**< header->link_count of them. */
} weir_status_snapshot;

/**
 * Takes a picture of the manager in the private directory @p directory. The caller frees it with
 * weir_status_free.
 *
 * Returns WEIR_OK; WEIR_NOT_FOUND (no page there), WEIR_EMPTY (the page is just being made),
 * WEIR_CORRUPT (truncated or not a page; the text says what), WEIR_INCOMPATIBLE (another layout),
 * WEIR_INVALID (another user's file or no regular file), WEIR_NO_MEMORY, WEIR_SYSTEM.
 */
WEIR_API weir_status weir_status_open(const char *directory, weir_status_snapshot **out,
                                      weir_error *error) WEIR_MUST_CHECK;

WEIR_API void weir_status_free(weir_status_snapshot *snapshot);

#ifdef __cplusplus
}
#endif

#endif
