/**
 * @file
 * The stage for tests of the real `weir`: a place of its own, a way to start it, and the check that
 * nothing is left.
 *
 * Who may call: Criterion tests of harness/, one thread. Blocking: each wait ends by a deadline
 * that fails the test. Ownership: a place is on disk from cli_place_make to
 * cli_expect_nothing_left.
 */
#ifndef WEIR_HARNESS_TESTING_CLI_STAGE_H
#define WEIR_HARNESS_TESTING_CLI_STAGE_H

#include <jansson.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#define CLI_OUTPUT_MAX 65536

/** Runtime directory, workload, output and report of one test. */
typedef struct cli_place {
    char root[64];
    char runtime[80];
    char workload[80];
    char output[80];
    char json[80];
} cli_place;

/** What the last `weir` said, standard output and errors in one. */
extern char cli_output[CLI_OUTPUT_MAX];

/** A fresh place with a workload of 400 small jobs of every opcode. */
cli_place cli_place_make(void);

/** The runtime directory is empty, or was never made; everything else is the test's own. */
void cli_expect_nothing_left(const cli_place *at);

void cli_write_file(const char *path, const char *text, mode_t mode);

/** Splits @p line at spaces, replaces the word @W by the workload and @J by the report, and starts
 * `weir` with it. */
pid_t cli_start(const cli_place *at, const char *line);

/** Waits for its end; returns its exit code and leaves what it said in cli_output. */
int cli_finish(const cli_place *at, pid_t pid);

void cli_expect_code(int code, int expected);

/** Runs to the end in a place of its own and demands the exit code. */
void cli_expect_run(const char *line, int code);

/** The report; the caller gives it back with json_decref. */
json_t *cli_load_json(const cli_place *at);

/** The whole number under these keys, of which the last may be NULL; -1 when there is none. */
int64_t cli_number(json_t *root, const char *a, const char *b, const char *c);

const char *cli_verdict(json_t *root);

/** Waits until `weir` has taken a signal that was sent to it: a second one before that would be
 * lost. */
void cli_await_taken(pid_t weir, int signal);

/** Waits until the output holds a text; the run goes on. */
void cli_await_output(const cli_place *at, const char *text);

/** A worker process of the run. */
pid_t cli_first_worker(pid_t weir);

#endif
