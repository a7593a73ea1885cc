/* `weir run` whose output, report or reader is not what it should be. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/options.h"
#include "harness/testing/weir_test.h"

/* What the next `weir` gets; -1 leaves it closed. */
typedef struct scene {
    char root[64];
    char json[80];
    char complaints[80];
    const char *worker;
    const char *end;
    int out;
} scene;

static scene make_scene(void)
{
    scene made = {.root = "/tmp/weir-streams-XXXXXX", .out = -1, .end = "--jobs=200"};
    WEIR_EXPECT_NOT_NULL(mkdtemp(made.root));
    snprintf(made.json, sizeof made.json, "%s/json", made.root);
    snprintf(made.complaints, sizeof made.complaints, "%s/complaints", made.root);
    return made;
}

static void be_weir(void *argument)
{
    const scene *is = argument;
    char runtime[80];
    snprintf(runtime, sizeof runtime, "%s/run", is->root);
    setenv("WEIR_RUNTIME_DIR", runtime, 1);
    dup2(open(is->complaints, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), STDERR_FILENO);
    if (is->out == -1) {
        close(STDOUT_FILENO);
    } else {
        dup2(is->out, STDOUT_FILENO);
    }
    char *words[] = {(char *)(uintptr_t)weir_test_program("weir"),
                     (char *)"run",
                     (char *)"--workload=echo",
                     (char *)(uintptr_t)is->end,
                     (char *)"--json",
                     (char *)(uintptr_t)is->json,
                     is->worker != NULL ? (char *)"--worker" : NULL,
                     (char *)(uintptr_t)is->worker,
                     NULL};
    execv(words[0], words);
    _exit(127);
}

static bool complains(const scene *of, const char *text)
{
    char all[2048] = "";
    const int fd = open(of->complaints, O_RDONLY | O_CLOEXEC);
    const ssize_t bytes = read(fd, all, sizeof all - 1);
    close(fd);
    all[bytes < 0 ? 0 : bytes] = '\0';
    return strstr(all, text) != NULL;
}

/* The runtime directory is empty, or was never made. */
static void clean_up(const scene *after)
{
    char runtime[80];
    snprintf(runtime, sizeof runtime, "%s/run", after->root);
    if (rmdir(runtime) != 0) {
        WEIR_EXPECT_EQ(errno, ENOENT);
    }
    unlink(after->json);
    unlink(after->complaints);
    WEIR_EXPECT_EQ(rmdir(after->root), 0);
}

static int run(scene *what)
{
    return weir_test_wait(weir_test_fork(be_weir, what), weir_test_deadline(50));
}

WEIR_TEST(cli_streams, a_full_output_is_no_success)
{
    scene full = make_scene();
    full.out = open("/dev/full", O_WRONLY | O_CLOEXEC);
    WEIR_EXPECT_EQ(run(&full), WEIR_EXIT_ENVIRONMENT);
    close(full.out);
    WEIR_EXPECT_TRUE(complains(&full, "the output could not be written"));
    clean_up(&full);
}

WEIR_TEST(cli_streams, a_closed_output_is_not_taken_for_the_first_file_opened)
{
    scene closed = make_scene();
    WEIR_EXPECT_EQ(run(&closed), WEIR_EXIT_ENVIRONMENT);
    WEIR_EXPECT_TRUE(complains(&closed, "the output could not be written"));
    clean_up(&closed);
}

WEIR_TEST(cli_streams, a_reader_that_goes_away_ends_the_run_cleanly)
{
    int ends[2];
    char first[1];
    scene read_once = make_scene();
    read_once.end = "--for=1h";
    WEIR_EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    read_once.out = ends[1];
    const pid_t pid = weir_test_fork(be_weir, &read_once);
    close(ends[1]);
    WEIR_EXPECT_EQ(read(ends[0], first, 1), 1);
    close(ends[0]);
    WEIR_EXPECT_EQ(weir_test_wait(pid, weir_test_deadline(50)), WEIR_EXIT_INTERRUPTED);
    clean_up(&read_once);
}

WEIR_TEST(cli_streams, without_a_report_there_is_no_report_file)
{
    scene failing = make_scene();
    failing.out = open("/dev/null", O_WRONLY | O_CLOEXEC);
    failing.worker = "/no/such/worker";
    WEIR_EXPECT_EQ(run(&failing), WEIR_EXIT_ENVIRONMENT);
    WEIR_EXPECT_EQ(access(failing.json, F_OK), -1);
    close(failing.out);
    clean_up(&failing);
}

WEIR_TEST(cli_streams, an_older_report_stays_until_there_is_a_new_one)
{
    struct stat old;
    scene again = make_scene();
    again.out = open("/dev/null", O_WRONLY | O_CLOEXEC);
    WEIR_EXPECT_EQ(run(&again), WEIR_EXIT_HELD);
    WEIR_EXPECT_EQ(truncate(again.json, 1 << 20), 0);
    again.worker = "/no/such/worker";
    WEIR_EXPECT_EQ(run(&again), WEIR_EXIT_ENVIRONMENT);
    WEIR_EXPECT_EQ(stat(again.json, &old), 0);
    WEIR_EXPECT_EQ(old.st_size, 1 << 20);
    again.worker = NULL;
    WEIR_EXPECT_EQ(run(&again), WEIR_EXIT_HELD);
    WEIR_EXPECT_EQ(stat(again.json, &old), 0);
    WEIR_EXPECT_LT(old.st_size, 1 << 16); /* Nothing of the longer one hangs on. */
    close(again.out);
    clean_up(&again);
}
