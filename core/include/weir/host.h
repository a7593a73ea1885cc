/**
 * @file
 * A manager inside another runtime, which lends the threads and starts the processes itself.
 *
 * Purpose: a runtime with schedulers of its own (the BEAM) can neither give a thread away for good
 * nor let a library fork. A hosted manager has no loop of its own: whichever of the host's threads
 * comes by takes a bounded turn, and when there is nothing to do one descriptor tells the host's
 * own poll set. The host starts and restarts the workers; everything else (memory, handshake,
 * dispatch, verification, deadlines, fencing, recovery) is the manager's as ever.
 *
 * Typical use: weir_manager_create with options.host set; weir_manager_add_pool; for each event
 * "vacant" weir_host_start_worker when the host's own backoff allows, and a process with the three
 * variables of the order that follows; weir_submit from any thread; weir_host_turn after it and in
 * between; weir_host_park before going idle.
 *
 * Threads: any thread may call any function here at any time; turns and parking exclude each other
 * by themselves. Only the watcher thread of the manager remains; it sleeps.
 *
 * A host's thread that must not wait calls weir_manager_reload and weir_manager_drain with a
 * deadline of 0: they begin, return WEIR_TIMEOUT, and are over when the event "reloaded" comes or
 * no job is outstanding. weir_call is not for a host's threads.
 *
 * Blocking: none, except that a turn with may_take_long maps and unmaps memory, reaps and recovers
 * (milliseconds) and weir_manager_destroy waits for workers to end (seconds).
 *
 * Units: nanoseconds of CLOCK_MONOTONIC, absolute; bytes.
 */
#ifndef WEIR_HOST_H
#define WEIR_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/manager.h"
#include "weir/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A process that the host shall start now, with these three variables in its environment and in no
 * argument vector. The strings live only during the call. */
typedef struct weir_start_order {
    weir_pool_id pool;
    uint32_t worker; /**< Number of the seat in its pool. */
    uint32_t generation;
    const char *socket;      /**< WEIR_SOCKET */
    const char *token;       /**< WEIR_TOKEN: secret, valid once. */
    const char *correlation; /**< WEIR_CORRELATION */
} weir_start_order;

/** What the host offers; it must outlive the manager. */
typedef struct weir_host {
    /** Called in a long turn, outside all locks. The process need not run when it returns; if it
     * cannot be started, say so with weir_host_start_failed. */
    void (*start)(void *context, const weir_start_order *order);
    void *context;
} weir_host;

/** How much a turn may do. */
typedef struct weir_turn_limits {
    uint32_t jobs;      /**< Replies taken in plus deferred jobs sent, at most; at least 1. */
    uint64_t bytes;     /**< Payload bytes checked and copied, at most. */
    bool may_take_long; /**< Also supervise: start, reap, recover, map and unmap memory. */
} weir_turn_limits;

/** What a turn did and what it left. */
typedef struct weir_turn {
    uint32_t jobs;   /**< Replies taken in and deferred jobs sent. */
    bool has_more;   /**< The limits ended it: there is more to do right now. */
    bool needs_long; /**< Supervision is due, or the next payload alone is above the limit of bytes:
                        take a long turn with more of them soon. */
    uint32_t outstanding; /**< Jobs accepted and not yet ended. */
    uint64_t next_ns; /**< When to take a turn even if nothing happens; WEIR_NEVER is UINT64_MAX. */
} weir_turn;

/**
 * Takes in replies, ends jobs whose deadline passed, sends deferred ones, within the limits. Done
 * functions are called by this thread. Returns WEIR_OK (something was done), WEIR_EMPTY (nothing
 * was there), WEIR_FULL (another thread has the turn; nothing was done and @p turn is zeroed),
 * WEIR_INVALID (not a hosted manager).
 */
WEIR_API weir_status weir_host_turn(weir_manager *manager, const weir_turn_limits *limits,
                                    weir_turn *turn) WEIR_MUST_CHECK;

/**
 * Announces that the host goes idle: from now on whatever happens makes weir_host_descriptor
 * readable, once. Turns taken meanwhile do not end that. Returns WEIR_OK (parked; @p turn has
 * next_ns and outstanding), WEIR_FULL (there is something to do, or another thread has the turn:
 * take a turn instead), WEIR_INVALID, WEIR_SYSTEM (the descriptor could not be made: look again
 * within a millisecond or so).
 */
WEIR_API weir_status weir_host_park(weir_manager *manager, weir_turn *turn) WEIR_MUST_CHECK;

/** The descriptor became readable, or the host goes on for another reason: empties the descriptor
 * and lets the workers stop ringing it. Returns WEIR_OK, WEIR_FULL (another thread has the turn:
 * try again), WEIR_INVALID. */
WEIR_API weir_status weir_host_unpark(weir_manager *manager) WEIR_MUST_CHECK;

/** The descriptor to poll for input; the manager's, valid until it is destroyed. -1 when it could
 * not be made. */
WEIR_API int weir_host_descriptor(weir_manager *manager);

/**
 * The host wants the vacant seat filled now; the order comes in the next long turn (the descriptor
 * becomes readable). Returns WEIR_OK, WEIR_INVALID, WEIR_NOT_FOUND (no such seat), WEIR_FULL (it is
 * not vacant).
 */
WEIR_API weir_status weir_host_start_worker(weir_manager *manager, weir_pool_id pool,
                                            uint32_t worker) WEIR_MUST_CHECK;

/**
 * The process of an order could not be started, or ended before it connected. Returns WEIR_OK, or
 * WEIR_NOT_FOUND when that generation does not wait for its process (any more).
 */
WEIR_API weir_status weir_host_start_failed(weir_manager *manager, weir_pool_id pool,
                                            uint32_t worker, uint32_t generation,
                                            const char *sentence) WEIR_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif
