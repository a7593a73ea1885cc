/* Workers that live and do not work: stopped, looping, cut off, told to leave; and reloads. */
#include <signal.h>

#include "manager/testing/house.h"

WEIR_TEST(hang, of_a_stopped_process_is_silence_and_its_later_continuation_has_no_effect)
{
    static house house;
    house_open(&house, NULL);
    weir_pool_options options = house_pool(1, NULL);
    options.silence_ns = 1500 * WEIR_NS_PER_MS;
    const weir_pool_id pool = house_add_ready(&house, &options);
    const weir_worker_info before = house_worker(&house, 0);
    house_job job;
    kill(before.pid, SIGSTOP);
    house_send(&house, pool, &job, WEIR_OPCODE_ECHO, 100);
    house_event silent;
    house_await(&house, "silent", 1, &silent);
    WEIR_EXPECT_EQ(silent.pid, before.pid);
    kill(before.pid, SIGCONT);
    house_expect(&job, WEIR_OUTCOME_OK); /* Not begun: sent again. */
    WEIR_EXPECT_EQ(job.sent_count, 2);
    WEIR_EXPECT_NE(house_worker(&house, 0).pid, before.pid);
    WEIR_EXPECT_EQ(kill(before.pid, 0), -1);
    WEIR_EXPECT_EQ(house_stats(&house).stray_replies, 0);
    house_close(&house);
}

WEIR_TEST(hang, in_a_busy_loop_past_the_deadline_is_stuck)
{
    static house house;
    house_open(&house, NULL);
    weir_pool_options options = house_pool(1, NULL);
    options.stuck_ns = 200 * WEIR_NS_PER_MS;
    const weir_pool_id pool = house_add_ready(&house, &options);
    const weir_worker_info before = house_worker(&house, 0);
    house_job job = house_make(&house, JOB_BUSY, 0);
    weir_job_spec spec = house_spec(&job);
    spec.deadline_ns = weir_deadline_in(50 * WEIR_NS_PER_MS);
    house_submit(pool, &job, &spec);
    house_job next;
    house_send(&house, pool, &next, WEIR_OPCODE_ECHO, 10);
    house_expect(&job, WEIR_OUTCOME_TIMEOUT);
    house_expect(&next, WEIR_OUTCOME_OK);
    WEIR_EXPECT_EQ(house_count(&house, "stuck"), 1);
    WEIR_EXPECT_NE(house_worker(&house, 0).pid, before.pid);
    house_close(&house);
}

WEIR_TEST(hang, behind_another_late_job_is_stuck_as_well)
{
    static house house;
    house_open(&house, NULL);
    weir_pool_options options = house_pool(1, NULL);
    options.stuck_ns = 800 * WEIR_NS_PER_MS;
    const weir_pool_id pool = house_add_ready(&house, &options);
    house_job late;
    house_make_held(&house, &late);
    house_job busy = house_make(&house, JOB_BUSY, 0);
    weir_job_spec spec = house_spec(&late);
    const uint64_t begin_ns = weir_os()->clock_ns();
    spec.deadline_ns = begin_ns + 20 * WEIR_NS_PER_MS;
    house_submit(pool, &late, &spec);
    spec = house_spec(&busy);
    spec.deadline_ns = begin_ns + 1200 * WEIR_NS_PER_MS;
    house_submit(pool, &busy, &spec);
    house_expect(&late, WEIR_OUTCOME_TIMEOUT);
    house_let_go(&late);
    house_expect(&busy, WEIR_OUTCOME_TIMEOUT);
    house_await(&house, "stuck", 1, NULL);
    house_do(&house, pool, WEIR_OPCODE_ECHO, 10, WEIR_OUTCOME_OK);
    house_close(&house);
}

WEIR_TEST(hang, is_not_a_long_job_that_reports_progress)
{
    static house house;
    house_open(&house, NULL);
    weir_pool_options options = house_pool(1, NULL);
    options.stuck_ns = 600 * WEIR_NS_PER_MS;
    const weir_pool_id pool = house_add_ready(&house, &options);
    house_job job = house_make(&house, JOB_PROGRESS, 1600);
    weir_job_spec spec = house_spec(&job);
    spec.deadline_ns = weir_deadline_in(20 * WEIR_NS_PER_MS);
    house_submit(pool, &job, &spec);
    house_expect(&job, WEIR_OUTCOME_TIMEOUT);
    house_do(&house, pool, WEIR_OPCODE_ECHO, 10, WEIR_OUTCOME_OK);
    WEIR_EXPECT_EQ(house_count(&house, "stuck"), 0);
    WEIR_EXPECT_EQ(house_stats(&house).restarts, 0);
    house_close(&house);
}

/* Replies that lie in the ring when their deadline passes leave a worker that then has nothing to
 * do. More than a batch of them, so that some are found late before they are found answered. */
WEIR_TEST(hang, is_not_an_idle_worker_whose_answers_were_taken_late)
{
    static house house;
    static house_job jobs[100];
    const weir_manager_options manager = {.without_thread = true};
    house_open(&house, &manager);
    weir_pool_options options = house_pool(1, NULL);
    options.stuck_ns = 500 * WEIR_NS_PER_MS;
    const weir_pool_id pool = house_add_ready(&house, &options);
    const uint64_t deadline_ns = weir_deadline_in(100 * WEIR_NS_PER_MS);
    for (size_t i = 0; i < 100; i++) {
        jobs[i] = house_make(&house, WEIR_OPCODE_ECHO, 10);
        weir_job_spec spec = house_spec(&jobs[i]);
        spec.deadline_ns = deadline_ns;
        house_submit(pool, &jobs[i], &spec);
    }
    /* Nobody polls meanwhile. */
    const uint64_t patience_ns = weir_test_deadline(HOUSE_PATIENCE_S);
    while ((house_worker(&house, 0).jobs_ok < 100 || weir_os()->clock_ns() < deadline_ns) &&
           weir_os()->clock_ns() < patience_ns) {
        weir_os()->sleep_until(weir_deadline_in(5 * WEIR_NS_PER_MS));
    }
    house_settle(&house);
    WEIR_EXPECT_GT(house_stats(&house).outcomes[WEIR_OUTCOME_TIMEOUT], 0);
    house_pass(&house, 1.2); /* Long enough for the worker to count as stuck. */
    WEIR_EXPECT_EQ(house_count(&house, "stuck"), 0);
    WEIR_EXPECT_EQ(house_stats(&house).restarts, 0);
    house_close(&house);
}

WEIR_TEST(hang, of_a_worker_that_closed_its_socket_ends_by_fencing)
{
    static house house;
    house_open(&house, NULL);
    const weir_pool_options options = house_pool(1, NULL);
    const weir_pool_id pool = house_add_ready(&house, &options);
    house_do(&house, pool, JOB_CLOSE_SOCKET, 0, WEIR_OUTCOME_WORKER_LOST);
    house_event fenced;
    house_await(&house, "fenced", 1, &fenced);
    WEIR_EXPECT_STR_HAS(fenced.text, "closed its control socket");
    house_do(&house, pool, WEIR_OPCODE_ECHO, 10, WEIR_OUTCOME_OK);
    house_close(&house);
}

/* ---- leaving in good order */

typedef struct load {
    house *house;
    weir_pool_id pool;
    uint32_t count;
    house_job *jobs;
    _Atomic uint32_t should_stop;
} load;

/* Fewer than may be deferred: on a machine that stands still for a while, more would rightly be
 * rejected. */
#define LOAD_OUTSTANDING_MAX 3000

static void *keep_sending(void *context)
{
    load *load = context;
    uint32_t i = 0;
    while (atomic_load(&load->should_stop) == 0 && i < load->count) {
        house_send(load->house, load->pool, &load->jobs[i], WEIR_OPCODE_ECHO, i % 3000);
        i++;
        while (i % 16 == 0) {
            weir_os()->sleep_until(weir_deadline_in(300 * WEIR_NS_PER_US));
            /* Nobody may be left who would work the backlog off. */
            if (atomic_load(&load->should_stop) != 0 ||
                load->house->submitted - load->house->ended < LOAD_OUTSTANDING_MAX) {
                break;
            }
        }
    }
    load->count = i;
    return NULL;
}

static void expect_all_ok(house *house, const load *load)
{
    house_settle(house);
    for (uint32_t i = 0; i < load->count; i++) {
        WEIR_EXPECT_STR_EQ(weir_outcome_name(load->jobs[i].outcome), "ok");
        WEIR_EXPECT_TRUE(load->jobs[i].is_reply_right);
    }
    WEIR_EXPECT_GT(load->count, 0);
}

static house_job load_jobs[40000];

static void reload_under_load(uint32_t workers, bool without_thread)
{
    static house house;
    const weir_manager_options manager = {.without_thread = without_thread};
    house_open(&house, &manager);
    weir_pool_options options = house_pool(workers, NULL);
    options.policy = WEIR_ROOM_DEFER;
    options.deferred_max = 4000;
    const weir_pool_id pool = house_add_ready(&house, &options);
    weir_worker_info before[8];
    weir_worker_info after[8];
    WEIR_EXPECT_EQ(weir_manager_read_workers(house.manager, before, 8), workers);
    load load = {.house = &house, .pool = pool, .count = 40000, .jobs = load_jobs};
    pthread_t thread;
    WEIR_EXPECT_EQ(pthread_create(&thread, NULL, keep_sending, &load), 0);
    house_pass(&house, 0.02);
    weir_error error = {{0}};
    WEIR_EXPECT_STATUS(weir_manager_reload(house.manager, pool, weir_test_deadline(20), &error),
                       WEIR_OK);
    house_pass(&house, 0.02);
    atomic_store(&load.should_stop, 1);
    pthread_join(thread, NULL);
    expect_all_ok(&house, &load);
    WEIR_EXPECT_EQ(weir_manager_read_workers(house.manager, after, 8), workers);
    for (uint32_t i = 0; i < workers; i++) {
        WEIR_EXPECT_EQ(after[i].state, WEIR_SEAT_READY);
        for (uint32_t k = 0; k < workers; k++) {
            WEIR_EXPECT_NE(after[i].pid, before[k].pid);
        }
    }
    WEIR_EXPECT_EQ(house_count(&house, "reloaded"), 1);
    WEIR_EXPECT_EQ(house_stats(&house).outcomes[WEIR_OUTCOME_WORKER_LOST], 0);
    house_close(&house);
}

WEIR_TEST(reload, of_one_worker_under_load_loses_no_job)
{
    reload_under_load(1, false);
}

WEIR_TEST(reload, of_two_workers_under_load_loses_no_job)
{
    reload_under_load(2, false);
}

WEIR_TEST(reload, of_three_workers_without_own_thread_loses_no_job)
{
    reload_under_load(3, true);
}

WEIR_TEST(reload, twice_and_again_at_rest_works)
{
    static house house;
    house_open(&house, NULL);
    const weir_pool_options options = house_pool(2, NULL);
    const weir_pool_id pool = house_add_ready(&house, &options);
    for (int i = 0; i < 3; i++) {
        weir_error error = {{0}};
        WEIR_EXPECT_STATUS(weir_manager_reload(house.manager, pool, weir_test_deadline(20), &error),
                           WEIR_OK);
        house_do(&house, pool, WEIR_OPCODE_ECHO, 10, WEIR_OUTCOME_OK);
    }
    WEIR_EXPECT_EQ(house_stats(&house).mappings, 4);
    weir_error error = {{0}};
    WEIR_EXPECT_STATUS(weir_manager_reload(house.manager, 9, 0, &error), WEIR_INVALID);
    WEIR_EXPECT_STATUS(weir_manager_drain(house.manager, weir_test_deadline(5)), WEIR_OK);
    WEIR_EXPECT_STATUS(weir_manager_reload(house.manager, pool, 0, &error), WEIR_CLOSED);
    house_close(&house);
}

WEIR_TEST(reload, drains_nobody_before_the_replacement_serves)
{
    static house house;
    house_open(&house, NULL);
    const weir_pool_options options = house_pool(1, NULL);
    const weir_pool_id pool = house_add_ready(&house, &options);
    weir_error error = {{0}};
    WEIR_EXPECT_STATUS(weir_manager_reload(house.manager, pool, weir_test_deadline(20), &error),
                       WEIR_OK);
    house_event ready;
    house_event draining;
    house_await(&house, "ready", 2, &ready);
    house_await(&house, "draining", 1, &draining);
    WEIR_EXPECT_LE(ready.time_ns, draining.time_ns);
    house_close(&house);
}

WEIR_TEST(reload, replaces_a_worker_that_has_died_for_good)
{
    static house house;
    house_open(&house, NULL);
    weir_pool_options options = house_pool(2, NULL);
    options.deaths_max = 1;
    const weir_pool_id pool = house_add_ready(&house, &options);
    kill(house_worker(&house, 0).pid, SIGKILL);
    house_await(&house, "quarantined", 1, NULL);
    weir_error error = {{0}};
    WEIR_EXPECT_STATUS(weir_manager_reload(house.manager, pool, weir_test_deadline(20), &error),
                       WEIR_OK);
    WEIR_EXPECT_STATUS(
        weir_manager_await_ready(house.manager, pool, weir_test_deadline(20), &error), WEIR_OK);
    house_do(&house, pool, WEIR_OPCODE_ECHO, 10, WEIR_OUTCOME_OK);
    house_close(&house);
}

WEIR_TEST(reload, asked_for_by_sigterm_under_load_loses_no_job)
{
    static house house;
    house_open(&house, NULL);
    weir_pool_options options = house_pool(2, NULL);
    options.policy = WEIR_ROOM_DEFER;
    options.deferred_max = 4000;
    options.deaths_max = 2;
    const weir_pool_id pool = house_add_ready(&house, &options);
    load load = {.house = &house, .pool = pool, .count = 40000, .jobs = load_jobs};
    pthread_t thread;
    WEIR_EXPECT_EQ(pthread_create(&thread, NULL, keep_sending, &load), 0);
    for (size_t i = 0; i < 4; i++) {
        house_pass(&house, 0.02);
        const uint32_t seat = (uint32_t)(i % 2);
        kill(house_await_state(&house, seat, WEIR_SEAT_READY).pid, SIGTERM);
        house_await(&house, "stopped", i + 1, NULL);
        house_await_state(&house, seat, WEIR_SEAT_READY);
    }
    atomic_store(&load.should_stop, 1);
    pthread_join(thread, NULL);
    expect_all_ok(&house, &load);
    WEIR_EXPECT_EQ(house_count(&house, "exited"), 0); /* Leaving is no death. */
    WEIR_EXPECT_EQ(house_count(&house, "quarantined"), 0);
    house_close(&house);
}
