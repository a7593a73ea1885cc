/**
 * @file
 * The threads that submit a run's jobs and take their ends.
 *
 * Purpose: closed loop (a fixed number of jobs under way) or open loop (jobs at fixed times,
 * whatever the answers do; latency then counts from the time at which a job was due, so that a
 * stall is not hidden by the jobs that it kept from being sent).
 *
 * Threads: the functions here are for the main thread. Blocking: joining, until the callers are
 * done.
 *
 * Ownership: jobs live until weir_callers_free, which comes after the manager was destroyed,
 * because destroying it ends what is left.
 */
#ifndef WEIR_HARNESS_CALLERS_H
#define WEIR_HARNESS_CALLERS_H

#include <stdbool.h>

#include "harness/engine.h"
#include "harness/generator.h"

typedef struct weir_callers weir_callers;

/** What the callers work with; all of it outlives them. */
typedef struct weir_callers_setup {
    const weir_workload *workload;
    const weir_generator *generator;
    weir_ledger *ledger;
    weir_manager *manager;
    weir_pool_id pool;
    weir_routine_facts *routine; /**< by routine_id; written by the manager's thread */
} weir_callers_setup;

/** Starts them. Returns WEIR_OK, WEIR_NO_MEMORY, WEIR_SYSTEM. */
weir_status weir_callers_start(const weir_callers_setup *setup, weir_callers **callers,
                               weir_error *error) WEIR_MUST_CHECK;

/** Whether every caller has nothing left to do. */
bool weir_callers_are_done(weir_callers *callers);

/** No new jobs; what is under way still ends. */
void weir_callers_stop(weir_callers *callers);

/** Ends the callers though jobs are missing. */
void weir_callers_give_up(weir_callers *callers);

void weir_callers_join(weir_callers *callers);
void weir_callers_free(weir_callers *callers);

/** Time of the first submission and of the last ok outcome. */
uint64_t weir_callers_first_ns(const weir_callers *callers);
uint64_t weir_callers_last_ns(const weir_callers *callers);

#endif
