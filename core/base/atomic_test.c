#include "base/atomic.h"

#include <pthread.h>
#include <sched.h>

#include "harness/testing/weir_test.h"

WEIR_TEST(atomic, read_modify_writes_return_what_was_there_before)
{
    uint32_t small = 5;
    WEIR_EXPECT_EQ(weir_fetch_add_relaxed_u32(&small, 2), 5);
    WEIR_EXPECT_EQ(weir_fetch_add_acq_rel_u32(&small, UINT32_MAX), 7);
    WEIR_EXPECT_EQ(weir_fetch_or_acq_rel_u32(&small, 8), 6);
    WEIR_EXPECT_EQ(weir_exchange_acq_rel_u32(&small, 1), 14);
    WEIR_EXPECT_EQ(weir_load_relaxed_u32(&small), 1);
    uint64_t large = UINT64_C(1) << 40;
    WEIR_EXPECT_EQ(weir_fetch_or_acq_rel_u64(&large, 1), UINT64_C(1) << 40);
    WEIR_EXPECT_EQ(weir_exchange_acq_rel_u64(&large, 3), (UINT64_C(1) << 40) + 1);
    weir_store_release_u64(&large, 9);
    WEIR_EXPECT_EQ(weir_load_acquire_u64(&large), 9);
}

WEIR_TEST(atomic, copies_exactly_the_words_it_was_told)
{
    const uint64_t from[4] = {1, 2, 3, 4};
    uint64_t to[4] = {9, 9, 9, 9};
    weir_copy_words_in(to, from, 3);
    WEIR_EXPECT_EQ(to[2], 3);
    WEIR_EXPECT_EQ(to[3], 9);
    weir_copy_words_out(to, from + 3, 1);
    WEIR_EXPECT_EQ(to[0], 4);
    WEIR_EXPECT_EQ(to[1], 2);
}

enum { ROUNDS = 20000 };

/* Store buffering: each side stores its word and loads the other's. */
static struct {
    _Alignas(128) uint32_t word[2][32]; /* a line each */
    uint32_t seen[2];
    uint32_t arrived;
} race;

/* Both sides leave the meeting at nearly the same moment. */
static void meet(uint32_t until)
{
    weir_fetch_add_acq_rel_u32(&race.arrived, 1);
    for (int spin = 0; weir_load_acquire_u32(&race.arrived) < until; spin++) {
        if (spin > 1000) {
            sched_yield();
        }
    }
}

static void take_part(uint32_t side)
{
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        meet(4 * round - 2);
        weir_store_relaxed_u32(&race.word[side][0], round);
        weir_fence_full();
        weir_store_relaxed_u32(&race.seen[side], weir_load_relaxed_u32(&race.word[1 - side][0]));
        meet(4 * round);
        if (side == 0) {
            const uint32_t mine = weir_load_relaxed_u32(&race.seen[0]);
            const uint32_t theirs = weir_load_relaxed_u32(&race.seen[1]);
            WEIR_EXPECT_TRUE(mine == round || theirs == round);
        }
    }
}

static void *other_side(void *unused)
{
    (void)unused;
    take_part(1);
    return NULL;
}

WEIR_TEST(atomic, full_fence_lets_at_least_one_side_see_the_other)
{
    pthread_t thread;
    WEIR_EXPECT_EQ(pthread_create(&thread, NULL, other_side, NULL), 0);
    take_part(0);
    pthread_join(thread, NULL);
}
