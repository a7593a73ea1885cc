/* Whole runs and rounds of `weir`: every job accounted for, the seed, the rate. */
#include <jansson.h>
#include <stdio.h>

#include "harness/options.h"
#include "harness/testing/cli_stage.h"
#include "harness/testing/weir_test.h"

WEIR_TEST(cli_run, a_run_accounts_for_every_job)
{
    const cli_place at = cli_place_make();
    cli_expect_code(cli_finish(&at, cli_start(&at, "run --workload @W --json @J --seed 7")),
                    WEIR_EXIT_HELD);
    WEIR_EXPECT_STR_HAS(cli_output, "seed 7; to repeat: weir run --workload ");
    WEIR_EXPECT_STR_HAS(cli_output, "HELD: every promise was kept (workload small, seed 7");
    json_t *root = cli_load_json(&at);
    WEIR_EXPECT_STR_EQ(cli_verdict(root), "held");
    WEIR_EXPECT_EQ(cli_number(root, "jobs", "submitted", NULL), 400);
    WEIR_EXPECT_EQ(cli_number(root, "jobs", "verified", NULL), 400);
    WEIR_EXPECT_EQ(cli_number(root, "jobs", "outcomes", "ok"), 400);
    WEIR_EXPECT_EQ(cli_number(root, "jobs", "outcomes", "worker_lost"), 0);
    WEIR_EXPECT_EQ(cli_number(root, "bytes_copied", "manager", NULL), 0);
    WEIR_EXPECT_EQ(cli_number(root, "bytes_copied", "workers", NULL), 0);
    static const char *const left[] = {"slots", "descriptors", "mappings", "processes", "files"};
    for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
        WEIR_EXPECT_EQ(cli_number(root, "left_behind", left[i], NULL), 0);
    }
    int64_t sum = 0;
    static const char *const opcodes[] = {"echo",     "crc",      "simulate",
                                          "pathfind", "worldgen", "analytics"};
    for (size_t i = 0; i < sizeof opcodes / sizeof *opcodes; i++) {
        WEIR_EXPECT_GT(cli_number(root, "opcodes", opcodes[i], "ok"), 0);
        sum += cli_number(root, "opcodes", opcodes[i], "ok");
    }
    WEIR_EXPECT_EQ(sum, 400);
    json_decref(root);
    cli_expect_nothing_left(&at);
}

WEIR_TEST(cli_run, the_same_seed_does_the_same_work)
{
    int64_t bytes[3];
    for (size_t i = 0; i < 3; i++) {
        const cli_place at = cli_place_make();
        cli_expect_code(
            cli_finish(&at, cli_start(&at, i < 2 ? "run --workload @W --json @J --seed 11 --quiet"
                                                 : "run --workload @W --json @J --seed 12")),
            WEIR_EXIT_HELD);
        json_t *root = cli_load_json(&at);
        bytes[i] = cli_number(root, "opcodes", "echo", "request_bytes");
        json_decref(root);
        cli_expect_nothing_left(&at);
    }
    WEIR_EXPECT_EQ(bytes[0], bytes[1]);
    WEIR_EXPECT_NE(bytes[0], bytes[2]);
}

WEIR_TEST(cli_run, an_open_loop_keeps_its_rate)
{
    const cli_place at = cli_place_make();
    cli_write_file(at.workload,
                   "name = \"open\"\njobs = 200\nrate = 400\nidempotent = true\n"
                   "[[mix]]\nopcode = \"echo\"\nsize = 100\n",
                   0600);
    cli_expect_code(cli_finish(&at, cli_start(&at, "run --workload @W --json @J")), WEIR_EXIT_HELD);
    json_t *root = cli_load_json(&at);
    WEIR_EXPECT_EQ(cli_number(root, "jobs", "outcomes", "ok"), 200);
    /* The last of 200 jobs is due after 199/400 s. */
    WEIR_EXPECT_GE(cli_number(root, "elapsed_ns", NULL, NULL), 497500000);
    json_decref(root);
    cli_expect_nothing_left(&at);
}

WEIR_TEST(cli_run, stress_runs_rounds_with_terms_of_their_own)
{
    const cli_place at = cli_place_make();
    cli_expect_code(
        cli_finish(&at, cli_start(&at, "stress --workload @W --rounds 3 --round-for 200ms --seed 5 "
                                       "--json @J")),
        WEIR_EXIT_HELD);
    WEIR_EXPECT_STR_HAS(cli_output, "seed 5\n");
    WEIR_EXPECT_STR_HAS(cli_output, "round 3 ");
    WEIR_EXPECT_STR_HAS(cli_output, "HELD: 3 rounds, 0 broken");
    json_t *root = cli_load_json(&at);
    WEIR_EXPECT_EQ(cli_number(root, "rounds", NULL, NULL), 3);
    WEIR_EXPECT_STR_EQ(cli_verdict(root), "held");
    json_decref(root);
    cli_expect_nothing_left(&at);
}

WEIR_TEST(cli_run, stress_stops_at_a_broken_round_and_says_how_to_repeat_it)
{
    const cli_place at = cli_place_make();
    char line[700];
    cli_write_file(at.workload,
                   "name = \"lies\"\njobs = 1000\nconcurrency = 16\nidempotent = true\n"
                   "[[mix]]\nopcode = \"echo\"\nsize = 64\n",
                   0600);
    snprintf(line, sizeof line,
             "stress --workload @W --until-failure --max-size 64 --seed 3 --worker %s",
             weir_test_program("lying_worker_program"));
    cli_expect_code(cli_finish(&at, cli_start(&at, line)), WEIR_EXIT_BROKEN);
    WEIR_EXPECT_STR_HAS(cli_output, "to repeat this round: weir run --workload ");
    WEIR_EXPECT_STR_HAS(cli_output, "BROKEN: 1 rounds, 1 broken");
    cli_expect_nothing_left(&at);
}
