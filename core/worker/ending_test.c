/* How a worker ends: drain, shutdown, SIGTERM, the manager's death. */
#include <signal.h>

#include "worker/loop.h"
#include "worker/testing/fixture.h"

static const uint32_t strategies[] = {
    WEIR_WAKE_STRATEGY_FUTEX,
    WEIR_WAKE_STRATEGY_EVENTFD,
    WEIR_WAKE_STRATEGY_SIGNAL,
};

static void start_with(fixture *fixture, uint32_t strategy)
{
    fixture_start(fixture, &(small_manager_setup){.wake_strategies = WEIR_STRATEGY_BIT(strategy)});
}

static bool reaches(fixture *fixture, uint32_t state)
{
    return small_manager_await_state(&fixture->manager, state, weir_test_deadline(20));
}

WEIR_TEST(worker_ending, shuts_down_from_every_kind_of_sleep)
{
    for (size_t i = 0; i < 3; i++) {
        fixture fixture;
        start_with(&fixture, strategies[i]);
        fixture_await_parked(&fixture, strategies[i]);
        small_manager_command(&fixture.manager, WEIR_COMMAND_SHUTDOWN);
        WEIR_EXPECT_TRUE(reaches(&fixture, WEIR_WORKER_STATE_ENDED));
        WEIR_EXPECT_EQ(fixture_wait(&fixture), 0);
    }
}

WEIR_TEST(worker_ending, finishes_what_is_in_the_ring_before_it_shuts_down)
{
    fixture fixture;
    fixture_start(&fixture, NULL);
    const uint32_t ms = 50;
    for (int i = 0; i < 4; i++) {
        (void)small_manager_send(&fixture.manager, TEST_SLEEP, &ms, sizeof ms);
    }
    small_manager_command(&fixture.manager, WEIR_COMMAND_SHUTDOWN);
    for (uint64_t job = 1; job <= 4; job++) {
        (void)fixture_expect(&fixture, job, WEIR_REPLY_STATUS_OK);
    }
    WEIR_EXPECT_EQ(weir_test_wait(fixture.worker, weir_test_deadline(20)), 0);
    WEIR_EXPECT_EQ(weir_load_acquire_u32(&fixture.manager.arena.worker_control->state),
                   WEIR_WORKER_STATE_ENDED);
    small_manager_close(&fixture.manager);
}

WEIR_TEST(worker_ending, drains_and_stays_until_it_is_shut_down)
{
    fixture fixture;
    fixture_start(&fixture, NULL);
    const uint64_t job = small_manager_send(&fixture.manager, WEIR_OPCODE_ECHO, "x", 1);
    small_manager_command(&fixture.manager, WEIR_COMMAND_DRAIN);
    (void)fixture_expect(&fixture, job, WEIR_REPLY_STATUS_OK);
    WEIR_EXPECT_TRUE(reaches(&fixture, WEIR_WORKER_STATE_DRAINING));
    /* What was published while the command was under way is still done. */
    fixture_do(&fixture, WEIR_OPCODE_ECHO, "y", 1, WEIR_REPLY_STATUS_OK);
    WEIR_EXPECT_EQ(fixture_end(&fixture), 0);
}

WEIR_TEST(worker_ending, drains_on_sigterm_from_every_kind_of_sleep)
{
    for (size_t i = 0; i < 3; i++) {
        fixture fixture;
        start_with(&fixture, strategies[i]);
        fixture_await_parked(&fixture, strategies[i]);
        WEIR_EXPECT_EQ(kill(fixture.worker, SIGTERM), 0);
        WEIR_EXPECT_TRUE(reaches(&fixture, WEIR_WORKER_STATE_DRAINING));
        fixture_do(&fixture, WEIR_OPCODE_ECHO, "x", 1, WEIR_REPLY_STATUS_OK);
        WEIR_EXPECT_EQ(fixture_end(&fixture), 0);
    }
}

/* The signal falls between the look and the sleep, and no timed look helps: it must be repeated. */
WEIR_TEST(worker_ending, does_not_lose_a_sigterm_between_its_look_and_its_sleep)
{
    for (size_t i = 0; i < 3; i++) {
        fixture fixture;
        fixture_start(&fixture, &(small_manager_setup){
                                    .wake_strategies = WEIR_STRATEGY_BIT(strategies[i]),
                                    .has_endless_sleeps = true,
                                });
        fixture_await_parked(&fixture, strategies[i]);
        WEIR_EXPECT_EQ(kill(fixture.worker, SIGTERM), 0);
        WEIR_EXPECT_TRUE(reaches(&fixture, WEIR_WORKER_STATE_DRAINING));
        WEIR_EXPECT_EQ(fixture_end(&fixture), 0);
    }
}

WEIR_TEST(worker_ending, drains_on_sigterm_while_it_spins)
{
    fixture fixture;
    fixture_start(&fixture, &(small_manager_setup){.spin_ns = WEIR_NS_PER_SECOND});
    WEIR_EXPECT_EQ(kill(fixture.worker, SIGTERM), 0);
    WEIR_EXPECT_TRUE(reaches(&fixture, WEIR_WORKER_STATE_DRAINING));
    WEIR_EXPECT_EQ(fixture_end(&fixture), 0);
}

WEIR_TEST(worker_ending, finishes_its_jobs_when_sigterm_comes_in_the_middle)
{
    fixture fixture;
    fixture_start(&fixture, NULL);
    const uint32_t ms = 100;
    for (int i = 0; i < 3; i++) {
        (void)small_manager_send(&fixture.manager, TEST_SLEEP, &ms, sizeof ms);
    }
    (void)fixture_expect(&fixture, 1, WEIR_REPLY_STATUS_OK);
    WEIR_EXPECT_EQ(kill(fixture.worker, SIGTERM), 0);
    (void)fixture_expect(&fixture, 2, WEIR_REPLY_STATUS_OK);
    (void)fixture_expect(&fixture, 3, WEIR_REPLY_STATUS_OK);
    WEIR_EXPECT_TRUE(reaches(&fixture, WEIR_WORKER_STATE_DRAINING));
    WEIR_EXPECT_EQ(fixture_end(&fixture), 0);
}

WEIR_TEST(worker_ending, leaves_by_itself_when_nobody_answers_its_sigterm)
{
    fixture fixture;
    fixture_start(&fixture, NULL);
    const uint64_t begin_ns = weir_os()->clock_ns();
    WEIR_EXPECT_EQ(kill(fixture.worker, SIGTERM), 0);
    WEIR_EXPECT_TRUE(reaches(&fixture, WEIR_WORKER_STATE_ENDED));
    WEIR_EXPECT_GE(weir_os()->clock_ns() - begin_ns, WEIR_WORKER_LINGER_NS);
    WEIR_EXPECT_EQ(fixture_wait(&fixture), 0);
}

WEIR_TEST(worker_ending, wakes_a_manager_that_sleeps_in_any_way)
{
    for (size_t i = 0; i < 3; i++) {
        fixture fixture;
        start_with(&fixture, strategies[i]);
        const uint32_t ms = 5; /* long enough for the manager to be asleep */
        for (int k = 0; k < 20; k++) {
            fixture_do(&fixture, TEST_SLEEP, &ms, sizeof ms, WEIR_REPLY_STATUS_OK);
        }
        WEIR_EXPECT_GT(fixture_next_beat(&fixture).wakes_sent, 0);
        WEIR_EXPECT_EQ(fixture_end(&fixture), 0);
    }
}

WEIR_TEST(worker_ending, ends_with_the_manager_while_it_sleeps)
{
    for (size_t i = 0; i < 3; i++) {
        fixture fixture;
        start_with(&fixture, strategies[i]);
        fixture_await_parked(&fixture, strategies[i]);
        small_manager_die(&fixture.manager);
        WEIR_EXPECT_EQ(fixture_wait(&fixture), 3);
    }
}

static void stick(fixture *fixture)
{
    (void)small_manager_send(&fixture->manager, TEST_STUCK, NULL, 0);
    const uint64_t deadline_ns = weir_test_deadline(20);
    while (weir_load_acquire_u64(&fixture->manager.arena.worker_control->begun) == 0) {
        WEIR_EXPECT_LT(weir_os()->clock_ns(), deadline_ns);
    }
}

WEIR_TEST(worker_ending, ends_with_the_manager_while_a_routine_is_stuck)
{
    fixture fixture;
    fixture_start(&fixture, NULL);
    stick(&fixture);
    small_manager_die(&fixture.manager);
    WEIR_EXPECT_EQ(fixture_wait(&fixture), 3);
}

WEIR_TEST(worker_ending, ends_well_when_the_manager_left_after_a_shutdown)
{
    fixture fixture;
    fixture_start(&fixture, NULL);
    stick(&fixture);
    small_manager_command(&fixture.manager, WEIR_COMMAND_SHUTDOWN);
    small_manager_die(&fixture.manager);
    WEIR_EXPECT_EQ(fixture_wait(&fixture), 0);
}
