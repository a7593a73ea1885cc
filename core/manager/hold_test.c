/* Replies kept beyond their callback: over the worker's death, over the manager's, up to the cap.
 */
#include <signal.h>

#include "manager/testing/house.h"

typedef struct keeper {
    weir_status status;
    weir_status again;
    weir_held held;
    uint32_t slot_bytes;
    _Atomic uint32_t ends;
} keeper;

static void keep(void *context, const weir_result *result)
{
    keeper *keeper = context;
    weir_held second;
    keeper->slot_bytes = weir_result_slot_bytes(result);
    keeper->status = weir_result_hold(result, &keeper->held);
    keeper->again = weir_result_hold(result, &second);
    atomic_fetch_add(&keeper->ends, 1);
}

static void put_number(void *context, void *payload, size_t bytes)
{
    (void)context;
    memset(payload, 0x5a, bytes);
}

static void await_end(house *house, keeper *keeper)
{
    const uint64_t deadline_ns = weir_test_deadline(HOUSE_PATIENCE_S);
    while (atomic_load(&keeper->ends) == 0) {
        WEIR_EXPECT_LT(weir_os()->clock_ns(), deadline_ns);
        house_pass(house, 0.001);
    }
}

static void echo_and_keep(house *house, weir_pool_id pool, keeper *keeper, uint32_t bytes)
{
    const weir_job_spec spec = {
        .opcode = WEIR_OPCODE_ECHO,
        .payload_bytes = bytes,
        .fill = put_number,
        .done = keep,
        .context = keeper,
    };
    WEIR_EXPECT_STATUS(weir_submit(house->manager, pool, &spec, 1, NULL), WEIR_OK);
    await_end(house, keeper);
}

static void expect_intact(const weir_held *held, size_t bytes)
{
    WEIR_EXPECT_EQ(held->payload_bytes, bytes);
    for (size_t i = 0; i < bytes; i++) {
        WEIR_EXPECT_EQ(((const uint8_t *)held->payload)[i], 0x5a);
    }
}

WEIR_TEST(hold, keeps_the_bytes_while_later_jobs_come_and_go)
{
    static house house;
    house_open(&house, NULL);
    const weir_pool_options options = house_pool(1, NULL);
    const weir_pool_id pool = house_add_ready(&house, &options);
    static keeper keeper;
    echo_and_keep(&house, pool, &keeper, 4000);
    WEIR_EXPECT_STATUS(keeper.status, WEIR_OK);
    WEIR_EXPECT_STATUS(keeper.again, WEIR_INVALID);
    WEIR_EXPECT_EQ(house_stats(&house).held_bytes, 4096);
    for (int i = 0; i < 200; i++) { /* More than there are slots of that size. */
        house_do(&house, pool, WEIR_OPCODE_ECHO, 4000, WEIR_OUTCOME_OK);
    }
    expect_intact(&keeper.held, 4000);
    weir_held_release(&keeper.held);
    WEIR_EXPECT_NULL(keeper.held.owner);
    weir_held_release(&keeper.held); /* Of nothing: does nothing. */
    WEIR_EXPECT_EQ(house_stats(&house).held_bytes, 0);
    house_close(&house);
}

WEIR_TEST(hold, tells_the_size_of_the_slot_that_it_keeps_from_the_worker)
{
    static house house;
    house_open(&house, NULL);
    weir_pool_options options = house_pool(1, NULL);
    weir_arena_config_default(&options.arena);
    options.arena.response_class_count = 2;
    options.arena.response_class[0] = (weir_size_class){.slot_bytes = 256, .slot_count = 1};
    options.arena.response_class[1] = (weir_size_class){.slot_bytes = 4096, .slot_count = 2};
    const weir_pool_id pool = house_add_ready(&house, &options);
    static keeper keepers[3];
    echo_and_keep(&house, pool, &keepers[0], 200);
    WEIR_EXPECT_EQ(keepers[0].slot_bytes, 256);
    echo_and_keep(&house, pool, &keepers[1], 200); /* The small slot is out. */
    WEIR_EXPECT_EQ(keepers[1].slot_bytes, 4096);
    WEIR_EXPECT_EQ(house_stats(&house).held_bytes, 256 + 4096);
    echo_and_keep(&house, pool, &keepers[2], 0);
    WEIR_EXPECT_EQ(keepers[2].slot_bytes, 0);
    weir_held_release(&keepers[0].held);
    weir_held_release(&keepers[1].held);
    house_close(&house);
}

WEIR_TEST(hold, starves_the_worker_of_slots_only_until_the_release)
{
    static house house;
    house_open(&house, NULL);
    const weir_pool_options options = house_pool(1, NULL);
    const weir_pool_id pool = house_add_ready(&house, &options);
    static keeper keepers[2]; /* There are two slots of 1 MiB. */
    echo_and_keep(&house, pool, &keepers[0], 1000000);
    echo_and_keep(&house, pool, &keepers[1], 1000000);
    house_job job;
    house_send(&house, pool, &job, JOB_REPLY_BYTES, 1000000);
    house_pass(&house, 0.05);
    WEIR_EXPECT_EQ(job.ends, 0);
    weir_held_release(&keepers[0].held);
    house_expect(&job, WEIR_OUTCOME_OK);
    expect_intact(&keepers[1].held, 1000000);
    weir_held_release(&keepers[1].held);
    house_close(&house);
}

WEIR_TEST(hold, survives_the_workers_death)
{
    static house house;
    house_open(&house, NULL);
    const weir_pool_options options = house_pool(1, NULL);
    const weir_pool_id pool = house_add_ready(&house, &options);
    static keeper keeper;
    echo_and_keep(&house, pool, &keeper, 60000);
    const weir_worker_info before = house_worker(&house, 0);
    kill(before.pid, SIGKILL);
    house_await(&house, "ready", 2, NULL);
    house_do(&house, pool, WEIR_OPCODE_ECHO, 60000, WEIR_OUTCOME_OK);
    expect_intact(&keeper.held, 60000);
    WEIR_EXPECT_EQ(house_stats(&house).mappings, 4);
    weir_held_release(&keeper.held);
    WEIR_EXPECT_EQ(house_stats(&house).mappings, 2);
    WEIR_EXPECT_EQ(house_stats(&house).held_bytes, 0);
    house_close(&house);
}

WEIR_TEST(hold, survives_the_managers_destruction)
{
    static house house;
    const house_footprint before = house_measure();
    house_open(&house, NULL);
    const weir_pool_options options = house_pool(1, NULL);
    const weir_pool_id pool = house_add_ready(&house, &options);
    static keeper keepers[2];
    echo_and_keep(&house, pool, &keepers[0], 60000);
    kill(house_worker(&house, 0).pid, SIGKILL);
    house_await(&house, "ready", 2, NULL);
    echo_and_keep(&house, pool, &keepers[1], 60000);
    house_close(&house);
    for (size_t i = 0; i < 2; i++) {
        expect_intact(&keepers[i].held, 60000);
        weir_held_release(&keepers[i].held);
    }
    house_expect_same(&before);
}

WEIR_TEST(hold, ends_at_the_cap)
{
    static house house;
    const weir_manager_options manager = {.held_bytes_max = 3 * 4096};
    house_open(&house, &manager);
    const weir_pool_options options = house_pool(1, NULL);
    const weir_pool_id pool = house_add_ready(&house, &options);
    static keeper keepers[4];
    for (size_t i = 0; i < 4; i++) {
        echo_and_keep(&house, pool, &keepers[i], 4000);
        WEIR_EXPECT_STATUS(keepers[i].status, i < 3 ? WEIR_OK : WEIR_FULL);
    }
    for (size_t i = 0; i < 3; i++) {
        weir_held_release(&keepers[i].held);
    }
    house_await_slots(&house);
    house_close(&house);
}

WEIR_TEST(hold, is_refused_when_there_is_nothing_in_place)
{
    static house house;
    house_open(&house, NULL);
    const weir_pool_options options = house_pool(1, NULL);
    const weir_pool_id pool = house_add_ready(&house, &options);
    static keeper empty;
    echo_and_keep(&house, pool, &empty, 0);
    WEIR_EXPECT_STATUS(empty.status, WEIR_INVALID);

    static keeper copied;
    uint8_t buffer[100];
    const weir_job_spec spec = {
        .opcode = WEIR_OPCODE_ECHO,
        .payload_bytes = sizeof buffer,
        .fill = put_number,
        .done = keep,
        .context = &copied,
        .result_buffer = buffer,
        .result_capacity = sizeof buffer,
    };
    WEIR_EXPECT_STATUS(weir_submit(house.manager, pool, &spec, 1, NULL), WEIR_OK);
    await_end(&house, &copied);
    WEIR_EXPECT_STATUS(copied.status, WEIR_INVALID);

    static keeper rejected;
    weir_job_spec large = spec;
    large.payload_bytes = 2u << 20;
    large.context = &rejected;
    WEIR_EXPECT_STATUS(weir_submit(house.manager, pool, &large, 1, NULL), WEIR_OK);
    WEIR_EXPECT_EQ(rejected.ends, 1);
    WEIR_EXPECT_STATUS(rejected.status, WEIR_INVALID);
    house_close(&house);
}
