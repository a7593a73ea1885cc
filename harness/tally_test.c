#include "harness/tally.h"

#include "harness/testing/weir_test.h"

static weir_worker_info worker(uint32_t generation, uint64_t parks)
{
    return (weir_worker_info){.state = WEIR_SEAT_READY,
                              .generation = generation,
                              .wake_strategy = 1,
                              .restarts = generation - 1,
                              .parks = parks,
                              .spin_hits = 2 * parks,
                              .wakes_sent = 3 * parks,
                              .bytes_copied = 4 * parks};
}

WEIR_TEST(tally, what_a_dead_worker_did_stays_in_the_sum)
{
    static weir_tally tally;
    weir_worker_info workers[2] = {worker(1, 10), worker(1, 1)};
    weir_tally_add(&tally, workers, 2);
    workers[0] = worker(1, 15); /* the same worker, further on */
    weir_tally_add(&tally, workers, 2);
    WEIR_EXPECT_EQ(weir_tally_sum(&tally).parks, 16);
    workers[0] = (weir_worker_info){.state = WEIR_SEAT_EMPTY};
    weir_tally_add(&tally, workers, 2);
    WEIR_EXPECT_EQ(weir_tally_sum(&tally).parks, 16);
    WEIR_EXPECT_EQ(tally.ready, 1);
    workers[0] = worker(3, 100); /* its successor */
    weir_tally_add(&tally, workers, 2);
    const weir_tally_counters sum = weir_tally_sum(&tally);
    WEIR_EXPECT_EQ(sum.parks, 116);
    WEIR_EXPECT_EQ(sum.spin_hits, 232);
    WEIR_EXPECT_EQ(sum.wakes_sent, 348);
    WEIR_EXPECT_EQ(sum.bytes_copied, 464);
    WEIR_EXPECT_EQ(tally.ready, 2);
    WEIR_EXPECT_EQ(tally.restarts, 2);
    WEIR_EXPECT_EQ(tally.strategies_seen, 2);
}

WEIR_TEST(tally, only_without_hope_for_any_worker_it_is_deserted)
{
    static weir_tally tally;
    weir_tally_add(&tally, NULL, 0);
    WEIR_EXPECT_FALSE(weir_tally_is_deserted(&tally));
    weir_worker_info workers[2] = {{.state = WEIR_SEAT_QUARANTINED}, {.state = WEIR_SEAT_EMPTY}};
    weir_tally_add(&tally, workers, 2);
    WEIR_EXPECT_FALSE(weir_tally_is_deserted(&tally));
    workers[1].state = WEIR_SEAT_QUARANTINED;
    weir_tally_add(&tally, workers, 2);
    WEIR_EXPECT_TRUE(weir_tally_is_deserted(&tally));
    workers[0] = worker(2, 10);
    weir_tally_add(&tally, workers, 2);
    WEIR_EXPECT_FALSE(weir_tally_is_deserted(&tally));
}

WEIR_TEST(tally, torn_numbers_are_left_out)
{
    static weir_tally tally;
    weir_worker_info one = worker(1, 10);
    weir_tally_add(&tally, &one, 1);
    one.parks = 99999;
    one.torn = true;
    weir_tally_add(&tally, &one, 1);
    WEIR_EXPECT_EQ(weir_tally_sum(&tally).parks, 10);
}
