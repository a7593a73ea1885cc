/*
 * A wake that falls between the last look and the sleep, for each strategy: the sleeping call
 * itself is replaced by one that lets the peer publish and wake first. Nothing is left to chance.
 */
#include <errno.h>

#include "channel/testing/gate_pair_shared.h"
#include "harness/testing/weir_test.h"

static gate_end sleeper;
static gate_end peer;
static int wakes_left;
static int sleeps;
static bool is_at_the_clock; /* wake there, and not at the sleeping call */

static void let_the_peer_wake(void)
{
    sleeps++;
    if (wakes_left > 0) {
        wakes_left--;
        gate_end_give(&peer);
    }
}

/* Read behind the last look and before anything else of the sleep. */
static uint64_t late_clock(void)
{
    if ((weir_load_relaxed_u32(&sleeper.pair->side[0].parked) & 3) != WEIR_WAKE_STRATEGY_AWAKE &&
        wakes_left > 0 && is_at_the_clock) {
        wakes_left--;
        gate_end_give(&peer);
    }
    return weir_os_linux()->clock_ns();
}

static int late_futex_wait(const uint32_t *address, uint32_t expected, uint64_t deadline_ns)
{
    let_the_peer_wake();
    return weir_os_linux()->futex_wait(address, expected, deadline_ns);
}

static int late_poll_until(struct pollfd *fds, unsigned count, uint64_t deadline_ns,
                           const sigset_t *mask)
{
    let_the_peer_wake();
    return weir_os_linux()->poll_until(fds, count, deadline_ns, mask);
}

static int late_signal_wait(const sigset_t *set, uint64_t deadline_ns)
{
    let_the_peer_wake();
    return weir_os_linux()->signal_wait(set, deadline_ns);
}

static int refuse(int fd)
{
    (void)fd;
    errno = EPERM;
    return -1;
}

static int refuse_wake(const uint32_t *address, int count)
{
    (void)address;
    return refuse(count);
}

static void wake_in_the_window(uint32_t strategy, bool is_refused)
{
    static weir_os_table table;
    table = *weir_os_linux();
    table.futex_wait = late_futex_wait;
    table.poll_until = late_poll_until;
    table.signal_wait = late_signal_wait;
    if (is_refused) {
        table.futex_wake = refuse_wake;
        table.eventfd_ring = refuse;
    }
    table.clock_ns = late_clock;
    const uint32_t allowed = WEIR_STRATEGY_BIT(strategy);
    gate_pair *pair = gate_pair_make();
    WEIR_EXPECT_NOT_NULL(pair);
    WEIR_EXPECT_STATUS(gate_end_join(&peer, pair, 1, allowed, 0), WEIR_OK);
    WEIR_EXPECT_STATUS(gate_end_join(&sleeper, pair, 0, allowed, 0), WEIR_OK);
    (void)weir_os_replace(&table);
    /* peer signals the thread of side 0, which is this one. */
    for (uint64_t round = 1; round <= 100; round++) {
        wakes_left = 1;
        is_at_the_clock = round % 2 == 0;
        const uint64_t deadline_ns = weir_test_deadline(20);
        WEIR_EXPECT_STATUS(gate_end_take(&sleeper, deadline_ns), WEIR_OK);
        WEIR_EXPECT_LT(weir_os()->clock_ns(), deadline_ns);
        WEIR_EXPECT_EQ(peer.waker.calls, round);
    }
    /* One sleep for each round, and for a signal that came early at most one more. */
    WEIR_EXPECT_GE(sleeps, 100);
    WEIR_EXPECT_LE(sleeps, 200);
    gate_pair_free(pair);
}

WEIR_TEST(gate_window, takes_a_futex_wake_that_comes_before_the_sleep)
{
    wake_in_the_window(WEIR_WAKE_STRATEGY_FUTEX, false);
}

WEIR_TEST(gate_window, takes_a_ring_that_comes_before_the_sleep)
{
    wake_in_the_window(WEIR_WAKE_STRATEGY_EVENTFD, false);
}

WEIR_TEST(gate_window, takes_a_signal_that_comes_before_the_sleep)
{
    wake_in_the_window(WEIR_WAKE_STRATEGY_SIGNAL, false);
}

WEIR_TEST(gate_window, takes_a_signal_instead_of_a_refused_futex_wake_before_the_sleep)
{
    wake_in_the_window(WEIR_WAKE_STRATEGY_FUTEX, true);
}

WEIR_TEST(gate_window, takes_a_signal_instead_of_a_refused_ring_before_the_sleep)
{
    wake_in_the_window(WEIR_WAKE_STRATEGY_EVENTFD, true);
}
