/* The gate within one process: which system calls it makes, and when it gives up waiting. */
#include "channel/gate.h"

#include <errno.h>

#include "channel/testing/gate_pair_shared.h"
#include "harness/testing/weir_test.h"

static bool look_never(void *context)
{
    (void)context;
    return false;
}

/* ---- one call per epoch ---- */

static struct {
    int futex_wakes;
    int rings;
    int signals;
    int result_errno; /* 0: done */
} calls;

static int answer(int *counter)
{
    ++*counter;
    errno = calls.result_errno;
    return calls.result_errno == 0 ? 0 : -1;
}

static int count_futex_wake(const uint32_t *address, int count)
{
    (void)address;
    (void)count;
    return answer(&calls.futex_wakes);
}

static int count_ring(int fd)
{
    (void)fd;
    return answer(&calls.rings);
}

static int count_signal(void *context)
{
    (void)context;
    calls.signals++;
    return 0;
}

typedef struct words {
    uint32_t parked;
    uint32_t bell;
    uint32_t refused;
} words;

static weir_waker make_counted_waker(words *shared)
{
    static weir_os_table table;
    table = *weir_os_linux();
    table.futex_wake = count_futex_wake;
    table.eventfd_ring = count_ring;
    (void)weir_os_replace(&table);
    memset(&calls, 0, sizeof calls);
    weir_waker waker;
    weir_waker_init(&waker, &shared->parked, &shared->bell, &shared->refused, 5, count_signal,
                    NULL);
    return waker;
}

static uint32_t parked_word(uint32_t epoch, uint32_t strategy)
{
    return epoch << WEIR_PARKED_EPOCH_SHIFT | strategy;
}

WEIR_TEST(gate, makes_no_system_call_for_a_sleeper_that_is_awake)
{
    words shared = {0};
    weir_waker waker = make_counted_waker(&shared);
    static const uint32_t epochs[] = {0, 1, 17, UINT32_MAX >> WEIR_PARKED_EPOCH_SHIFT};
    for (size_t i = 0; i < sizeof epochs / sizeof epochs[0]; i++) {
        shared.parked = parked_word(epochs[i], WEIR_WAKE_STRATEGY_AWAKE);
        WEIR_EXPECT_FALSE(weir_gate_wake(&waker));
    }
    WEIR_EXPECT_EQ(calls.futex_wakes + calls.rings + calls.signals, 0);
    WEIR_EXPECT_EQ(shared.bell, 0);
    WEIR_EXPECT_EQ(waker.calls, 0);
}

WEIR_TEST(gate, makes_one_system_call_per_epoch)
{
    words shared = {0};
    weir_waker waker = make_counted_waker(&shared);
    int expected[4] = {0};
    uint64_t total = 0;
    /* The last epochs lie on both sides of the wrap of 30 bits. */
    static const uint32_t epochs[] = {1, 2, 3, (1u << 30) - 2, (1u << 30) - 1, 0, 1};
    for (size_t i = 0; i < sizeof epochs / sizeof epochs[0]; i++) {
        for (uint32_t s = WEIR_WAKE_STRATEGY_FUTEX; s <= WEIR_WAKE_STRATEGY_SIGNAL; s++) {
            shared.parked = parked_word(epochs[i], s);
            WEIR_EXPECT_TRUE(weir_gate_wake(&waker));
            expected[s]++;
            total++;
            for (int again = 0; again < 5; again++) {
                WEIR_EXPECT_FALSE(weir_gate_wake(&waker));
            }
            WEIR_EXPECT_EQ(calls.futex_wakes, expected[WEIR_WAKE_STRATEGY_FUTEX]);
            WEIR_EXPECT_EQ(calls.rings, expected[WEIR_WAKE_STRATEGY_EVENTFD]);
            WEIR_EXPECT_EQ(calls.signals, expected[WEIR_WAKE_STRATEGY_SIGNAL]);
            WEIR_EXPECT_EQ(shared.bell, total);
            WEIR_EXPECT_EQ(waker.calls, total);
        }
    }
    WEIR_EXPECT_EQ(shared.refused, 0);
}

WEIR_TEST(gate, says_which_strategy_it_could_not_use_and_signals_instead)
{
    static const int refusals[] = {ENOSYS, EPERM, EACCES, EOPNOTSUPP};
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        words shared = {0};
        weir_waker waker = make_counted_waker(&shared);
        calls.result_errno = refusals[i];
        shared.parked = parked_word(1, WEIR_WAKE_STRATEGY_FUTEX);
        WEIR_EXPECT_TRUE(weir_gate_wake(&waker));
        WEIR_EXPECT_EQ(calls.signals, 1);
        WEIR_EXPECT_EQ(shared.refused, WEIR_STRATEGY_BIT(WEIR_WAKE_STRATEGY_FUTEX));
        shared.parked = parked_word(2, WEIR_WAKE_STRATEGY_EVENTFD);
        WEIR_EXPECT_TRUE(weir_gate_wake(&waker));
        WEIR_EXPECT_EQ(calls.signals, 2);
        WEIR_EXPECT_EQ(shared.refused, WEIR_STRATEGY_BIT(WEIR_WAKE_STRATEGY_FUTEX) |
                                           WEIR_STRATEGY_BIT(WEIR_WAKE_STRATEGY_EVENTFD));
        shared.parked = parked_word(3, WEIR_WAKE_STRATEGY_SIGNAL);
        WEIR_EXPECT_TRUE(weir_gate_wake(&waker));
        WEIR_EXPECT_EQ(calls.signals, 3);
        WEIR_EXPECT_EQ(calls.futex_wakes + calls.rings, 2);
    }
}

WEIR_TEST(gate, has_a_waker_without_eventfd_signal_a_sleeper_in_poll)
{
    words shared = {.parked = parked_word(1, WEIR_WAKE_STRATEGY_EVENTFD)};
    weir_waker waker = make_counted_waker(&shared);
    waker.eventfd = -1;
    WEIR_EXPECT_TRUE(weir_gate_wake(&waker));
    WEIR_EXPECT_EQ(calls.rings, 0);
    WEIR_EXPECT_EQ(calls.signals, 1);
    WEIR_EXPECT_EQ(shared.refused, WEIR_STRATEGY_BIT(WEIR_WAKE_STRATEGY_EVENTFD));
}

/* ---- the sleeper's own choices ---- */

WEIR_TEST(gate, arms_with_a_new_epoch_each_time_and_says_its_strategy)
{
    words shared = {.bell = 12};
    weir_sleeper sleeper;
    WEIR_EXPECT_STATUS(weir_sleeper_init(&sleeper, &shared.parked, &shared.bell, &shared.refused,
                                         -1, WEIR_STRATEGIES_ALL, 0),
                       WEIR_OK);
    for (uint32_t epoch = 1; epoch < 4; epoch++) {
        weir_sleeper_arm(&sleeper);
        WEIR_EXPECT_EQ(shared.parked, parked_word(epoch, WEIR_WAKE_STRATEGY_FUTEX));
        WEIR_EXPECT_EQ(sleeper.bell_seen, 12);
        weir_sleeper_disarm(&sleeper);
        WEIR_EXPECT_EQ(shared.parked, parked_word(epoch, WEIR_WAKE_STRATEGY_AWAKE));
    }
    WEIR_EXPECT_EQ(sleeper.stats.parks, 3);
    sleeper.epoch = UINT32_MAX; /* the upper two bits fall away, the strategy stays */
    weir_sleeper_arm(&sleeper);
    WEIR_EXPECT_EQ(shared.parked, parked_word(0, WEIR_WAKE_STRATEGY_FUTEX));
}

WEIR_TEST(gate, sleeps_by_the_first_strategy_that_both_sides_can_use)
{
    enum { F = 2, E = 4, S = 8 };
    _Static_assert(WEIR_STRATEGIES_ALL == (F | E | S), "bits of the table below");
    static const struct {
        uint32_t allowed, refused, strategy;
        bool has_eventfd;
    } table[] = {
        {F | E | S, 0, WEIR_WAKE_STRATEGY_FUTEX, true},
        {F | E | S, F, WEIR_WAKE_STRATEGY_EVENTFD, true},
        {F | E | S, F, WEIR_WAKE_STRATEGY_SIGNAL, false},
        {F | E | S, F | E, WEIR_WAKE_STRATEGY_SIGNAL, true},
        {F | E | S, E, WEIR_WAKE_STRATEGY_FUTEX, true},
        {E | S, 0, WEIR_WAKE_STRATEGY_EVENTFD, true},
        {E | S, 0, WEIR_WAKE_STRATEGY_SIGNAL, false},
        {S, 0, WEIR_WAKE_STRATEGY_SIGNAL, true},
        /* A peer that refuses everything gets what there is. */
        {F | E | S, UINT32_MAX, WEIR_WAKE_STRATEGY_FUTEX, true},
        {E, E, WEIR_WAKE_STRATEGY_EVENTFD, true},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        words shared = {.refused = table[i].refused};
        weir_sleeper sleeper;
        WEIR_EXPECT_STATUS(weir_sleeper_init(&sleeper, &shared.parked, &shared.bell,
                                             &shared.refused, table[i].has_eventfd ? 5 : -1,
                                             table[i].allowed, 0),
                           WEIR_OK);
        weir_sleeper_arm(&sleeper);
        WEIR_EXPECT_EQ(shared.parked, parked_word(1, table[i].strategy));
    }
}

WEIR_TEST(gate, refuses_to_sleep_when_no_strategy_is_allowed)
{
    words shared = {0};
    weir_sleeper sleeper;
    const uint32_t only_eventfd = WEIR_STRATEGY_BIT(WEIR_WAKE_STRATEGY_EVENTFD);
    WEIR_EXPECT_STATUS(
        weir_sleeper_init(&sleeper, &shared.parked, &shared.bell, &shared.refused, 5, 0, 0),
        WEIR_INVALID);
    WEIR_EXPECT_STATUS(weir_sleeper_init(&sleeper, &shared.parked, &shared.bell, &shared.refused,
                                         -1, only_eventfd, 0),
                       WEIR_INVALID);
}

/* ---- deadlines ---- */

WEIR_TEST(gate, waits_until_the_deadline_when_nobody_wakes)
{
    for (uint32_t s = WEIR_WAKE_STRATEGY_FUTEX; s <= WEIR_WAKE_STRATEGY_SIGNAL; s++) {
        for (uint64_t spin_ns = 0; spin_ns <= WEIR_NS_PER_MS; spin_ns += WEIR_NS_PER_MS) {
            gate_pair *pair = gate_pair_make();
            WEIR_EXPECT_NOT_NULL(pair);
            gate_end end;
            WEIR_EXPECT_STATUS(gate_end_join(&end, pair, 0, WEIR_STRATEGY_BIT(s), spin_ns),
                               WEIR_OK);
            const uint64_t deadline_ns = weir_deadline_in(30 * WEIR_NS_PER_MS);
            WEIR_EXPECT_STATUS(weir_gate_wait(&end.sleeper, look_never, NULL, deadline_ns),
                               WEIR_TIMEOUT);
            WEIR_EXPECT_GE(weir_os()->clock_ns(), deadline_ns);
            /* It slept: a few arms, not as many as a loop would make. */
            WEIR_EXPECT_LT(end.sleeper.stats.parks, 100);
            WEIR_EXPECT_EQ(end.mine->parked & 3, WEIR_WAKE_STRATEGY_AWAKE);
            gate_pair_free(pair);
        }
    }
}

WEIR_TEST(gate, looks_once_even_when_the_deadline_has_passed)
{
    gate_pair *pair = gate_pair_make();
    WEIR_EXPECT_NOT_NULL(pair);
    gate_end end;
    WEIR_EXPECT_STATUS(gate_end_join(&end, pair, 0, WEIR_STRATEGIES_ALL, 0), WEIR_OK);
    WEIR_EXPECT_STATUS(gate_end_take(&end, 0), WEIR_TIMEOUT);
    WEIR_EXPECT_EQ(end.sleeper.stats.parks, 1);
    end.theirs->count = 1;
    WEIR_EXPECT_STATUS(gate_end_take(&end, 0), WEIR_OK);
    gate_pair_free(pair);
}
