/* No room: the four policies, the watermarks, the full table. */
#include "manager/testing/house.h"

/* One worker that is held in a job, so that what comes now finds what the options leave. */
static weir_pool_id open_busy(house *house, const weir_manager_options *manager,
                              const weir_pool_options *options, house_job *busy)
{
    house_open(house, manager);
    const weir_pool_id pool = house_add_ready(house, options);
    house_hold(house, pool, busy);
    house_await_begun(busy);
    return pool;
}

WEIR_TEST(room, reject_ends_the_new_job_at_once_on_the_callers_thread)
{
    static house house;
    static house_job busy;
    weir_pool_options options = house_pool(1, NULL);
    options.in_flight_max = 1;
    options.policy = WEIR_ROOM_REJECT;
    const weir_pool_id pool = open_busy(&house, NULL, &options, &busy);
    house_job job;
    house_send(&house, pool, &job, WEIR_OPCODE_ECHO, 10);
    WEIR_EXPECT_EQ(job.ends, 1);
    WEIR_EXPECT_EQ(job.outcome, WEIR_OUTCOME_REJECTED);
    WEIR_EXPECT_EQ(job.sent_count, 0);
    WEIR_EXPECT_EQ(job.fills, 0);
    WEIR_EXPECT_TRUE(pthread_equal(job.ended_by, pthread_self()));
    house_let_go(&busy);
    house_expect(&busy, WEIR_OUTCOME_OK);
    house_do(&house, pool, WEIR_OPCODE_ECHO, 10, WEIR_OUTCOME_OK);
    house_close(&house);
}

WEIR_TEST(room, reject_for_lack_of_a_payload_slot)
{
    static house house;
    static house_job busy;
    static house_job jobs[3];
    weir_pool_options options = house_pool(1, NULL);
    options.policy = WEIR_ROOM_REJECT;
    const weir_pool_id pool = open_busy(&house, NULL, &options, &busy);
    for (size_t i = 0; i < 3; i++) { /* There are two slots of 1 MiB. */
        house_send(&house, pool, &jobs[i], WEIR_OPCODE_ECHO, 1000000);
    }
    WEIR_EXPECT_EQ(jobs[2].ends, 1);
    WEIR_EXPECT_EQ(jobs[2].outcome, WEIR_OUTCOME_REJECTED);
    house_let_go(&busy);
    house_expect(&jobs[0], WEIR_OUTCOME_OK);
    house_expect(&jobs[1], WEIR_OUTCOME_OK);
    house_close(&house);
}

/* The worker with the shorter queue has no slot left of that size; the other one has. */
WEIR_TEST(room, a_slot_at_another_worker_is_room)
{
    static house house;
    static house_job busy[2];
    static house_job jobs[6];
    static const uint32_t sizes[6] = {1000000, 1000000, 1000000, 10, 10, 1000000};
    house_open(&house, NULL);
    weir_pool_options options = house_pool(2, NULL);
    options.policy = WEIR_ROOM_REJECT;
    const weir_pool_id pool = house_add_ready(&house, &options);
    for (size_t i = 0; i < 2; i++) {
        house_hold(&house, pool, &busy[i]);
        house_await_begun(&busy[i]); /* So the next one goes to the other worker. */
    }
    for (size_t i = 0; i < 6; i++) {
        house_send(&house, pool, &jobs[i], WEIR_OPCODE_ECHO, sizes[i]);
    }
    house_let_go(&busy[0]);
    house_let_go(&busy[1]);
    for (size_t i = 0; i < 6; i++) {
        house_expect(&jobs[i], WEIR_OUTCOME_OK);
    }
    house_close(&house);
}

WEIR_TEST(room, defer_keeps_the_order_up_to_its_bound)
{
    static house house;
    static house_job busy;
    static house_job jobs[4];
    weir_pool_options options = house_pool(1, NULL);
    options.in_flight_max = 1;
    options.policy = WEIR_ROOM_DEFER;
    options.deferred_max = 3;
    const weir_pool_id pool = open_busy(&house, NULL, &options, &busy);
    for (size_t i = 0; i < 4; i++) {
        house_send(&house, pool, &jobs[i], WEIR_OPCODE_ECHO, 10);
    }
    WEIR_EXPECT_EQ(jobs[3].outcome, WEIR_OUTCOME_REJECTED);
    WEIR_EXPECT_EQ(house_stats(&house).deferred_now, 3);
    WEIR_EXPECT_EQ(house_stats(&house).deferred, 3);
    house_let_go(&busy);
    house_expect(&jobs[2], WEIR_OUTCOME_OK);
    WEIR_EXPECT_EQ(jobs[0].ends, 1); /* The last one ended, so all before it did. */
    WEIR_EXPECT_EQ(jobs[1].ends, 1);
    WEIR_EXPECT_FALSE(pthread_equal(jobs[2].ended_by, pthread_self()));
    house_close(&house);
}

/* The small one would find a slot at once; those before it wait for a large one. */
WEIR_TEST(room, a_deferred_job_is_not_overtaken_by_one_that_would_fit)
{
    static house house;
    static house_job busy;
    static house_job large[3];
    static house_job small;
    weir_pool_options options = house_pool(1, NULL);
    options.policy = WEIR_ROOM_DEFER;
    const weir_pool_id pool = open_busy(&house, NULL, &options, &busy);
    for (size_t i = 0; i < 3; i++) { /* There are two slots of 1 MiB. */
        house_send(&house, pool, &large[i], WEIR_OPCODE_ECHO, 1000000);
    }
    house_send(&house, pool, &small, WEIR_OPCODE_ECHO, 10);
    WEIR_EXPECT_EQ(house_stats(&house).deferred_now, 2);
    house_let_go(&busy);
    house_settle(&house);
    house_expect(&small, WEIR_OUTCOME_OK);
    house_close(&house);
}

WEIR_TEST(room, drop_oldest_gives_up_the_job_that_waited_longest)
{
    static house house;
    static house_job busy;
    static house_job jobs[4];
    weir_pool_options options = house_pool(1, NULL);
    options.in_flight_max = 1;
    options.policy = WEIR_ROOM_DROP_OLDEST;
    options.deferred_max = 2;
    const weir_pool_id pool = open_busy(&house, NULL, &options, &busy);
    for (size_t i = 0; i < 4; i++) {
        house_send(&house, pool, &jobs[i], WEIR_OPCODE_ECHO, 10);
    }
    WEIR_EXPECT_EQ(jobs[0].outcome, WEIR_OUTCOME_REJECTED);
    WEIR_EXPECT_EQ(jobs[1].outcome, WEIR_OUTCOME_REJECTED);
    house_let_go(&busy);
    house_expect(&jobs[2], WEIR_OUTCOME_OK);
    house_expect(&jobs[3], WEIR_OUTCOME_OK);
    house_close(&house);
}

WEIR_TEST(room, wait_blocks_the_caller_until_there_is_room)
{
    static house house;
    static house_job busy;
    weir_pool_options options = house_pool(1, NULL);
    options.in_flight_max = 1;
    options.policy = WEIR_ROOM_WAIT;
    house_open(&house, NULL);
    const weir_pool_id pool = house_add_ready(&house, &options);
    house_send(&house, pool, &busy, JOB_SLEEP, 50);
    house_job job;
    house_send(&house, pool, &job, WEIR_OPCODE_ECHO, 10);
    WEIR_EXPECT_EQ(busy.ends, 1); /* The caller came back only when the place was free. */
    house_expect(&job, WEIR_OUTCOME_OK);
    house_close(&house);
}

WEIR_TEST(room, wait_ends_as_rejected_at_the_deadline)
{
    static house house;
    static house_job busy;
    weir_pool_options options = house_pool(1, NULL);
    options.in_flight_max = 1;
    options.policy = WEIR_ROOM_WAIT;
    const weir_pool_id pool = open_busy(&house, NULL, &options, &busy);
    house_job job = house_make(&house, WEIR_OPCODE_ECHO, 10);
    weir_job_spec spec = house_spec(&job);
    spec.deadline_ns = weir_deadline_in(30 * WEIR_NS_PER_MS);
    house_submit(pool, &job, &spec);
    WEIR_EXPECT_EQ(job.ends, 1);
    WEIR_EXPECT_EQ(job.outcome, WEIR_OUTCOME_REJECTED);
    WEIR_EXPECT_GE(weir_os()->clock_ns(), spec.deadline_ns);
    house_let_go(&busy);
    house_expect(&busy, WEIR_OUTCOME_OK);
    house_close(&house);
}

/* Each of many jobs needs the only slot, which comes back a moment after the reply. */
WEIR_TEST(room, wait_notices_a_slot_that_comes_back_after_the_reply)
{
    static house house;
    house_open(&house, NULL);
    weir_pool_options options = house_pool(1, NULL);
    weir_arena_config_default(&options.arena);
    options.arena.request_class_count = 1;
    options.arena.request_class[0] = (weir_size_class){.slot_bytes = 64, .slot_count = 1};
    options.policy = WEIR_ROOM_WAIT;
    const weir_pool_id pool = house_add_ready(&house, &options);
    const uint32_t count = HOUSE_ROUNDS(20000);
    static house_job jobs[20000];
    for (uint32_t i = 0; i < count; i++) {
        house_send(&house, pool, &jobs[i], WEIR_OPCODE_ECHO, 64);
    }
    house_settle(&house);
    WEIR_EXPECT_EQ(house_stats(&house).outcomes[WEIR_OUTCOME_OK], count);
    house_close(&house);
}

typedef struct chain {
    house_job job;
    weir_pool_id pool;
    house_job next[3];
    _Atomic uint32_t is_done;
} chain;

static void submit_three_more(void *context, const weir_result *result)
{
    chain *chain = context;
    WEIR_EXPECT_EQ(result->outcome, WEIR_OUTCOME_OK);
    for (size_t i = 0; i < 3; i++) {
        chain->next[i] = house_make(chain->job.house, WEIR_OPCODE_ECHO, 20);
        const weir_job_spec spec = house_spec(&chain->next[i]);
        house_submit(chain->pool, &chain->next[i], &spec);
    }
    atomic_store(&chain->is_done, 1);
}

static void wait_inside_a_callback(bool without_thread)
{
    static house house;
    static chain chain;
    const weir_manager_options manager = {.without_thread = without_thread};
    house_open(&house, &manager);
    weir_pool_options options = house_pool(1, NULL);
    options.in_flight_max = 1;
    options.policy = WEIR_ROOM_WAIT;
    chain.pool = house_add_ready(&house, &options);
    chain.job = house_make(&house, WEIR_OPCODE_ECHO, 10);
    weir_job_spec spec = house_spec(&chain.job);
    spec.done = submit_three_more;
    spec.context = &chain;
    spec.fill = NULL;
    spec.payload_bytes = 0;
    WEIR_EXPECT_STATUS(weir_submit(house.manager, chain.pool, &spec, 1, NULL), WEIR_OK);
    const uint64_t deadline_ns = weir_test_deadline(HOUSE_PATIENCE_S);
    while (chain.is_done == 0 && weir_os()->clock_ns() < deadline_ns) {
        house_pass(&house, 0.001);
    }
    for (size_t i = 0; i < 3; i++) {
        house_expect(&chain.next[i], WEIR_OUTCOME_OK);
    }
    house_close(&house);
}

WEIR_TEST(room, wait_inside_a_callback_defers_instead_of_blocking_the_loop)
{
    wait_inside_a_callback(false);
}

WEIR_TEST(room, wait_on_the_thread_that_polls_defers_too)
{
    wait_inside_a_callback(true);
}

WEIR_TEST(room, watermarks_hold_a_worker_back_until_the_low_one)
{
    static house house;
    static house_job jobs[10];
    house_open(&house, NULL);
    weir_pool_options options = house_pool(1, NULL);
    options.in_flight_max = 10;
    options.high_percent = 80;
    options.low_percent = 20;
    options.policy = WEIR_ROOM_REJECT;
    const weir_pool_id pool = house_add_ready(&house, &options);
    for (size_t i = 0; i < 8; i++) {
        if (i % 4 == 0) {
            house_hold(&house, pool, &jobs[i]);
        } else {
            house_send(&house, pool, &jobs[i], WEIR_OPCODE_ECHO, 10);
        }
    }
    house_send(&house, pool, &jobs[8], WEIR_OPCODE_ECHO, 10);
    WEIR_EXPECT_EQ(jobs[8].outcome, WEIR_OUTCOME_REJECTED); /* The high one: 8 of 10. */
    house_let_go(&jobs[0]);
    house_expect(&jobs[3], WEIR_OUTCOME_OK);
    house_await_begun(&jobs[4]);
    house_send(&house, pool, &jobs[9], WEIR_OPCODE_ECHO, 10);
    WEIR_EXPECT_EQ(jobs[9].outcome, WEIR_OUTCOME_REJECTED); /* Still above 2. */
    house_let_go(&jobs[4]);
    house_expect(&jobs[7], WEIR_OUTCOME_OK);
    house_do(&house, pool, WEIR_OPCODE_ECHO, 10, WEIR_OUTCOME_OK);
    house_close(&house);
}

WEIR_TEST(room, in_flight_never_exceeds_the_maximum_nor_the_ring)
{
    static house house;
    static house_job jobs[500];
    house_open(&house, NULL);
    weir_pool_options options = house_pool(2, NULL);
    weir_arena_config_default(&options.arena);
    options.arena.ring_capacity = 16;
    options.in_flight_max = 12;
    options.policy = WEIR_ROOM_DEFER;
    const weir_pool_id pool = house_add_ready(&house, &options);
    for (size_t i = 0; i < 500; i++) {
        house_send(&house, pool, &jobs[i], JOB_SLEEP, i % 50 == 0);
        weir_worker_info workers[4];
        const size_t count = weir_manager_read_workers(house.manager, workers, 4);
        for (size_t k = 0; k < count; k++) {
            WEIR_EXPECT_LE(workers[k].in_flight, 12);
        }
    }
    house_settle(&house);
    WEIR_EXPECT_EQ(house_stats(&house).outcomes[WEIR_OUTCOME_OK], 500);
    WEIR_EXPECT_EQ(house_stats(&house).protocol_errors, 0);
    house_close(&house);
}

WEIR_TEST(room, a_full_table_rejects_whatever_the_policy)
{
    static house house;
    static house_job busy;
    static house_job jobs[8];
    const weir_manager_options manager = {.job_capacity = 4};
    weir_pool_options options = house_pool(1, NULL);
    options.policy = WEIR_ROOM_DEFER;
    const weir_pool_id pool = open_busy(&house, &manager, &options, &busy);
    for (size_t i = 0; i < 8; i++) {
        house_send(&house, pool, &jobs[i], WEIR_OPCODE_ECHO, 10);
    }
    house_let_go(&busy);
    for (size_t i = 3; i < 8; i++) {
        WEIR_EXPECT_EQ(jobs[i].outcome, WEIR_OUTCOME_REJECTED);
        WEIR_EXPECT_EQ(jobs[i].id, 0);
        WEIR_EXPECT_TRUE(jobs[i].is_reply_right); /* Correlation and opcode are its own. */
    }
    house_settle(&house);
    for (size_t i = 0; i < 3; i++) {
        WEIR_EXPECT_EQ(jobs[i].outcome, WEIR_OUTCOME_OK);
    }
    WEIR_EXPECT_EQ(house_stats(&house).submitted, 9);
    house_close(&house);
}
