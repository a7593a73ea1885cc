/* Rare lives: memory by name, a flood of output, a process that will not die, a manager that is
 * killed, a new version that does not start. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "manager/testing/house.h"

WEIR_TEST(edge, posix_memory_serves_like_memfd_and_leaves_no_name)
{
    static house house;
    house_open(&house, NULL);
    weir_pool_options options = house_pool(1, NULL);
    options.arena.backing = WEIR_BACKING_SHM;
    const weir_pool_id pool = house_add_ready(&house, &options);
    char names[64];
    snprintf(names, sizeof names, "ls /dev/shm/weir-%d-* >/dev/null 2>&1", (int)getpid());
    WEIR_EXPECT_NE(system(names), 0); /* Unlinked since READY. */
    for (uint32_t i = 0; i < 50; i++) {
        house_do(&house, pool, WEIR_OPCODE_ECHO, i * 1000, WEIR_OUTCOME_OK);
    }
    kill(house_worker(&house, 0).pid, SIGKILL);
    house_await(&house, "ready", 2, NULL);
    house_do(&house, pool, WEIR_OPCODE_ECHO, 100, WEIR_OUTCOME_OK);
    house_close(&house);
    WEIR_EXPECT_NE(system(names), 0);
}

WEIR_TEST(edge, a_flood_of_output_neither_blocks_the_worker_nor_the_manager)
{
    static house house;
    house_open(&house, NULL);
    const weir_pool_options options = house_pool(1, NULL);
    const weir_pool_id pool = house_add_ready(&house, &options);
    house_job flood;
    house_send(&house, pool, &flood, JOB_FLOOD, HOUSE_ROUNDS(200000));
    house_expect(&flood, WEIR_OUTCOME_OK);
    WEIR_EXPECT_GT(house_count(&house, "output"), 0);
    house_do(&house, pool, WEIR_OPCODE_ECHO, 10, WEIR_OUTCOME_OK);
    house_close(&house);
}

/* ---- a process that outlives SIGKILL */

static weir_os_table stubborn;
static _Atomic bool is_immortal;

static int signal_unless_immortal(int pidfd, int signal)
{
    return atomic_load(&is_immortal) && signal == SIGKILL
               ? 0
               : weir_os_linux()->pidfd_signal(pidfd, signal);
}

WEIR_TEST(edge, a_process_that_does_not_die_is_quarantined_and_its_jobs_are_not_repeated)
{
    static house house;
    stubborn = *weir_os_linux();
    stubborn.pidfd_signal = signal_unless_immortal;
    weir_os_replace(&stubborn);
    house_open(&house, NULL);
    weir_pool_options options = house_pool(2, NULL);
    options.silence_ns = 1200 * WEIR_NS_PER_MS;
    options.kill_ns = 100 * WEIR_NS_PER_MS;
    const weir_pool_id pool = house_add_ready(&house, &options);
    static house_job jobs[10];
    const weir_worker_info stopped = house_worker(&house, 0);
    atomic_store(&is_immortal, true);
    kill(stopped.pid, SIGSTOP);
    for (size_t i = 0; i < 10; i++) {
        jobs[i] = house_make(&house, WEIR_OPCODE_ECHO, 100);
        weir_job_spec spec = house_spec(&jobs[i]);
        spec.idempotent = true;
        house_submit(pool, &jobs[i], &spec);
    }
    house_await(&house, "quarantined", 1, NULL);
    house_settle(&house);
    size_t lost = 0;
    for (size_t i = 0; i < 10; i++) {
        lost += jobs[i].outcome == WEIR_OUTCOME_WORKER_LOST;
        WEIR_EXPECT_EQ(jobs[i].sent_count, 1);
    }
    WEIR_EXPECT_GT(lost, 0);
    WEIR_EXPECT_EQ(house_worker(&house, 0).state, WEIR_SEAT_QUARANTINED);
    house_do(&house, pool, WEIR_OPCODE_ECHO, 100, WEIR_OUTCOME_OK); /* The other one serves. */

    atomic_store(&is_immortal, false);
    kill(stopped.pid, SIGKILL); /* It dies after all: reaped, and not started again. */
    house_await(&house, "exited", 1, NULL);
    house_pass(&house, 0.1);
    WEIR_EXPECT_EQ(house_worker(&house, 0).state, WEIR_SEAT_QUARANTINED);
    WEIR_EXPECT_EQ(house_worker(&house, 0).pid, 0);
    WEIR_EXPECT_EQ(house_stats(&house).mappings, 2);
    house_close(&house);
    weir_os_replace(NULL);
}

static _Atomic uint32_t pidfds_to_refuse;

static int pidfd_unless_refused(pid_t pid)
{
    if (atomic_load(&pidfds_to_refuse) > 0) {
        atomic_fetch_sub(&pidfds_to_refuse, 1);
        errno = EMFILE;
        return -1;
    }
    return weir_os_linux()->pidfd_open(pid);
}

WEIR_TEST(edge, a_worker_for_which_no_pidfd_can_be_had_is_killed_and_reaped)
{
    static house house;
    stubborn = *weir_os_linux();
    stubborn.pidfd_open = pidfd_unless_refused;
    atomic_store(&pidfds_to_refuse, 1);
    weir_os_replace(&stubborn);
    house_open(&house, NULL);
    const weir_pool_options options = house_pool(1, NULL);
    const weir_pool_id pool = house_add(&house, &options);
    house_await_text(&house, "refused", "cannot get a pidfd");
    house_await(&house, "ready", 1, NULL);
    WEIR_EXPECT_EQ(house_measure().children, 1); /* No zombie of the first one. */
    house_do(&house, pool, WEIR_OPCODE_ECHO, 100, WEIR_OUTCOME_OK);
    house_close(&house);
    weir_os_replace(NULL);
}

/* ---- a manager that is killed */

static void manage_until_killed(void *context)
{
    static house house;
    const int report = *(int *)context;
    house_open(&house, NULL);
    const weir_pool_options options = house_pool(2, NULL);
    const weir_pool_id pool = house_add_ready(&house, &options);
    static house_job busy;
    house_send(&house, pool, &busy, JOB_BUSY, 0);
    house_do(&house, pool, WEIR_OPCODE_ECHO, 100, WEIR_OUTCOME_OK);
    int32_t said[2] = {house_worker(&house, 0).pid, house_worker(&house, 1).pid};
    if (write(report, said, sizeof said) != sizeof said ||
        write(report, house.directory, sizeof house.directory) != sizeof house.directory) {
        _exit(1);
    }
    for (;;) {
        pause();
    }
}

WEIR_TEST(edge, a_killed_managers_workers_end_within_two_seconds_and_the_next_one_sweeps)
{
    int ends[2];
    int32_t workers[2] = {0, 0};
    char directory[64];
    WEIR_EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    WEIR_EXPECT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    const pid_t child = weir_test_fork(manage_until_killed, &ends[1]);
    WEIR_EXPECT_EQ(read(ends[0], workers, sizeof workers), (ssize_t)sizeof workers);
    WEIR_EXPECT_EQ(read(ends[0], directory, sizeof directory), (ssize_t)sizeof directory);
    close(ends[0]);
    close(ends[1]);
    kill(child, SIGKILL);
    const uint64_t killed_ns = weir_os()->clock_ns();
    WEIR_EXPECT_EQ(weir_test_wait(child, weir_test_deadline(10)), 128 + SIGKILL);
    for (size_t i = 0; i < 2; i++) { /* One is in an endless routine, one is idle. */
        int status = 0;
        WEIR_EXPECT_EQ(waitpid(workers[i], &status, 0), workers[i]);
    }
    printf("workers gone after %.1f ms\n", (double)(weir_os()->clock_ns() - killed_ns) / 1e6);
    prctl(PR_SET_CHILD_SUBREAPER, 0);

    const weir_manager_options options = {.runtime_directory = directory};
    weir_manager *next = NULL;
    weir_error error = {{0}};
    WEIR_EXPECT_STATUS(weir_manager_create(&options, &next, &error), WEIR_OK);
    weir_manager_destroy(next);
    WEIR_EXPECT_EQ(rmdir(directory), 0); /* Nothing of the killed one is left in it. */
}

/* ---- a new version that does not start */

WEIR_TEST(edge, a_reload_to_a_program_that_fails_leaves_the_old_workers_serving)
{
    static house house;
    char path[128];
    char real[512];
    house_open(&house, NULL);
    snprintf(path, sizeof path, "%s.worker", house.directory);
    snprintf(real, sizeof real, "%s", weir_test_program("job_worker_program"));
    WEIR_EXPECT_EQ(symlink(real, path), 0);
    const char *const command[] = {path, NULL};
    weir_pool_options options = house_pool(2, NULL);
    options.command = command;
    options.deaths_max = 2;
    const weir_pool_id pool = house_add_ready(&house, &options);
    const weir_worker_info before = house_worker(&house, 0);
    unlink(path);
    WEIR_EXPECT_EQ(symlink("/bin/false", path), 0);
    weir_error error = {{0}};
    WEIR_EXPECT_STATUS(weir_manager_reload(house.manager, pool, weir_test_deadline(10), &error),
                       WEIR_INVALID);
    WEIR_EXPECT_STR_HAS(error.text, "the old ones serve on");
    WEIR_EXPECT_EQ(house_worker(&house, 0).pid, before.pid);
    WEIR_EXPECT_EQ(weir_manager_read_workers(house.manager, NULL, 0), 2);
    house_do(&house, pool, WEIR_OPCODE_ECHO, 100, WEIR_OUTCOME_OK);
    unlink(path);
    WEIR_EXPECT_EQ(symlink(real, path), 0);
    WEIR_EXPECT_STATUS(weir_manager_reload(house.manager, pool, weir_test_deadline(10), &error),
                       WEIR_OK);
    house_do(&house, pool, WEIR_OPCODE_ECHO, 100, WEIR_OUTCOME_OK);
    unlink(path);
    house_close(&house);
}
