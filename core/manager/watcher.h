/**
 * @file
 * The watcher: a thread that turns events of descriptors into a bump of the loop's private word.
 *
 * Purpose: the loop sleeps in a futex over the workers' bells; processes, sockets and pipes speak
 * through descriptors. The watcher sleeps in epoll on those and hands on which one spoke.
 *
 * Threads: add and remove from the manager's thread; the watcher's thread only queues and rings.
 *
 * Blocking: none of the calls.
 *
 * Ordering: the queue is under a lock. Descriptors are watched edge-triggered: who handles an event
 * reads until EAGAIN.
 */
#ifndef WEIR_MANAGER_WATCHER_H
#define WEIR_MANAGER_WATCHER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "weir/status.h"

#define WEIR_WATCH_QUEUE 256

/** What kind of descriptor spoke. */
typedef enum weir_watch_kind {
    WEIR_WATCH_STOP = 0,
    WEIR_WATCH_LISTENER,
    WEIR_WATCH_HANDSHAKE,
    WEIR_WATCH_PROCESS, /**< A pidfd: the process ended. */
    WEIR_WATCH_SOCKET,  /**< Control socket of a ready worker. */
    WEIR_WATCH_OUTPUT,
} weir_watch_kind;

typedef struct weir_watch_event {
    weir_watch_kind kind;
    uint32_t generation; /**< Of the incarnation, 0 for the listener and handshakes. */
} weir_watch_event;

typedef struct weir_watcher {
    int epoll_fd;
    int stop_fd;
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock;
    weir_watch_event queue[WEIR_WATCH_QUEUE];
    uint32_t queued;
    bool has_overflowed; /**< More events than places: look at everything. */
    uint32_t pending;    /**< Atomic: queue not empty. */
    void (*ring)(void *context);
    void *context;
} weir_watcher;

/** Starts the thread. Returns WEIR_OK, WEIR_SYSTEM, WEIR_NO_MEMORY. */
weir_status weir_watcher_start(weir_watcher *watcher, void (*ring)(void *context), void *context,
                               weir_error *error) WEIR_MUST_CHECK;
void weir_watcher_stop(weir_watcher *watcher);

/** Returns WEIR_OK, WEIR_SYSTEM, WEIR_NO_MEMORY. */
weir_status weir_watcher_add(weir_watcher *watcher, int fd, weir_watch_kind kind,
                             uint32_t generation, weir_error *error) WEIR_MUST_CHECK;
void weir_watcher_remove(weir_watcher *watcher, int fd);

/** True when take would find something; cheap, for spin loops. */
bool weir_watcher_has_events(const weir_watcher *watcher);

/** Takes at most @p capacity events; @p overflowed says that some were lost. */
uint32_t weir_watcher_take(weir_watcher *watcher, weir_watch_event *events, uint32_t capacity,
                           bool *overflowed);

#endif
