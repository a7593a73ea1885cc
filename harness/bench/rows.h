/**
 * @file
 * The rows of the table that `weir bench` prints.
 *
 * Purpose: names what is measured, what it is held against, and how much it may cost at most.
 *
 * Threads: one. Ownership: the set owns the pair; weir_bench_rows_close ends it.
 */
#ifndef WEIR_HARNESS_BENCH_ROWS_H
#define WEIR_HARNESS_BENCH_ROWS_H

#include "harness/bench/pair.h"
#include "harness/bench/rounds.h"

#define WEIR_BENCH_ROWS_MAX  12
#define WEIR_BENCH_PARTS_MAX 16

/** What --only takes for the numbers below the table. */
#define WEIR_BENCH_ALLOCATIONS "allocations"
#define WEIR_BENCH_MANAGER_CPU "manager-cpu"
#define WEIR_BENCH_IDLE        "idle-manager"
/** Names that --only takes: rows and numbers. */
#define WEIR_BENCH_NAMES_MAX (WEIR_BENCH_ROWS_MAX + 3)

/** One row before it is measured. */
typedef struct weir_bench_row {
    const char *name;    /**< For --only. */
    const char *measure; /**< What a person reads. */
    const char *against;
    double limit;
    weir_probe subject;
    weir_probe reference;
    weir_probe allowance;
    double allowance_factor;
    /** Starts what the row alone needs; NULL for nothing. */
    weir_status (*begin)(void *context, weir_error *error);
    void (*end)(void *context);
    void *context;
} weir_bench_row;

/** A measured row. */
typedef struct weir_bench_line {
    const weir_bench_row *row;
    double limit; /**< The row's, or that of --limit. */
    weir_rounds_result result;
} weir_bench_line;

typedef struct weir_bench_rows {
    weir_bench_row rows[WEIR_BENCH_ROWS_MAX];
    size_t count;
    weir_probe placing; /**< A short bare ping-pong: tells two cores from two threads of one. */
    weir_pair pair;
    weir_pair_part parts[WEIR_BENCH_PARTS_MAX];
    weir_pair_probe_context contexts[WEIR_BENCH_PARTS_MAX];
    size_t part_count;
} weir_bench_rows;

/** True when the line's median ratio is within its limit. */
bool weir_bench_line_holds(const weir_bench_line *line);

/** Builds all rows and starts the pair. @p worker_path is the program of the job rows; NULL means
 * weir-loopback beside this program. Returns WEIR_OK, WEIR_NO_MEMORY or WEIR_SYSTEM. */
weir_status weir_bench_rows_open(weir_bench_rows *rows, const weir_pair_cores *cores,
                                 const char *worker_path, weir_error *error) WEIR_MUST_CHECK;
/** Ends the pair and frees what the rows used; safe on rows that were not opened completely. */
void weir_bench_rows_close(weir_bench_rows *rows);

/** Puts the names of all rows and numbers into @p names, which has room for WEIR_BENCH_NAMES_MAX +
 * 1, and NULL behind them. */
void weir_bench_row_names(const char **names);

/** Names and meanings only, without starting anything. */
void weir_bench_rows_describe(weir_bench_rows *rows);

#endif
