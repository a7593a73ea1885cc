/**
 * @file
 * The end of a run, for people and for programs.
 *
 * Purpose: the same numbers as a table of at most 100 columns, verdict first, and as JSON.
 *
 * Threads: one. Blocking: writes.
 */
#ifndef WEIR_HARNESS_SUMMARY_H
#define WEIR_HARNESS_SUMMARY_H

#include <stdio.h>

#include "harness/engine.h"

/** "held", "broken" or "interrupted". */
const char *weir_summary_verdict(const weir_run_facts *facts);

void weir_summary_print(FILE *out, const weir_run_plan *plan, const weir_run_facts *facts);

/** Writes the JSON document; @p command repeats the run. Returns WEIR_OK or WEIR_SYSTEM. */
weir_status weir_summary_json(FILE *out, const weir_run_plan *plan, const weir_run_facts *facts,
                              const char *command) WEIR_MUST_CHECK;

#endif
