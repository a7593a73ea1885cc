/**
 * @file
 * The registry: the pools of a manager, their seats, and who sits there.
 *
 * Purpose: the one private picture that dispatcher, ingestor and supervisor share. A seat is a
 * place for one worker; the incarnation in it changes, the seat's history (restarts, backoff)
 * stays.
 *
 * Threads: fields are marked (pool), (thread) or constant as in incarnation.h. Lock order: pool,
 * then incarnation.
 */
#ifndef WEIR_MANAGER_REGISTRY_H
#define WEIR_MANAGER_REGISTRY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "channel/compress.h"
#include "manager/incarnation.h"
#include "manager/job_table.h"
#include "manager/status_page.h"
#include "manager/watcher.h"
#include "weir/manager.h"

#define WEIR_POOLS_MAX 64
#define WEIR_SEATS_MAX 1024

/** A place for one worker. */
typedef struct weir_seat {
    weir_incarnation *now;   /**< (pool) Who sits here, from spawn until reaped. */
    weir_seat_state state;   /**< (pool) Written by the manager's thread. */
    bool is_wanted;          /**< (thread) False for the spare seat that reloads use. */
    bool is_start_asked;     /**< (pool) The host wants it filled. */
    bool was_told_vacant;    /**< (thread) The host knows that it may be filled. */
    bool is_leaving;         /**< (thread) The end of this incarnation is intended: no backoff. */
    uint32_t restarts;       /**< (pool) */
    uint32_t deaths_in_row;  /**< (thread) */
    uint64_t start_at_ns;    /**< (thread) Not before. */
    uint64_t backoff_ns;     /**< (thread) */
    weir_error last_refusal; /**< (pool) Why the last start failed. */
    bool has_refusal;        /**< (pool) */
} weir_seat;

/** Where a reload stands: a fresh worker is ready in the spare seat before an old one is drained.
 */
typedef struct weir_reload {
    bool is_running;          /**< (pool) */
    bool has_failed;          /**< (pool) */
    uint32_t last_generation; /**< (thread) Incarnations up to this one are to be replaced. */
    uint32_t old_seat;        /**< (thread) */
    uint32_t new_seat;        /**< (thread) The spare one. */
    bool is_draining;         /**< (thread) The new one is ready, the old one is on its way out. */
} weir_reload;

/** Compression of requests: one buffer and one workspace, so one job at a time. */
typedef struct weir_request_packing {
    pthread_mutex_t lock;
    weir_packer packer;
    uint8_t *buffer; /**< NULL when no compression is offered. */
} weir_request_packing;

typedef struct weir_pool {
    struct weir_manager *manager;
    weir_pool_id id;
    weir_pool_options options; /**< Defaults filled in; strings and vector are copies. */
    uint32_t slot_bytes_max;   /**< Largest request slot. */
    uint32_t seat_count;       /**< Wanted seats and the spare one. */
    weir_seat *seats;
    uint32_t throttle_high; /**< In jobs. */
    uint32_t throttle_low;

    pthread_mutex_t lock;
    pthread_cond_t changed; /**< Room appeared, a seat changed its state, a job ended. */
    uint32_t waiters;       /**< (pool) Threads in changed. */
    weir_job_table jobs;    /**< (pool) */
    weir_job_list deferred; /**< (pool) Waiting for room, resent ones in front. */
    uint64_t
        next_deadline_ns; /**< Atomic, stored under the lock: no job's deadline lies before this. */
    uint32_t next_seat;   /**< (pool) Where the search for the least loaded begins. */
    uint32_t live_jobs;   /**< (pool) Accepted and not yet ended. */
    uint32_t wants_room;  /**< Atomic, stored under the lock: somebody waits for room, so payload
                             slots that come back matter. */
    weir_manager_stats stats; /**< (pool) */
    weir_reload reload;
    weir_request_packing packing;
} weir_pool;

typedef struct weir_manager {
    weir_manager_options options;
    char directory[96]; /**< Private to this manager. */
    int directory_lock_fd;
    weir_status_page status; /**< For those who watch from outside. */
    weir_listener listener;
    weir_watcher watcher;
    pthread_t thread;
    bool has_thread;
    uint32_t stop;       /**< Atomic: the thread shall end. */
    uint32_t is_closed;  /**< Atomic: no new jobs. */
    uint32_t loop_tid;   /**< Atomic: thread that runs the loop, 0 before. */
    uint32_t generation; /**< (thread) Last one given out. */
    uint64_t random;     /**< (thread) */

    pthread_mutex_t pools_lock; /**< For adding pools. */
    weir_pool *pools[WEIR_POOLS_MAX];
    uint32_t pool_count; /**< Atomic. */

    weir_incarnation *first_alive; /**< All that exist, under the lock in incarnation.c. */
    weir_handshake *handshakes;    /**< (thread) Under way. */
    uint32_t handshake_count;
    uint64_t next_step_ns;     /**< (thread) When the supervisor must look again. */
    bool is_supervision_due;   /**< (thread) Before that, as soon as a turn may take long. */
    pthread_mutex_t turn_lock; /**< Hosted: whoever holds it is the thread of (thread). */

    /* How the loop sleeps. */
    weir_spin spin;    /**< (thread) */
    uint32_t strategy; /**< (thread) */
    int wait_epoll_fd; /**< (thread) -1 until the loop has to sleep in epoll. */
    int wait_eventfd;
    uint32_t bell;            /**< Atomic: private futex word. */
    uint32_t bell_handled;    /**< (thread) */
    uint32_t parked_strategy; /**< Atomic: how the loop sleeps now, awake (0) when it does not. */
    uint64_t sleep_until_ns;  /**< Atomic: when it will look again by itself, 0 when awake. */
    uint64_t parks;           /**< Atomic, as are the next ones. */
    uint64_t spin_hits;
    uint64_t held_bytes;
    uint64_t mappings;
    uint64_t stray_replies;
    uint64_t protocol_errors;
    uint64_t bytes_copied;
    uint64_t wakes_sent;

    weir_packer unpacker;   /**< (thread) */
    uint8_t *unpack_buffer; /**< (thread) NULL until a pool offers compression. */
    size_t unpack_bytes;
} weir_manager;

/** Makes the calling thread the loop's thread, to which wake signals go. */
void weir_manager_adopt_thread(weir_manager *manager);

/** True on the thread that runs the loop of @p manager right now. */
bool weir_manager_is_loop_thread(const weir_manager *manager);

/** Makes the loop look again soon; from any thread. */
void weir_manager_ring(weir_manager *manager);

/** Says that room matters from now on; needs the pool's lock. A look for room after it finds what
 * came back before, or the loop finds what comes back later. */
static inline void weir_pool_want_room(weir_pool *pool)
{
    weir_store_relaxed_u32(&pool->wants_room, 1);
    /* SYNC(loop.room): stored, fence, releases looked at; the worker publishes its releases, fence,
     * wakes the loop; the loop parks, fence, looks at this word. */
    weir_fence_full();
}

/** Wakes whoever waits in the pool's condition; needs the pool's lock. */
static inline void weir_pool_changed(weir_pool *pool)
{
    if (pool->waiters > 0) {
        pthread_cond_broadcast(&pool->changed);
    }
}

/** Waits for a change; needs the pool's lock. Returns false when the deadline passed. */
bool weir_pool_wait(weir_pool *pool, uint64_t deadline_ns);

/** Makes a pool with its seats, none started. Returns WEIR_OK, WEIR_INVALID, WEIR_NO_MEMORY. */
weir_status weir_pool_create(weir_manager *manager, const weir_pool_options *options,
                             weir_pool_id id, weir_pool **out, weir_error *error) WEIR_MUST_CHECK;
void weir_pool_destroy(weir_pool *pool);

static inline weir_pool *weir_manager_pool(weir_manager *manager, weir_pool_id id)
{
    /* SYNC(manager.pools): whoever sees the count sees the pools. */
    return id < weir_load_acquire_u32(&manager->pool_count) ? manager->pools[id] : NULL;
}

#endif
