/* What cannot work: one clear sentence each, and nothing left behind. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "manager/testing/house.h"

static house the_house;

/* Adding a pool is refused with a sentence, and the manager is as before. */
static void expect_refused_pool(const weir_pool_options *options, weir_status status,
                                const char *part)
{
    const house_footprint before = house_measure();
    house_open(&the_house, NULL);
    weir_pool_id pool = 0;
    weir_error error = {{0}};
    WEIR_EXPECT_STATUS(weir_manager_add_pool(the_house.manager, options, &pool, &error), status);
    WEIR_EXPECT_STR_HAS(error.text, part);
    WEIR_EXPECT_EQ(weir_manager_read_workers(the_house.manager, NULL, 0), 0);
    house_close(&the_house);
    house_expect_same(&before);
}

static void expect_refused_command(const char *path, const char *part)
{
    const char *command[] = {path, NULL};
    weir_pool_options options = house_pool(1, NULL);
    options.command = command;
    expect_refused_pool(&options, WEIR_NOT_FOUND, part);
}

WEIR_TEST(bad_input, a_missing_worker_is_named)
{
    expect_refused_command("/nowhere/worker", "there is no worker program at /nowhere/worker");
}

WEIR_TEST(bad_input, a_directory_is_no_worker)
{
    expect_refused_command("/tmp", "/tmp is not an executable program");
}

WEIR_TEST(bad_input, a_file_without_permission_to_execute_is_no_worker)
{
    char path[] = "/tmp/weir-no-program-XXXXXX";
    const int fd = mkstemp(path);
    WEIR_EXPECT_GE(fd, 0);
    close(fd);
    expect_refused_command(path, "chmod +x");
    unlink(path);
}

WEIR_TEST(bad_input, options_that_make_no_sense_are_named_with_their_limits)
{
    weir_pool_options options = house_pool(1, NULL);
    options.role = "";
    expect_refused_pool(&options, WEIR_INVALID, "role of 1 to 31 characters");
    options.role = "a role that is much longer than 31 characters";
    expect_refused_pool(&options, WEIR_INVALID, "role of 1 to 31 characters");
    options = house_pool(1, NULL);
    options.command = NULL;
    expect_refused_pool(&options, WEIR_INVALID, "needs a command");
    options = house_pool(5000, NULL);
    expect_refused_pool(&options, WEIR_INVALID, "worker_count is 5000");
    options = house_pool(1, NULL);
    options.in_flight_max = 513;
    expect_refused_pool(&options, WEIR_INVALID, "in_flight_max is 513");
    options = house_pool(1, NULL);
    options.high_percent = 101;
    expect_refused_pool(&options, WEIR_INVALID, "watermarks are high 101");
    options = house_pool(1, NULL);
    options.high_percent = 50;
    options.low_percent = 60;
    expect_refused_pool(&options, WEIR_INVALID, "low <= high");
    options = house_pool(1, NULL);
    options.wake_strategies = 1;
    expect_refused_pool(&options, WEIR_INVALID, "wake_strategies");
    options = house_pool(1, NULL);
    options.policy = (weir_room_policy)9;
    expect_refused_pool(&options, WEIR_INVALID, "policy is 9");
    options = house_pool(1, NULL);
    weir_arena_config_default(&options.arena);
    options.arena.ring_capacity = 100;
    expect_refused_pool(&options, WEIR_INVALID, "100");
}

WEIR_TEST(bad_input, a_manager_with_too_many_jobs_or_a_bad_directory_is_refused)
{
    const house_footprint before = house_measure();
    weir_manager *manager = NULL;
    weir_error error = {{0}};
    const weir_manager_options many = {.job_capacity = 70000, .runtime_directory = "/tmp"};
    WEIR_EXPECT_STATUS(weir_manager_create(&many, &manager, &error), WEIR_INVALID);
    WEIR_EXPECT_STR_HAS(error.text, "job_capacity is 70000");
    const weir_manager_options nowhere = {.runtime_directory = "/proc/nothing"};
    WEIR_EXPECT_STATUS(weir_manager_create(&nowhere, &manager, &error), WEIR_SYSTEM);
    WEIR_EXPECT_STR_HAS(error.text, "cannot make the runtime directory");
    WEIR_EXPECT_NULL(manager);
    house_expect_same(&before);
}

/* Waiting for the pool ends with this status and sentence. */
static void expect_not_ready(const weir_pool_options *options, double seconds, weir_status status,
                             const char *part)
{
    const house_footprint before = house_measure();
    house_open(&the_house, NULL);
    const weir_pool_id pool = house_add(&the_house, options);
    weir_error error = {{0}};
    WEIR_EXPECT_STATUS(weir_manager_await_ready(the_house.manager, pool,
                                                weir_deadline_in((uint64_t)(seconds * 1e9)),
                                                &error),
                       status);
    WEIR_EXPECT_STR_HAS(error.text, part);
    house_close(&the_house);
    house_expect_same(&before);
}

WEIR_TEST(bad_input, a_program_that_never_says_hello_ends_at_the_start_timeout)
{
    static const char *const mute[] = {"--mute", NULL};
    weir_pool_options options = house_pool(1, mute);
    options.start_timeout_ns = 100 * WEIR_NS_PER_MS;
    expect_not_ready(&options, 10, WEIR_REFUSED, "did not finish the handshake within 100 ms");
}

WEIR_TEST(bad_input, a_program_that_ends_at_once_is_quoted)
{
    static const char *const die[] = {"--die", NULL};
    weir_pool_options options = house_pool(1, die);
    options.deaths_max = 3;
    expect_not_ready(&options, 10, WEIR_REFUSED, "these are my last words");
    options.deaths_max = 1000000;
    options.backoff_first_ns = options.backoff_max_ns = 20 * WEIR_NS_PER_MS;
    expect_not_ready(&options, 0.5, WEIR_TIMEOUT, "with status 7");
}

WEIR_TEST(bad_input, a_worker_with_another_role_is_told_so)
{
    static const char *const role[] = {"--role", "cook", NULL};
    const weir_pool_options options = house_pool(1, role);
    expect_not_ready(&options, 10, WEIR_REFUSED, "cook");
}

/* A shell that starts the worker with a token of its own. */
WEIR_TEST(bad_input, a_wrong_token_is_refused)
{
    house_open(&the_house, NULL);
    weir_pool_options options = house_pool(1, NULL);
    static char script[700];
    snprintf(script, sizeof script, "WEIR_TOKEN=%064d exec %s", 0, options.command[0]);
    static const char *command[] = {"/bin/sh", "-c", script, NULL};
    options.command = command;
    options.deaths_max = 2;
    const weir_pool_id pool = house_add(&the_house, &options);
    weir_error error = {{0}};
    WEIR_EXPECT_STATUS(
        weir_manager_await_ready(the_house.manager, pool, weir_test_deadline(10), &error),
        WEIR_REFUSED);
    house_event refused;
    house_await(&the_house, "refused", 1, &refused);
    WEIR_EXPECT_STR_HAS(refused.text, "token");
    house_close(&the_house);
}

/* ---- the operating system says no */

static weir_os_table failing;
static _Atomic uint32_t calls_left;

static int refuse_fallocate(int fd, int mode, off_t offset, off_t bytes)
{
    if (atomic_load(&calls_left) > 0) {
        atomic_fetch_sub(&calls_left, 1);
        return weir_os_linux()->fallocate(fd, mode, offset, bytes);
    }
    errno = ENOMEM;
    return -1;
}

static int refuse_eventfd(unsigned initial, int flags)
{
    if (atomic_load(&calls_left) > 0) {
        atomic_fetch_sub(&calls_left, 1);
        return weir_os_linux()->eventfd(initial, flags);
    }
    errno = EMFILE;
    return -1;
}

static int refuse_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                        const posix_spawnattr_t *attributes, char *const argv[],
                        char *const environment[])
{
    (void)pid;
    (void)path;
    (void)actions;
    (void)attributes;
    (void)argv;
    (void)environment;
    return EAGAIN;
}

static int refuse_pipe(int fds[2], int flags)
{
    (void)fds;
    (void)flags;
    errno = EMFILE;
    return -1;
}

static void expect_sentence_when_failing(const char *part)
{
    weir_pool_options options = house_pool(1, NULL);
    weir_os_replace(&failing);
    expect_not_ready(&options, 10, WEIR_REFUSED, part);
    weir_os_replace(NULL);
}

WEIR_TEST(bad_input, no_memory_for_an_arena_is_one_sentence)
{
    failing = *weir_os_linux();
    failing.fallocate = refuse_fallocate;
    atomic_store(&calls_left, 1); /* The manager's status page. */
    expect_sentence_when_failing("emory");
}

WEIR_TEST(bad_input, no_descriptors_for_a_worker_is_one_sentence)
{
    failing = *weir_os_linux();
    failing.eventfd = refuse_eventfd;
    atomic_store(&calls_left, 2); /* The manager's own and the watcher's. */
    expect_sentence_when_failing("raise the limit on open files");
}

WEIR_TEST(bad_input, no_process_for_a_worker_is_one_sentence)
{
    failing = *weir_os_linux();
    failing.spawn = refuse_spawn;
    expect_sentence_when_failing("cannot start the worker");
}

WEIR_TEST(bad_input, no_pipe_for_a_worker_is_one_sentence)
{
    failing = *weir_os_linux();
    failing.pipe = refuse_pipe;
    expect_sentence_when_failing("cannot make a pipe");
}

WEIR_TEST(bad_input, an_arena_larger_than_the_machine_allows_is_one_sentence)
{
    weir_pool_options options = house_pool(1, NULL);
    weir_arena_config_default(&options.arena);
    options.arena.request_class_count = 1;
    options.arena.request_class[0] = (weir_size_class){.slot_bytes = 1u << 30, .slot_count = 65536};
    const house_footprint before = house_measure();
    house_open(&the_house, NULL);
    weir_pool_id pool = 0;
    weir_error error = {{0}};
    weir_status status = weir_manager_add_pool(the_house.manager, &options, &pool, &error);
    if (status == WEIR_OK) {
        status = weir_manager_await_ready(the_house.manager, pool, weir_test_deadline(10), &error);
        WEIR_EXPECT_STATUS(status, WEIR_REFUSED);
    } else {
        WEIR_EXPECT_STATUS(status, WEIR_INVALID);
    }
    WEIR_EXPECT_GT(strlen(error.text), 20);
    house_close(&the_house);
    house_expect_same(&before);
}
