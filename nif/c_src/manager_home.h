/**
 * @file
 * What stands behind a manager of the BEAM side: libweir's hosted manager and who uses it.
 *
 * Purpose: a manager is used by many processes at once and ends in the background. Calls enter and
 * leave; closing lets nobody in any more, waits on a thread of its own until all have left, and
 * destroys libweir's manager there, because that takes up to seconds.
 *
 * Threads: any may enter. The lock guards what is marked (lock); it is never held across a call
 * into the emulator that may run a callback.
 *
 * Ownership: the resource holds one reference to its home, the closing thread one, each pinned
 * result one. Callers keep the resource, so a home without terms and callers closes by itself.
 *
 * Blocking: only the closing thread waits.
 */
#ifndef WEIR_NIF_MANAGER_HOME_H
#define WEIR_NIF_MANAGER_HOME_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "jobs_record.h"
#include "nif_common.h"
#include "weir/host.h"

#define WEIR_NIF_POOLS_MAX 64u

/** What the NIF must remember of a pool. */
typedef struct weir_nif_pool {
    bool is_trusted; /**< Replies of its workers may be lent to the BEAM in place. */
    uint32_t seats;
    uint32_t class_count;
    weir_size_class classes[WEIR_SIZE_CLASSES_MAX]; /**< Of replies. */
    atomic_uint *pinned; /**< Slots lent out, per seat and class; NULL when not trusted. */
    atomic_bool is_there;
} weir_nif_pool;

/** How results reach those who wait for them while nobody calls: see turns.h. */
typedef enum weir_nif_mode {
    WEIR_NIF_SERVING = 0, /**< The ingestor takes turns. */
    WEIR_NIF_TICKING,     /**< It sleeps for a moment and rings of workers are off. */
    WEIR_NIF_PARKED,      /**< It sleeps until the descriptor is readable. */
} weir_nif_mode;

typedef struct weir_nif_home {
    atomic_uint_fast32_t references;
    atomic_uint_fast64_t users; /**< Calls inside, and the bit that closes the door. */
    weir_manager *manager;      /**< Valid for those inside. */
    int descriptor;             /**< Of the manager; -1 when it could not be made. */
    weir_host host;
    pthread_key_t turn_key; /**< The turn that a thread takes; see turns.h. */

    pthread_mutex_t lock;
    bool has_owner; /**< (lock) As are the next. */
    bool was_selected;
    bool is_closing;
    ErlNifPid owner;
    ErlNifMonitor monitor;
    struct weir_nif_caller *dying; /**< Callers that died with many jobs; each kept. */

    atomic_uint mode;             /**< weir_nif_mode. */
    atomic_bool is_armed;         /**< Workers ring the descriptor. */
    atomic_bool is_kicked;        /**< A message that wakes the ingestor is under way. */
    atomic_uint_fast32_t waiting; /**< Jobs and batches whose callers wait for a message. */
    atomic_uint calls;            /**< While several wait. */
    atomic_uint_fast64_t ended;   /**< Jobs that came to their end. */
    uint64_t seen_ended;          /**< By the ingestor alone, as are the next two. */
    uint64_t parked_ended;
    uint64_t moved_ns;

    weir_nif_records records;
    weir_nif_pool pools[WEIR_NIF_POOLS_MAX];
} weir_nif_home;

/** The resource. */
typedef struct weir_nif_manager {
    weir_nif_head head;
    weir_nif_home *home;
} weir_nif_manager;

/** A home without a manager yet, one reference; NULL without memory. */
weir_nif_home *weir_nif_home_new(void);
void weir_nif_home_hold(weir_nif_home *home);
void weir_nif_home_let_go(weir_nif_home *home);

/** Lets the call in; false when the manager is closing. */
bool weir_nif_home_enter(weir_nif_home *home);
void weir_nif_home_leave(weir_nif_home *home);

/** {:error, :closed, sentence} */
ERL_NIF_TERM weir_nif_home_refusal(ErlNifEnv *env);

/** The resource behind a term whose call may go on; badarg or closed otherwise. When it returns
 * true the caller leaves the home at the end. */
bool weir_nif_manager_enter(ErlNifEnv *env, ERL_NIF_TERM term, weir_nif_manager **manager,
                            ERL_NIF_TERM *refusal);

/** Begins to close; does nothing the second time. The owner gets {:weir_closed, manager}. */
void weir_nif_manager_shut(ErlNifEnv *env, weir_nif_manager *manager);

/** The process that gets events, orders and wake-ups; false when there is none. */
bool weir_nif_home_owner(weir_nif_home *home, ErlNifPid *owner);

/** Keeps this library's code mapped for good: threads, callbacks and jobs refer to it even after
 * the module was purged. */
void weir_nif_pin_library(void);

void weir_nif_manager_free(ErlNifEnv *env, void *resource);
void weir_nif_manager_stop(ErlNifEnv *env, void *resource, ErlNifEvent event, int is_direct);
void weir_nif_manager_down(ErlNifEnv *env, void *resource, ErlNifPid *pid, ErlNifMonitor *monitor);

#endif
