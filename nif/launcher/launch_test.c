#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/testing/weir_test.h"
#include "nif/launcher/testing/launched.h"

/* A worker that stops itself before it does what the test is about, so that what the test sent by
 * then is known to have come first. */
#define STOPPED "kill -STOP $$; "

static void go_on(launched *it, pid_t worker)
{
    launched_await_state(worker, 'T');
    launched_signal(it, SIGCONT);
}

static void expect_exit(launched *it, char how, int code)
{
    launched_expect(it, LAUNCH_EXITED);
    WEIR_EXPECT_EQ(it->bytes, 2);
    WEIR_EXPECT_EQ(it->body[0], how);
    WEIR_EXPECT_EQ((unsigned char)it->body[1], code);
    WEIR_EXPECT_EQ(launched_next(it), 0);
    WEIR_EXPECT_EQ(launched_end(it), 0);
}

static pid_t next_pid(launched *it)
{
    launched_expect(it, LAUNCH_LINE);
    const long pid = strtol(it->body, NULL, 10);
    WEIR_EXPECT_GT(pid, 1);
    return (pid_t)pid;
}

WEIR_TEST(launch, tells_pid_and_exit_status)
{
    pid_t worker;
    launched it = launched_script("exit 7", &worker);
    expect_exit(&it, 'e', 7);
}

WEIR_TEST(launch, tells_the_signal_that_ended_the_worker)
{
    pid_t worker;
    launched it = launched_script("kill -SEGV $$", &worker);
    expect_exit(&it, 's', SIGSEGV);
}

WEIR_TEST(launch, names_a_missing_program_and_what_to_do)
{
    launched it = launched_start("/nowhere/worker", NULL, NULL);
    launched_expect(&it, LAUNCH_FAILED);
    WEIR_EXPECT_STR_EQ(it.body, "cannot start the worker /nowhere/worker: No such file or "
                                "directory; build it or name another one");
    WEIR_EXPECT_EQ(launched_next(&it), 0);
    WEIR_EXPECT_EQ(launched_end(&it), 0);
}

WEIR_TEST(launch, names_a_file_that_is_no_program)
{
    launched it = launched_start("/etc/passwd", NULL, NULL);
    launched_expect(&it, LAUNCH_FAILED);
    WEIR_EXPECT_STR_HAS(it.body, "Permission denied; name the program's file, or chmod +x it");
    WEIR_EXPECT_EQ(launched_end(&it), 0);
}

WEIR_TEST(launch, gives_the_worker_an_empty_standard_input)
{
    launched it = launched_start("/bin/cat", NULL, NULL);
    launched_expect(&it, LAUNCH_STARTED);
    expect_exit(&it, 'e', 0);
}

WEIR_TEST(launch, leaves_the_worker_no_descriptor_but_the_three)
{
    pid_t worker;
    launched it = launched_script(STOPPED "ls /proc/$$/fd | tr '\\n' ' '", &worker);
    launched_credit(&it, 1);
    go_on(&it, worker);
    launched_expect(&it, LAUNCH_LINE);
    WEIR_EXPECT_STR_EQ(it.body, "0 1 2 ");
    expect_exit(&it, 'e', 0);
}

WEIR_TEST(launch, passes_on_both_outputs_in_their_order)
{
    pid_t worker;
    launched it = launched_script(STOPPED "echo one; echo two >&2; printf three", &worker);
    launched_credit(&it, 10);
    go_on(&it, worker);
    const char *const lines[] = {"one", "two", "three"};
    for (size_t i = 0; i < 3; i++) {
        launched_expect(&it, LAUNCH_LINE);
        WEIR_EXPECT_STR_EQ(it.body, lines[i]);
    }
    expect_exit(&it, 'e', 0);
}

WEIR_TEST(launch, cuts_a_long_line_and_masks_control_characters)
{
    pid_t worker;
    launched it = launched_script(STOPPED "printf '%0600d\\n' 1; printf 'a\\033b\\tc\\n'", &worker);
    launched_credit(&it, 10);
    go_on(&it, worker);
    launched_expect(&it, LAUNCH_LINE);
    WEIR_EXPECT_EQ(it.bytes, LAUNCH_LINE_BYTES);
    WEIR_EXPECT_EQ(it.body[LAUNCH_LINE_BYTES - 1], '0');
    launched_expect(&it, LAUNCH_LINE);
    WEIR_EXPECT_STR_EQ(it.body, "a?b\tc");
    expect_exit(&it, 'e', 0);
}

WEIR_TEST(launch, sends_no_more_lines_than_the_credit_and_counts_the_rest)
{
    pid_t worker;
    launched it = launched_script(STOPPED "seq 10; " STOPPED "echo eleven", &worker);
    launched_credit(&it, 3);
    go_on(&it, worker);
    for (int i = 1; i <= 3; i++) {
        launched_expect(&it, LAUNCH_LINE);
        WEIR_EXPECT_EQ(strtol(it.body, NULL, 10), i);
    }
    launched_await_state(worker, 'T');
    launched_signal(&it, SIGCONT);
    /* The seven, and the eleventh too: there is no credit until the end. */
    launched_expect(&it, LAUNCH_DROPPED);
    WEIR_EXPECT_EQ(launched_number(&it), 8);
    expect_exit(&it, 'e', 0);
}

WEIR_TEST(launch, passes_on_the_last_words_of_a_worker_that_ends_at_once)
{
    launched it = launched_start_with_credit("2", "/bin/sh", "-c", "seq 3; exit 4");
    launched_expect(&it, LAUNCH_STARTED);
    for (int i = 1; i <= 2; i++) {
        launched_expect(&it, LAUNCH_LINE);
        WEIR_EXPECT_EQ(strtol(it.body, NULL, 10), i);
    }
    launched_expect(&it, LAUNCH_DROPPED);
    WEIR_EXPECT_EQ(launched_number(&it), 1);
    expect_exit(&it, 'e', 4);
}

WEIR_TEST(launch, lives_through_a_flood_and_still_obeys)
{
    pid_t worker;
    launched it = launched_script("exec yes somebody is very talkative", &worker);
    uint64_t dropped = 0;
    for (int round = 0; round < 20; round++) {
        launched_credit(&it, 1);
        int kind;
        while ((kind = launched_next(&it)) == LAUNCH_DROPPED) {
            dropped += launched_number(&it);
        }
        WEIR_EXPECT_EQ(kind, LAUNCH_LINE);
    }
    WEIR_EXPECT_GT(dropped, 0);
    launched_kill(&it);
    int kind;
    while ((kind = launched_next(&it)) == LAUNCH_DROPPED) {
    }
    WEIR_EXPECT_EQ(kind, LAUNCH_EXITED);
    WEIR_EXPECT_EQ(it.body[0], 's');
    WEIR_EXPECT_EQ(it.body[1], SIGKILL);
    WEIR_EXPECT_EQ(launched_end(&it), 0);
}

WEIR_TEST(launch, passes_a_signal_on_and_kills_a_worker_that_ignores_it)
{
    pid_t worker;
    launched it =
        launched_script("trap 'echo no' TERM; " STOPPED "while :; do sleep 0.01; done", &worker);
    launched_credit(&it, 1);
    go_on(&it, worker);
    launched_signal(&it, SIGTERM);
    launched_expect(&it, LAUNCH_LINE);
    WEIR_EXPECT_STR_EQ(it.body, "no");
    WEIR_EXPECT_NE(launched_state(worker), 'Z');
    launched_kill(&it);
    expect_exit(&it, 's', SIGKILL);
}

/* A child in the group, one that left it, and one that lost its parent besides. */
#define FAMILY                                                                                     \
    "sleep 1000 & echo $!; setsid sh -c 'echo $$; exec sleep 1000' & "                             \
    "(setsid sh -c 'echo $$; sleep 1000 & wait' &); "

static launched start_family(const char *then, pid_t pids[4])
{
    char script[512];
    snprintf(script, sizeof script, STOPPED FAMILY "%s", then);
    launched it = launched_script(script, &pids[0]);
    launched_credit(&it, 3);
    go_on(&it, pids[0]);
    for (int i = 1; i < 4; i++) {
        pids[i] = next_pid(&it);
    }
    return it;
}

static void expect_all_gone(const pid_t pids[4])
{
    for (int i = 0; i < 4; i++) {
        WEIR_EXPECT_EQ(launched_state(pids[i]), 'Z');
    }
}

WEIR_TEST(launch, ends_everything_at_end_of_file)
{
    pid_t pids[4];
    launched it = start_family("wait; sleep 1000", pids);
    for (int i = 0; i < 4; i++) {
        WEIR_EXPECT_NE(launched_state(pids[i]), 'Z');
    }
    launched_hang_up(&it);
    WEIR_EXPECT_EQ(launched_end(&it), 0);
    expect_all_gone(pids);
}

WEIR_TEST(launch, ends_a_stopped_worker_at_end_of_file)
{
    pid_t worker;
    launched it = launched_script(STOPPED, &worker);
    launched_await_state(worker, 'T');
    launched_hang_up(&it);
    WEIR_EXPECT_EQ(launched_end(&it), 0);
    WEIR_EXPECT_EQ(launched_state(worker), 'Z');
}

WEIR_TEST(launch, ends_everything_when_it_is_terminated)
{
    pid_t pids[4];
    launched it = start_family("wait; sleep 1000", pids);
    WEIR_EXPECT_EQ(kill(it.pid, SIGTERM), 0);
    WEIR_EXPECT_EQ(launched_end(&it), 0);
    expect_all_gone(pids);
}

WEIR_TEST(launch, ends_everything_after_a_broken_command)
{
    pid_t pids[4];
    launched it = start_family("wait; sleep 1000", pids);
    launched_send(&it, "\0\1?", 3);
    WEIR_EXPECT_EQ(launched_end(&it), 0);
    expect_all_gone(pids);
}

WEIR_TEST(launch, ends_what_outlives_the_worker)
{
    pid_t pids[4];
    launched it = start_family(STOPPED "exit 5", pids);
    go_on(&it, pids[0]);
    expect_exit(&it, 'e', 5);
    expect_all_gone(pids);
}

WEIR_TEST(launch, takes_the_worker_along_when_it_is_killed)
{
    pid_t worker;
    launched it = launched_script("exec sleep 1000", &worker);
    WEIR_EXPECT_EQ(kill(it.pid, SIGKILL), 0);
    WEIR_EXPECT_EQ(launched_end(&it), 128 + SIGKILL);
    launched_await_state(worker, 'Z');
}

WEIR_TEST(launch, ends_when_nobody_reads_its_frames)
{
    pid_t worker;
    launched it = launched_script(STOPPED "echo one; exec sleep 1000", &worker);
    launched_credit(&it, 1);
    const int unread = it.frames_fd;
    it.frames_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    WEIR_EXPECT_EQ(close(unread), 0);
    go_on(&it, worker);
    WEIR_EXPECT_EQ(launched_end(&it), 0);
    WEIR_EXPECT_EQ(launched_state(worker), 'Z');
}

WEIR_TEST(launch, refuses_to_start_without_a_program)
{
    launched it = launched_start(NULL, NULL, NULL);
    WEIR_EXPECT_EQ(launched_end(&it), 2);
    const char *const wrong[] = {"many", "-1", ""};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        it = launched_start_with_credit(wrong[i], "/bin/true", NULL, NULL);
        WEIR_EXPECT_EQ(launched_end(&it), 2);
    }
}
