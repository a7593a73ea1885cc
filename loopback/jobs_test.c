/* The loopback worker's table and its command line. */
#include "loopback/jobs.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "harness/testing/weir_test.h"
#include "layout/generated/weir_layout.h"

WEIR_TEST(loopback_jobs, are_all_routines_by_default)
{
    static loopback_jobs jobs;
    weir_error error;
    WEIR_EXPECT_STATUS(loopback_jobs_choose(&jobs, NULL, &error), WEIR_OK);
    WEIR_EXPECT_EQ(jobs.count, ROUTINE_COUNT);
    static const uint16_t expected[] = {
        WEIR_OPCODE_ECHO,     WEIR_OPCODE_CRC,      WEIR_OPCODE_SIMULATE,
        WEIR_OPCODE_PATHFIND, WEIR_OPCODE_WORLDGEN, WEIR_OPCODE_ANALYTICS,
    };
    for (size_t i = 0; i < jobs.count; i++) {
        WEIR_EXPECT_EQ(jobs.table[i].opcode, expected[i]);
        WEIR_EXPECT_TRUE(jobs.table[i].run != NULL);
    }
    loopback_jobs_free(&jobs);
}

WEIR_TEST(loopback_jobs, are_those_of_the_list)
{
    static loopback_jobs jobs;
    weir_error error;
    WEIR_EXPECT_STATUS(loopback_jobs_choose(&jobs, "worldgen,echo", &error), WEIR_OK);
    WEIR_EXPECT_EQ(jobs.count, 2);
    WEIR_EXPECT_EQ(jobs.table[0].opcode, WEIR_OPCODE_WORLDGEN);
    WEIR_EXPECT_EQ(jobs.table[1].opcode, WEIR_OPCODE_ECHO);
}

WEIR_TEST(loopback_jobs, are_refused_with_the_names_that_exist)
{
    static const struct {
        const char *list;
        const char *part;
    } wrong[] = {
        {"", "no opcode \"\""},        {"echo,", "no opcode \"\""},
        {"ech", "no opcode \"ech\""},  {"echo2", "no opcode \"echo2\""},
        {"echo,echo", "stands twice"}, {"echo, crc", "choose from echo, crc"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        static loopback_jobs jobs;
        weir_error error;
        WEIR_EXPECT_STATUS(loopback_jobs_choose(&jobs, wrong[i].list, &error), WEIR_INVALID);
        WEIR_EXPECT_STR_HAS(error.text, wrong[i].part);
    }
}

typedef struct start {
    const char *arguments[4]; /**< NULL ends them. */
    const char *socket;       /**< WEIR_SOCKET, or NULL. */
    int output;               /**< Where stdout and stderr go. */
} start;

static void run_program(void *context)
{
    const start *start = context;
    char *argv[8] = {"weir-loopback"};
    for (size_t i = 0; i < 4 && start->arguments[i] != NULL; i++) {
        argv[i + 1] = (char *)(uintptr_t)start->arguments[i];
    }
    unsetenv("WEIR_TOKEN");
    unsetenv("WEIR_SOCKET");
    if (start->socket != NULL) {
        setenv("WEIR_SOCKET", start->socket, 1);
    }
    dup2(start->output, STDOUT_FILENO);
    dup2(start->output, STDERR_FILENO);
    execv(weir_test_program("weir-loopback"), argv);
    _exit(96);
}

static void expect_ending(start start, int status, const char *part)
{
    int ends[2];
    WEIR_EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    start.output = ends[1];
    const pid_t pid = weir_test_fork(run_program, &start);
    close(ends[1]);
    char text[4096] = "";
    size_t bytes = 0;
    ssize_t got = 0;
    while ((got = read(ends[0], text + bytes, sizeof text - 1 - bytes)) > 0) {
        bytes += (size_t)got;
    }
    close(ends[0]);
    text[bytes] = '\0';
    WEIR_EXPECT_EQ(weir_test_wait(pid, weir_test_deadline(20)), status);
    WEIR_EXPECT_STR_HAS(text, part);
}

WEIR_TEST(loopback_program, explains_itself)
{
    expect_ending((start){.arguments = {"--help"}}, 0, "--opcodes LIST");
    expect_ending((start){.arguments = {"--version"}}, 0, "weir-loopback 0.");
}

WEIR_TEST(loopback_program, refuses_what_it_does_not_know)
{
    expect_ending((start){.arguments = {"--speed"}}, 2, "unknown option \"--speed\"");
    expect_ending((start){.arguments = {"echo"}}, 2, "unknown option \"echo\"");
    expect_ending((start){.arguments = {"--role"}}, 2, "--role needs a value");
    expect_ending((start){.arguments = {"--opcodes", "fly"}}, 2, "no opcode \"fly\"");
    expect_ending((start){.arguments = {"--opcodes=fly"}}, 2, "no opcode \"fly\"");
}

WEIR_TEST(loopback_program, says_who_starts_it_when_there_is_no_manager)
{
    expect_ending((start){.socket = NULL}, 3, "no manager named its socket");
    expect_ending((start){.socket = "/nonexistent/socket"}, 3, "WEIR_TOKEN");
}
