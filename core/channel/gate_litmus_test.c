/*
 * Store buffering, as a litmus test over the real functions: one thread arms and looks, the other
 * publishes and wakes, both released at the same moment. Never may the look miss what was published
 * and the waker miss the parked word. Storms almost never meet this; without either fence this test
 * does, on x86-64, within some thousand rounds.
 */
#include <pthread.h>
#include <stdio.h>

#include "channel/gate.h"
#include "harness/testing/weir_test.h"

#ifdef WEIR_RELEASE_BUILD
enum { ROUNDS = 2000000 };
#else
enum { ROUNDS = 300000 };
#endif

/* Every word on a line of its own, so that each store has to fetch its line first. */
typedef struct litmus {
    _Alignas(128) uint64_t published;
    _Alignas(128) uint32_t parked;
    _Alignas(128) uint32_t bell;
    _Alignas(128) uint32_t refused;
    _Alignas(128) uint64_t start;    /* round that both may run */
    _Alignas(128) uint64_t finished; /* round that the waker has run */
    _Alignas(128) uint64_t was_woken;
} litmus;

static int wake_nobody(const uint32_t *address, int count)
{
    (void)address;
    return count; /* the look counts here, not the sleep */
}

static uint64_t wait_for(const uint64_t *word, uint64_t value)
{
    for (uint64_t spins = 0; weir_load_acquire_u64(word) != value; spins++) {
        if (spins > 1000) { /* on one processor the other side has to get its turn */
            weir_os()->yield();
        }
    }
    return value;
}

/* Shifts the two sides against each other by some nanoseconds. */
static void linger(uint64_t round, uint64_t turns_max)
{
    for (uint64_t i = round * 7 % turns_max; i > 0; i--) {
        __asm__ __volatile__("" ::: "memory");
    }
}

static void *publish_and_wake(void *argument)
{
    litmus *shared = argument;
    weir_waker waker;
    weir_waker_init(&waker, &shared->parked, &shared->bell, &shared->refused, -1, NULL, NULL);
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        (void)wait_for(&shared->start, round);
        linger(round, 61);
        weir_store_release_u64(&shared->published, round);
        weir_store_relaxed_u64(&shared->was_woken, weir_gate_wake(&waker));
        weir_store_release_u64(&shared->finished, round);
    }
    return NULL;
}

WEIR_TEST(gate_litmus, never_leaves_both_sides_blind, .timeout = 240)
{
    static litmus shared;
    static weir_os_table table;
    table = *weir_os_linux();
    table.futex_wake = wake_nobody;
    (void)weir_os_replace(&table);
    weir_sleeper sleeper;
    WEIR_EXPECT_STATUS(weir_sleeper_init(&sleeper, &shared.parked, &shared.bell, &shared.refused,
                                         -1, WEIR_STRATEGY_BIT(WEIR_WAKE_STRATEGY_FUTEX), 0),
                       WEIR_OK);
    pthread_t thread;
    WEIR_EXPECT_EQ(pthread_create(&thread, NULL, publish_and_wake, &shared), 0);
    uint64_t blind = 0;
    uint64_t seen = 0;
    uint64_t woken = 0;
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        weir_store_release_u64(&shared.start, round);
        linger(round, 1021);
        weir_sleeper_arm(&sleeper);
        weir_sleeper_fence();
        const bool has_seen = weir_load_acquire_u64(&shared.published) == round;
        (void)wait_for(&shared.finished, round);
        const bool was_woken = weir_load_relaxed_u64(&shared.was_woken) != 0;
        weir_sleeper_disarm(&sleeper);
        blind += !has_seen && !was_woken;
        seen += has_seen;
        woken += was_woken;
    }
    pthread_join(thread, NULL);
    printf("of %d rounds the look saw %llu and the waker %llu\n", ROUNDS, (unsigned long long)seen,
           (unsigned long long)woken);
    WEIR_EXPECT_EQ(blind, 0);
    /* Both orders happened, or else nothing was tried. */
    WEIR_EXPECT_GT(woken, 0);
}
