/**
 * @file
 * A worker in Elixir: libweir's worker, driven in steps by a process of the virtual machine.
 *
 * Purpose: what a C worker's loop does in a thread of its own happens here one bounded step at a
 * time: connect, handshake, take a job, answer it, park, beat. Everything that comes from the
 * manager's process is validated by the same code as in a C worker (core/worker).
 *
 * Typical use: worker_connect; on {:weir_control, worker} worker_handshake until it is done; then
 * worker_next and worker_reply in turn; when there is nothing worker_park, and go on at
 * {:weir_ready, worker}, but look every 250 ms whether woken or not; worker_beat every 500 ms from
 * any process; on {:weir_control, worker} worker_control. The worker sleeps on its eventfd alone.
 *
 * Threads: any; one lock per worker, held for the length of one step.
 *
 * Ownership: memory and descriptors are the resource's. They go when the worker is closed, when the
 * process that connected it ends, or when the last term is collected.
 *
 * A worker must be a virtual machine of its own: the manager ends a worker that misbehaves by
 * killing its process.
 */
#ifndef WEIR_NIF_RAW_WORKER_H
#define WEIR_NIF_RAW_WORKER_H

#include "nif_common.h"
#include "worker/handshake.h"
#include "worker/health.h"
#include "worker/loop.h"

#define WEIR_NIF_WORKER_FUNCTIONS(F)                                                               \
    F(worker_connect, 1, 0)                                                                        \
    F(worker_handshake, 1, 0)                                                                      \
    F(worker_control, 1, 0)                                                                        \
    F(worker_close, 1, 0)                                                                          \
    F(worker_next, 1, 0)                                                                           \
    F(worker_next_large, 1, ERL_NIF_DIRTY_JOB_CPU_BOUND)                                           \
    F(worker_reply, 3, 0)                                                                          \
    F(worker_reply_large, 3, ERL_NIF_DIRTY_JOB_CPU_BOUND)                                          \
    F(worker_park, 1, 0)                                                                           \
    F(worker_beat, 1, 0)                                                                           \
    F(worker_progress, 1, 0)                                                                       \
    F(worker_drain, 1, 0)                                                                          \
    F(worker_stats, 1, 0)

typedef enum weir_nif_worker_phase {
    WEIR_NIF_WORKER_APPROACHING = 0,
    WEIR_NIF_WORKER_SERVING,
    WEIR_NIF_WORKER_ENDED
} weir_nif_worker_phase;

typedef struct weir_nif_worker {
    weir_nif_owned owned;
    weir_nif_worker_phase phase;
    weir_worker_routine
        routines[WEIR_OPCODE_COUNT_MAX]; /**< Never called: they name the opcodes. */
    weir_worker_options options;
    weir_worker_identity identity;
    weir_worker_approach approach; /**< Its terms hold memory and descriptors. */
    weir_worker *worker;           /**< While serving. */
    weir_health health;            /**< For beats; its thread is never started. */
    uint32_t batch_count;
    uint32_t batch_next;
    uint64_t batch_index; /**< Ring index of the first envelope of the batch. */
    enum weir_error_code batch_reason;
    bool has_job;
    bool is_parked;
    bool socket_selected;
    bool eventfd_selected;
} weir_nif_worker;

/** The worker behind a term, locked; false (and not locked) for anything else. */
bool weir_nif_worker_hold(ErlNifEnv *env, ERL_NIF_TERM term, weir_nif_worker **worker);
void weir_nif_worker_let_go(weir_nif_worker *worker);

/** For calls in the wrong phase: {:error, :closed | :invalid, sentence}. */
ERL_NIF_TERM weir_nif_worker_not_now(ErlNifEnv *env, const weir_nif_worker *worker);

void weir_nif_worker_free(ErlNifEnv *env, void *resource);
void weir_nif_worker_down(ErlNifEnv *env, void *resource, ErlNifPid *pid, ErlNifMonitor *monitor);

WEIR_NIF_WORKER_FUNCTIONS(WEIR_NIF_DECLARE)

#endif
