/* A manager inside another runtime: bounded turns by whoever comes by, processes by the host. */
#include "weir/host.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "manager/testing/hosting.h"

static weir_pool_id open_one(hosting *hosting)
{
    const weir_pool_options options = house_pool(1, NULL);
    return hosting_open(hosting, &options);
}

/* A turn of the given size by this thread, outside the host's own steps. */
static weir_status take_turn(hosting *hosting, uint32_t jobs, uint64_t bytes, weir_turn *turn)
{
    const weir_turn_limits limits = {.jobs = jobs, .bytes = bytes};
    return weir_host_turn(hosting->house.manager, &limits, turn);
}

WEIR_TEST(host, does_jobs_with_processes_that_it_starts_itself)
{
    static hosting hosting;
    const weir_pool_id pool = open_one(&hosting);
    WEIR_EXPECT_EQ(hosting.orders, 1);
    WEIR_EXPECT_EQ(house_worker(&hosting.house, 0).pid, hosting.pids[0]);
    for (uint32_t bytes = 0; bytes <= 100000; bytes = bytes * 3 + 7) {
        house_do(&hosting.house, pool, WEIR_OPCODE_ECHO, bytes, WEIR_OUTCOME_OK);
    }
    WEIR_EXPECT_EQ(house_count(&hosting.house, "output"), 0);
    hosting_close(&hosting);
}

WEIR_TEST(host, is_told_of_a_vacant_seat_once_and_fills_it_when_it_likes)
{
    static hosting hosting;
    hosting_begin(&hosting);
    hosting.is_withheld = true;
    const weir_pool_options options = house_pool(2, NULL);
    (void)hosting_add(&hosting, &options);
    house_await(&hosting.house, "vacant", 2, NULL);
    house_pass(&hosting.house, 0.6);
    WEIR_EXPECT_EQ(house_count(&hosting.house, "vacant"), 2);
    WEIR_EXPECT_EQ(hosting.orders, 0);
    hosting.is_withheld = false;
    hosting_await_ready(&hosting, 2);
    WEIR_EXPECT_EQ(hosting.orders, 2);
    WEIR_EXPECT_STATUS(weir_host_start_worker(hosting.house.manager, 0, 0), WEIR_FULL);
    WEIR_EXPECT_STATUS(weir_host_start_worker(hosting.house.manager, 0, 9), WEIR_NOT_FOUND);
    WEIR_EXPECT_STATUS(weir_host_start_worker(hosting.house.manager, 7, 0), WEIR_INVALID);
    hosting_close(&hosting);
}

/* While the memory of a life is made, which takes milliseconds, its seat still looks vacant. */
static weir_manager *impatient;

static int ask_again_and_allocate(int fd, int mode, off_t offset, off_t bytes)
{
    if (impatient != NULL) {
        (void)!weir_host_start_worker(impatient, 0, 0);
    }
    return weir_os_linux()->fallocate(fd, mode, offset, bytes);
}

WEIR_TEST(host, that_asks_twice_for_one_start_has_not_asked_for_the_next)
{
    static hosting hosting;
    weir_os_table asking = *weir_os_linux();
    asking.fallocate = ask_again_and_allocate;
    hosting_begin(&hosting);
    const weir_os_table *before = weir_os_replace(&asking);
    const weir_pool_options options = house_pool(1, NULL);
    impatient = hosting.house.manager;
    const weir_pool_id pool = hosting_add(&hosting, &options);
    hosting_await_ready(&hosting, 1);
    impatient = NULL;
    hosting.is_withheld = true;
    kill(hosting.pids[0], SIGKILL);
    house_await(&hosting.house, "exited", 1, NULL);
    house_await(&hosting.house, "vacant", 2, NULL);
    WEIR_EXPECT_EQ(hosting.orders, 1);
    hosting.is_withheld = false;
    hosting_await_ready(&hosting, 1);
    house_do(&hosting.house, pool, WEIR_OPCODE_ECHO, 10, WEIR_OUTCOME_OK);
    hosting_close(&hosting);
    (void)weir_os_replace(before);
}

WEIR_TEST(host, sees_a_worker_die_that_it_has_not_reaped_and_sends_its_jobs_again)
{
    static hosting hosting;
    static house_job jobs[20];
    const weir_pool_id pool = open_one(&hosting);
    house_job begun;
    house_hold(&hosting.house, pool, &begun);
    for (size_t i = 0; i < 20; i++) {
        house_send(&hosting.house, pool, &jobs[i], WEIR_OPCODE_ECHO, (uint32_t)(i * 100));
    }
    house_await_begun(&begun);
    kill(hosting.pids[0], SIGKILL);
    house_let_go(&begun);
    house_expect(&begun, WEIR_OUTCOME_WORKER_LOST);
    for (size_t i = 0; i < 20; i++) {
        house_expect(&jobs[i], WEIR_OUTCOME_OK);
        WEIR_EXPECT_EQ(jobs[i].sent_count, 2);
    }
    WEIR_EXPECT_EQ(house_count(&hosting.house, "vacant"), 2);
    WEIR_EXPECT_EQ(house_worker(&hosting.house, 0).restarts, 1);
    hosting_close(&hosting);
}

WEIR_TEST(host, kills_a_worker_that_hangs_through_its_own_pidfd)
{
    static hosting hosting;
    weir_pool_options options = house_pool(1, NULL);
    options.silence_ns = 700 * WEIR_NS_PER_MS;
    (void)hosting_open(&hosting, &options);
    kill(hosting.pids[0], SIGSTOP);
    house_await(&hosting.house, "silent", 1, NULL);
    house_await(&hosting.house, "ready", 2, NULL);
    WEIR_EXPECT_NE(house_worker(&hosting.house, 0).pid, hosting.pids[0]);
    hosting_close(&hosting);
}

WEIR_TEST(host, that_cannot_start_a_process_is_offered_the_seat_again)
{
    static hosting hosting;
    hosting_begin(&hosting);
    hosting.is_failing = true;
    weir_pool_options options = house_pool(1, NULL);
    options.deaths_max = 3;
    const weir_pool_id pool = hosting_add(&hosting, &options);
    house_await(&hosting.house, "quarantined", 1, NULL);
    WEIR_EXPECT_EQ(hosting.orders, 3);
    weir_error error = {{0}};
    WEIR_EXPECT_STATUS(weir_manager_await_ready(hosting.house.manager, pool, 0, &error),
                       WEIR_REFUSED);
    WEIR_EXPECT_STR_HAS(error.text, "the host has no processes left");
    WEIR_EXPECT_STATUS(weir_host_start_failed(hosting.house.manager, pool, 0, 1, "again"),
                       WEIR_NOT_FOUND);
    hosting_close(&hosting);
}

WEIR_TEST(host, gets_the_seat_back_when_a_process_never_connects)
{
    static hosting hosting;
    hosting_begin(&hosting);
    hosting.is_forgetful = true;
    weir_pool_options options = house_pool(1, NULL);
    options.start_timeout_ns = 100 * WEIR_NS_PER_MS;
    const weir_pool_id pool = hosting_add(&hosting, &options);
    house_await_text(&hosting.house, "refused", "no READY in time; its process never came");
    hosting.is_forgetful = false;
    hosting_await_ready(&hosting, 1);
    house_do(&hosting.house, pool, WEIR_OPCODE_ECHO, 10, WEIR_OUTCOME_OK);
    hosting_close(&hosting);
}

WEIR_TEST(host, takes_no_more_jobs_in_a_turn_than_it_wants)
{
    static hosting hosting;
    static house_job jobs[40];
    const weir_pool_id pool = open_one(&hosting);
    for (size_t i = 0; i < 40; i++) {
        house_send(&hosting.house, pool, &jobs[i], WEIR_OPCODE_ECHO, 100);
    }
    house_await_published(&hosting.house, 40);
    weir_turn turn;
    WEIR_EXPECT_STATUS(take_turn(&hosting, 7, 1 << 20, &turn), WEIR_OK);
    WEIR_EXPECT_EQ(turn.jobs, 7);
    WEIR_EXPECT_EQ(turn.outstanding, 33);
    WEIR_EXPECT_TRUE(turn.has_more);
    WEIR_EXPECT_STATUS(take_turn(&hosting, 64, 1 << 20, &turn), WEIR_OK);
    WEIR_EXPECT_EQ(turn.outstanding, 0);
    WEIR_EXPECT_FALSE(turn.has_more);
    for (size_t i = 0; i < 40; i++) {
        house_expect(&jobs[i], WEIR_OUTCOME_OK);
        WEIR_EXPECT_TRUE(jobs[i].is_reply_right);
    }
    hosting_close(&hosting);
}

WEIR_TEST(host, takes_no_more_bytes_in_a_turn_than_it_wants)
{
    static hosting hosting;
    static house_job jobs[3];
    const weir_pool_id pool = open_one(&hosting);
    for (size_t i = 0; i < 3; i++) {
        house_send(&hosting.house, pool, &jobs[i], WEIR_OPCODE_ECHO, 50000);
    }
    house_await_published(&hosting.house, 3);
    weir_turn turn;
    WEIR_EXPECT_STATUS(take_turn(&hosting, 64, 100000, &turn), WEIR_OK);
    WEIR_EXPECT_EQ(turn.outstanding, 1);
    WEIR_EXPECT_TRUE(turn.has_more);
    (void)take_turn(&hosting, 64, 49999, &turn);
    WEIR_EXPECT_EQ(turn.outstanding, 1);
    WEIR_EXPECT_TRUE(turn.needs_long);
    WEIR_EXPECT_FALSE(turn.has_more);
    WEIR_EXPECT_STATUS(take_turn(&hosting, 64, 50000, &turn), WEIR_OK);
    WEIR_EXPECT_EQ(turn.outstanding, 0);
    for (size_t i = 0; i < 3; i++) {
        house_expect(&jobs[i], WEIR_OUTCOME_OK);
        WEIR_EXPECT_TRUE(jobs[i].is_reply_right);
    }
    hosting_close(&hosting);
}

WEIR_TEST(host, sends_a_deferred_job_only_in_a_turn_that_has_the_bytes)
{
    static hosting hosting;
    hosting_begin(&hosting);
    hosting.is_withheld = true;
    const weir_pool_options options = house_pool(1, NULL);
    const weir_pool_id pool = hosting_add(&hosting, &options);
    house_await(&hosting.house, "vacant", 1, NULL);
    WEIR_EXPECT_STATUS(weir_manager_poll(hosting.house.manager, 0), WEIR_INVALID);
    house_job job;
    house_send(&hosting.house, pool, &job, WEIR_OPCODE_ECHO, 60000);
    hosting.bytes = 59999;
    hosting.is_withheld = false;
    house_expect(&job, WEIR_OUTCOME_OK);
    WEIR_EXPECT_TRUE(job.is_reply_right);
    WEIR_EXPECT_GT(hosting.long_turns, 0);
    hosting_close(&hosting);
}

WEIR_TEST(host, finds_the_descriptor_readable_when_a_reply_comes_while_it_is_parked)
{
    static hosting hosting;
    const weir_pool_id pool = open_one(&hosting);
    for (int i = 0; i < 200; i++) {
        house_job job;
        weir_turn turn;
        while (weir_host_park(hosting.house.manager, &turn) != WEIR_OK) {
            const weir_turn_limits limits = {.jobs = 64, .bytes = 1 << 20, .may_take_long = true};
            (void)!weir_host_turn(hosting.house.manager, &limits, &turn);
        }
        house_send(&hosting.house, pool, &job, WEIR_OPCODE_ECHO, 64);
        struct pollfd ready = {.fd = weir_host_descriptor(hosting.house.manager), .events = POLLIN};
        WEIR_EXPECT_EQ(poll(&ready, 1, HOUSE_PATIENCE_S * 1000), 1);
        WEIR_EXPECT_STATUS(weir_host_unpark(hosting.house.manager), WEIR_OK);
        WEIR_EXPECT_EQ(poll(&ready, 1, 0), 0);
        house_expect(&job, WEIR_OUTCOME_OK);
    }
    hosting_close(&hosting);
}

WEIR_TEST(host, parks_only_when_there_is_nothing_to_take_in)
{
    static hosting hosting;
    const weir_pool_id pool = open_one(&hosting);
    house_job job;
    house_send(&hosting.house, pool, &job, WEIR_OPCODE_ECHO, 64);
    house_await_published(&hosting.house, 1);
    weir_turn turn;
    WEIR_EXPECT_STATUS(weir_host_park(hosting.house.manager, &turn), WEIR_FULL);
    WEIR_EXPECT_EQ(turn.outstanding, 1);
    house_expect(&job, WEIR_OUTCOME_OK);
    hosting_close(&hosting);
}

WEIR_TEST(host, replaces_every_worker_in_a_reload_without_losing_a_job)
{
    static hosting hosting;
    static house_job jobs[60];
    const weir_pool_options options = house_pool(2, NULL);
    const weir_pool_id pool = hosting_open(&hosting, &options);
    weir_error error = {{0}};
    WEIR_EXPECT_STATUS(weir_manager_reload(hosting.house.manager, pool, 0, &error), WEIR_TIMEOUT);
    for (size_t i = 0; i < 60; i++) {
        house_send(&hosting.house, pool, &jobs[i], JOB_SLEEP, 3);
        house_pass(&hosting.house, 0.005);
    }
    house_await(&hosting.house, "reloaded", 1, NULL);
    for (size_t i = 0; i < 60; i++) {
        house_expect(&jobs[i], WEIR_OUTCOME_OK);
    }
    WEIR_EXPECT_EQ(hosting.orders, 4);
    WEIR_EXPECT_EQ(house_count(&hosting.house, "exited"), 0);
    hosting_close(&hosting);
}

WEIR_TEST(host, ends_a_job_at_its_deadline_and_says_when_that_will_be)
{
    static hosting hosting;
    const weir_pool_id pool = open_one(&hosting);
    house_job job;
    house_make_held(&hosting.house, &job);
    weir_job_spec spec = house_spec(&job);
    spec.deadline_ns = weir_deadline_in(30 * WEIR_NS_PER_MS);
    house_submit(pool, &job, &spec);
    weir_turn turn;
    (void)take_turn(&hosting, 64, 1 << 20, &turn);
    WEIR_EXPECT_LE(turn.next_ns, spec.deadline_ns);
    house_expect(&job, WEIR_OUTCOME_TIMEOUT);
    house_let_go(&job);
    hosting_close(&hosting);
}

WEIR_TEST(host, functions_refuse_a_manager_with_a_thread_of_its_own)
{
    static house house;
    house_open(&house, NULL);
    const weir_turn_limits limits = {.jobs = 64, .bytes = 1 << 20};
    weir_turn turn;
    WEIR_EXPECT_STATUS(weir_host_turn(house.manager, &limits, &turn), WEIR_INVALID);
    WEIR_EXPECT_STATUS(weir_host_park(house.manager, &turn), WEIR_INVALID);
    WEIR_EXPECT_STATUS(weir_host_unpark(house.manager), WEIR_INVALID);
    WEIR_EXPECT_STATUS(weir_host_start_worker(house.manager, 0, 0), WEIR_INVALID);
    house_close(&house);
}

/* ---- many threads */

typedef struct crowd {
    hosting *hosting;
    weir_pool_id pool;
    _Atomic uint32_t is_over;
    _Atomic uint64_t turns;
    _Atomic uint64_t missed;
} crowd;

static void *submit_and_turn(void *context)
{
    crowd *crowd = context;
    house_job job;
    for (int i = 0; i < HOUSE_ROUNDS(2000); i++) {
        house_send(&crowd->hosting->house, crowd->pool, &job, WEIR_OPCODE_ECHO,
                   (uint32_t)(i % 300));
        while (atomic_load(&job.ends) == 0) {
            weir_turn turn;
            if (take_turn(crowd->hosting, 5, 1 << 20, &turn) == WEIR_FULL) {
                atomic_fetch_add(&crowd->missed, 1);
            }
            atomic_fetch_add(&crowd->turns, 1);
        }
        if (job.outcome != WEIR_OUTCOME_OK || !job.is_reply_right) {
            return crowd;
        }
    }
    return NULL;
}

WEIR_TEST(host, lets_any_thread_take_a_turn_while_others_submit)
{
    static hosting hosting;
    static crowd crowd;
    crowd = (struct crowd){.hosting = &hosting, .pool = open_one(&hosting)};
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++) {
        WEIR_EXPECT_EQ(pthread_create(&threads[i], NULL, submit_and_turn, &crowd), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        void *wrong = NULL;
        WEIR_EXPECT_EQ(pthread_join(threads[i], &wrong), 0);
        WEIR_EXPECT_NULL(wrong);
    }
    printf("# %llu turns, %llu found taken\n", (unsigned long long)crowd.turns,
           (unsigned long long)crowd.missed);
    hosting_close(&hosting);
}
