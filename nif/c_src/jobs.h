/**
 * @file
 * Single jobs: job_run, job_run_large, job_cancel.
 *
 * Purpose: one call submits a job and takes a turn; often its own result is there before it
 * returns. While few jobs are under way it keeps looking for some microseconds, as long as that
 * paid off lately; then it returns :pending, and the result comes as a message (jobs_done.h).
 *
 * Threads: any scheduler; each call is bounded by 64 jobs and 256 KiB, the large one, on a dirty
 * scheduler, by 256 jobs and 8 MiB. Blocking: never.
 */
#ifndef WEIR_NIF_JOBS_H
#define WEIR_NIF_JOBS_H

#include "callers.h"
#include "nif_common.h"
#include "turns.h"

/** Bits of the argument flags. */
#define WEIR_NIF_IDEMPOTENT 1u /**< May be executed more than once. */
#define WEIR_NIF_PINNED     2u /**< The result may stay where the worker wrote it. */
#define WEIR_NIF_LATER      4u /**< Always :pending; the result comes as a message. */

#define WEIR_NIF_JOB_FUNCTIONS(F)                                                                  \
    F(job_run, 7, 0)                                                                               \
    F(job_run_large, 7, ERL_NIF_DIRTY_JOB_CPU_BOUND)                                               \
    F(job_cancel, 2, 0)

/** A reference, an atom or a small integer. */
bool weir_nif_is_tag(ErlNifEnv *env, ERL_NIF_TERM term);
/** A time in nanoseconds from now or :infinity; the deadline is 0 for the latter. */
bool weir_nif_get_deadline(ErlNifEnv *env, ERL_NIF_TERM term, uint64_t *deadline_ns);
/** What weir_submit refused. */
ERL_NIF_TERM weir_nif_submit_refusal(ErlNifEnv *env, weir_status status, uint32_t pool);

/** Says whether the call has what it looks for. */
typedef bool (*weir_nif_look)(void *context);

/**
 * Takes one turn, then looks on while @p look says no, few jobs are under way, and the caller's
 * budget for looking lasts.
 */
void weir_nif_look_on(weir_nif_caller *caller, const weir_turn_limits *limits, weir_nif_look look,
                      void *context, ErlNifEnv *env);

WEIR_NIF_JOB_FUNCTIONS(WEIR_NIF_DECLARE)

#endif
