/* What becomes of the jobs of a worker that is gone: which are taken in, which are sent again, in
 * which order. */
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channel/testing/liar.h"
#include "manager/testing/house.h"

/* Until the process has ended and only its parent has not yet asked why. */
static void await_zombie(pid_t pid)
{
    const uint64_t deadline_ns = weir_test_deadline(HOUSE_PATIENCE_S);
    siginfo_t info = {0};
    while (info.si_pid != pid && weir_os()->clock_ns() < deadline_ns) {
        WEIR_EXPECT_EQ(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT), 0);
        usleep(1000);
    }
    WEIR_EXPECT_EQ(info.si_pid, pid);
}

/* More replies than the loop takes in at once lie in the ring when the death is seen, and none of
 * these jobs may be repeated. */
WEIR_TEST(recovery, takes_in_every_reply_that_was_published_before_the_death)
{
    static house house;
    static house_job jobs[200];
    char path[128];
    const weir_manager_options manager = {.without_thread = true};
    house_open(&house, &manager);
    weir_pool_options options = house_pool(1, NULL);
    options.in_flight_max = 200;
    const weir_pool_id pool = house_add_ready(&house, &options);
    snprintf(path, sizeof path, "%s.marks", house.directory);
    for (size_t i = 0; i < 200; i++) {
        jobs[i] = house_make(&house, JOB_MARK, 0);
        jobs[i].string = path;
        const weir_job_spec spec = house_spec(&jobs[i]);
        house_submit(pool, &jobs[i], &spec);
    }
    house_await_published(&house, 200); /* Nobody steps the manager meanwhile. */
    const pid_t pid = house_worker(&house, 0).pid;
    kill(pid, SIGKILL);
    await_zombie(pid);
    for (size_t i = 0; i < 200; i++) {
        house_expect(&jobs[i], WEIR_OUTCOME_OK);
    }
    WEIR_EXPECT_EQ(house_file_bytes(path), 200);
    unlink(path);
    house_close(&house);
}

static weir_done count_end;
static const house_job *ended[8];
static _Atomic uint32_t ended_count;

static void note_order(void *context, const weir_result *result)
{
    ended[ended_count++ % 8] = context;
    count_end(context, result);
}

WEIR_TEST(recovery, keeps_the_order_of_the_jobs_that_are_sent_again)
{
    static house house;
    static house_job jobs[8];
    house_open(&house, NULL);
    const weir_pool_options options = house_pool(1, NULL);
    const weir_pool_id pool = house_add_ready(&house, &options);
    house_job held;
    house_hold(&house, pool, &held);
    for (size_t i = 0; i < 8; i++) {
        jobs[i] = house_make(&house, WEIR_OPCODE_ECHO, 100);
        weir_job_spec spec = house_spec(&jobs[i]);
        count_end = spec.done;
        spec.done = note_order;
        house_submit(pool, &jobs[i], &spec);
    }
    house_await_begun(&held); /* So this one is not sent again. */
    kill(house_worker(&house, 0).pid, SIGKILL);
    house_let_go(&held);
    house_settle(&house);
    for (size_t i = 0; i < 8; i++) {
        house_expect(&jobs[i], WEIR_OUTCOME_OK);
        WEIR_EXPECT_EQ(jobs[i].sent_count, 2);
        WEIR_EXPECT_EQ(ended[i] - jobs, (ptrdiff_t)i);
    }
    house_close(&house);
}

/* By its marker the worker had not begun most of them. It has lied, so that says nothing. */
WEIR_TEST(recovery, believes_no_marker_after_a_protocol_error)
{
    static house house;
    static house_job jobs[24];
    static char path[512];
    static char lie[16];
    house_open(&house, NULL);
    snprintf(path, sizeof path, "%s", weir_test_program("liar_program"));
    snprintf(lie, sizeof lie, "%d", LIE_HEADER_CRC);
    const char *command[] = {path, lie, "1", NULL};
    weir_pool_options options = house_pool(1, NULL);
    options.role = "liars";
    options.command = command;
    options.in_flight_max = 24;
    options.deaths_max = 100;
    const weir_pool_id pool = house_add_ready(&house, &options);
    size_t lost = 0;
    for (int round = 0; round < 5; round++) {
        for (size_t i = 0; i < 24; i++) {
            house_send(&house, pool, &jobs[i], WEIR_OPCODE_ECHO, 100);
        }
        house_settle(&house);
        for (size_t i = 0; i < 24; i++) {
            WEIR_EXPECT_LE(jobs[i].sent_count, 1);
            lost += jobs[i].outcome == WEIR_OUTCOME_WORKER_LOST;
        }
    }
    WEIR_EXPECT_GE(lost, 1);
    WEIR_EXPECT_GE(house_stats(&house).protocol_errors, 1);
    house_close(&house);
}
