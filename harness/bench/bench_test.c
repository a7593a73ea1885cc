/* The command as a person types it. Times are never asserted: limits are planted that nothing can
 * meet, or that everything meets. */
#include "harness/bench/bench.h"

#include <jansson.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "harness/testing/weir_test.h"

#define ARGUMENTS_MAX 12

static int bench(const char *const *arguments)
{
    char *argv[ARGUMENTS_MAX + 2] = {(char *)"bench"};
    int argc = 1;
    for (; arguments[argc - 1] != NULL; argc++) {
        argv[argc] = (char *)(uintptr_t)arguments[argc - 1];
    }
    return weir_cmd_bench(argc, argv);
}

#define BENCH(...) bench((const char *const[]){__VA_ARGS__, NULL})

static void need_two_cores(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0 || CPU_COUNT(&set) < 2) {
        WEIR_SKIP("fewer than two usable cores");
    }
}

WEIR_TEST(bench, check_exits_1_when_a_limit_is_missed)
{
    need_two_cores();
    WEIR_EXPECT_EQ(BENCH("--only", "parked", "--check", "--rounds", "31", "--limit", "0.000001"),
                   1);
}

WEIR_TEST(bench, check_exits_0_when_every_limit_holds)
{
    need_two_cores();
    WEIR_EXPECT_EQ(BENCH("--only", "parked", "--check", "--rounds", "31", "--limit", "1e9"), 0);
}

WEIR_TEST(bench, a_missed_limit_without_check_exits_0)
{
    need_two_cores();
    WEIR_EXPECT_EQ(BENCH("--only", "parked", "--rounds", "1", "--limit", "0.000001"), 0);
}

WEIR_TEST(bench, check_with_too_few_rounds_is_refused)
{
    WEIR_EXPECT_EQ(BENCH("--check", "--rounds", "30"), 2);
}

WEIR_TEST(bench, every_channel_row_brings_every_message_across)
{
    need_two_cores();
    static const char *const names[] = {"ring-batch", "ring-single", "gate-batch", "gate-single",
                                        "trip",       "trip-crc",    "parked",     "parked-socket"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        WEIR_EXPECT_EQ(BENCH("--only", names[i], "--rounds", "2"), 0);
    }
}

WEIR_TEST(bench, both_whole_job_rows_verify_every_reply, .timeout = 120)
{
    need_two_cores();
    WEIR_EXPECT_EQ(BENCH("--only", "echo-job", "--rounds", "2"), 0);
    WEIR_EXPECT_EQ(BENCH("--only", "crc-job", "--rounds", "2"), 0);
}

WEIR_TEST(bench, a_job_allocates_nothing_on_either_side)
{
    need_two_cores();
    WEIR_EXPECT_EQ(BENCH("--only", "allocations", "--check"), 0);
}

WEIR_TEST(bench, sixteen_workers_serve_one_manager, .timeout = 120)
{
    need_two_cores();
    WEIR_EXPECT_EQ(BENCH("--only", "manager-cpu"), 0);
}

WEIR_TEST(bench, a_missing_worker_exits_3)
{
    need_two_cores();
    WEIR_EXPECT_EQ(BENCH("--only", "echo-job", "--worker", "/nonexistent/worker"), 3);
}

WEIR_TEST(bench, json_holds_the_row_with_its_limit_and_whether_it_held)
{
    need_two_cores();
    char path[] = "/tmp/weir-bench-XXXXXX";
    const int fd = mkstemp(path);
    WEIR_EXPECT_GE(fd, 0);
    close(fd);
    const int code =
        BENCH("--only", "ring-single", "--rounds", "2", "--limit", "1e9", "--json", path);
    json_t *report = json_load_file(path, 0, NULL);
    (void)unlink(path);
    WEIR_EXPECT_EQ(code, 0);
    WEIR_EXPECT_NOT_NULL(report);
    const json_t *rows = json_object_get(report, "rows");
    WEIR_EXPECT_EQ(json_array_size(rows), 1);
    const json_t *row = json_array_get(rows, 0);
    WEIR_EXPECT_STR_EQ(json_string_value(json_object_get(row, "name")), "ring-single");
    WEIR_EXPECT_EQ(json_integer_value(json_object_get(row, "rounds")), 2);
    WEIR_EXPECT_EQ(json_real_value(json_object_get(row, "limit")), 1e9);
    WEIR_EXPECT_TRUE(json_is_true(json_object_get(row, "held")));
    WEIR_EXPECT_GT(json_real_value(json_object_get(json_object_get(row, "ratio"), "median")), 0.0);
    WEIR_EXPECT_TRUE(json_is_true(json_object_get(report, "held")));
    json_decref(report);
}

WEIR_TEST(bench, a_report_that_cannot_be_written_exits_3)
{
    need_two_cores();
    WEIR_EXPECT_EQ(BENCH("--only", "ring-batch", "--rounds", "1", "--json", "/dev/full"), 3);
}

WEIR_TEST(bench, a_wrong_report_path_is_told_before_measuring)
{
    WEIR_EXPECT_EQ(
        BENCH("--only", "ring-batch", "--rounds", "1", "--json", "/nonexistent/report.json"), 2);
}

WEIR_TEST(bench, wrong_usage_exits_2)
{
    WEIR_EXPECT_EQ(BENCH("--frobnicate"), 2);
    WEIR_EXPECT_EQ(BENCH("--rounds", "none"), 2);
    WEIR_EXPECT_EQ(BENCH("--rounds", "0"), 2);
    WEIR_EXPECT_EQ(BENCH("--limit", "-1"), 2);
    WEIR_EXPECT_EQ(BENCH("--limit", "nan"), 2);
    WEIR_EXPECT_EQ(BENCH("--only", "no-such-row"), 2);
    WEIR_EXPECT_EQ(BENCH("leftover"), 2);
}

WEIR_TEST(bench, help_and_list_exit_0)
{
    WEIR_EXPECT_EQ(BENCH("--help"), 0);
    WEIR_EXPECT_EQ(BENCH("--list"), 0);
}

WEIR_TEST(bench, one_core_alone_exits_3)
{
    cpu_set_t all;
    WEIR_EXPECT_EQ(sched_getaffinity(0, sizeof all, &all), 0);
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int core = 0; CPU_COUNT(&one) == 0; core++) {
        if (CPU_ISSET(core, &all)) {
            CPU_SET(core, &one);
        }
    }
    WEIR_EXPECT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    const int code = BENCH("--only", "ring-batch", "--rounds", "1");
    WEIR_EXPECT_EQ(sched_setaffinity(0, sizeof all, &all), 0);
    WEIR_EXPECT_EQ(code, 3);
}
