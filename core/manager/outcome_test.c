/* One job at a time: each way in which a job can end, seen by its caller. */
#include "manager/testing/house.h"

#define MIB (1u << 20)

#define WITH_ONE_WORKER(options)                                                                   \
    static house house;                                                                            \
    house_open(&house, options);                                                                   \
    const weir_pool_options pool_options = house_pool(1, NULL);                                    \
    const weir_pool_id pool = house_add_ready(&house, &pool_options);

WEIR_TEST(outcome, ok_brings_the_reply_for_every_size)
{
    WITH_ONE_WORKER(NULL)
    const uint32_t sizes[] = {0, 1, 63, 64, 65, 255, 256, 257, 4096, 4097, 65536, 65537, MIB};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        house_job job;
        house_send(&house, pool, &job, WEIR_OPCODE_ECHO, sizes[i]);
        house_expect(&job, WEIR_OUTCOME_OK);
        WEIR_EXPECT_EQ(job.reply_bytes, sizes[i]);
        WEIR_EXPECT_EQ(job.sent_count, 1);
        WEIR_EXPECT_EQ(job.fills, sizes[i] > 0);
    }
    house_await_slots(&house);
    const weir_manager_stats stats = house_stats(&house);
    WEIR_EXPECT_EQ(stats.bytes_copied, 0);
    WEIR_EXPECT_EQ(stats.stray_replies, 0);
    WEIR_EXPECT_EQ(stats.protocol_errors, 0);
    house_close(&house);
}

WEIR_TEST(outcome, ok_without_own_thread)
{
    const weir_manager_options options = {.without_thread = true};
    WITH_ONE_WORKER(&options)
    house_job job;
    house_send(&house, pool, &job, WEIR_OPCODE_ECHO, 5000);
    house_expect(&job, WEIR_OUTCOME_OK);
    WEIR_EXPECT_TRUE(pthread_equal(job.ended_by, pthread_self()));
    house_close(&house);
}

WEIR_TEST(outcome, failed_brings_the_routines_sentence)
{
    WITH_ONE_WORKER(NULL)
    house_job job;
    house_send(&house, pool, &job, JOB_FAIL, 0);
    house_expect(&job, WEIR_OUTCOME_FAILED);
    WEIR_EXPECT_STR_EQ(job.text, "the test wants it");
    house_close(&house);
}

WEIR_TEST(outcome, failed_stays_failed_when_the_sentence_is_longer_than_the_callers_buffer)
{
    WITH_ONE_WORKER(NULL)
    char buffer[4] = "";
    house_job job = house_make(&house, JOB_FAIL, 0);
    weir_job_spec spec = house_spec(&job);
    spec.result_buffer = buffer;
    spec.result_capacity = sizeof buffer;
    house_submit(pool, &job, &spec);
    house_expect(&job, WEIR_OUTCOME_FAILED);
    WEIR_EXPECT_EQ(job.reply_bytes, 0);
    house_close(&house);
}

WEIR_TEST(outcome, unsupported_for_an_opcode_that_nobody_serves)
{
    WITH_ONE_WORKER(NULL)
    house_do(&house, pool, JOB_UNKNOWN, 0, WEIR_OUTCOME_UNSUPPORTED);
    house_do(&house, pool, WEIR_OPCODE_CRC, 16, WEIR_OUTCOME_UNSUPPORTED);
    house_job unlisted;
    house_send(&house, pool, &unlisted, 999, 16);
    house_expect(&unlisted, WEIR_OUTCOME_UNSUPPORTED);
    WEIR_EXPECT_TRUE(pthread_equal(unlisted.ended_by, pthread_self()));
    WEIR_EXPECT_EQ(house_stats(&house).sent, 0);
    house_close(&house);
}

WEIR_TEST(outcome, incompatible_for_a_size_that_the_opcodes_schema_excludes)
{
    WITH_ONE_WORKER(NULL)
    house_do(&house, pool, WEIR_OPCODE_WORLDGEN, 63, WEIR_OUTCOME_INCOMPATIBLE);
    house_do(&house, pool, WEIR_OPCODE_WORLDGEN, 65, WEIR_OUTCOME_INCOMPATIBLE);
    house_do(&house, pool, WEIR_OPCODE_WORLDGEN, 64, WEIR_OUTCOME_OK);
    house_close(&house);
}

WEIR_TEST(outcome, oversize_for_a_request_or_a_reply_that_no_slot_holds)
{
    WITH_ONE_WORKER(NULL)
    house_job request;
    house_send(&house, pool, &request, WEIR_OPCODE_ECHO, MIB + 1);
    house_expect(&request, WEIR_OUTCOME_OVERSIZE);
    WEIR_EXPECT_EQ(request.fills, 0);
    house_do(&house, pool, JOB_REPLY_BYTES, MIB + 1, WEIR_OUTCOME_OVERSIZE);
    house_do(&house, pool, JOB_REPLY_BYTES, MIB, WEIR_OUTCOME_OK);
    house_close(&house);
}

WEIR_TEST(outcome, timeout_at_the_deadline_and_the_late_reply_is_a_stray)
{
    WITH_ONE_WORKER(NULL)
    house_job job;
    house_make_held(&house, &job);
    weir_job_spec spec = house_spec(&job);
    spec.deadline_ns = weir_deadline_in(50 * WEIR_NS_PER_MS);
    house_submit(pool, &job, &spec);
    house_expect(&job, WEIR_OUTCOME_TIMEOUT);
    WEIR_EXPECT_GE(weir_os()->clock_ns(), spec.deadline_ns);
    house_let_go(&job);
    house_do(&house, pool, WEIR_OPCODE_ECHO, 100, WEIR_OUTCOME_OK);
    WEIR_EXPECT_EQ(house_stats(&house).stray_replies, 1);
    house_await_slots(&house);
    WEIR_EXPECT_EQ(house_stats(&house).in_flight, 0);
    house_close(&house);
}

WEIR_TEST(outcome, timeout_of_a_job_whose_turn_never_came)
{
    WITH_ONE_WORKER(NULL)
    house_job first;
    house_hold(&house, pool, &first);
    house_job second = house_make(&house, WEIR_OPCODE_ECHO, 10);
    weir_job_spec spec = house_spec(&second);
    spec.deadline_ns = weir_deadline_in(30 * WEIR_NS_PER_MS);
    house_submit(pool, &second, &spec);
    house_expect(&second, WEIR_OUTCOME_TIMEOUT);
    house_let_go(&first);
    house_expect(&first, WEIR_OUTCOME_OK);
    house_do(&house, pool, WEIR_OPCODE_ECHO, 0, WEIR_OUTCOME_OK);
    WEIR_EXPECT_EQ(house_stats(&house).restarts, 0);
    house_close(&house);
}

WEIR_TEST(outcome, cancelled_in_flight_once)
{
    WITH_ONE_WORKER(NULL)
    house_job job;
    house_hold(&house, pool, &job);
    house_await_begun(&job);
    WEIR_EXPECT_STATUS(weir_cancel(house.manager, job.id), WEIR_OK);
    WEIR_EXPECT_EQ(job.ends, 1);
    WEIR_EXPECT_EQ(job.outcome, WEIR_OUTCOME_CANCELLED);
    WEIR_EXPECT_TRUE(pthread_equal(job.ended_by, pthread_self()));
    WEIR_EXPECT_STATUS(weir_cancel(house.manager, job.id), WEIR_NOT_FOUND);
    house_let_go(&job);
    house_do(&house, pool, WEIR_OPCODE_ECHO, 10, WEIR_OUTCOME_OK);
    WEIR_EXPECT_EQ(house_stats(&house).stray_replies, 1);
    house_await_slots(&house);
    house_close(&house);
}

WEIR_TEST(outcome, cancelled_while_deferred)
{
    static house house;
    house_open(&house, NULL);
    weir_pool_options options = house_pool(1, NULL);
    options.in_flight_max = 1;
    options.policy = WEIR_ROOM_DEFER;
    const weir_pool_id pool = house_add_ready(&house, &options);
    house_job running;
    house_job waiting;
    house_hold(&house, pool, &running);
    house_send(&house, pool, &waiting, WEIR_OPCODE_ECHO, 10);
    WEIR_EXPECT_EQ(house_stats(&house).deferred_now, 1);
    WEIR_EXPECT_STATUS(weir_cancel(house.manager, waiting.id), WEIR_OK);
    WEIR_EXPECT_EQ(waiting.outcome, WEIR_OUTCOME_CANCELLED);
    WEIR_EXPECT_EQ(waiting.fills, 0);
    WEIR_EXPECT_STATUS(weir_cancel(house.manager, waiting.id), WEIR_NOT_FOUND);
    house_let_go(&running);
    house_expect(&running, WEIR_OUTCOME_OK);
    WEIR_EXPECT_EQ(house_stats(&house).stray_replies, 0);
    house_close(&house);
}

WEIR_TEST(outcome, a_cancel_of_an_id_that_never_was_finds_nothing)
{
    WITH_ONE_WORKER(NULL)
    house_do(&house, pool, WEIR_OPCODE_ECHO, 10, WEIR_OUTCOME_OK);
    const uint64_t ids[] = {0, 1, UINT64_MAX, UINT64_C(1) << 24, (UINT64_C(1) << 24) | 5};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        WEIR_EXPECT_STATUS(weir_cancel(house.manager, ids[i]), WEIR_NOT_FOUND);
    }
    house_close(&house);
}

WEIR_TEST(outcome, the_callers_buffer_gets_a_verified_copy)
{
    WITH_ONE_WORKER(NULL)
    static uint8_t buffer[5000];
    house_job job = house_make(&house, WEIR_OPCODE_ECHO, sizeof buffer);
    weir_job_spec spec = house_spec(&job);
    spec.result_buffer = buffer;
    spec.result_capacity = sizeof buffer;
    house_submit(pool, &job, &spec);
    house_expect(&job, WEIR_OUTCOME_OK);
    for (size_t i = 0; i < sizeof buffer; i++) {
        WEIR_EXPECT_EQ(buffer[i], job_worker_byte(job.seed, i));
    }
    WEIR_EXPECT_EQ(house_stats(&house).bytes_copied, sizeof buffer);
    house_await_slots(&house);

    house_job large = house_make(&house, WEIR_OPCODE_ECHO, sizeof buffer);
    spec = house_spec(&large);
    spec.result_buffer = buffer;
    spec.result_capacity = sizeof buffer - 1;
    house_submit(pool, &large, &spec);
    house_expect(&large, WEIR_OUTCOME_OVERSIZE);
    house_close(&house);
}

WEIR_TEST(outcome, a_spec_without_done_or_fill_is_refused_and_nothing_of_its_batch_accepted)
{
    WITH_ONE_WORKER(NULL)
    house_job job = house_make(&house, WEIR_OPCODE_ECHO, 10);
    weir_job_spec specs[2] = {house_spec(&job), house_spec(&job)};
    specs[1].done = NULL;
    WEIR_EXPECT_STATUS(weir_submit(house.manager, pool, specs, 2, NULL), WEIR_INVALID);
    specs[1] = specs[0];
    specs[1].fill = NULL;
    WEIR_EXPECT_STATUS(weir_submit(house.manager, pool, specs, 2, NULL), WEIR_INVALID);
    WEIR_EXPECT_STATUS(weir_submit(house.manager, pool + 1, specs, 1, NULL), WEIR_INVALID);
    WEIR_EXPECT_STATUS(weir_submit(house.manager, pool, specs, 0, NULL), WEIR_OK);
    WEIR_EXPECT_EQ(house_stats(&house).submitted, 0);
    house_close(&house);
}

WEIR_TEST(outcome, a_drained_manager_takes_nothing_new)
{
    WITH_ONE_WORKER(NULL)
    static house_job jobs[100];
    for (size_t i = 0; i < 100; i++) {
        house_send(&house, pool, &jobs[i], WEIR_OPCODE_ECHO, 100);
    }
    WEIR_EXPECT_STATUS(weir_manager_drain(house.manager, weir_test_deadline(10)), WEIR_OK);
    WEIR_EXPECT_EQ(house.ended, 100);
    const weir_job_spec spec = house_spec(&jobs[0]);
    WEIR_EXPECT_STATUS(weir_submit(house.manager, pool, &spec, 1, NULL), WEIR_CLOSED);
    weir_result result;
    WEIR_EXPECT_STATUS(weir_call(house.manager, pool, &spec, &result), WEIR_CLOSED);
    house_close(&house);
}

WEIR_TEST(outcome, a_drain_gives_up_at_its_deadline)
{
    WITH_ONE_WORKER(NULL)
    house_job job;
    house_hold(&house, pool, &job);
    WEIR_EXPECT_STATUS(weir_manager_drain(house.manager, weir_deadline_in(20 * WEIR_NS_PER_MS)),
                       WEIR_TIMEOUT);
    house_let_go(&job);
    WEIR_EXPECT_STATUS(weir_manager_drain(house.manager, weir_test_deadline(10)), WEIR_OK);
    WEIR_EXPECT_EQ(job.outcome, WEIR_OUTCOME_OK);
    house_close(&house);
}

WEIR_TEST(outcome, destroying_ends_what_is_left_as_cancelled)
{
    WITH_ONE_WORKER(NULL)
    static house_job jobs[50];
    house_hold(&house, pool, &jobs[0]);
    for (size_t i = 1; i < 50; i++) {
        house_send(&house, pool, &jobs[i], WEIR_OPCODE_ECHO, 10);
    }
    house_close(&house);
    house_let_go(&jobs[0]);
    for (size_t i = 0; i < 50; i++) {
        WEIR_EXPECT_EQ(jobs[i].ends, 1);
        WEIR_EXPECT_EQ(jobs[i].outcome, WEIR_OUTCOME_CANCELLED);
    }
}

WEIR_TEST(outcome, destroying_without_own_thread_ends_what_is_left_too)
{
    const weir_manager_options options = {.without_thread = true};
    WITH_ONE_WORKER(&options)
    house_job job;
    house_hold(&house, pool, &job);
    house_close(&house);
    house_let_go(&job);
    WEIR_EXPECT_EQ(job.outcome, WEIR_OUTCOME_CANCELLED);
}

WEIR_TEST(outcome, every_job_of_a_batch_gets_its_own_id_and_correlation)
{
    WITH_ONE_WORKER(NULL)
    static house_job jobs[200];
    static weir_job_spec specs[200];
    static uint64_t ids[200];
    for (size_t i = 0; i < 200; i++) {
        jobs[i] = house_make(&house, WEIR_OPCODE_ECHO, (uint32_t)i);
        specs[i] = house_spec(&jobs[i]);
    }
    house.submitted = 200;
    WEIR_EXPECT_STATUS(weir_submit(house.manager, pool, specs, 200, ids), WEIR_OK);
    for (size_t i = 0; i < 200; i++) {
        house_expect(&jobs[i], WEIR_OUTCOME_OK);
        WEIR_EXPECT_NE(ids[i], 0);
        for (size_t k = 0; k < i; k++) {
            WEIR_EXPECT_NE(ids[i], ids[k]);
        }
    }
    house_close(&house);
}
