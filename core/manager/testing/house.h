/**
 * @file
 * A manager with real workers in a directory of its own: what the manager's tests begin with.
 *
 * Purpose: open a house, add pools, submit jobs whose ends are counted and checked, wait, close.
 * The house demands at the end that every job that was submitted ended exactly once.
 *
 * Threads: the test's; ends are counted on whichever thread calls done.
 *
 * Ownership: house_close destroys the manager and removes the directory.
 */
#ifndef WEIR_MANAGER_TESTING_HOUSE_H
#define WEIR_MANAGER_TESTING_HOUSE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/os.h"
#include "channel/gate.h"
#include "harness/testing/weir_test.h"
#include "manager/testing/job_worker.h"
#include "weir/manager.h"

#define HOUSE_PATIENCE_S 20
#define HOUSE_EVENTS_MAX 2048

#if defined(__SANITIZE_ADDRESS__)
#define HOUSE_IS_SLOW 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HOUSE_IS_SLOW 1
#endif
#endif
#ifndef HOUSE_IS_SLOW
#define HOUSE_IS_SLOW 0
#endif

/** Fewer rounds where everything is slower. */
#define HOUSE_ROUNDS(n) (HOUSE_IS_SLOW ? (n) / 5 : (n))

typedef struct house_event {
    char kind[24];
    char text[160];
    uint32_t worker;
    uint32_t generation;
    int32_t pid;
    uint64_t time_ns;
} house_event;

typedef struct house {
    weir_manager *manager;
    char directory[64];
    bool without_thread;
    void (*step)(void *context); /**< A host's, in place of the manager's own. */
    void *step_context;
    pthread_mutex_t lock;
    house_event events[HOUSE_EVENTS_MAX]; /**< Under the lock, as is the next one. */
    size_t event_count;
    _Atomic uint64_t submitted;
    _Atomic uint64_t ended;
} house;

/** A job of a test; stays where it is until it has ended. */
typedef struct house_job {
    house *house;
    uint64_t id;
    uint64_t correlation_id;
    uint64_t seed; /**< Of the payload of an echo. */
    uint32_t number;
    const char *string; /**< Request of the opcodes that take a path. */
    uint32_t bytes;
    uint16_t opcode;
    _Atomic uint32_t fills;
    _Atomic uint32_t ends; /**< Stored last. */
    weir_outcome_code outcome;
    uint16_t sent_count;
    uint16_t worker;
    size_t reply_bytes;
    bool is_reply_right; /**< As the opcode promises; true for an empty reply. */
    char text[64];       /**< Start of the reply. */
    uint32_t reply_number;
    pthread_t ended_by;
    char gate[96]; /**< File that a held job waits for. */
} house_job;

/** Opens a manager; @p options may be NULL, the directory and the events are the house's. */
void house_open(house *house, const weir_manager_options *options);

/** Destroys the manager and demands that nothing is left and that each job ended once. */
void house_close(house *house);

/** Options of a pool of job workers with short times that defers; @p arguments for the worker end
 * with NULL. */
weir_pool_options house_pool(uint32_t workers, const char *const *arguments);

/** Adds a pool; does not wait. */
weir_pool_id house_add(house *house, const weir_pool_options *options);

/** Adds a pool and waits until all its workers are ready. */
weir_pool_id house_add_ready(house *house, const weir_pool_options *options);

/** A job with an echo payload of @p bytes bytes, or, from JOB_SLEEP on, with @p bytes as its
 * number. */
house_job house_make(house *house, uint16_t opcode, uint32_t bytes);

/** The spec of a job, to be changed and submitted by house_submit. */
weir_job_spec house_spec(house_job *job);

/** Submits; demands that it is accepted. */
void house_submit(weir_pool_id pool, house_job *job, const weir_job_spec *spec);

/** The same in one go, for a job without further wishes. */
void house_send(house *house, weir_pool_id pool, house_job *job, uint16_t opcode, uint32_t bytes);

/** Makes a job that goes on until house_let_go, so that what it keeps from others stays kept on the
 * slowest machine; to be submitted by house_submit. */
void house_make_held(house *house, house_job *job);

/** Makes and sends one. */
void house_hold(house *house, weir_pool_id pool, house_job *job);

/** Waits until a worker has begun a held job. */
void house_await_begun(house_job *job);

/** Lets a held job end; one that no worker has begun will end as soon as it begins. */
void house_let_go(house_job *job);

/** Waits for a job's end, running the loop when there is no thread; demands the outcome. */
void house_expect(house_job *job, weir_outcome_code outcome);

/** Waits for the end of all jobs submitted so far; gives up when none has ended for a while. */
void house_settle(house *house);

/** Sends a job and waits for this outcome. */
void house_do(house *house, weir_pool_id pool, uint16_t opcode, uint32_t bytes,
              weir_outcome_code outcome);

/** Lets the manager work for that long. */
void house_pass(house *house, double seconds);

/** Number of events of this kind so far. */
size_t house_count(house *house, const char *kind);

/** Waits until there are that many events of this kind and copies the last one to @p last (may be
 * NULL). */
void house_await(house *house, const char *kind, size_t count, house_event *last);

/** Waits until there is an event of this kind whose text contains @p words. */
void house_await_text(house *house, const char *kind, const char *words);

/** The worker of a seat; demands that there is one. */
weir_worker_info house_worker(house *house, uint32_t seat);

/** Waits until a seat is in this state; returns the worker. */
weir_worker_info house_await_state(house *house, uint32_t seat, weir_seat_state state);

weir_manager_stats house_stats(house *house);

/** Waits until every request slot came back. */
void house_await_slots(house *house);

/** Bytes in a file, 0 when there is none. */
size_t house_file_bytes(const char *path);

/** Mappings of shared memory objects and descriptors of this process, and files under the
 * directory. */
typedef struct house_footprint {
    size_t mappings;
    size_t descriptors;
    size_t children;
} house_footprint;
house_footprint house_measure(void);
void house_expect_same(const house_footprint *before);

/** Waits until the first worker of the first pool has published that many replies in its life,
 * while the manager does nothing. */
void house_await_published(house *house, uint64_t count);

/** A fresh random number from a state that the test's seed began. */
uint64_t house_random(uint64_t *state);

#endif
