/* When a seat is filled again, in C and in Elixir: docs/vectors/backoff.txt. */
#include "harness/testing/weir_test.h"
#include "harness/testing/weir_test_vectors.h"
#include "manager/seat.h"

#define FILE_OF_VECTORS WEIR_SOURCE_DIR "/docs/vectors/backoff.txt"

/* As much of a manager as a death in a seat touches; nobody listens to its events. */
typedef struct one_seat {
    weir_manager manager;
    weir_pool pool;
    weir_seat seat;
    uint64_t now_ns;
} one_seat;

static void sit_down(const weir_test_vectors *v, one_seat *house)
{
    house->manager.random = weir_test_vectors_number(v, "seed");
    house->pool.options.backoff_first_ns = weir_test_vectors_number(v, "first_ns");
    house->pool.options.backoff_max_ns = weir_test_vectors_number(v, "max_ns");
    house->pool.options.stable_ns = weir_test_vectors_number(v, "stable_ns");
    house->pool.options.deaths_max = (uint32_t)weir_test_vectors_number(v, "deaths_max");
    house->seat = (weir_seat){.state = WEIR_SEAT_EMPTY};
    house->now_ns = 5 * WEIR_NS_PER_SECOND;
}

static void die(const weir_test_vectors *v, one_seat *house)
{
    const uint64_t uptime_ns = weir_test_vectors_number(v, "uptime_ns");
    house->now_ns += uptime_ns;
    house->seat.start_at_ns = 0;
    house->seat.state = WEIR_SEAT_EMPTY;
    weir_seat_note_death(&house->pool, 0, uptime_ns >= house->pool.options.stable_ns,
                         house->now_ns);
    if (weir_test_vectors_find(v, "quarantine") != NULL) {
        WEIR_EXPECT_EQ(house->seat.state, WEIR_SEAT_QUARANTINED);
        WEIR_EXPECT_EQ(house->seat.start_at_ns, 0);
        return;
    }
    WEIR_EXPECT_EQ(house->seat.state, WEIR_SEAT_EMPTY);
    const uint64_t wait_ns = weir_test_vectors_number(v, "wait_ns");
    if (house->seat.start_at_ns != house->now_ns + wait_ns) {
        weir_test_vectors_fail(v, "the wait is %llu ns, expected %llu",
                               (unsigned long long)(house->seat.start_at_ns - house->now_ns),
                               (unsigned long long)wait_ns);
    }
}

WEIR_TEST(backoff_vectors, are_decided_as_the_shared_file_says)
{
    static one_seat house;
    house.pool.manager = &house.manager;
    house.pool.options.role = "seats"; /* Events name it. */
    house.pool.seats = &house.seat;
    house.pool.seat_count = 1;
    WEIR_EXPECT_EQ(pthread_mutex_init(&house.pool.lock, NULL), 0);
    unsigned seats = 0;
    unsigned quarantined = 0;
    weir_test_vectors v;
    weir_test_vectors_open(&v, FILE_OF_VECTORS);
    while (weir_test_vectors_next(&v)) {
        if (weir_test_vectors_is(&v, "seat")) {
            sit_down(&v, &house);
            seats++;
        } else if (weir_test_vectors_is(&v, "died")) {
            WEIR_EXPECT_GT(seats, 0);
            die(&v, &house);
            quarantined += weir_test_vectors_find(&v, "quarantine") != NULL;
        } else {
            weir_test_vectors_fail(&v, "%s is no kind of case", v.word);
        }
    }
    WEIR_EXPECT_GE(seats, 8);
    WEIR_EXPECT_GE(quarantined, 3);
    pthread_mutex_destroy(&house.pool.lock);
}
