/* The spin budget of a gate, on a clock of its own. */
#include <errno.h>

#include "channel/gate.h"
#include "harness/testing/weir_test.h"

typedef struct words {
    uint32_t parked;
    uint32_t bell;
    uint32_t refused;
} words;

static uint64_t fake_now_ns;
static uint64_t fake_step_ns; /* per reading of the clock */
static uint64_t slept;
static uint64_t sleep_lasts_ns;

static uint64_t fake_clock(void)
{
    fake_now_ns += fake_step_ns;
    return fake_now_ns;
}

static int fake_futex_wait(const uint32_t *address, uint32_t expected, uint64_t deadline_ns)
{
    (void)address;
    (void)expected;
    const uint64_t end_ns = fake_now_ns + sleep_lasts_ns;
    fake_now_ns = end_ns < deadline_ns ? end_ns : deadline_ns;
    slept++;
    errno = ETIMEDOUT;
    return end_ns < deadline_ns ? 0 : -1;
}

static weir_sleeper make_timed_sleeper(words *shared, uint64_t spin_max_ns)
{
    static weir_os_table table;
    table = *weir_os_linux();
    table.clock_ns = fake_clock;
    table.futex_wait = fake_futex_wait;
    (void)weir_os_replace(&table);
    fake_now_ns = 1000;
    fake_step_ns = 100;
    slept = 0;
    weir_sleeper sleeper;
    WEIR_EXPECT_STATUS(weir_sleeper_init(&sleeper, &shared->parked, &shared->bell, &shared->refused,
                                         -1, WEIR_STRATEGIES_ALL, spin_max_ns),
                       WEIR_OK);
    return sleeper;
}

static bool look_until_slept(void *context)
{
    return slept >= *(const uint64_t *)context;
}

static bool look_at_time(void *context)
{
    return fake_now_ns >= *(const uint64_t *)context;
}

WEIR_TEST(gate_spin, spins_less_after_every_wait_that_was_longer_than_the_budget)
{
    words shared = {0};
    weir_sleeper sleeper = make_timed_sleeper(&shared, 20000);
    sleep_lasts_ns = 1000000;
    uint64_t before = sleeper.spin.ns;
    WEIR_EXPECT_EQ(before, 20000);
    for (int i = 0; i < 40 && before > 0; i++) {
        uint64_t target = slept + 1;
        WEIR_EXPECT_STATUS(weir_gate_wait(&sleeper, look_until_slept, &target, WEIR_NEVER),
                           WEIR_OK);
        WEIR_EXPECT_LT(sleeper.spin.ns, before);
        before = sleeper.spin.ns;
    }
    WEIR_EXPECT_EQ(sleeper.spin.ns, 0);
    WEIR_EXPECT_EQ(sleeper.stats.spin_hits, 0);
}

WEIR_TEST(gate_spin, spins_more_after_every_park_that_would_have_fit_into_the_budget)
{
    words shared = {0};
    weir_sleeper sleeper = make_timed_sleeper(&shared, 20000);
    sleep_lasts_ns = 2000;
    sleeper.spin.ns = 0;
    for (int i = 0; i < 60 && sleeper.spin.ns < 20000; i++) {
        const uint64_t before = sleeper.spin.ns;
        weir_spin_adapt(&sleeper.spin, false, 15000);
        WEIR_EXPECT_GT(sleeper.spin.ns, before);
        WEIR_EXPECT_LE(sleeper.spin.ns, 20000);
    }
    WEIR_EXPECT_EQ(sleeper.spin.ns, 20000);
    /* And through a real wait: a short sleep from a budget of nothing. */
    sleeper.spin.ns = 0;
    uint64_t target = slept + 1;
    WEIR_EXPECT_STATUS(weir_gate_wait(&sleeper, look_until_slept, &target, WEIR_NEVER), WEIR_OK);
    WEIR_EXPECT_EQ(sleeper.spin.ns, 5000);
    WEIR_EXPECT_EQ(sleeper.stats.parks, 1); /* the look after a sleep needs no arming */
}

WEIR_TEST(gate_spin, comes_up_again_where_every_sleep_is_long)
{
    words shared = {0};
    weir_sleeper sleeper = make_timed_sleeper(&shared, 20000);
    sleep_lasts_ns = 70000; /* The wake alone takes longer than any spin. */
    sleeper.spin.ns = 0;
    for (int i = 0; i < 100 && sleeper.spin.ns < 10000; i++) {
        uint64_t at_ns = fake_now_ns + 3000;
        WEIR_EXPECT_STATUS(weir_gate_wait(&sleeper, look_at_time, &at_ns, WEIR_NEVER), WEIR_OK);
    }
    WEIR_EXPECT_GE(sleeper.spin.ns, 10000);
    WEIR_EXPECT_GT(sleeper.stats.spin_hits, 0);
}

WEIR_TEST(gate_spin, keeps_four_times_what_its_hits_took)
{
    words shared = {0};
    weir_sleeper sleeper = make_timed_sleeper(&shared, 100000);
    for (int i = 0; i < 300; i++) {
        uint64_t at_ns = fake_now_ns + 2000;
        WEIR_EXPECT_STATUS(weir_gate_wait(&sleeper, look_at_time, &at_ns, WEIR_NEVER), WEIR_OK);
    }
    WEIR_EXPECT_EQ(sleeper.stats.spin_hits, 300);
    WEIR_EXPECT_EQ(sleeper.stats.parks, 0);
    WEIR_EXPECT_EQ(slept, 0);
    WEIR_EXPECT_GE(sleeper.spin.ns, 4 * 1900);
    WEIR_EXPECT_LE(sleeper.spin.ns, 4 * 2300);
}

WEIR_TEST(gate_spin, never_spins_beyond_its_limit_and_never_below_nothing)
{
    uint64_t state = weir_test_seed() | 1;
    for (int i = 0; i < 100000; i++) {
        state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
        const uint64_t max_ns = (state >> 20) % 3 == 0 ? (state >> 30) % 4 : (state >> 30);
        weir_spin spin = {.max_ns = max_ns, .ns = max_ns > 0 ? (state >> 10) % (max_ns + 1) : 0};
        weir_spin_adapt(&spin, (state >> 60) % 2 == 0, (state >> 7) % 5 == 0 ? 0 : state >> 22);
        WEIR_EXPECT_LE(spin.ns, max_ns);
    }
}
