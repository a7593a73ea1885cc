/**
 * @file
 * The worker's loop: takes requests, runs their routines, publishes replies.
 *
 * Purpose: one incarnation's life after the handshake, until it is told to leave or the manager is
 * gone.
 *
 * Threads: the loop runs on the calling thread and owns everything here but what is marked; the
 * health thread reads the counters.
 *
 * Blocking: weir_worker_serve returns when the worker has ended. Waits inside are bounded (a look
 * every 250 ms at least).
 *
 * Ordering:
 *   SYNC(worker.begun): the begun marker is stored with release before the routine is called, so a
 * supervisor that reads it after the worker's death knows every job that may have had effects.
 *   SYNC(worker.state): what the worker did before it changed its state is visible to who sees the
 * state. SYNC(manager.command): what the manager published before a command is in the ring for who
 * sees the command; an empty ring behind it is therefore really empty.
 *
 * Ownership: the terms (memory, descriptors) stay the caller's. Everything is allocated before the
 * first job; a job costs no heap.
 *
 * Units: nanoseconds and bytes.
 */
#ifndef WEIR_WORKER_LOOP_H
#define WEIR_WORKER_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "channel/compress.h"
#include "channel/envelope.h"
#include "channel/gate.h"
#include "channel/ring.h"
#include "memory/slots.h"
#include "weir/worker.h"
#include "worker/handshake.h"

/** Most requests copied out at once; the slots of a batch go back together. */
#define WEIR_WORKER_BATCH_MAX 32

/** A finished reply waits at most about this long for the company of others. */
#define WEIR_WORKER_HOLD_NS (20 * WEIR_NS_PER_US)

/** The loop looks at its rings and orders at least this often, whether woken or not. */
#define WEIR_WORKER_LOOK_NS (250 * WEIR_NS_PER_MS)

/** After SIGTERM, a worker that nobody shuts down leaves when its ring was empty for this long. */
#define WEIR_WORKER_LINGER_NS (5 * WEIR_NS_PER_SECOND)

/** Payload lengths are told apart by their bit width. */
#define WEIR_WORKER_WIDTHS 33

/** Counters of the loop, stored relaxed by it alone; the health thread reads them. */
typedef struct weir_worker_counters {
    uint64_t jobs_ok;
    uint64_t jobs_failed;
    uint64_t last_job_ns;   /**< Of the last job that was timed. */
    uint64_t busy_since_ns; /**< Of the timed job that runs now, else 0. */
    uint64_t finished;      /**< Request index plus one of the job that ended last. */
    uint64_t request_bytes;
    uint64_t response_bytes;
    uint64_t bytes_copied;
    uint64_t slot_waits;
    uint64_t wakes_sent;
    uint32_t wake_strategy;
    uint32_t term_seen; /**< 1: the loop knows of SIGTERM. */
    uint64_t errors[24];
} weir_worker_counters;

/** What jobs of one routine and payload width are expected to take. */
typedef struct weir_worker_cost {
    uint32_t expected_ns;   /**< UINT32_MAX before the first was timed. */
    uint32_t until_measure; /**< Jobs that go untimed before the next measurement. */
} weir_worker_cost;

typedef struct weir_worker weir_worker;

/** A job in the hands of its routine. */
struct weir_job {
    struct weir_envelope request; /**< Checked copy; first, for its alignment. */
    weir_worker *worker;
    const void *payload; /**< Unpacked and verified; NULL when empty. */
    uint32_t payload_bytes;
    uint32_t request_slot;
    bool has_request_slot;
    bool is_asked; /**< weir_job_reply was called. */
    bool has_reply_slot;
    bool has_failed; /**< weir_job_fail was called. */
    weir_slot reply_slot;
    uint8_t *reply; /**< Where the routine writes: the slot, or scratch when it may be packed. */
    uint32_t reply_bytes;
    uint64_t index;         /**< Of its request. */
    weir_worker_cost *cost; /**< What it is expected to take. */
    uint64_t begin_ns;      /**< When it is timed. */
    bool is_timed;
    char reason[256];
};

/** One incarnation. */
struct weir_worker {
    struct weir_envelope batch[WEIR_WORKER_BATCH_MAX]; /**< First, for its alignment, as is job. */
    weir_job job;

    const weir_worker_options *options;
    weir_worker_terms *terms;
    struct weir_manager_control *manager; /**< Read only. */
    struct weir_worker_control *control;

    weir_ring_consumer requests;
    weir_ring_producer responses;
    weir_slot_map request_map;
    weir_slot_pool response_pool;
    weir_release_writer releases;
    uint64_t releases_published;
    uint32_t response_bytes_max; /**< Largest response slot. */
    uint32_t request_bytes_max;  /**< Largest request slot. */
    weir_envelope_terms envelope_terms;
    weir_sleeper sleeper;
    weir_waker waker;

    uint8_t routine_of[UINT16_MAX + 1]; /**< By opcode: index of the routine plus one; 0: none. */
    weir_worker_cost cost[WEIR_OPCODE_COUNT_MAX + 1][WEIR_WORKER_WIDTHS]; /**< By routine_of. */

    weir_packer packer;        /**< Only when compression was agreed, as is scratch. */
    uint8_t *stored_scratch;   /**< Private copy of a packed request. */
    uint8_t *unpacked_scratch; /**< What it unpacks to. */
    uint8_t *reply_scratch;    /**< A reply before it is packed. */

    uint64_t held_ns;      /**< Expected age of the oldest staged reply. */
    uint64_t now_ns;       /**< Last reading of the clock; 0 when it is of no use any more. */
    uint64_t now_age_ns;   /**< Expected time since that reading. */
    uint64_t idle_from_ns; /**< The ring has been empty since then; 0 when it was not. */
    uint32_t commands;     /**< Command bits obeyed so far. */
    uint32_t state;
    uint32_t fault; /**< enum weir_error_code: the manager broke the protocol. */
    uint64_t fault_index;
    weir_worker_counters counters;
};

/** Adds to a counter that only this thread writes. */
static inline void weir_counter_add(uint64_t *counter, uint64_t amount)
{
    weir_store_relaxed_u64(counter, weir_load_relaxed_u64(counter) + amount);
}

/**
 * Serves until the end. Blocks SIGTERM in the calling thread meanwhile; the health thread takes it.
 * Prints one sentence to stderr when it ends by a fault.
 *
 * Returns the exit status: 0 drained or shut down, 1 the manager broke the protocol, 3 the system
 * refused what is needed. When the manager dies, the process ends with 3 (0 after a shutdown
 * command) without returning.
 */
int weir_worker_serve(const weir_worker_options *options, weir_worker_terms *terms);

/** Runs one job whose envelope was checked. Returns WEIR_OK, or WEIR_PROTOCOL with the fault noted
 * in the worker. */
weir_status weir_worker_run_job(weir_worker *worker, const struct weir_envelope *request,
                                uint64_t index) WEIR_MUST_CHECK;

/**
 * The first half of weir_worker_run_job: marks the job as begun, opens its payload; worker->job has
 * it. @p reason is WEIR_REPLY_STATUS_NONE when the routine is to be called, else what to end the
 * job with. Returns as weir_worker_run_job.
 */
weir_status weir_worker_begin_job(weir_worker *worker, const struct weir_envelope *request,
                                  uint64_t index, uint32_t *reason) WEIR_MUST_CHECK;

/** The second half: stages the reply of worker->job with @p reply_status, gives its request slot
 * back. Waits as weir_reply_stage does. */
weir_status weir_worker_end_job(weir_worker *worker, uint32_t reply_status) WEIR_MUST_CHECK;

/**
 * Copies out what is there, up to a batch, and checks it; stops at a bad envelope, of which @p
 * reason says what is wrong with it. Returns how many good ones lie in worker->batch.
 */
uint32_t weir_worker_take_batch(weir_worker *worker, enum weir_error_code *reason);

/** Tells the manager what the worker is doing (enum weir_worker_state). */
void weir_worker_set_state(weir_worker *worker, uint32_t state);

/** The manager's commands, in force from now on. A new one, or SIGTERM, makes the worker drain. */
void weir_worker_obey(weir_worker *worker);

/** True when there are requests or news from the manager. For weir_gate_wait. */
bool weir_worker_see_work(void *worker);

/** Publishes staged replies and noted releases, and wakes the manager if there were any. */
void weir_worker_flush(weir_worker *worker);

/** Notes a breach of the protocol, counts it, returns WEIR_PROTOCOL. */
weir_status weir_worker_fault(weir_worker *worker, uint32_t error_code, uint64_t index);

/** A reading of the clock that is at most about WEIR_WORKER_HOLD_NS old. */
uint64_t weir_worker_now(weir_worker *worker);

/** One sentence to stderr, with the role in front. */
void weir_worker_say(const weir_worker_options *options, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
