/* The corners of the table's calls that core relies on and man pages leave open. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/os.h"
#include "harness/testing/weir_test.h"

static uint64_t fixed_clock(void)
{
    return WEIR_NEVER - 5;
}

WEIR_TEST(os, can_be_replaced_and_restored)
{
    weir_os_table table = *weir_os_linux();
    table.clock_ns = fixed_clock;
    WEIR_EXPECT_EQ(weir_os_replace(&table), weir_os_linux());
    WEIR_EXPECT_EQ(weir_os()->clock_ns(), WEIR_NEVER - 5);
    WEIR_EXPECT_EQ(weir_deadline_in(3), WEIR_NEVER - 2);
    WEIR_EXPECT_EQ(weir_deadline_in(100), WEIR_NEVER);
    WEIR_EXPECT_EQ(weir_os_replace(NULL), &table);
    WEIR_EXPECT_EQ(weir_os(), weir_os_linux());
}

WEIR_TEST(os, table_has_no_empty_entry)
{
    const weir_os_table *table = weir_os_linux();
    void *entries[sizeof *table / sizeof(void *)];
    memcpy(entries, table, sizeof *table);
    for (size_t i = 0; i < sizeof *table / sizeof(void *); i++) {
        WEIR_EXPECT_NOT_NULL(entries[i]);
    }
}

WEIR_TEST(os, sleeps_until_the_deadline_and_not_less)
{
    const uint64_t deadline = weir_deadline_in(3 * WEIR_NS_PER_MS);
    WEIR_EXPECT_EQ(weir_os()->sleep_until(deadline), 0);
    WEIR_EXPECT_GE(weir_os()->clock_ns(), deadline);
    WEIR_EXPECT_EQ(weir_os()->sleep_until(0), 0);
}

WEIR_TEST(os, futex_waits_end_at_the_deadline_or_at_once_when_the_word_differs)
{
    const uint32_t word = 7;
    const weir_futex_word both[] = {{&word, 7, false}, {&word, 7, true}};
    const uint64_t soon = weir_deadline_in(2 * WEIR_NS_PER_MS);
    WEIR_EXPECT_EQ(weir_os()->futex_wait(&word, 7, soon), -1);
    WEIR_EXPECT_EQ(errno, ETIMEDOUT);
    WEIR_EXPECT_GE(weir_os()->clock_ns(), soon);
    WEIR_EXPECT_EQ(weir_os()->futex_wait(&word, 8, WEIR_NEVER), -1);
    WEIR_EXPECT_EQ(errno, EAGAIN);
    WEIR_EXPECT_EQ(weir_os()->futex_wait_private(&word, 7, soon), -1);
    WEIR_EXPECT_EQ(errno, ETIMEDOUT);
    const uint64_t later = weir_deadline_in(2 * WEIR_NS_PER_MS);
    WEIR_EXPECT_EQ(weir_os()->futex_waitv(both, 2, later), -1);
    WEIR_EXPECT_EQ(errno, ETIMEDOUT);
    WEIR_EXPECT_GE(weir_os()->clock_ns(), later);
    WEIR_EXPECT_EQ(weir_os()->futex_waitv(both, WEIR_FUTEX_WORDS_MAX + 1, later), -1);
    WEIR_EXPECT_EQ(errno, EINVAL);
}

/* Wakes until the sleeper says that it is up. */
static void wake_until_done(void *argument)
{
    uint32_t *words = argument;
    const uint64_t deadline = weir_test_deadline(20);
    while (__atomic_load_n(&words[1], __ATOMIC_ACQUIRE) == 0) {
        WEIR_EXPECT_LT(weir_os()->clock_ns(), deadline);
        weir_os()->futex_wake(&words[0], 1);
        weir_os()->yield();
    }
}

WEIR_TEST(os, futex_wakes_another_process_through_a_read_only_mapping)
{
    const int fd = weir_os()->memfd_create("word", MFD_CLOEXEC);
    WEIR_EXPECT_EQ(weir_os()->ftruncate(fd, 4096), 0);
    uint32_t *words = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    const uint32_t *reading = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    const pid_t waker = weir_test_fork(wake_until_done, words);
    WEIR_EXPECT_EQ(weir_os()->futex_wait(reading, 0, weir_test_deadline(10)), 0);
    const weir_futex_word word = {reading, 0, false};
    WEIR_EXPECT_EQ(weir_os()->futex_waitv(&word, 1, weir_test_deadline(10)), 0);
    __atomic_store_n(&words[1], 1, __ATOMIC_RELEASE);
    WEIR_EXPECT_EQ(weir_test_wait(waker, weir_test_deadline(30)), 0);
    munmap(words, 4096);
    munmap((void *)(uintptr_t)reading, 4096);
    close(fd);
}

WEIR_TEST(os, eventfd_never_blocks_whatever_its_flags_say)
{
    const int fd = weir_os()->eventfd(0, EFD_CLOEXEC); /* blocking, as a hostile peer may make it */
    WEIR_EXPECT_EQ(weir_os()->eventfd_drain(fd), -1);
    WEIR_EXPECT_EQ(errno, EAGAIN);
    WEIR_EXPECT_EQ(weir_os()->eventfd_ring(fd), 0);
    WEIR_EXPECT_EQ(weir_os()->eventfd_ring(fd), 0);
    WEIR_EXPECT_EQ(weir_os()->eventfd_drain(fd), 0);
    WEIR_EXPECT_EQ(weir_os()->eventfd_drain(fd), -1);
    const uint64_t full = UINT64_MAX - 1;
    WEIR_EXPECT_EQ(write(fd, &full, sizeof full), (ssize_t)sizeof full);
    WEIR_EXPECT_EQ(weir_os()->eventfd_ring(fd), 0);
    close(fd);
    WEIR_EXPECT_EQ(weir_os()->eventfd_ring(fd), -1);
    WEIR_EXPECT_EQ(errno, EBADF);
}

static void end_as_told(void *argument)
{
    const int status = *(const int *)argument;
    if (status < 0) {
        kill(getpid(), SIGKILL);
    }
    _exit(status);
}

/* Reaps through a pidfd; the wrapper's own wait would take the status away. */
static weir_exit reap(int status)
{
    const pid_t child = weir_test_fork(end_as_told, &status);
    const int pidfd = weir_os()->pidfd_open(child);
    struct pollfd gone = {.fd = pidfd, .events = POLLIN};
    WEIR_EXPECT_EQ(weir_os()->poll_until(&gone, 1, weir_test_deadline(10), NULL), 1);
    weir_exit ended = {0};
    WEIR_EXPECT_EQ(weir_os()->pidfd_reap(pidfd, &ended), 1);
    WEIR_EXPECT_EQ(weir_os()->pidfd_reap(pidfd, &ended), -1);
    close(pidfd);
    return ended;
}

WEIR_TEST(os, reaps_through_a_pidfd_and_tells_exit_from_signal)
{
    const weir_exit exited = reap(3);
    WEIR_EXPECT_EQ(exited.status, 3);
    WEIR_EXPECT_FALSE(exited.was_signal);
    const weir_exit killed = reap(-1);
    WEIR_EXPECT_EQ(killed.status, SIGKILL);
    WEIR_EXPECT_TRUE(killed.was_signal);
}

static void sleep_for_ever(void *unused)
{
    (void)unused;
    for (;;) {
        pause();
    }
}

WEIR_TEST(os, says_that_a_process_still_runs_and_signals_it)
{
    const pid_t child = weir_test_fork(sleep_for_ever, NULL);
    const int pidfd = weir_os()->pidfd_open(child);
    weir_exit ended;
    WEIR_EXPECT_EQ(weir_os()->pidfd_reap(pidfd, &ended), 0);
    WEIR_EXPECT_EQ(weir_os()->pidfd_signal(pidfd, SIGKILL), 0);
    WEIR_EXPECT_EQ(weir_test_wait(child, weir_test_deadline(10)), 128 + SIGKILL);
    close(pidfd);
}

WEIR_TEST(os, timer_takes_absolute_deadlines_and_can_be_stopped)
{
    const int fd = weir_os()->timerfd_create();
    struct pollfd timer = {.fd = fd, .events = POLLIN};
    WEIR_EXPECT_EQ(weir_os()->timerfd_set(fd, weir_deadline_in(WEIR_NS_PER_MS), 0), 0);
    WEIR_EXPECT_EQ(weir_os()->poll_until(&timer, 1, weir_test_deadline(10), NULL), 1);
    WEIR_EXPECT_EQ(weir_os()->timerfd_set(fd, WEIR_NEVER, 0), 0);
    WEIR_EXPECT_EQ(weir_os()->poll_until(&timer, 1, weir_deadline_in(5 * WEIR_NS_PER_MS), NULL), 0);
    close(fd);
}

WEIR_TEST(os, opens_files_that_no_other_program_inherits)
{
    const int fd = weir_os()->open("/dev/null", O_RDONLY, 0);
    WEIR_EXPECT_EQ(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    close(fd);
}

WEIR_TEST(os, takes_signals_without_a_handler_until_a_deadline)
{
    sigset_t set;
    sigset_t old;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    WEIR_EXPECT_EQ(weir_os()->signal_mask(SIG_BLOCK, &set, &old), 0);
    WEIR_EXPECT_EQ(weir_os()->signal_wait(&set, weir_deadline_in(WEIR_NS_PER_MS)), -1);
    WEIR_EXPECT_EQ(errno, EAGAIN);
    WEIR_EXPECT_EQ(weir_os()->thread_signal(weir_os()->getpid(), weir_os()->gettid(), SIGUSR1), 0);
    WEIR_EXPECT_EQ(weir_os()->signal_wait(&set, weir_test_deadline(10)), SIGUSR1);
    WEIR_EXPECT_EQ(weir_os()->signal_mask(SIG_SETMASK, &old, NULL), 0);
}

WEIR_TEST(os, random_bytes_fill_all_of_a_long_buffer)
{
    static uint8_t bytes[100000];
    WEIR_EXPECT_EQ(weir_os()->random_bytes(bytes, sizeof bytes), 0);
    int zeros = 0;
    for (size_t i = sizeof bytes - 1000; i < sizeof bytes; i++) {
        zeros += bytes[i] == 0;
    }
    WEIR_EXPECT_LT(zeros, 100); /* about 4 are expected */
}
