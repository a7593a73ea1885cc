/*
 * Tests that misbehave on purpose. scripts/checks/planted-tests runs each one and demands the
 * verdict that its suite names; a wrapper that stops noticing one of these makes that script red.
 */
#include "harness/testing/weir_test.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "weir/status.h"

WEIR_TEST(passes, does_what_it_says)
{
    size_t three = 3;
    WEIR_EXPECT_EQ(three, 3);
    WEIR_EXPECT_LT(-1, three);
    WEIR_EXPECT_NE(-1, UINT64_MAX);
    WEIR_EXPECT_GE(2.5, 2);
    WEIR_EXPECT_STR_EQ("weir", "weir");
    WEIR_EXPECT_MEM_EQ("weir", "weir", 5);
}

static void child_exits_with_7(void *unused)
{
    (void)unused;
    _exit(7);
}

WEIR_TEST(passes, child_reports_by_exit_code)
{
    pid_t pid = weir_test_fork(child_exits_with_7, NULL);
    WEIR_EXPECT_EQ(weir_test_wait(pid, weir_test_deadline(10)), 7);
}

static void child_sleeps(void *unused)
{
    (void)unused;
    for (;;)
        pause();
}

WEIR_TEST(passes, late_child_is_killed)
{
    pid_t pid = weir_test_fork(child_sleeps, NULL);
    WEIR_EXPECT_EQ(weir_test_wait(pid, weir_test_deadline(0.1)), WEIR_TEST_WAIT_TIMEOUT);
}

static void child_asserts(void *unused)
{
    (void)unused;
    cr_assert_eq(1, 2, "planted");
}

static void child_expects(void *unused)
{
    (void)unused;
    WEIR_EXPECT_EQ(1, 2);
}

WEIR_TEST(passes, assertion_in_child_becomes_exit_code)
{
    pid_t pid = weir_test_fork(child_asserts, NULL);
    WEIR_EXPECT_EQ(weir_test_wait(pid, weir_test_deadline(10)), WEIR_TEST_CHILD_FAILED);
    pid = weir_test_fork(child_expects, NULL);
    WEIR_EXPECT_EQ(weir_test_wait(pid, weir_test_deadline(10)), WEIR_TEST_CHILD_FAILED);
}

WEIR_TEST(fails, expectation)
{
    int got = 41;
    WEIR_EXPECT_EQ(got, 42);
}

WEIR_TEST(fails, with_a_seed)
{
    WEIR_EXPECT_EQ(weir_test_seed(), weir_test_seed() + 1);
}

WEIR_TEST(fails, status)
{
    WEIR_EXPECT_STATUS(WEIR_OK, WEIR_OK);
    WEIR_EXPECT_STATUS(WEIR_OK, WEIR_FULL);
}

WEIR_TEST(fails, exit_0_in_body)
{
    exit(0);
}

WEIR_TEST(fails, exit_0_without_handlers)
{
    _exit(0);
}

Test(fails, criterion_test_without_the_wrapper)
{
}

WEIR_TEST(fails, unwatched_assertion_in_child)
{
    if (fork() == 0)
        cr_assert(0, "planted: Criterion alone would hang here");
    WEIR_EXPECT_EQ(weir_test_fork(child_exits_with_7, NULL), 0);
}

WEIR_TEST(fails, child_returns_from_body)
{
    pid_t pid = fork();
    if (pid == 0)
        return;
    WEIR_EXPECT_EQ(weir_test_wait(pid, weir_test_deadline(10)), 0);
}

static void *thread_expects(void *unused)
{
    WEIR_EXPECT_EQ(1, 2);
    return unused;
}

WEIR_TEST(fails, expectation_in_thread)
{
    pthread_t thread;
    pthread_create(&thread, NULL, thread_expects, NULL);
    pthread_join(thread, NULL);
}

WEIR_TEST(fails, zombie_left)
{
    weir_test_fork(child_exits_with_7, NULL);
    usleep(50000);
}

WEIR_TEST(fails, orphan_left)
{
    /* A grandchild in a session of its own, whose parent is gone: out of reach of the process
     * group. */
    pid_t pid = fork();
    if (pid == 0) {
        if (fork() == 0) {
            setsid();
            child_sleeps(NULL);
        }
        _exit(0);
    }
    WEIR_EXPECT_EQ(weir_test_wait(pid, weir_test_deadline(10)), 0);
}

WEIR_TEST(fails, descriptor_left)
{
    WEIR_EXPECT_GE(open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
}

WEIR_TEST(fails, crash)
{
    abort();
}

WEIR_TEST(times_out, with_children, .timeout = 0.5)
{
    pid_t pid = fork();
    if (pid == 0) {
        fork();
        child_sleeps(NULL);
    }
    child_sleeps(NULL);
}

WEIR_TEST(skips, with_a_reason)
{
    WEIR_SKIP("planted reason");
}
