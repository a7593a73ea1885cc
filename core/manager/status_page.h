/**
 * @file
 * The manager's status page: a file that others read without the manager's help.
 *
 * Purpose: whoever watches (the `weir` tool, mix ipc.inspect) sees the registry, the fill levels
 * and the recent events of a manager that is busy, stopped or dead. The page is the file `status`
 * in the manager's private directory, mapped and written in place; docs/protocol.md describes it
 * for readers, status_read.c is one.
 *
 * Threads: weir_status_page_update on the thread that runs the loop (in a hosted manager: that has
 * the turn); events from any thread. Readers are other processes.
 *
 * Blocking: an update takes each pool's lock for one seat at a time and makes no system call. Its
 * work is bounded: at most 256 seats and the header, at most every 100 ms unless an event came.
 *
 * Ordering: SYNC(status.sequence): each block is a seqlock of its own, written as in
 * channel/telemetry.h.
 *
 * Trust: the directory is private to the user. A page that somebody truncates nevertheless costs
 * the page: memory/bus_guard.h lets the access go on, and the next update makes a new one.
 */
#ifndef WEIR_MANAGER_STATUS_PAGE_H
#define WEIR_MANAGER_STATUS_PAGE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "layout/generated/weir_layout.h"
#include "memory/bus_guard.h"
#include "weir/manager.h"

#define WEIR_STATUS_FILE "status"

/** The writer's private part. */
typedef struct weir_status_page {
    uint8_t *base; /**< (thread) NULL: there is no page. */
    weir_bus_range *guard;
    pthread_mutex_t lock; /**< For writing blocks; nothing is taken under it. */
    uint64_t due_ns;      /**< Atomic: not before; 0 after an event. */
    bool is_pending;      /**< (thread) Something may have changed since the last writing. */
    uint32_t next_seat;   /**< (thread) Where the next slice of seats begins. */
    uint64_t event_count; /**< Under the lock. */
    uint64_t started_ns;
    uint64_t started_wall_ns;
    char name[64];
} weir_status_page;

/** Makes the page in the manager's directory; its name and kind come from the manager's options.
 * Returns WEIR_OK, WEIR_INVALID (the name), WEIR_NO_MEMORY, WEIR_SYSTEM. */
weir_status weir_status_page_open(weir_manager *manager, weir_error *error) WEIR_MUST_CHECK;

/** Writes a last time, marked as ended, and lets go of the page; the file stays for the directory's
 * sweep. Also for a page that was never opened. */
void weir_status_page_close(weir_manager *manager);

/** Adds an event; weir_event_tell calls it. */
void weir_status_page_note(weir_manager *manager, const weir_event *event, uint32_t pool);

/** Writes what is due; weir_status_page_update calls it. */
void weir_status_page_write(weir_manager *manager, weir_status_page *page, uint64_t now_ns);

/** Called in each turn of the loop; costs a comparison when nothing is due. */
static inline void weir_status_page_update(weir_manager *manager, weir_status_page *page,
                                           uint64_t now_ns)
{
    if (now_ns >= weir_load_relaxed_u64(&page->due_ns)) {
        weir_status_page_write(manager, page, now_ns);
    } else {
        page->is_pending = true;
    }
}

/** When the loop must look again for the page's sake, at the latest: @p deadline_ns, or before. */
static inline uint64_t weir_status_page_next(const weir_status_page *page, uint64_t deadline_ns)
{
    const uint64_t due_ns = page->is_pending ? weir_load_relaxed_u64(&page->due_ns) : UINT64_MAX;
    return due_ns < deadline_ns ? due_ns : deadline_ns;
}

#endif
