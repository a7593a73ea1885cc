/**
 * @file
 * Counting heap allocations of manager and worker while jobs run.
 *
 * Purpose: show that a job in the steady state allocates nothing on either side. The bench starts
 * itself once more with weir-allocations.so preloaded (preload/count_allocations.c); the worker
 * inherits it. Both count into one shared file.
 *
 * Threads: the main thread. Blocking: about a second; the second instance is killed after
 * WEIR_PAIR_LIMIT_SECONDS.
 *
 * Ownership: the file is a temporary one and gone when the call returns.
 */
#ifndef WEIR_HARNESS_BENCH_ALLOCATIONS_H
#define WEIR_HARNESS_BENCH_ALLOCATIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "harness/bench/report.h"

/** Names the shared file to preloaded processes. */
#define WEIR_ALLOCATIONS_VARIABLE "WEIR_ALLOCATIONS"
/** Most processes that count into one file. */
#define WEIR_ALLOCATIONS_PROCESSES 8

/** What the shared file holds. */
typedef struct weir_allocations {
    uint32_t process_count; /**< Places given out. */
    uint32_t is_done;       /**< The second instance has written what follows. */
    uint64_t jobs;
    uint64_t manager_calls; /**< During those jobs. */
    uint64_t worker_calls;  /**< During those jobs. */
    struct weir_allocations_process {
        uint64_t pid;
        uint64_t calls; /**< malloc and its kin, since the process started. */
    } processes[WEIR_ALLOCATIONS_PROCESSES];
} weir_allocations;

/** True in the second instance. */
bool weir_allocations_is_inner(void);

/** What the second instance does. Returns WEIR_OK or the reason. */
weir_status weir_allocations_count(const char *worker_path, weir_error *error) WEIR_MUST_CHECK;

/** Starts the second instance and shows what it counted. Returns WEIR_OK, WEIR_NOT_FOUND (a program
 * is missing), WEIR_SYSTEM, WEIR_CORRUPT (the second instance failed). */
weir_status weir_bench_show_allocations(const char *worker_path, weir_bench_report *report,
                                        weir_error *error) WEIR_MUST_CHECK;

#endif
