/* Each strategy alone, between two real processes, in a storm of parks and wakes. */
#include <signal.h>
#include <stdio.h>

#include "channel/gate.h"
#include "channel/testing/gate_pair_shared.h"
#include "harness/testing/weir_test.h"

/* A round is one park and one wake; both processes go through them, so there are twice as many. */
#ifdef WEIR_RELEASE_BUILD
enum { ROUNDS = 100000 };
#else
enum { ROUNDS = 5000 };
#endif

/* Far longer than any wait of a healthy run: only a lost wake reaches it. */
#define PATIENCE_NS (30 * WEIR_NS_PER_SECOND)
#define SPIN_NS     (50 * WEIR_NS_PER_US)
/* Longer than a wake takes: such a peer answers within nanoseconds, while the first side is between
 * its look and its sleep. Two sleepers never meet there, because each is only just waking up. */
#define AWAKE_NS (5 * WEIR_NS_PER_MS)

typedef struct storm {
    gate_pair *pair;
    uint32_t allowed;
    uint64_t peer_spin_max_ns;
    uint64_t seed;
} storm;

static void answer(void *argument)
{
    const storm *one = argument;
    gate_end end;
    WEIR_EXPECT_STATUS(gate_end_join(&end, one->pair, 1, one->allowed, one->peer_spin_max_ns),
                       WEIR_OK);
    WEIR_EXPECT_STATUS(gate_end_meet(&end, weir_test_deadline(30)), WEIR_OK);
    WEIR_EXPECT_STATUS(gate_end_storm(&end, false, ROUNDS, PATIENCE_NS, one->seed + 2), WEIR_OK);
    WEIR_EXPECT_EQ(end.sleeper.stats.switches, 0);
}

static void run_storm(uint32_t allowed, uint64_t spin_max_ns, uint64_t peer_spin_max_ns)
{
    storm one = {.pair = gate_pair_make(),
                 .allowed = allowed,
                 .peer_spin_max_ns = peer_spin_max_ns,
                 .seed = weir_test_seed()};
    WEIR_EXPECT_NOT_NULL(one.pair);
    const pid_t child = weir_test_fork(answer, &one);
    gate_end end;
    WEIR_EXPECT_STATUS(gate_end_join(&end, one.pair, 0, allowed, spin_max_ns), WEIR_OK);
    WEIR_EXPECT_STATUS(gate_end_meet(&end, weir_test_deadline(30)), WEIR_OK);
    const weir_status status = gate_end_storm(&end, true, ROUNDS, PATIENCE_NS, one.seed);
    WEIR_EXPECT_EQ(weir_test_wait(child, weir_test_deadline(60)), 0);
    WEIR_EXPECT_STATUS(status, WEIR_OK);
    WEIR_EXPECT_EQ(one.pair->side[0].plain, UINT64_C(2) * ROUNDS);
    /* One system call for each of the other side's sleeps at most, and none was refused. */
    WEIR_EXPECT_LE(end.waker.calls, weir_load_acquire_u64(&one.pair->side[1].parks));
    WEIR_EXPECT_EQ(one.pair->side[0].refused, 0);
    WEIR_EXPECT_EQ(one.pair->side[1].refused, 0);
    WEIR_EXPECT_EQ(end.sleeper.stats.switches, 0);
    if (spin_max_ns == 0) {
        WEIR_EXPECT_GT(end.sleeper.stats.parks, ROUNDS / 10);
    }
    if (peer_spin_max_ns == 0) {
        WEIR_EXPECT_GT(end.waker.calls, ROUNDS / 10);
    }
    printf("%llu parks, %llu hits while spinning, %llu system calls to wake\n",
           (unsigned long long)end.sleeper.stats.parks,
           (unsigned long long)end.sleeper.stats.spin_hits, (unsigned long long)end.waker.calls);
    gate_pair_free(one.pair);
}

WEIR_TEST(gate_process, loses_no_wake_by_futex, .timeout = 300)
{
    run_storm(WEIR_STRATEGY_BIT(WEIR_WAKE_STRATEGY_FUTEX), 0, 0);
}

WEIR_TEST(gate_process, loses_no_wake_by_futex_while_it_also_spins, .timeout = 300)
{
    run_storm(WEIR_STRATEGY_BIT(WEIR_WAKE_STRATEGY_FUTEX), SPIN_NS, SPIN_NS);
}

WEIR_TEST(gate_process, loses_no_wake_by_futex_from_a_peer_that_is_always_awake, .timeout = 300)
{
    run_storm(WEIR_STRATEGY_BIT(WEIR_WAKE_STRATEGY_FUTEX), 0, AWAKE_NS);
}

WEIR_TEST(gate_process, loses_no_wake_by_eventfd, .timeout = 300)
{
    run_storm(WEIR_STRATEGY_BIT(WEIR_WAKE_STRATEGY_EVENTFD), 0, 0);
}

WEIR_TEST(gate_process, loses_no_wake_by_eventfd_while_it_also_spins, .timeout = 300)
{
    run_storm(WEIR_STRATEGY_BIT(WEIR_WAKE_STRATEGY_EVENTFD), SPIN_NS, SPIN_NS);
}

WEIR_TEST(gate_process, loses_no_wake_by_eventfd_from_a_peer_that_is_always_awake, .timeout = 300)
{
    run_storm(WEIR_STRATEGY_BIT(WEIR_WAKE_STRATEGY_EVENTFD), 0, AWAKE_NS);
}

WEIR_TEST(gate_process, loses_no_wake_by_signal, .timeout = 300)
{
    run_storm(WEIR_STRATEGY_BIT(WEIR_WAKE_STRATEGY_SIGNAL), 0, 0);
}

WEIR_TEST(gate_process, loses_no_wake_by_signal_while_it_also_spins, .timeout = 300)
{
    run_storm(WEIR_STRATEGY_BIT(WEIR_WAKE_STRATEGY_SIGNAL), SPIN_NS, SPIN_NS);
}

WEIR_TEST(gate_process, loses_no_wake_by_signal_from_a_peer_that_is_always_awake, .timeout = 300)
{
    run_storm(WEIR_STRATEGY_BIT(WEIR_WAKE_STRATEGY_SIGNAL), 0, AWAKE_NS);
}

/* ---- the peer is gone ---- */

static void die_after_joining(void *argument)
{
    gate_end end;
    WEIR_EXPECT_STATUS(gate_end_join(&end, argument, 1, WEIR_STRATEGIES_ALL, 0), WEIR_OK);
    (void)raise(SIGKILL);
}

WEIR_TEST(gate_process, ends_at_the_deadline_when_the_peer_is_dead)
{
    for (uint32_t s = WEIR_WAKE_STRATEGY_FUTEX; s <= WEIR_WAKE_STRATEGY_SIGNAL; s++) {
        gate_pair *pair = gate_pair_make();
        WEIR_EXPECT_NOT_NULL(pair);
        const pid_t child = weir_test_fork(die_after_joining, pair);
        gate_end end;
        WEIR_EXPECT_STATUS(gate_end_join(&end, pair, 0, WEIR_STRATEGY_BIT(s), 0), WEIR_OK);
        WEIR_EXPECT_EQ(weir_test_wait(child, weir_test_deadline(30)), 128 + SIGKILL);
        const uint64_t deadline_ns = weir_deadline_in(20 * WEIR_NS_PER_MS);
        WEIR_EXPECT_STATUS(gate_end_take(&end, deadline_ns), WEIR_TIMEOUT);
        WEIR_EXPECT_GE(weir_os()->clock_ns(), deadline_ns);
        gate_end_give(&end); /* nobody is there, nothing blocks */
        gate_pair_free(pair);
    }
}
