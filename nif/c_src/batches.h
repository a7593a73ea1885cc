/**
 * @file
 * Batches: many jobs of one caller, submitted and answered by the dozen.
 *
 * Purpose: one call submits up to 64 jobs and takes a turn; what has ended by then is its return
 * value, without any message. While the caller is between two calls, ended jobs are kept for it.
 * Once it was told :pending, what ends in the next turn is sent as one message, after which it
 * calls again: so nothing is under way to it when it hears that nothing is left.
 *
 * Threads: the caller's process submits, one call at a time; any thread may end jobs. Lists and
 * counts are guarded by the caller's lock.
 *
 * Ownership: the process holds the term; live jobs keep the resource, and it keeps its caller.
 */
#ifndef WEIR_NIF_BATCHES_H
#define WEIR_NIF_BATCHES_H

#include "callers.h"
#include "nif_common.h"
#include "turns.h"

typedef struct weir_nif_batch {
    weir_nif_head head;
    weir_nif_caller *caller; /**< Kept. */
    ErlNifEnv *env;          /**< Holds the tag. */
    ERL_NIF_TERM tag;
    uint32_t pool;
    uint16_t opcode;
    bool is_idempotent;
    bool may_pin;
    uint64_t deadline_ns;
    uint32_t count;  /**< Jobs in all. */
    uint32_t window; /**< Most of them submitted and not ended. */
    atomic_uint submitted;
    uint64_t *ids;       /**< Of the submitted jobs. */
    atomic_bool is_busy; /**< A call is under way. */

    uint32_t cancelled; /**< (caller's lock), as are the next: jobs that are cancelled already. */
    uint32_t live;
    uint32_t handed_out; /**< Results returned or sent. */
    bool is_left;        /**< Results are to be sent. */
    bool is_touched;
    weir_nif_job *first_ended;
    weir_nif_job *last_ended;
    uint32_t ended_count;
    struct weir_nif_batch *next_touched;
    struct weir_nif_batch *next_of_caller;
    struct weir_nif_batch *previous_of_caller;
} weir_nif_batch;

#define WEIR_NIF_BATCH_FUNCTIONS(F)                                                                \
    F(batch_begin, 8, 0)                                                                           \
    F(batch_run, 2, 0)                                                                             \
    F(batch_run_large, 2, ERL_NIF_DIRTY_JOB_CPU_BOUND)                                             \
    F(batch_cancel, 1, 0)

/** The end of one of its jobs. */
void weir_nif_batch_job_done(weir_nif_job *job, const weir_result *result, weir_nif_round *round);

/** The caller is here: what has ended is its return value, and nothing is sent meanwhile. */
void weir_nif_batch_come_back(weir_nif_batch *batch, weir_nif_round *round);
/** From now on results are sent. False when there are some to take, or none to come. */
bool weir_nif_batch_go_away(weir_nif_batch *batch);

/** Sends what the round's batches have. */
void weir_nif_batches_flush(weir_nif_round *round);

/** Ids of jobs that were not cancelled before, under the caller's lock. */
uint32_t weir_nif_batch_list_ids(weir_nif_batch *batch, uint64_t *ids, uint32_t most);

void weir_nif_batch_free(ErlNifEnv *env, void *resource);

WEIR_NIF_BATCH_FUNCTIONS(WEIR_NIF_DECLARE)

#endif
