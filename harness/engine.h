/**
 * @file
 * One run of a workload on a manager of its own.
 *
 * Purpose: start workers, put the workload's jobs through from several caller threads, have every
 * reply checked and every job entered in the ledger, take everything down again, and judge.
 *
 * How replies are checked: small ones within the callback, where they lie; large ones are held and
 * checked, still in place, by the thread that submitted them, so that the manager's thread goes on
 * ingesting.
 *
 * Threads: weir_engine_run is called by the main thread, with SIGINT and SIGTERM blocked
 * (weir_stop_block); it starts the callers. Blocking: until the run has ended.
 *
 * Ownership: the facts are the caller's.
 */
#ifndef WEIR_HARNESS_ENGINE_H
#define WEIR_HARNESS_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "harness/histogram.h"
#include "harness/ledger.h"
#include "harness/progress.h"
#include "harness/resources.h"
#include "harness/tally.h"
#include "harness/workload.h"

/** What to run. */
typedef struct weir_run_plan {
    weir_workload workload;
    uint64_t seed;
    const char *worker_path;
    uint32_t wake_strategies; /**< bits; 0: all */
    bool without_spin;
    bool trace;
    uint64_t start_timeout_ns;
    uint32_t deaths_max; /**< in a row, before a worker is given up; 0: the manager's default */
} weir_run_plan;

/** Of the jobs of one routine. */
typedef struct weir_routine_facts {
    uint64_t ok;
    uint64_t request_bytes; /**< of those that ended as ok */
    uint64_t reply_bytes;
    weir_histogram latency; /**< nanoseconds */
} weir_routine_facts;

/** What came of it. */
typedef struct weir_run_facts {
    uint64_t elapsed_ns; /**< from the first submission to the last outcome */
    unsigned signals;    /**< SIGINT and SIGTERM that came; the run is partial when not 0 */
    weir_ledger_totals totals;
    weir_violations violations;
    weir_manager_stats stats; /**< after the last outcome */
    weir_tally_counters workers;
    uint32_t strategies_seen;
    uint32_t restarts;
    bool is_deserted; /**< every worker was given up, so the run stopped early */
    char why_no_worker[WEIR_TROUBLE_MAX]; /**< empty while at least one worker serves at the end */
    weir_resources_left left;
    weir_routine_facts routine[ROUTINE_COUNT];
} weir_run_facts;

/**
 * Runs the plan. Returns WEIR_OK when the run took place: facts->violations says how it went.
 * Returns WEIR_INTERRUPTED when a signal came before the first job, WEIR_NO_MEMORY, or another
 * status with a sentence when no manager or worker could be had.
 */
weir_status weir_engine_run(const weir_run_plan *plan, weir_progress *progress,
                            weir_run_facts *facts, weir_error *error) WEIR_MUST_CHECK;

#endif
