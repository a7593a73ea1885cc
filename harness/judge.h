/**
 * @file
 * Whether a run kept the promises.
 *
 * Purpose: one place that says which outcomes a workload allows and which numbers have to agree;
 * what does not hold becomes a violation in the ledger.
 *
 * Threads: one. Blocking: never.
 */
#ifndef WEIR_HARNESS_JUDGE_H
#define WEIR_HARNESS_JUDGE_H

#include "harness/engine.h"

/** Judges facts whose totals, stats, workers and restarts are known; @p ledger takes the
 * complaints. */
void weir_judge(const weir_run_plan *plan, const weir_run_facts *facts, weir_ledger *ledger);

#endif
