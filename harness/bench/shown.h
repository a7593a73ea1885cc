/**
 * @file
 * Numbers of a manager at work and at rest, shown below the table.
 *
 * Purpose: what an idle manager with 16 idle workers costs, and what a job costs the manager's
 * process with 1, 4 and 16 workers.
 *
 * Threads: as weir_job_bench. Blocking: about three seconds.
 */
#ifndef WEIR_HARNESS_BENCH_SHOWN_H
#define WEIR_HARNESS_BENCH_SHOWN_H

#include "harness/bench/report.h"

/** Processor time of a manager and 16 workers that have nothing to do. Returns WEIR_OK or what the
 * manager returned. */
weir_status weir_bench_show_idle(const weir_pair *pair, const weir_pair_cores *cores,
                                 const char *worker_path, weir_bench_report *report,
                                 weir_error *error) WEIR_MUST_CHECK;

/** Processor time of the manager's process per echo job. Returns as above. */
weir_status weir_bench_show_cpu_per_job(const weir_pair *pair, const weir_pair_cores *cores,
                                        const char *worker_path, weir_bench_report *report,
                                        weir_error *error) WEIR_MUST_CHECK;

#endif
