/* Signals to a `weir` at work. */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "harness/options.h"
#include "harness/testing/cli_stage.h"
#include "harness/testing/weir_test.h"

WEIR_TEST(cli_signals, sigint_ends_a_run_with_a_partial_report)
{
    const cli_place at = cli_place_make();
    const pid_t pid = cli_start(&at, "run --workload @W --for 1h --json @J");
    cli_await_output(&at, "in flight");
    kill(pid, SIGINT);
    cli_expect_code(cli_finish(&at, pid), WEIR_EXIT_INTERRUPTED);
    WEIR_EXPECT_STR_HAS(cli_output, "INTERRUPTED: stopped early; every promise held until then");
    json_t *root = cli_load_json(&at);
    WEIR_EXPECT_STR_EQ(cli_verdict(root), "interrupted");
    WEIR_EXPECT_GT(cli_number(root, "jobs", "submitted", NULL), 0);
    WEIR_EXPECT_EQ(cli_number(root, "jobs", "submitted", NULL),
                   cli_number(root, "jobs", "outcomes", "ok"));
    json_decref(root);
    cli_expect_nothing_left(&at);
}

WEIR_TEST(cli_signals, a_hangup_ends_a_run_as_cleanly)
{
    const cli_place at = cli_place_make();
    const pid_t pid = cli_start(&at, "run --workload @W --for 1h");
    cli_await_output(&at, "in flight");
    kill(pid, SIGHUP);
    cli_expect_code(cli_finish(&at, pid), WEIR_EXIT_INTERRUPTED);
    WEIR_EXPECT_STR_HAS(cli_output, "INTERRUPTED: stopped early; every promise held until then");
    cli_expect_nothing_left(&at);
}

WEIR_TEST(cli_signals, a_second_sigint_gives_up_what_is_under_way)
{
    const cli_place at = cli_place_make();
    const pid_t pid = cli_start(&at, "run --workload @W --for 1h --json @J");
    cli_await_output(&at, "in flight");
    kill(cli_first_worker(pid), SIGSTOP); /* so that the first signal alone would take seconds */
    nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    kill(pid, SIGINT);
    cli_await_taken(pid, SIGINT);
    kill(pid, SIGINT);
    cli_expect_code(cli_finish(&at, pid), WEIR_EXIT_INTERRUPTED);
    WEIR_EXPECT_STR_HAS(cli_output, "INTERRUPTED");
    json_t *root = cli_load_json(&at);
    WEIR_EXPECT_GT(cli_number(root, "jobs", "outcomes", "cancelled"), 0);
    json_decref(root);
    cli_expect_nothing_left(&at);
}

WEIR_TEST(cli_signals, sigterm_while_workers_start_ends_cleanly)
{
    const cli_place at = cli_place_make();
    char script[80];
    char line[200];
    snprintf(script, sizeof script, "%s/never", at.root);
    cli_write_file(script, "#!/bin/sh\nexec sleep 60\n", 0700);
    snprintf(line, sizeof line, "run --workload @W --start-timeout 40s --worker %s", script);
    const pid_t pid = cli_start(&at, line);
    cli_await_output(&at, "seed ");
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    kill(pid, SIGTERM);
    cli_expect_code(cli_finish(&at, pid), WEIR_EXIT_INTERRUPTED);
    WEIR_EXPECT_STR_HAS(cli_output, "interrupted before the first job");
    unlink(script);
    cli_expect_nothing_left(&at);
}
