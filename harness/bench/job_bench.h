/**
 * @file
 * Whole jobs through a real manager and a real worker process.
 *
 * Purpose: the rows of the echo and the crc job. The manager runs on this thread
 * (weir_manager_poll), pinned like the lead of the pair; the worker is pinned to the peer's core,
 * where the peer is parked meanwhile.
 *
 * Typical use: weir_job_bench_begin, the probes as often as wanted, weir_job_bench_end.
 *
 * Threads: the thread that started the pair. Blocking: a run that does not end within
 * WEIR_PAIR_LIMIT_SECONDS ends the process, as in a pair.
 *
 * Ownership: the bench owns manager and worker process. Units: nanoseconds per job.
 */
#ifndef WEIR_HARNESS_BENCH_JOB_BENCH_H
#define WEIR_HARNESS_BENCH_JOB_BENCH_H

#include "harness/bench/pair.h"
#include "harness/bench/rounds.h"
#include "weir/manager.h"

/** Most workers of a bench. */
#define WEIR_JOB_BENCH_WORKERS_MAX 16

typedef struct weir_job_bench {
    const weir_pair *pair;   /**< For its watch; set by the caller. */
    weir_pair_cores cores;   /**< Set by the caller. */
    const char *worker_path; /**< Set by the caller. */
    uint32_t worker_count;   /**< Set by the caller; 0 means 1. */
    bool is_patient;         /**< Set by the caller: sleep while there is nothing to do. */
    weir_manager *manager;
    weir_pool_id pool;
    int32_t workers[WEIR_JOB_BENCH_WORKERS_MAX]; /**< Process ids. */
    uint64_t latency_ns; /**< Sum over the jobs of the last run, submit to end. */
    uint64_t serial;     /**< Of the next job; makes each payload different. */
} weir_job_bench;

/** weir-loopback in the directory of this program. */
const char *weir_job_bench_worker_path(void);

/** Starts manager and workers; for the begin of a row. Returns WEIR_OK or what the manager
 * returned. */
weir_status weir_job_bench_begin(void *context, weir_error *error) WEIR_MUST_CHECK;
void weir_job_bench_end(void *context);

/** Submits @p count echo jobs of 64 bytes in batches and waits for the last. Returns WEIR_OK, or
 * WEIR_CORRUPT when a reply is not the request or a job did not end well. */
weir_status weir_job_bench_echo(weir_job_bench *bench, uint64_t count,
                                weir_error *error) WEIR_MUST_CHECK;

/** Probes; the context is a weir_job_bench. */
weir_status weir_job_bench_echo_probe(void *context, weir_sample *sample,
                                      weir_error *error) WEIR_MUST_CHECK;
weir_status weir_job_bench_crc_probe(void *context, weir_sample *sample,
                                     weir_error *error) WEIR_MUST_CHECK;

#endif
