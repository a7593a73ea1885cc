/**
 * @file
 * Records of jobs: what the NIF knows of a job between its submission and its end.
 *
 * Purpose: libweir calls fill and done with a record as their context, on whatever thread takes the
 * turn, maybe after the calling process went on to wait for a message. The record holds the payload
 * until it was written into shared memory, and the result until somebody makes a term of it.
 *
 * Threads: a record belongs to its caller's call until it was submitted; then its end belongs to
 * the thread that calls done. The state decides who hands the result over, exactly once: INSIDE ->
 * ENDED  done came while the caller's call was still under way: the call takes it; INSIDE -> LEFT
 * the call returned :pending first: whoever ends the job sends the message.
 *
 * Blocking: a short lock around the free list. No heap per job once there are enough records.
 *
 * Ownership: records belong to the home. Each keeps its caller alive while it is in use.
 */
#ifndef WEIR_NIF_JOBS_RECORD_H
#define WEIR_NIF_JOBS_RECORD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <erl_nif.h>

#include "weir/manager.h"

/** Payloads up to here are kept in the record, and replies become heap binaries. */
#define WEIR_NIF_SMALL_BYTES 64u

/** Records are allocated in blocks, as many as are needed at once and no more than this many. */
#define WEIR_NIF_RECORD_BLOCK  256u
#define WEIR_NIF_RECORD_BLOCKS 512u

struct weir_nif_caller;
struct weir_nif_batch;
struct weir_nif_round;
struct weir_nif_held;

typedef enum weir_nif_job_state {
    WEIR_NIF_INSIDE = 0,
    WEIR_NIF_ENDED,
    WEIR_NIF_LEFT,
} weir_nif_job_state;

/** Where the bytes of a result are. */
typedef enum weir_nif_reply_kind {
    WEIR_NIF_NO_REPLY = 0,
    WEIR_NIF_SMALL_REPLY,  /**< In the record. */
    WEIR_NIF_BINARY_REPLY, /**< In a binary of the emulator's, not yet a term. */
    WEIR_NIF_HELD_REPLY,   /**< In shared memory, lent. */
} weir_nif_reply_kind;

typedef struct weir_nif_job {
    struct weir_nif_caller *caller; /**< Kept. */
    struct weir_nif_batch *batch;   /**< NULL for a single job. */
    struct weir_nif_job *next;      /**< In the free list, a live list, or a list of ended ones. */
    struct weir_nif_job *previous;
    atomic_uint state; /**< weir_nif_job_state */
    uint32_t index;    /**< In its batch. */
    atomic_uint_fast64_t id;
    ErlNifEnv *env;    /**< NULL until it is needed for the first time; kept from then on. */
    bool has_payload;  /**< env keeps a payload: cleared after the job. */
    uint32_t env_uses; /**< Tags put into env since it was cleared. */
    bool is_linked;    /**< In the caller's live list; under its lock. */
    bool may_pin;
    uint32_t pool;
    ERL_NIF_TERM tag; /**< In env once the state is LEFT. */
    const uint8_t *payload;

    uint16_t outcome;
    uint16_t sent_count;
    uint32_t reply_kind;
    uint64_t elapsed_ns;
    uint32_t small_length;
    ErlNifBinary binary;
    struct weir_nif_held *held;
    uint8_t small[WEIR_NIF_SMALL_BYTES]; /**< The payload, later the reply. */
} weir_nif_job;

/** The records of a home. */
typedef struct weir_nif_records {
    pthread_mutex_t lock;
    weir_nif_job *free;
    weir_nif_job *blocks[WEIR_NIF_RECORD_BLOCKS];
    uint32_t block_count;
} weir_nif_records;

void weir_nif_records_open(weir_nif_records *records);
void weir_nif_records_close(weir_nif_records *records);

/** Takes up to @p count records for one caller, which each keeps; returns how many there were. */
uint32_t weir_nif_jobs_take(struct weir_nif_caller *caller, weir_nif_job **jobs, uint32_t count);

/** Gives a chain of @p count records (linked by next) of one caller back. */
void weir_nif_jobs_give_back(struct weir_nif_caller *caller, weir_nif_job *first,
                             weir_nif_job *last, uint32_t count);

/** The caller goes: its spare record goes back. */
void weir_nif_jobs_give_back_spare(struct weir_nif_caller *caller);

/** Keeps the tag beyond the call. */
void weir_nif_job_keep_tag(weir_nif_job *job, ERL_NIF_TERM tag);

/** Keeps the payload for fill. Returns false without memory. */
bool weir_nif_job_keep_payload(weir_nif_job *job, ERL_NIF_TERM term, const ErlNifBinary *payload);

/** What libweir is to know of the job. */
weir_job_spec weir_nif_job_spec(weir_nif_job *job, uint16_t opcode, uint32_t bytes,
                                bool is_idempotent, uint64_t deadline_ns);

/** Stores a result, to be made a term of later. */
void weir_nif_job_store(weir_nif_job *job, const weir_result *result);
/** The payload of a stored result; hands it over to the term. */
ERL_NIF_TERM weir_nif_job_stored_payload(ErlNifEnv *env, weir_nif_job *job);
/** Throws a stored result away. */
void weir_nif_job_discard(weir_nif_job *job);

/** The payload of a result that is still in shared memory: lent when @p job may, else copied. */
ERL_NIF_TERM weir_nif_job_payload(ErlNifEnv *env, weir_nif_job *job, const weir_result *result);

/** The atom of an outcome. */
ERL_NIF_TERM weir_nif_outcome(ErlNifEnv *env, uint16_t outcome);

#endif
