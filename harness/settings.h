/**
 * @file
 * The options that `weir run` and `weir stress` share.
 *
 * Purpose: read them, apply them to a workload, and write them down again as a command that repeats
 * the run.
 *
 * Threads: the main thread. Blocking: reading the workload.
 */
#ifndef WEIR_HARNESS_SETTINGS_H
#define WEIR_HARNESS_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness/engine.h"
#include "harness/options.h"

#define WEIR_COMMAND_MAX 1024

/** As given; 0 and NULL mean as the workload or the default says. */
typedef struct weir_run_settings {
    const char *workload;
    const char *worker;
    const char *json;
    const char *policy;
    const char *wake;
    const char *backing;
    uint64_t seed;
    bool has_seed;
    uint64_t workers;
    uint64_t jobs;
    uint64_t duration_ns;
    uint64_t concurrency;
    uint64_t batch;
    uint64_t max_size;
    bool has_max_size;
    uint64_t start_timeout_ns;
    uint64_t deaths_max;
    bool no_spin;
    bool quiet;
    bool trace;
} weir_run_settings;

/** Fills @p options with those that write to @p to and say what runs (workload, workers, sizes, …).
 * Returns how many; at most 16. */
size_t weir_settings_options(weir_run_settings *to, weir_option *options);

/** A seed that nobody chose. */
uint64_t weir_settings_fresh_seed(void);

/**
 * Makes the plan. Returns WEIR_OK, or the status and sentence of the workload or of a combination
 * that makes no sense.
 */
weir_status weir_settings_plan(const weir_run_settings *settings, weir_run_plan *plan,
                               weir_error *error) WEIR_MUST_CHECK;

/** Writes the `weir run` command that repeats a run with these settings. */
void weir_settings_command(const weir_run_settings *settings, char command[WEIR_COMMAND_MAX]);

/** The file of --json while a run goes on. */
typedef struct weir_json_file {
    FILE *file; /**< NULL when none was asked for */
    const char *path;
    bool is_new;     /**< it was not there before */
    bool is_written; /**< a report has begun */
} weir_json_file;

/** Opens the file for --json before the run, so that a wrong path is known early; what it holds
 * stays until there is a report. Returns WEIR_OK (also when none was asked for) or WEIR_SYSTEM. */
weir_status weir_settings_open_json(const char *path, weir_json_file *json,
                                    weir_error *error) WEIR_MUST_CHECK;

/** Empties the file for the report that comes now. */
void weir_settings_begin_json(weir_json_file *json);

/** Closes it, if it is open. One that was made for a report that never came is removed. */
void weir_settings_close_json(weir_json_file *json);

/** The exit code for a run that ended with this status and, if WEIR_OK, these facts. */
int weir_settings_exit_code(weir_status status, const weir_run_facts *facts);

#endif
