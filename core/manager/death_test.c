/* Workers that die, hang, stop or leave: what becomes of their jobs, and who comes after them. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "manager/testing/house.h"

static house_job make_marking(house *house, uint16_t opcode, const char *path)
{
    house_job job = house_make(house, opcode, 0);
    job.string = path;
    return job;
}

static void open_one(house *house, weir_pool_id *pool)
{
    house_open(house, NULL);
    const weir_pool_options options = house_pool(1, NULL);
    *pool = house_add_ready(house, &options);
}

static void make_path(const house *house, char *path, size_t bytes)
{
    snprintf(path, bytes, "%s.marks", house->directory);
}

WEIR_TEST(death, of_an_idle_worker_is_followed_by_a_new_one)
{
    static house house;
    weir_pool_id pool;
    open_one(&house, &pool);
    const weir_worker_info before = house_worker(&house, 0);
    kill(before.pid, SIGKILL);
    house_event exited;
    house_await(&house, "exited", 1, &exited);
    WEIR_EXPECT_STR_HAS(exited.text, "by signal 9");
    house_await(&house, "ready", 2, NULL);
    const weir_worker_info after = house_worker(&house, 0);
    WEIR_EXPECT_NE(after.pid, before.pid);
    WEIR_EXPECT_GT(after.generation, before.generation);
    WEIR_EXPECT_EQ(after.restarts, 1);
    house_do(&house, pool, WEIR_OPCODE_ECHO, 100, WEIR_OUTCOME_OK);
    house_close(&house);
}

WEIR_TEST(death, sends_jobs_again_that_were_not_begun)
{
    static house house;
    static house_job jobs[20];
    weir_pool_id pool;
    open_one(&house, &pool);
    house_job begun;
    house_hold(&house, pool, &begun);
    for (size_t i = 0; i < 20; i++) {
        house_send(&house, pool, &jobs[i], WEIR_OPCODE_ECHO, (uint32_t)(i * 3000));
    }
    house_await_begun(&begun);
    kill(house_worker(&house, 0).pid, SIGKILL);
    house_let_go(&begun);
    house_expect(&begun, WEIR_OUTCOME_WORKER_LOST);
    for (size_t i = 0; i < 20; i++) {
        house_expect(&jobs[i], WEIR_OUTCOME_OK);
        WEIR_EXPECT_LE(jobs[i].fills, 1); /* Sent again from where it was written. */
    }
    const weir_manager_stats stats = house_stats(&house);
    WEIR_EXPECT_GE(stats.resent, 1);
    WEIR_EXPECT_EQ(stats.mappings, 2);
    house_close(&house);
}

WEIR_TEST(death, lets_an_idempotent_job_begin_three_times_and_no_more)
{
    static house house;
    weir_pool_id pool;
    char path[128];
    open_one(&house, &pool);
    make_path(&house, path, sizeof path);
    house_job job = make_marking(&house, JOB_MARK_AND_DIE, path);
    weir_job_spec spec = house_spec(&job);
    spec.idempotent = true;
    house_submit(pool, &job, &spec);
    house_expect(&job, WEIR_OUTCOME_WORKER_LOST);
    WEIR_EXPECT_EQ(job.sent_count, 3);
    WEIR_EXPECT_EQ(house_file_bytes(path), 3);
    house_do(&house, pool, WEIR_OPCODE_ECHO, 10, WEIR_OUTCOME_OK);
    unlink(path);
    house_close(&house);
}

WEIR_TEST(death, never_repeats_a_begun_job_that_is_not_idempotent)
{
    static house house;
    static house_job jobs[5];
    weir_pool_id pool;
    char path[128];
    open_one(&house, &pool);
    make_path(&house, path, sizeof path);
    for (size_t i = 0; i < 5; i++) {
        jobs[i] = make_marking(&house, JOB_MARK_AND_DIE, path);
        const weir_job_spec spec = house_spec(&jobs[i]);
        house_submit(pool, &jobs[i], &spec);
    }
    for (size_t i = 0; i < 5; i++) {
        house_expect(&jobs[i], WEIR_OUTCOME_WORKER_LOST);
    }
    WEIR_EXPECT_EQ(house_file_bytes(path), 5);
    unlink(path);
    house_close(&house);
}

/* Each echo before the fatal job was published, or is repeated; none is lost with the worker. */
WEIR_TEST(death, takes_in_first_what_was_published)
{
    static house house;
    static house_job jobs[64];
    weir_pool_id pool;
    char path[128];
    open_one(&house, &pool);
    make_path(&house, path, sizeof path);
    for (size_t i = 0; i < 63; i++) {
        jobs[i] = make_marking(&house, JOB_MARK, path);
        const weir_job_spec spec = house_spec(&jobs[i]);
        house_submit(pool, &jobs[i], &spec);
    }
    house_send(&house, pool, &jobs[63], JOB_SIGNAL, SIGSEGV);
    house_expect(&jobs[63], WEIR_OUTCOME_WORKER_LOST);
    house_settle(&house);
    size_t ok = 0;
    size_t lost = 0;
    for (size_t i = 0; i < 63; i++) {
        ok += jobs[i].outcome == WEIR_OUTCOME_OK;
        lost += jobs[i].outcome == WEIR_OUTCOME_WORKER_LOST;
    }
    WEIR_EXPECT_EQ(ok + lost, 63);
    WEIR_EXPECT_EQ(house_file_bytes(path), 63); /* Nothing was done twice. */
    unlink(path);
    house_close(&house);
}

WEIR_TEST(death, under_random_kills_each_job_ends_once)
{
    static house house;
    static house_job jobs[3000];
    const uint32_t count = HOUSE_ROUNDS(3000);
    uint64_t random = weir_test_seed();
    house_open(&house, NULL);
    weir_pool_options options = house_pool(2, NULL);
    options.policy = WEIR_ROOM_DEFER;
    options.deferred_max = 4000;
    options.deaths_max = 10000;
    const weir_pool_id pool = house_add_ready(&house, &options);
    for (uint32_t i = 0; i < count; i++) {
        jobs[i] = house_make(&house, WEIR_OPCODE_ECHO, (uint32_t)house_random(&random) % 9000);
        weir_job_spec spec = house_spec(&jobs[i]);
        spec.idempotent = i % 2 == 0;
        house_submit(pool, &jobs[i], &spec);
        if (house_random(&random) % 100 == 0) {
            const weir_worker_info worker = house_worker(&house, house_random(&random) % 2);
            if (worker.pid > 0 && worker.state == WEIR_SEAT_READY) {
                kill(worker.pid, SIGKILL);
            }
        }
    }
    house_settle(&house);
    for (uint32_t i = 0; i < count; i++) {
        WEIR_EXPECT_EQ(jobs[i].ends, 1);
        WEIR_EXPECT_TRUE(jobs[i].is_reply_right);
        WEIR_EXPECT_TRUE(jobs[i].outcome == WEIR_OUTCOME_OK ||
                         jobs[i].outcome == WEIR_OUTCOME_WORKER_LOST);
    }
    WEIR_EXPECT_GT(house_stats(&house).restarts, 0);
    WEIR_EXPECT_EQ(house_stats(&house).protocol_errors, 0);
    house_close(&house);
}

WEIR_TEST(death, by_exit_0_in_a_routine_is_a_death_like_any_other)
{
    static house house;
    weir_pool_id pool;
    open_one(&house, &pool);
    house_do(&house, pool, JOB_EXIT, 0, WEIR_OUTCOME_WORKER_LOST);
    house_event exited;
    house_await(&house, "exited", 1, &exited);
    WEIR_EXPECT_STR_HAS(exited.text, "with status 0");
    house_do(&house, pool, WEIR_OPCODE_ECHO, 10, WEIR_OUTCOME_OK);
    house_close(&house);
}

WEIR_TEST(death, at_the_first_start_is_followed_by_a_second_that_works)
{
    static house house;
    char path[128];
    house_open(&house, NULL);
    make_path(&house, path, sizeof path);
    const char *const arguments[] = {"--crash-first", path, NULL};
    const weir_pool_options options = house_pool(1, arguments);
    const weir_pool_id pool = house_add_ready(&house, &options);
    WEIR_EXPECT_EQ(house_worker(&house, 0).restarts, 1);
    house_do(&house, pool, WEIR_OPCODE_ECHO, 10, WEIR_OUTCOME_OK);
    unlink(path);
    house_close(&house);
}

WEIR_TEST(death, again_and_again_ends_in_quarantine_and_the_jobs_with_a_reason)
{
    static house house;
    static house_job jobs[10];
    house_open(&house, NULL);
    weir_pool_options options = house_pool(1, NULL);
    options.policy = WEIR_ROOM_DEFER;
    options.deaths_max = 3;
    const weir_pool_id pool = house_add_ready(&house, &options);
    for (size_t i = 0; i < 10; i++) {
        house_send(&house, pool, &jobs[i], JOB_SIGNAL, SIGKILL);
    }
    house_settle(&house);
    for (size_t i = 0; i < 10; i++) {
        WEIR_EXPECT_EQ(jobs[i].outcome, i < 3 || jobs[i].sent_count > 0 ? WEIR_OUTCOME_WORKER_LOST
                                                                        : WEIR_OUTCOME_UNSUPPORTED);
    }
    WEIR_EXPECT_EQ(house_count(&house, "quarantined"), 1);
    WEIR_EXPECT_EQ(house_worker(&house, 0).state, WEIR_SEAT_QUARANTINED);
    weir_error error = {{0}};
    WEIR_EXPECT_STATUS(weir_manager_await_ready(house.manager, pool, weir_test_deadline(5), &error),
                       WEIR_REFUSED);
    house_close(&house);
}

WEIR_TEST(death, waits_longer_each_time_with_jitter_from_the_seed_and_forgets_when_stable)
{
    static house house;
    uint64_t delays[2][5];
    for (size_t round = 0; round < 2; round++) {
        const weir_manager_options manager = {.seed = 42};
        house_open(&house, &manager);
        weir_pool_options options = house_pool(1, NULL);
        options.backoff_first_ns = 8 * WEIR_NS_PER_MS;
        options.backoff_max_ns = 64 * WEIR_NS_PER_MS;
        options.stable_ns = 1000 * WEIR_NS_PER_SECOND;
        (void)house_add_ready(&house, &options);
        for (size_t i = 0; i < 5; i++) {
            kill(house_await_state(&house, 0, WEIR_SEAT_READY).pid, SIGKILL);
            house_event event;
            house_await(&house, "restarting", i + 1, &event);
            unsigned long long ms = 0;
            WEIR_EXPECT_EQ(sscanf(event.text, "next start in %llu", &ms), 1);
            delays[round][i] = ms;
            house_await(&house, "ready", i + 2, NULL);
        }
        house_close(&house);
    }
    bool is_jittered = false;
    for (size_t i = 0; i < 5; i++) {
        const uint64_t full = i < 3 ? UINT64_C(8) << i : 64;
        is_jittered |= delays[0][i] < full - 1;
        WEIR_EXPECT_EQ(delays[0][i], delays[1][i]); /* The same seed. */
        WEIR_EXPECT_GE(delays[0][i], full / 2 - 1);
        WEIR_EXPECT_LE(delays[0][i], full);
    }
    WEIR_EXPECT_TRUE(is_jittered);
}

WEIR_TEST(death, after_a_stable_time_begins_the_backoff_anew)
{
    static house house;
    house_open(&house, NULL);
    weir_pool_options options = house_pool(1, NULL);
    options.backoff_first_ns = 4 * WEIR_NS_PER_MS;
    options.backoff_max_ns = 4000 * WEIR_NS_PER_MS;
    options.stable_ns = 1;
    options.deaths_max = 2;
    (void)house_add_ready(&house, &options);
    for (size_t i = 0; i < 8; i++) {
        kill(house_await_state(&house, 0, WEIR_SEAT_READY).pid, SIGKILL);
        house_event event;
        house_await(&house, "restarting", i + 1, &event);
        unsigned long long ms = 0;
        WEIR_EXPECT_EQ(sscanf(event.text, "next start in %llu", &ms), 1);
        WEIR_EXPECT_LE(ms, 4);
        house_await(&house, "ready", i + 2, NULL);
    }
    WEIR_EXPECT_EQ(house_count(&house, "quarantined"), 0);
    house_close(&house);
}
