/**
 * @file
 * The ledger: what became of every job of a run.
 *
 * Purpose: each job number is entered before it is submitted and closed by its outcome. A job that
 * is closed twice, was never entered, never ends, or ends as ok with a wrong reply is a violation;
 * so is anything else that the judge adds. A run has held its promises when there are none.
 *
 * Threads: entering, closing and complaining may be done by any thread at once; auditing when all
 * of them are done. Blocking: a short lock when memory is added or a violation written down.
 *
 * Memory: one byte for each job number, in blocks of a mebibyte, added as numbers rise.
 */
#ifndef WEIR_HARNESS_LEDGER_H
#define WEIR_HARNESS_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/manager.h"
#include "weir/status.h"

/** Violations kept as text; more are only counted. */
#define WEIR_VIOLATIONS_MAX     12
#define WEIR_VIOLATION_TEXT_MAX 480
/** Highest job number and one. */
#define WEIR_LEDGER_JOBS_MAX (UINT64_C(1) << 32)

typedef struct weir_ledger weir_ledger;

typedef struct weir_violations {
    uint64_t found;
    char text[WEIR_VIOLATIONS_MAX][WEIR_VIOLATION_TEXT_MAX];
} weir_violations;

typedef struct weir_ledger_totals {
    uint64_t entered; /**< and not withdrawn */
    uint64_t closed;
    uint64_t verified; /**< ok with a reply that the oracle found right */
    uint64_t outcomes[WEIR_OUTCOME_CODES];
} weir_ledger_totals;

/** Returns WEIR_OK or WEIR_NO_MEMORY. */
weir_status weir_ledger_create(weir_ledger **ledger, weir_error *error) WEIR_MUST_CHECK;
void weir_ledger_free(weir_ledger *ledger);

/** Enters @p count jobs from number @p first, before they are submitted. Returns WEIR_OK,
 * WEIR_NO_MEMORY, or WEIR_FULL beyond the highest number. */
weir_status weir_ledger_enter(weir_ledger *ledger, uint64_t first, uint64_t count) WEIR_MUST_CHECK;

/** Takes entries back because the manager refused the whole submission. */
void weir_ledger_withdraw(weir_ledger *ledger, uint64_t first, uint64_t count);

/** Closes a job. @p wrong is NULL, or what the oracle says against its reply. */
void weir_ledger_close(weir_ledger *ledger, uint64_t number, unsigned outcome, const char *wrong);

/** Writes down a violation: one sentence. */
void weir_ledger_complain(weir_ledger *ledger, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** Finds the jobs without outcome, each a violation. */
void weir_ledger_audit(weir_ledger *ledger);

void weir_ledger_read(const weir_ledger *ledger, weir_ledger_totals *totals);
void weir_ledger_violations(weir_ledger *ledger, weir_violations *violations);

#endif
