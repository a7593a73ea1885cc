/* What a manager's status page shows to another process, while the manager works, is stopped or is
 * dead. */
#include "weir/status_page.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "manager/testing/house.h"

static weir_status_entry find_only(const char *base)
{
    weir_status_entry entries[4];
    size_t found = 0;
    weir_error error = {{0}};
    WEIR_EXPECT_STATUS(weir_status_list(base, entries, 4, &found, &error), WEIR_OK);
    WEIR_EXPECT_EQ(found, 1);
    return entries[0];
}

static weir_status_snapshot *look(const char *directory)
{
    weir_status_snapshot *snapshot = NULL;
    weir_error error = {{0}};
    const weir_status status = weir_status_open(directory, &snapshot, &error);
    if (status != WEIR_OK) {
        weir_test_fail(__FILE__, __LINE__, "no picture: %s", error.text);
    }
    return snapshot;
}

static bool has_event(const weir_status_snapshot *snapshot, const char *kind)
{
    for (size_t i = 0; i < snapshot->event_count; i++) {
        if (strcmp((const char *)snapshot->events[i].kind, kind) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- a manager in this process */

WEIR_TEST(status_page, shows_workers_jobs_and_events_of_a_manager_at_work)
{
    static house house;
    const weir_manager_options options = {.name = "garden"};
    house_open(&house, &options);
    const weir_pool_options pool_options = house_pool(2, NULL);
    const weir_pool_id pool = house_add_ready(&house, &pool_options);
    for (int i = 0; i < 10; i++) {
        house_do(&house, pool, WEIR_OPCODE_ECHO, 1000, WEIR_OUTCOME_OK);
    }
    house_pass(&house, 0.6);
    const weir_status_entry entry = find_only(house.directory);
    WEIR_EXPECT_STR_EQ(entry.name, "garden");
    WEIR_EXPECT_EQ(entry.kind, WEIR_MANAGER_KIND_C);
    WEIR_EXPECT_EQ(entry.life, WEIR_MANAGER_RUNNING);
    WEIR_EXPECT_EQ(entry.pid, getpid());
    weir_status_snapshot *seen = look(entry.directory);
    WEIR_EXPECT_STR_EQ((const char *)seen->header->name, "garden");
    WEIR_EXPECT_EQ(seen->header->pid, getpid());
    WEIR_EXPECT_EQ(seen->header->submitted, 10);
    WEIR_EXPECT_EQ(seen->header->outcomes[WEIR_OUTCOME_OK], 10);
    WEIR_EXPECT_EQ(seen->header->in_flight, 0);
    WEIR_EXPECT_EQ(seen->header->mappings, 4);
    WEIR_EXPECT_EQ(seen->header->seat_count, 3); /* One is for reloads. */
    WEIR_EXPECT_EQ(seen->header->link_count, 0);
    WEIR_EXPECT_FALSE(seen->is_torn);
    for (uint32_t i = 0; i < 2; i++) {
        const struct weir_status_seat *seat = &seen->seats[i];
        const weir_worker_info worker = house_worker(&house, i);
        WEIR_EXPECT_STR_EQ((const char *)seat->role, "jobs");
        WEIR_EXPECT_STR_EQ((const char *)seat->language, "c");
        WEIR_EXPECT_EQ(seat->state, WEIR_STATUS_SEAT_STATE_READY);
        WEIR_EXPECT_EQ(seat->pid, worker.pid);
        WEIR_EXPECT_EQ(seat->generation, worker.generation);
        WEIR_EXPECT_EQ(seat->request_slots_taken, 0);
        WEIR_EXPECT_GT(seat->request_slots, 0);
        WEIR_EXPECT_GT(seat->ring_capacity, 0);
        WEIR_EXPECT_GT(seat->beat_count, 0);
        WEIR_EXPECT_NE(seen->workers[i].state, 0);
    }
    WEIR_EXPECT_EQ(seen->seats[2].flags, WEIR_STATUS_SEAT_FLAG_SPARE);
    WEIR_EXPECT_EQ(seen->seats[2].state, WEIR_STATUS_SEAT_STATE_EMPTY);
    WEIR_EXPECT_TRUE(has_event(seen, "spawned"));
    WEIR_EXPECT_TRUE(has_event(seen, "ready"));
    weir_status_free(seen);
    house_close(&house);
}

/* The page is brought up to date now and then. */
static weir_status_snapshot *look_until_in_flight(house *house, uint32_t in_flight)
{
    const uint64_t deadline_ns = weir_test_deadline(HOUSE_PATIENCE_S);
    for (;;) {
        weir_status_snapshot *seen = look(find_only(house->directory).directory);
        if ((seen->seats[0].in_flight == in_flight && seen->header->in_flight == in_flight) ||
            weir_os()->clock_ns() > deadline_ns) {
            WEIR_EXPECT_EQ(seen->seats[0].in_flight, in_flight);
            WEIR_EXPECT_EQ(seen->header->in_flight, in_flight);
            return seen;
        }
        weir_status_free(seen);
        house_pass(house, 0.01);
    }
}

WEIR_TEST(status_page, shows_jobs_and_slots_that_a_worker_sits_on)
{
    static house house;
    static house_job jobs[5];
    house_open(&house, NULL);
    const weir_pool_options options = house_pool(1, NULL);
    const weir_pool_id pool = house_add_ready(&house, &options);
    house_hold(&house, pool, &jobs[0]);
    for (size_t i = 1; i < 5; i++) {
        house_send(&house, pool, &jobs[i], WEIR_OPCODE_ECHO, 3000);
    }
    weir_status_snapshot *seen = look_until_in_flight(&house, 5);
    WEIR_EXPECT_EQ(seen->seats[0].request_slots_taken, 5);
    WEIR_EXPECT_EQ(seen->header->in_flight, 5);
    weir_status_free(seen);
    house_let_go(&jobs[0]);
    for (size_t i = 0; i < 5; i++) {
        house_expect(&jobs[i], WEIR_OUTCOME_OK);
    }
    house_await_slots(&house);
    seen = look_until_in_flight(&house, 0);
    WEIR_EXPECT_EQ(seen->seats[0].request_slots_taken, 0);
    weir_status_free(seen);
    house_close(&house);
}

WEIR_TEST(status_page, keeps_the_latest_events_when_there_are_too_many)
{
    static house house;
    house_open(&house, NULL);
    const weir_pool_options options = house_pool(1, NULL);
    (void)house_add_ready(&house, &options);
    size_t deaths = 0;
    weir_status_snapshot *seen = look(find_only(house.directory).directory);
    while (seen->header->event_count <= WEIR_STATUS_EVENT_MAX + 10) {
        weir_status_free(seen);
        kill(house_worker(&house, 0).pid, SIGKILL);
        deaths++;
        house_await(&house, "ready", deaths + 1, NULL);
        seen = look(find_only(house.directory).directory);
    }
    WEIR_EXPECT_EQ(seen->event_count, WEIR_STATUS_EVENT_MAX);
    for (size_t i = 1; i < seen->event_count; i++) {
        WEIR_EXPECT_EQ(seen->events[i].number, seen->events[i - 1].number + 1);
        WEIR_EXPECT_GE(seen->events[i].time_ns, seen->events[i - 1].time_ns);
    }
    WEIR_EXPECT_GE(seen->events[seen->event_count - 1].number, seen->header->event_count);
    WEIR_EXPECT_TRUE(has_event(seen, "exited"));
    WEIR_EXPECT_EQ(seen->seats[0].restarts, seen->header->restarts);
    weir_status_free(seen);
    house_close(&house);
}

WEIR_TEST(status_page, does_not_keep_what_workers_print)
{
    static house house;
    house_open(&house, NULL);
    const weir_pool_options options = house_pool(1, NULL);
    const weir_pool_id pool = house_add_ready(&house, &options);
    house_do(&house, pool, JOB_FLOOD, 500, WEIR_OUTCOME_OK);
    house_await(&house, "output", 20, NULL);
    weir_status_snapshot *seen = look(find_only(house.directory).directory);
    WEIR_EXPECT_TRUE(has_event(seen, "ready"));
    WEIR_EXPECT_FALSE(has_event(seen, "output"));
    weir_status_free(seen);
    house_close(&house);
}

WEIR_TEST(status_page, is_private_has_one_size_and_goes_with_its_manager)
{
    static house house;
    house_open(&house, NULL);
    char path[600];
    struct stat info;
    snprintf(path, sizeof path, "%s/status", find_only(house.directory).directory);
    WEIR_EXPECT_EQ(lstat(path, &info), 0);
    WEIR_EXPECT_TRUE(S_ISREG(info.st_mode));
    WEIR_EXPECT_EQ(info.st_mode & 07777, 0600);
    WEIR_EXPECT_EQ(info.st_size, WEIR_STATUS_PAGE_BYTES);
    WEIR_EXPECT_GE(info.st_blocks * 512, WEIR_STATUS_PAGE_BYTES); /* Reserved, not only sized. */
    house_close(&house);
    WEIR_EXPECT_NE(lstat(path, &info), 0);
}

WEIR_TEST(status_page, is_made_anew_after_somebody_truncated_it)
{
    static house house;
    house_open(&house, NULL);
    const weir_pool_options options = house_pool(1, NULL);
    const weir_pool_id pool = house_add_ready(&house, &options);
    const weir_status_entry entry = find_only(house.directory);
    char path[600];
    snprintf(path, sizeof path, "%s/status", entry.directory);
    WEIR_EXPECT_EQ(truncate(path, 0), 0);
    weir_status_snapshot *seen = NULL;
    weir_error error;
    const uint64_t deadline_ns = weir_test_deadline(HOUSE_PATIENCE_S);
    while (weir_status_open(entry.directory, &seen, &error) != WEIR_OK) {
        WEIR_EXPECT_LT(weir_os()->clock_ns(), deadline_ns);
        house_do(&house, pool, WEIR_OPCODE_ECHO, 10, WEIR_OUTCOME_OK);
    }
    WEIR_EXPECT_EQ(seen->header->seat_count, 2);
    WEIR_EXPECT_EQ(seen->seats[0].state, WEIR_STATUS_SEAT_STATE_READY);
    weir_status_free(seen);
    house_close(&house);
}

WEIR_TEST(status_page, refuses_names_that_no_table_could_show)
{
    static const char *const names[] = {
        "", "two words", "tab\there", "caf\xc3\xa9",
        "0123456789012345678901234567890123456789012345678901234567890123"};
    char base[] = "/tmp/weir-test-XXXXXX";
    WEIR_EXPECT_NOT_NULL(mkdtemp(base));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const weir_manager_options options = {.name = names[i], .runtime_directory = base};
        weir_manager *manager = NULL;
        weir_error error = {{0}};
        WEIR_EXPECT_STATUS(weir_manager_create(&options, &manager, &error), WEIR_INVALID);
        WEIR_EXPECT_STR_HAS(error.text, "choose another");
    }
    WEIR_EXPECT_EQ(rmdir(base), 0);
}

WEIR_TEST(status_page, is_named_after_the_process_when_nobody_chose_a_name)
{
    static house house;
    char expected[32];
    house_open(&house, NULL);
    snprintf(expected, sizeof expected, "weir-%d", (int)getpid());
    WEIR_EXPECT_STR_EQ(find_only(house.directory).name, expected);
    house_close(&house);
}

/* ---- a manager in another process */

/* Works until it is killed. */
static void work_for_ever(void *context)
{
    weir_manager *manager = NULL;
    weir_pool_id pool = 0;
    weir_error error = {{0}};
    const weir_manager_options options = {.runtime_directory = context, .name = "other"};
    const weir_pool_options pool_options = house_pool(2, NULL);
    WEIR_EXPECT_STATUS(weir_manager_create(&options, &manager, &error), WEIR_OK);
    WEIR_EXPECT_STATUS(weir_manager_add_pool(manager, &pool_options, &pool, &error), WEIR_OK);
    WEIR_EXPECT_STATUS(
        weir_manager_await_ready(manager, pool, weir_test_deadline(HOUSE_PATIENCE_S), &error),
        WEIR_OK);
    for (;;) {
        weir_result result;
        const weir_job_spec spec = {.opcode = WEIR_OPCODE_ECHO};
        WEIR_EXPECT_STATUS(weir_call(manager, pool, &spec, &result), WEIR_OK);
    }
}

/* Waits until the other manager has ended some jobs. */
static weir_status_entry await_work(const char *base)
{
    const uint64_t deadline_ns = weir_test_deadline(HOUSE_PATIENCE_S);
    for (;;) {
        weir_status_entry entry = {.status = WEIR_EMPTY};
        size_t found = 0;
        weir_error error;
        weir_status_snapshot *seen = NULL;
        WEIR_EXPECT_STATUS(weir_status_list(base, &entry, 1, &found, &error), WEIR_OK);
        if (found == 1 && weir_status_open(entry.directory, &seen, &error) == WEIR_OK) {
            const uint64_t done = seen->header->outcomes[WEIR_OUTCOME_OK];
            weir_status_free(seen);
            if (done > 100) {
                return entry;
            }
        }
        WEIR_EXPECT_LT(weir_os()->clock_ns(), deadline_ns);
        weir_os()->sleep_until(weir_deadline_in(5 * WEIR_NS_PER_MS));
    }
}

static void await_state(pid_t pid, char wanted)
{
    char path[64];
    const uint64_t deadline_ns = weir_test_deadline(HOUSE_PATIENCE_S);
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    for (char state = 0; state != wanted;) {
        FILE *file = fopen(path, "r");
        WEIR_EXPECT_NOT_NULL(file);
        WEIR_EXPECT_EQ(fscanf(file, "%*d (%*[^)]) %c", &state), 1);
        WEIR_EXPECT_EQ(fclose(file), 0);
        WEIR_EXPECT_LT(weir_os()->clock_ns(), deadline_ns);
    }
}

WEIR_TEST(status_page, outlives_the_stopping_and_the_killing_of_its_manager)
{
    char base[] = "/tmp/weir-test-XXXXXX";
    WEIR_EXPECT_NOT_NULL(mkdtemp(base));
    const pid_t pid = weir_test_fork(work_for_ever, base);
    const weir_status_entry entry = await_work(base);
    WEIR_EXPECT_STR_EQ(entry.name, "other");
    WEIR_EXPECT_EQ(entry.pid, pid);

    kill(pid, SIGSTOP);
    await_state(pid, 'T');
    weir_status_snapshot *stopped = look(entry.directory);
    WEIR_EXPECT_EQ(stopped->life, WEIR_MANAGER_STOPPED);
    WEIR_EXPECT_EQ(stopped->process.state, 'T');
    WEIR_EXPECT_EQ(stopped->seats[0].state, WEIR_STATUS_SEAT_STATE_READY);
    WEIR_EXPECT_NE(stopped->workers[0].state, 0);

    kill(pid, SIGKILL);
    WEIR_EXPECT_EQ(weir_test_wait(pid, weir_test_deadline(HOUSE_PATIENCE_S)), 128 + SIGKILL);
    weir_status_snapshot *dead = look(entry.directory);
    WEIR_EXPECT_EQ(dead->life, WEIR_MANAGER_DEAD);
    WEIR_EXPECT_EQ(dead->workers[0].state, 0); /* The number may be anybody's by now. */
    WEIR_EXPECT_EQ(dead->header->submitted, stopped->header->submitted);
    WEIR_EXPECT_EQ(find_only(base).life, WEIR_MANAGER_DEAD);
    weir_status_free(stopped);
    weir_status_free(dead);

    /* The next manager sweeps it away. */
    weir_manager *manager = NULL;
    weir_error error = {{0}};
    const weir_manager_options options = {.runtime_directory = base, .name = "next"};
    WEIR_EXPECT_STATUS(weir_manager_create(&options, &manager, &error), WEIR_OK);
    WEIR_EXPECT_STR_EQ(find_only(base).name, "next");
    weir_manager_destroy(manager);
    WEIR_EXPECT_EQ(rmdir(base), 0);
}

WEIR_TEST(status_page, is_whole_while_it_is_written)
{
    char base[] = "/tmp/weir-test-XXXXXX";
    WEIR_EXPECT_NOT_NULL(mkdtemp(base));
    const pid_t pid = weir_test_fork(work_for_ever, base);
    const weir_status_entry entry = await_work(base);
    uint64_t last_ns = 0;
    uint64_t changes = 0;
    const uint64_t deadline_ns = weir_test_deadline(HOUSE_PATIENCE_S);
    while (changes < 8) {
        weir_status_snapshot *seen = look(entry.directory);
        const struct weir_status_header *header = seen->header;
        if ((header->sequence & 1) == 0) {
            uint64_t ended = 0;
            for (size_t i = 0; i < WEIR_OUTCOME_COUNT; i++) {
                ended += header->outcomes[i];
            }
            /* One pool's counts are taken under its lock: whatever was submitted has ended or is
             * on its way. */
            WEIR_EXPECT_LE(ended, header->submitted);
            WEIR_EXPECT_LE(header->submitted - ended, 1);
            WEIR_EXPECT_GE(header->updated_ns, last_ns);
            changes += header->updated_ns != last_ns;
            last_ns = header->updated_ns;
        }
        weir_status_free(seen);
        WEIR_EXPECT_LT(weir_os()->clock_ns(), deadline_ns);
    }
    kill(pid, SIGKILL);
    WEIR_EXPECT_EQ(weir_test_wait(pid, weir_test_deadline(HOUSE_PATIENCE_S)), 128 + SIGKILL);
    weir_manager *manager = NULL;
    weir_error error = {{0}};
    const weir_manager_options options = {.runtime_directory = base};
    WEIR_EXPECT_STATUS(weir_manager_create(&options, &manager, &error), WEIR_OK);
    weir_manager_destroy(manager);
    WEIR_EXPECT_EQ(rmdir(base), 0);
}
