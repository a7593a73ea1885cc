/* The heartbeat tells the truth, also while a routine computes. */
#include "worker/health.h"

#include <sys/socket.h>

#include "worker/testing/fixture.h"

WEIR_TEST(worker_health, has_beaten_before_the_first_job)
{
    fixture fixture;
    fixture_start(&fixture, NULL);
    struct weir_telemetry sample;
    WEIR_EXPECT_STATUS(weir_telemetry_read(fixture.manager.arena.telemetry, &sample), WEIR_OK);
    WEIR_EXPECT_GE(sample.beat_count, 1);
    WEIR_EXPECT_NE(sample.beat_ns, 0);
    WEIR_EXPECT_EQ(fixture_end(&fixture), 0);
}

WEIR_TEST(worker_health, beats_every_half_second)
{
    fixture fixture;
    fixture_start(&fixture, NULL);
    const struct weir_telemetry first = fixture_next_beat(&fixture);
    const struct weir_telemetry second = fixture_next_beat(&fixture);
    WEIR_EXPECT_EQ(second.beat_count, first.beat_count + 1);
    WEIR_EXPECT_GE(second.beat_ns - first.beat_ns, WEIR_BEAT_PERIOD_NS);
    WEIR_EXPECT_EQ(fixture_end(&fixture), 0);
}

WEIR_TEST(worker_health, counts_jobs_and_bytes)
{
    fixture fixture;
    fixture_start(&fixture, NULL);
    uint8_t data[100];
    fixture_fill(data, sizeof data, 1);
    for (int i = 0; i < 50; i++) {
        fixture_do(&fixture, WEIR_OPCODE_ECHO, data, sizeof data, WEIR_REPLY_STATUS_OK);
    }
    fixture_do(&fixture, TEST_UNKNOWN, data, 10, WEIR_REPLY_STATUS_UNSUPPORTED);
    const struct weir_telemetry sample = fixture_next_beat(&fixture);
    WEIR_EXPECT_EQ(sample.jobs_ok, 50);
    WEIR_EXPECT_EQ(sample.jobs_failed, 1);
    WEIR_EXPECT_EQ(sample.request_bytes, 50 * sizeof data);
    WEIR_EXPECT_EQ(sample.response_bytes, 50 * sizeof data);
    WEIR_EXPECT_EQ(sample.bytes_copied, 0);
    WEIR_EXPECT_EQ(sample.errors[WEIR_ERROR_CODE_OPCODE], 1);
    WEIR_EXPECT_EQ(sample.queue_depth, 0);
    WEIR_EXPECT_EQ(sample.busy_since_ns, 0);
    WEIR_EXPECT_GT(sample.last_job_ns, 0);
    WEIR_EXPECT_GT(sample.parks, 0);
    WEIR_EXPECT_EQ(sample.wake_strategy, WEIR_WAKE_STRATEGY_FUTEX);
    WEIR_EXPECT_EQ(fixture_end(&fixture), 0);
}

WEIR_TEST(worker_health, shows_how_long_a_stuck_routine_runs_and_what_waits_behind_it)
{
    fixture fixture;
    fixture_start(&fixture, NULL);
    const uint64_t before_ns = weir_os()->clock_ns();
    (void)small_manager_send(&fixture.manager, TEST_STUCK, NULL, 0);
    for (int i = 0; i < 5; i++) {
        (void)small_manager_send(&fixture.manager, WEIR_OPCODE_ECHO, "x", 1);
    }
    struct weir_telemetry sample = fixture_next_beat(&fixture);
    WEIR_EXPECT_GE(sample.busy_since_ns, before_ns);
    WEIR_EXPECT_LE(sample.busy_since_ns, sample.beat_ns);
    WEIR_EXPECT_EQ(sample.queue_depth, 5);
    WEIR_EXPECT_EQ(sample.jobs_ok, 0);
    const uint64_t since_ns = sample.busy_since_ns;
    sample = fixture_next_beat(&fixture);
    WEIR_EXPECT_EQ(sample.busy_since_ns, since_ns);
    small_manager_die(&fixture.manager);
    WEIR_EXPECT_EQ(fixture_wait(&fixture), 3);
}

WEIR_TEST(worker_health, reports_the_duration_of_a_long_job)
{
    fixture fixture;
    fixture_start(&fixture, NULL);
    const uint32_t ms = 30;
    fixture_do(&fixture, TEST_SLEEP, &ms, sizeof ms, WEIR_REPLY_STATUS_OK);
    WEIR_EXPECT_GE(fixture_next_beat(&fixture).last_job_ns, ms * WEIR_NS_PER_MS);
    WEIR_EXPECT_EQ(fixture_end(&fixture), 0);
}

WEIR_TEST(worker_health, counts_control_messages_that_nobody_expects)
{
    fixture fixture;
    fixture_start(&fixture, NULL);
    WEIR_EXPECT_EQ(send(fixture.manager.own_socket, "garbage", 7, MSG_NOSIGNAL), 7);
    WEIR_EXPECT_EQ(fixture_next_beat(&fixture).errors[WEIR_ERROR_CODE_MESSAGE], 1);
    fixture_do(&fixture, WEIR_OPCODE_ECHO, "x", 1, WEIR_REPLY_STATUS_OK);
    WEIR_EXPECT_EQ(fixture_end(&fixture), 0);
}

WEIR_TEST(worker_health, writes_a_last_beat_when_the_worker_ends)
{
    fixture fixture;
    fixture_start(&fixture, NULL);
    fixture_do(&fixture, WEIR_OPCODE_ECHO, "x", 1, WEIR_REPLY_STATUS_OK);
    small_manager_command(&fixture.manager, WEIR_COMMAND_SHUTDOWN);
    WEIR_EXPECT_EQ(weir_test_wait(fixture.worker, weir_test_deadline(20)), 0);
    struct weir_telemetry last;
    WEIR_EXPECT_STATUS(weir_telemetry_read(fixture.manager.arena.telemetry, &last), WEIR_OK);
    WEIR_EXPECT_EQ(last.jobs_ok, 1);
    small_manager_close(&fixture.manager);
}
