/* Workers of a `weir run` that cannot start, die, are asked to end, or lie. */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "harness/options.h"
#include "harness/testing/cli_stage.h"
#include "harness/testing/weir_test.h"

WEIR_TEST(cli_workers, workers_that_cannot_work_are_named_with_the_reason)
{
    const cli_place at = cli_place_make();
    char never[80];
    char line[200];
    snprintf(never, sizeof never, "%s/never", at.root);
    cli_write_file(never, "#!/bin/sh\nexec sleep 60\n", 0700);
    const struct {
        const char *worker;
        const char *sentence;
    } table[] = {
        {"/no/such/worker", "there is no worker program at /no/such/worker; build it or name"},
        {at.workload, "w.toml is not an executable program; name the worker's file or chmod +x"},
        {"/", "/ is not an executable program"},
        {"/bin/cat", "the worker /bin/cat does not stay up"},
        {never, "did not finish the handshake within 300 ms; is it a Weir worker"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        snprintf(line, sizeof line, "run --workload @W --start-timeout 300ms --worker %s",
                 table[i].worker);
        cli_expect_code(cli_finish(&at, cli_start(&at, line)), WEIR_EXIT_ENVIRONMENT);
        WEIR_EXPECT_STR_HAS(cli_output, table[i].sentence);
    }
    unlink(never);
    cli_expect_nothing_left(&at);
}

WEIR_TEST(cli_workers, a_worker_killed_in_the_middle_is_replaced_and_no_job_is_lost)
{
    const cli_place at = cli_place_make();
    const pid_t pid = cli_start(&at, "run --workload @W --for 4s --json @J");
    cli_await_output(&at, "in flight");
    const pid_t worker = cli_first_worker(pid);
    WEIR_EXPECT_GT(worker, 0);
    kill(worker, SIGKILL);
    cli_expect_code(cli_finish(&at, pid), WEIR_EXIT_HELD);
    WEIR_EXPECT_STR_HAS(cli_output, "ended by signal 9");
    WEIR_EXPECT_STR_HAS(cli_output, " ready: pid ");
    json_t *root = cli_load_json(&at);
    WEIR_EXPECT_GE(cli_number(root, "restarts", NULL, NULL), 1);
    WEIR_EXPECT_EQ(cli_number(root, "jobs", "outcomes", "worker_lost"), 0);
    WEIR_EXPECT_EQ(cli_number(root, "jobs", "submitted", NULL),
                   cli_number(root, "jobs", "outcomes", "ok"));
    json_decref(root);
    cli_expect_nothing_left(&at);
}

WEIR_TEST(cli_workers, a_worker_that_is_asked_to_end_is_told_of_and_replaced)
{
    const cli_place at = cli_place_make();
    const pid_t pid = cli_start(&at, "run --workload @W --for 4s");
    cli_await_output(&at, "in flight");
    kill(cli_first_worker(pid), SIGTERM);
    cli_expect_code(cli_finish(&at, pid), WEIR_EXIT_HELD);
    WEIR_EXPECT_STR_HAS(cli_output, " draining: the worker asked to be drained");
    WEIR_EXPECT_STR_HAS(cli_output, " stopped: pid ");
    WEIR_EXPECT_STR_HAS(cli_output, " ready: pid ");
    cli_expect_nothing_left(&at);
}

WEIR_TEST(cli_workers, a_program_that_vanishes_is_named_in_the_verdict)
{
    const cli_place at = cli_place_make();
    char program[80];
    char line[200];
    snprintf(program, sizeof program, "%s/worker", at.root);
    WEIR_EXPECT_EQ(symlink(weir_test_program("weir-loopback"), program), 0);
    snprintf(line, sizeof line,
             "run --workload @W --workers 1 --for 1h --deaths 2 --json @J --worker %s", program);
    const pid_t pid = cli_start(&at, line);
    cli_await_output(&at, "in flight");
    unlink(program);
    kill(cli_first_worker(pid), SIGKILL);
    cli_expect_code(cli_finish(&at, pid), WEIR_EXIT_BROKEN);
    char *verdict = strstr(cli_output, "BROKEN: ");
    WEIR_EXPECT_NOT_NULL(verdict);
    WEIR_EXPECT_STR_HAS(verdict, "no worker serves any more: there is no worker program at ");
    WEIR_EXPECT_STR_HAS(verdict, program);
    WEIR_EXPECT_STR_HAS(verdict, "the run was called off, for every worker was given up; ");
    json_t *root = cli_load_json(&at);
    WEIR_EXPECT_STR_EQ(cli_verdict(root), "broken");
    json_decref(root);
    cli_expect_nothing_left(&at);
}

/* The canary: if nobody noticed this worker, no green run would mean anything. */
WEIR_TEST(cli_workers, a_worker_that_lies_breaks_the_run)
{
    const cli_place at = cli_place_make();
    char line[700];
    cli_write_file(at.workload,
                   "name = \"lies\"\njobs = 1000\nconcurrency = 16\nidempotent = true\n"
                   "[[mix]]\nopcode = \"echo\"\nsize = { list = [64, 9000] }\n",
                   0600);
    snprintf(line, sizeof line, "run --workload @W --workers 1 --json @J --worker %s",
             weir_test_program("lying_worker_program"));
    cli_expect_code(cli_finish(&at, cli_start(&at, line)), WEIR_EXIT_BROKEN);
    WEIR_EXPECT_STR_HAS(cli_output, "BROKEN: 10 promises were not kept");
    WEIR_EXPECT_STR_HAS(cli_output, "ended as ok, but the echo differs from the request");
    json_t *root = cli_load_json(&at);
    WEIR_EXPECT_STR_EQ(cli_verdict(root), "broken");
    WEIR_EXPECT_EQ(cli_number(root, "violations_found", NULL, NULL), 10);
    WEIR_EXPECT_EQ(cli_number(root, "jobs", "verified", NULL), 990);
    json_decref(root);
    cli_expect_nothing_left(&at);
}
