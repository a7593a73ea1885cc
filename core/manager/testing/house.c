#include "manager/testing/house.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define STEP_NS (2 * WEIR_NS_PER_MS)

/* ---- events */

static void take_event(void *context, const weir_event *event)
{
    house *house = context;
    pthread_mutex_lock(&house->lock);
    if (house->event_count < HOUSE_EVENTS_MAX) {
        house_event *to = &house->events[house->event_count++];
        snprintf(to->kind, sizeof to->kind, "%s", event->kind);
        snprintf(to->text, sizeof to->text, "%.159s", event->text);
        to->worker = event->worker;
        to->generation = event->generation;
        to->pid = event->pid;
        to->time_ns = event->time_ns;
    }
    pthread_mutex_unlock(&house->lock);
    if (getenv("WEIR_TEST_EVENTS") != NULL) {
        fprintf(stderr, "# %s %s/%u gen %u pid %d: %s\n", event->kind, event->pool, event->worker,
                event->generation, event->pid, event->text);
    }
}

static size_t count_events(house *house, const char *kind, house_event *last)
{
    size_t count = 0;
    pthread_mutex_lock(&house->lock);
    for (size_t i = 0; i < house->event_count; i++) {
        if (strcmp(house->events[i].kind, kind) == 0) {
            count++;
            if (last != NULL) {
                *last = house->events[i];
            }
        }
    }
    pthread_mutex_unlock(&house->lock);
    return count;
}

size_t house_count(house *house, const char *kind)
{
    return count_events(house, kind, NULL);
}

/* ---- time */

/* One small step: the manager works. */
static void step(house *house)
{
    if (house->step != NULL) {
        house->step(house->step_context);
    } else if (house->without_thread) {
        (void)!weir_manager_poll(house->manager, weir_deadline_in(STEP_NS));
    } else {
        weir_os()->sleep_until(weir_deadline_in(STEP_NS));
    }
}

void house_pass(house *house, double seconds)
{
    const uint64_t until_ns = weir_deadline_in((uint64_t)(seconds * 1e9));
    while (weir_os()->clock_ns() < until_ns) {
        step(house);
    }
}

void house_await(house *house, const char *kind, size_t count, house_event *last)
{
    const uint64_t deadline_ns = weir_test_deadline(HOUSE_PATIENCE_S);
    while (count_events(house, kind, last) < count) {
        if (weir_os()->clock_ns() > deadline_ns) {
            weir_test_fail(__FILE__, __LINE__, "%zu events %s wanted, %zu came", count, kind,
                           house_count(house, kind));
        }
        step(house);
    }
}

static bool has_event_saying(house *house, const char *kind, const char *words)
{
    bool has_it = false;
    pthread_mutex_lock(&house->lock);
    for (size_t i = 0; i < house->event_count && !has_it; i++) {
        has_it = strcmp(house->events[i].kind, kind) == 0 &&
                 strstr(house->events[i].text, words) != NULL;
    }
    pthread_mutex_unlock(&house->lock);
    return has_it;
}

void house_await_text(house *house, const char *kind, const char *words)
{
    const uint64_t deadline_ns = weir_test_deadline(HOUSE_PATIENCE_S);
    while (!has_event_saying(house, kind, words)) {
        if (weir_os()->clock_ns() > deadline_ns) {
            weir_test_fail(__FILE__, __LINE__, "no event %s says \"%s\"", kind, words);
        }
        step(house);
    }
}

/* ---- open and close */

void house_open(house *house, const weir_manager_options *options)
{
    memset(house, 0, sizeof *house);
    pthread_mutex_init(&house->lock, NULL);
    snprintf(house->directory, sizeof house->directory, "/tmp/weir-test-XXXXXX");
    WEIR_EXPECT_NOT_NULL(mkdtemp(house->directory));
    weir_manager_options own = options != NULL ? *options : (weir_manager_options){0};
    own.runtime_directory = house->directory;
    own.on_event = take_event;
    own.event_context = house;
    own.seed = own.seed != 0 ? own.seed : weir_test_seed();
    house->without_thread = own.without_thread;
    weir_error error = {{0}};
    const weir_status status = weir_manager_create(&own, &house->manager, &error);
    if (status != WEIR_OK) {
        weir_test_fail(__FILE__, __LINE__, "no manager: %s", error.text);
    }
}

void house_close(house *house)
{
    weir_manager_destroy(house->manager);
    WEIR_EXPECT_EQ(house->ended, house->submitted);
    if (rmdir(house->directory) != 0) {
        weir_test_fail(__FILE__, __LINE__, "files are left in %s", house->directory);
    }
    pthread_mutex_destroy(&house->lock);
}

/* ---- pools */

weir_pool_options house_pool(uint32_t workers, const char *const *arguments)
{
    static const char *command[16];
    static char path[512];
    snprintf(path, sizeof path, "%s", weir_test_program("job_worker_program"));
    memset(command, 0, sizeof command);
    command[0] = path;
    for (size_t i = 0; arguments != NULL && arguments[i] != NULL && i < 14; i++) {
        command[i + 1] = arguments[i];
    }
    return (weir_pool_options){
        .role = "jobs",
        .command = command,
        .worker_count = workers,
        .policy = WEIR_ROOM_DEFER,
        .backoff_first_ns = 2 * WEIR_NS_PER_MS,
        .backoff_max_ns = 20 * WEIR_NS_PER_MS,
        .deaths_max = 100,
    };
}

weir_pool_id house_add(house *house, const weir_pool_options *options)
{
    weir_pool_id pool = 0;
    weir_error error = {{0}};
    const weir_status status = weir_manager_add_pool(house->manager, options, &pool, &error);
    if (status != WEIR_OK) {
        weir_test_fail(__FILE__, __LINE__, "no pool: %s", error.text);
    }
    return pool;
}

weir_pool_id house_add_ready(house *house, const weir_pool_options *options)
{
    const weir_pool_id pool = house_add(house, options);
    weir_error error = {{0}};
    if (weir_manager_await_ready(house->manager, pool, weir_test_deadline(HOUSE_PATIENCE_S),
                                 &error) != WEIR_OK) {
        weir_test_fail(__FILE__, __LINE__, "not ready: %s", error.text);
    }
    return pool;
}

weir_worker_info house_worker(house *house, uint32_t seat)
{
    weir_worker_info workers[32];
    const size_t count = weir_manager_read_workers(house->manager, workers, 32);
    for (size_t i = 0; i < count && i < 32; i++) {
        if (workers[i].seat == seat) {
            return workers[i];
        }
    }
    return (weir_worker_info){0};
}

weir_worker_info house_await_state(house *house, uint32_t seat, weir_seat_state state)
{
    const uint64_t deadline_ns = weir_test_deadline(HOUSE_PATIENCE_S);
    for (;;) {
        const weir_worker_info worker = house_worker(house, seat);
        if (worker.state == state) {
            return worker;
        }
        if (weir_os()->clock_ns() > deadline_ns) {
            weir_test_fail(__FILE__, __LINE__, "seat %u stays %s, expected %s", seat,
                           weir_seat_state_name(worker.state), weir_seat_state_name(state));
        }
        step(house);
    }
}

weir_manager_stats house_stats(house *house)
{
    weir_manager_stats stats;
    weir_manager_read_stats(house->manager, &stats);
    return stats;
}

void house_await_slots(house *house)
{
    const uint64_t deadline_ns = weir_test_deadline(HOUSE_PATIENCE_S);
    while (house_stats(house).slots_taken > 0) {
        if (weir_os()->clock_ns() > deadline_ns) {
            weir_test_fail(__FILE__, __LINE__, "%llu request slots do not come back",
                           (unsigned long long)house_stats(house).slots_taken);
        }
        step(house);
    }
}

/* ---- jobs */

static void fill(void *context, void *payload, size_t bytes)
{
    house_job *job = context;
    atomic_fetch_add(&job->fills, 1);
    if (job->string != NULL) {
        memcpy(payload, job->string, bytes);
    } else if (job->opcode < JOB_SLEEP) {
        for (size_t i = 0; i < bytes; i++) {
            ((uint8_t *)payload)[i] = job_worker_byte(job->seed, i);
        }
    } else {
        memcpy(payload, &job->number, sizeof job->number);
    }
}

static bool is_right(const house_job *job, const weir_result *result)
{
    const bool is_echo = job->opcode < JOB_SLEEP;
    if (result->outcome != WEIR_OUTCOME_OK || (!is_echo && job->opcode != JOB_REPLY_BYTES)) {
        return true;
    }
    const size_t expected = is_echo ? job->bytes : job->number;
    const uint64_t seed = is_echo ? job->seed : job->number;
    const uint8_t *reply = result->payload;
    for (size_t i = 0; i < expected && result->payload_bytes == expected; i++) {
        if (reply[i] != job_worker_byte(seed, i)) {
            return false;
        }
    }
    return result->payload_bytes == expected;
}

static void done(void *context, const weir_result *result)
{
    house_job *job = context;
    house *house = job->house;
    job->outcome = result->outcome;
    job->sent_count = result->sent_count;
    job->worker = result->worker;
    job->reply_bytes = result->payload_bytes;
    job->is_reply_right = is_right(job, result) && result->correlation_id == job->correlation_id &&
                          result->opcode == job->opcode;
    job->ended_by = pthread_self();
    if (result->payload_bytes > 0) {
        const size_t shown = result->payload_bytes < sizeof job->text - 1 ? result->payload_bytes
                                                                          : sizeof job->text - 1;
        memcpy(job->text, result->payload, shown);
        memcpy(&job->reply_number, job->text, sizeof job->reply_number);
    }
    atomic_fetch_add(&job->ends, 1); /* The test may reuse the job from here on. */
    atomic_fetch_add(&house->ended, 1);
}

house_job house_make(house *house, uint16_t opcode, uint32_t bytes)
{
    static _Atomic uint64_t serial;
    const uint64_t number = atomic_fetch_add(&serial, 1);
    house_job job = {.house = house, .opcode = opcode, .correlation_id = number * 1000003 + 17};
    if (opcode < JOB_SLEEP) {
        job.bytes = bytes;
        job.seed = number;
    } else {
        job.bytes = sizeof job.number;
        job.number = bytes;
    }
    return job;
}

weir_job_spec house_spec(house_job *job)
{
    return (weir_job_spec){
        .opcode = job->opcode,
        .payload_bytes = job->string != NULL ? (uint32_t)strlen(job->string) : job->bytes,
        .fill = fill,
        .done = done,
        .context = job,
        .correlation_id = job->correlation_id,
    };
}

void house_submit(weir_pool_id pool, house_job *job, const weir_job_spec *spec)
{
    atomic_fetch_add(&job->house->submitted, 1);
    WEIR_EXPECT_STATUS(weir_submit(job->house->manager, pool, spec, 1, &job->id), WEIR_OK);
}

void house_send(house *house, weir_pool_id pool, house_job *job, uint16_t opcode, uint32_t bytes)
{
    *job = house_make(house, opcode, bytes);
    const weir_job_spec spec = house_spec(job);
    house_submit(pool, job, &spec);
}

void house_expect(house_job *job, weir_outcome_code outcome)
{
    const uint64_t deadline_ns = weir_test_deadline(HOUSE_PATIENCE_S);
    while (atomic_load(&job->ends) == 0) {
        if (weir_os()->clock_ns() > deadline_ns) {
            weir_test_fail(__FILE__, __LINE__, "the job does not end, expected %s",
                           weir_outcome_name(outcome));
        }
        step(job->house);
    }
    WEIR_EXPECT_STR_EQ(weir_outcome_name(job->outcome), weir_outcome_name(outcome));
    WEIR_EXPECT_EQ(atomic_load(&job->ends), 1);
    WEIR_EXPECT_TRUE(job->is_reply_right);
}

/* The manager counts an outcome after it has told it. */
static bool has_counted_all(house *house)
{
    const weir_manager_stats stats = house_stats(house);
    uint64_t counted = 0;
    for (size_t i = 0; i < WEIR_OUTCOME_CODES; i++) {
        counted += stats.outcomes[i];
    }
    return counted == stats.submitted;
}

void house_settle(house *house)
{
    uint64_t deadline_ns = weir_test_deadline(HOUSE_PATIENCE_S);
    uint64_t ended = atomic_load(&house->ended);
    while (atomic_load(&house->ended) < atomic_load(&house->submitted) || !has_counted_all(house)) {
        if (atomic_load(&house->ended) != ended) { /* Slow is not stuck. */
            ended = atomic_load(&house->ended);
            deadline_ns = weir_test_deadline(HOUSE_PATIENCE_S);
        }
        if (weir_os()->clock_ns() > deadline_ns) {
            weir_test_fail(__FILE__, __LINE__, "%llu of %llu jobs ended",
                           (unsigned long long)house->ended, (unsigned long long)house->submitted);
        }
        step(house);
    }
}

void house_do(house *house, weir_pool_id pool, uint16_t opcode, uint32_t bytes,
              weir_outcome_code outcome)
{
    house_job job;
    house_send(house, pool, &job, opcode, bytes);
    house_expect(&job, outcome);
}

uint64_t house_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}
