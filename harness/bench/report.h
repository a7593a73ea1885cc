/**
 * @file
 * What `weir bench` says: a table for people, JSON for programs.
 *
 * Purpose: each ratio beside its limit, with quartiles, and whether it holds.
 *
 * Threads: one. Units: nanoseconds per operation.
 */
#ifndef WEIR_HARNESS_BENCH_REPORT_H
#define WEIR_HARNESS_BENCH_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "harness/bench/rows.h"

/** Most numbers that are shown without a reference. */
#define WEIR_BENCH_SHOWN_MAX 12

/** A number that is shown below the table. */
typedef struct weir_bench_shown {
    char name[32];
    char text[128]; /**< What a person reads, the number included. */
    double value;
    double limit; /**< Most that value may be; negative for none. */
} weir_bench_shown;

/** Everything measured so far. */
typedef struct weir_bench_report {
    weir_bench_line lines[WEIR_BENCH_ROWS_MAX];
    size_t line_count;
    weir_bench_shown shown[WEIR_BENCH_SHOWN_MAX];
    size_t shown_count;
    weir_pair_cores cores;
    bool was_interrupted;
    bool is_one_core; /**< Both processors were threads of one core in much of a row. */
} weir_bench_report;

/** True when the number is within its limit or has none. */
bool weir_bench_shown_holds(const weir_bench_shown *shown);

/** Adds a number. @p limit is negative for none. @p format takes the value. */
void weir_bench_report_show(weir_bench_report *report, const char *name, double value, double limit,
                            const char *format, ...) __attribute__((format(printf, 5, 6)));

/** True when every line and shown number holds and there is at least one line or shown number. */
bool weir_bench_report_holds(const weir_bench_report *report);

void weir_bench_report_head(FILE *out);
void weir_bench_report_line(FILE *out, const weir_bench_line *line);
void weir_bench_report_end(FILE *out, const weir_bench_report *report);

/** Writes the report to a new file. Returns WEIR_OK, WEIR_NO_MEMORY or WEIR_SYSTEM. */
weir_status weir_bench_report_json(const weir_bench_report *report, const char *path,
                                   weir_error *error) WEIR_MUST_CHECK;

#endif
