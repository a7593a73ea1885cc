/**
 * @file
 * The end of a job: its result reaches its caller, once.
 *
 * Purpose: libweir calls weir_nif_job_done on the thread that took the turn. If that thread's call
 * is the one that waits for this job, the result becomes its return value; if the caller is inside
 * another call, the result is stored for it; else it is sent as a message.
 *
 * Messages: {tag, :done, outcome, payload, sent_count, elapsed_ns} for a single job,
 * {tag, :items, [{index, outcome, payload, sent_count, elapsed_ns}], left} for a batch.
 *
 * Threads: any. Blocking: the caller's lock.
 */
#ifndef WEIR_NIF_JOBS_DONE_H
#define WEIR_NIF_JOBS_DONE_H

#include "jobs_record.h"

void weir_nif_job_done(void *context, const weir_result *result);

/** {:done, outcome, payload, sent_count, elapsed_ns} of a stored result. */
ERL_NIF_TERM weir_nif_job_stored_term(ErlNifEnv *env, weir_nif_job *job);

/** Sends a stored result to the caller; its tag must have been kept. */
void weir_nif_job_send_stored(weir_nif_job *job, struct weir_nif_round *round);

/** {index, outcome, payload, sent_count, elapsed_ns} */
ERL_NIF_TERM weir_nif_job_item(ErlNifEnv *env, weir_nif_job *job, ERL_NIF_TERM payload);

#endif
