/* Eventfds that the peer meddles with, or that the kernel only half supports. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "channel/testing/gate_pair_shared.h"
#include "harness/testing/weir_test.h"

static void clear_nonblocking(int fd)
{
    WEIR_EXPECT_EQ(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK), 0);
}

WEIR_TEST(gate_eventfd, is_not_blocked_by_an_eventfd_that_the_peer_made_blocking_and_drained)
{
    gate_pair *pair = gate_pair_make();
    WEIR_EXPECT_NOT_NULL(pair);
    gate_end end;
    WEIR_EXPECT_STATUS(
        gate_end_join(&end, pair, 0, WEIR_STRATEGY_BIT(WEIR_WAKE_STRATEGY_EVENTFD), 0), WEIR_OK);
    clear_nonblocking(pair->eventfd[0]);
    WEIR_EXPECT_EQ(weir_os()->eventfd_drain(pair->eventfd[0]), -1);
    WEIR_EXPECT_EQ(errno, EAGAIN);
    const uint64_t deadline_ns = weir_deadline_in(20 * WEIR_NS_PER_MS);
    WEIR_EXPECT_STATUS(gate_end_take(&end, deadline_ns), WEIR_TIMEOUT);
    WEIR_EXPECT_GE(weir_os()->clock_ns(), deadline_ns);
    gate_pair_free(pair);
}

WEIR_TEST(gate_eventfd, is_not_blocked_by_an_eventfd_that_the_peer_made_blocking_and_filled)
{
    gate_pair *pair = gate_pair_make();
    WEIR_EXPECT_NOT_NULL(pair);
    gate_end end;
    WEIR_EXPECT_STATUS(
        gate_end_join(&end, pair, 0, WEIR_STRATEGY_BIT(WEIR_WAKE_STRATEGY_EVENTFD), 0), WEIR_OK);
    clear_nonblocking(pair->eventfd[1]);
    WEIR_EXPECT_EQ(eventfd_write(pair->eventfd[1], UINT64_MAX - 1), 0);
    for (uint32_t epoch = 1; epoch < 10; epoch++) {
        end.theirs->parked = epoch << WEIR_PARKED_EPOCH_SHIFT | WEIR_WAKE_STRATEGY_EVENTFD;
        gate_end_give(&end);
    }
    WEIR_EXPECT_EQ(end.waker.calls, 9);
    WEIR_EXPECT_EQ(end.mine->refused, 0);
    gate_pair_free(pair);
}

static int polls;
static int count_polls(struct pollfd *fds, unsigned count, uint64_t deadline_ns,
                       const sigset_t *mask)
{
    polls++;
    return weir_os_linux()->poll_until(fds, count, deadline_ns, mask);
}

/* Of a peer that keeps the counter above zero, each ring costs the sleeper one round and no more.
 */
WEIR_TEST(gate_eventfd, goes_back_to_sleep_after_a_ring_without_reason)
{
    static weir_os_table table;
    table = *weir_os_linux();
    table.poll_until = count_polls;
    (void)weir_os_replace(&table);
    gate_pair *pair = gate_pair_make();
    WEIR_EXPECT_NOT_NULL(pair);
    gate_end end;
    WEIR_EXPECT_STATUS(
        gate_end_join(&end, pair, 0, WEIR_STRATEGY_BIT(WEIR_WAKE_STRATEGY_EVENTFD), 0), WEIR_OK);
    WEIR_EXPECT_EQ(eventfd_write(pair->eventfd[0], 1000), 0);
    const uint64_t deadline_ns = weir_deadline_in(20 * WEIR_NS_PER_MS);
    WEIR_EXPECT_STATUS(gate_end_take(&end, deadline_ns), WEIR_TIMEOUT);
    WEIR_EXPECT_GE(weir_os()->clock_ns(), deadline_ns);
    WEIR_EXPECT_GE(polls, 2);
    WEIR_EXPECT_LT(polls, 50);
    gate_pair_free(pair);
}

static int refusal;

static int refuse_drain(int fd)
{
    (void)fd;
    errno = refusal;
    return -1;
}

/* An eventfd that can be polled and not read stays readable for ever: poll is no sleep any more. */
WEIR_TEST(gate_eventfd, gives_up_an_eventfd_that_cannot_be_drained)
{
    static const int refusals[] = {EOPNOTSUPP, EPERM, ENOSYS};
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        static weir_os_table table;
        table = *weir_os_linux();
        table.eventfd_drain = refuse_drain;
        (void)weir_os_replace(&table);
        refusal = refusals[i];
        gate_pair *pair = gate_pair_make();
        WEIR_EXPECT_NOT_NULL(pair);
        gate_end end;
        WEIR_EXPECT_STATUS(gate_end_join(&end, pair, 0,
                                         WEIR_STRATEGY_BIT(WEIR_WAKE_STRATEGY_EVENTFD) |
                                             WEIR_STRATEGY_BIT(WEIR_WAKE_STRATEGY_SIGNAL),
                                         0),
                           WEIR_OK);
        WEIR_EXPECT_EQ(eventfd_write(pair->eventfd[0], 1), 0);
        const uint64_t deadline_ns = weir_deadline_in(20 * WEIR_NS_PER_MS);
        WEIR_EXPECT_STATUS(gate_end_take(&end, deadline_ns), WEIR_TIMEOUT);
        WEIR_EXPECT_GE(weir_os()->clock_ns(), deadline_ns);
        WEIR_EXPECT_EQ(end.sleeper.strategy, WEIR_WAKE_STRATEGY_SIGNAL);
        WEIR_EXPECT_EQ(end.sleeper.stats.switches, 1);
        WEIR_EXPECT_LT(end.sleeper.stats.parks, 100);
        gate_pair_free(pair);
    }
}

/* Fills whenever there is room for it, and waits in the kernel until there is. It never drains, so
 * that what it has caught stays caught. */
static void trap_writers(void *fd_of_eventfd)
{
    const int fd = *(const int *)fd_of_eventfd;
    const uint64_t full = UINT64_MAX - 1;
    while (write(fd, &full, sizeof full) == (ssize_t)sizeof full) {
    }
}

/* The drain wakes the peer, whose fill then falls anywhere into the next round: often enough
 * between the look and the write. A ring that has no way out of there ends this test by its
 * time-out. */
WEIR_TEST(gate_eventfd, is_not_blocked_by_a_peer_that_fills_between_the_look_and_the_write)
{
    gate_pair *pair = gate_pair_make();
    WEIR_EXPECT_NOT_NULL(pair);
    gate_end end; /* Joining installs the wake signal's handler. */
    WEIR_EXPECT_STATUS(
        gate_end_join(&end, pair, 0, WEIR_STRATEGY_BIT(WEIR_WAKE_STRATEGY_EVENTFD), 0), WEIR_OK);
    int fd = pair->eventfd[1];
    clear_nonblocking(fd);
    const pid_t peer = weir_test_fork(trap_writers, &fd);
    const uint64_t deadline_ns = weir_test_deadline(10);
    int pulled_out = 0;
    while (pulled_out < 3 && weir_os()->clock_ns() < deadline_ns) {
        if (weir_os()->eventfd_ring(fd) != 0) {
            WEIR_EXPECT_EQ(errno, EINTR);
            pulled_out++;
        }
        (void)weir_os()->eventfd_drain(fd);
    }
    (void)kill(peer, SIGKILL);
    (void)weir_test_wait(peer, weir_test_deadline(10));
    gate_pair_free(pair);
    if (pulled_out == 0) {
        WEIR_SKIP("the peer never filled the eventfd between the look and the write");
    }
}
