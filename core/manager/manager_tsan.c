/* The manager's threads under ThreadSanitizer: callers, cancelling, holding, reloading, killing and
 * reading at once; then the same in a host, whose callers take the turns. The workers are this
 * program itself, started with another argument. */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/os.h"
#include "layout/generated/weir_layout.h"
#include "weir/host.h"
#include "weir/manager.h"
#include "weir/worker.h"

#define CALLERS 3
#define JOBS    6000
#define HELD    16

static weir_manager *manager;
static weir_pool_id pool;
static uint32_t ends;
static uint32_t wrong;
static uint32_t cancelled_ends;
static uint32_t done_sending;
static bool is_hosted;
static uint32_t is_host_over;
static uint32_t vacant[8]; /* Counts by seat: events heard less requests made. */

static pthread_mutex_t held_lock = PTHREAD_MUTEX_INITIALIZER;
static weir_held held[HELD];
static uint32_t held_count;

static weir_status echo(weir_job *job, void *context)
{
    (void)context;
    size_t bytes = 0;
    const void *request = weir_job_request(job, &bytes);
    void *reply = NULL;
    const weir_status status = weir_job_reply(job, bytes, &reply);
    if (status == WEIR_OK && bytes > 0) {
        memcpy(reply, request, bytes);
    }
    return status;
}

static int be_worker(int argc, char **argv)
{
    static const weir_worker_routine routines[] = {{WEIR_OPCODE_ECHO, echo}};
    const weir_worker_options options = {.role = "tsan", .routines = routines, .routine_count = 1};
    return weir_worker_main(&options, argc, argv);
}

static void fill(void *context, void *payload, size_t bytes)
{
    memset(payload, (int)(uintptr_t)context & 0xff, bytes);
}

static void done(void *context, const weir_result *result)
{
    const uint8_t expected = (uint8_t)(uintptr_t)context;
    const uint8_t *bytes = result->payload;
    for (size_t i = 0; i < result->payload_bytes && result->outcome == WEIR_OUTCOME_OK; i++) {
        if (bytes[i] != expected) {
            (void)weir_fetch_add_relaxed_u32(&wrong, 1);
            break;
        }
    }
    if (result->outcome == WEIR_OUTCOME_OK && expected % 16 == 0) {
        pthread_mutex_lock(&held_lock);
        if (held_count < HELD && weir_result_hold(result, &held[held_count]) == WEIR_OK) {
            held_count++;
        }
        pthread_mutex_unlock(&held_lock);
    }
    if (result->outcome == WEIR_OUTCOME_CANCELLED) {
        (void)weir_fetch_add_relaxed_u32(&cancelled_ends, 1);
    }
    (void)weir_fetch_add_relaxed_u32(&ends, 1);
}

static void release_some(void)
{
    pthread_mutex_lock(&held_lock);
    while (held_count > HELD / 2) {
        weir_held_release(&held[--held_count]);
    }
    pthread_mutex_unlock(&held_lock);
}

static void *send_jobs(void *context)
{
    const uintptr_t number = (uintptr_t)context;
    for (uintptr_t i = 0; i < JOBS; i += 4) {
        weir_job_spec specs[4];
        uint64_t ids[4];
        for (uintptr_t k = 0; k < 4; k++) {
            specs[k] = (weir_job_spec){
                .opcode = WEIR_OPCODE_ECHO,
                .idempotent = (i + k) % 2 == 0,
                .payload_bytes = (uint32_t)((i + k) * 7 % 3000),
                .fill = fill,
                .done = done,
                .context = (void *)(i + k + number),
                .deadline_ns = i % 40 == 0 ? weir_deadline_in(WEIR_NS_PER_MS) : 0,
            };
        }
        if (weir_submit(manager, pool, specs, 4, ids) != WEIR_OK) {
            (void)weir_fetch_add_relaxed_u32(&wrong, 1);
        }
        if (i % 12 == 0) {
            (void)!weir_cancel(manager, ids[2]);
        }
        if (i % 20 == 0) {
            release_some();
        }
        if (is_hosted) {
            const weir_turn_limits limits = {.jobs = 16, .bytes = 1 << 16};
            weir_turn turn;
            (void)!weir_host_turn(manager, &limits, &turn);
        }
        if (i % 200 == 0) {
            weir_os()->sleep_until(weir_deadline_in(WEIR_NS_PER_MS));
        }
    }
    (void)weir_fetch_add_relaxed_u32(&done_sending, 1);
    return NULL;
}

static void *read_often(void *context)
{
    (void)context;
    weir_worker_info workers[8];
    weir_manager_stats stats;
    while (weir_load_relaxed_u32(&done_sending) < CALLERS) {
        const size_t count = weir_manager_read_workers(manager, workers, 8);
        weir_manager_read_stats(manager, &stats);
        if (count > 4 || stats.in_flight > stats.submitted) {
            (void)weir_fetch_add_relaxed_u32(&wrong, 1);
        }
        weir_os()->sleep_until(weir_deadline_in(WEIR_NS_PER_MS));
    }
    return NULL;
}

static void start(void *context, const weir_start_order *order)
{
    char variables[3][256];
    snprintf(variables[0], sizeof variables[0], "WEIR_SOCKET=%s", order->socket);
    snprintf(variables[1], sizeof variables[1], "WEIR_TOKEN=%s", order->token);
    snprintf(variables[2], sizeof variables[2], "WEIR_CORRELATION=%s", order->correlation);
    char *environment[] = {variables[0], variables[1], variables[2], NULL};
    char *arguments[] = {(char *)(uintptr_t) "worker", (char *)(uintptr_t) "worker", NULL};
    pid_t pid;
    (void)context;
    if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, arguments, environment) != 0) {
        (void)weir_fetch_add_relaxed_u32(&wrong, 1);
    }
}

static void hear(void *context, const weir_event *event)
{
    (void)context;
    if (strcmp(event->kind, "vacant") == 0) {
        (void)weir_fetch_add_relaxed_u32(&vacant[event->worker % 8], 1);
    }
}

/* What the host does when no caller comes by. */
static void *keep_going(void *context)
{
    (void)context;
    while (weir_load_relaxed_u32(&is_host_over) == 0) {
        for (uint32_t seat = 0; seat < 8; seat++) {
            if (weir_load_relaxed_u32(&vacant[seat]) > 0) {
                (void)weir_fetch_add_relaxed_u32(&vacant[seat], (uint32_t)-1);
                (void)!weir_host_start_worker(manager, pool, seat);
            }
        }
        const weir_turn_limits limits = {.jobs = 64, .bytes = 1 << 20, .may_take_long = true};
        weir_turn turn;
        if (weir_host_turn(manager, &limits, &turn) == WEIR_OK ||
            weir_host_park(manager, &turn) != WEIR_OK) {
            continue;
        }
        struct pollfd ready = {.fd = weir_host_descriptor(manager), .events = POLLIN};
        (void)poll(&ready, 1, 5);
        while (weir_host_unpark(manager) == WEIR_FULL) {
        }
    }
    return NULL;
}

static void kill_one(void)
{
    weir_worker_info workers[8];
    const size_t count = weir_manager_read_workers(manager, workers, 8);
    if (count > 0 && workers[0].state == WEIR_SEAT_READY) {
        kill(workers[0].pid, SIGKILL);
    }
}

static int run(weir_room_policy policy)
{
    char directory[] = "/tmp/weir-tsan-XXXXXX";
    if (mkdtemp(directory) == NULL) {
        return 2;
    }
    const weir_host host = {.start = start};
    const weir_manager_options options = {.runtime_directory = directory,
                                          .seed = 7,
                                          .host = is_hosted ? &host : NULL,
                                          .on_event = hear};
    pthread_t keeper;
    const char *const command[] = {"/proc/self/exe", "worker", NULL};
    const weir_pool_options pool_options = {
        .role = "tsan",
        .command = command,
        .worker_count = 2,
        .policy = policy,
        .deferred_max = 8000,
        .backoff_first_ns = WEIR_NS_PER_MS,
        .backoff_max_ns = 5 * WEIR_NS_PER_MS,
        .deaths_max = 1000,
        .silence_ns = 20 * WEIR_NS_PER_SECOND,
    };
    weir_error error = {{0}};
    ends = wrong = done_sending = 0;
    if (weir_manager_create(&options, &manager, &error) != WEIR_OK ||
        weir_manager_add_pool(manager, &pool_options, &pool, &error) != WEIR_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 2;
    }
    weir_store_relaxed_u32(&is_host_over, 0);
    if (is_hosted && pthread_create(&keeper, NULL, keep_going, NULL) != 0) {
        return 2;
    }
    if (weir_manager_await_ready(manager, pool, weir_deadline_in(60 * WEIR_NS_PER_SECOND),
                                 &error) != WEIR_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 2;
    }
    pthread_t threads[CALLERS + 1];
    for (uintptr_t i = 0; i < CALLERS; i++) {
        pthread_create(&threads[i], NULL, send_jobs, (void *)i);
    }
    pthread_create(&threads[CALLERS], NULL, read_often, NULL);
    if (weir_manager_reload(manager, pool, weir_deadline_in(60 * WEIR_NS_PER_SECOND), &error) !=
        WEIR_OK) {
        fprintf(stderr, "%s\n", error.text);
        wrong++;
    }
    kill_one();
    for (size_t i = 0; i < CALLERS + 1; i++) {
        pthread_join(threads[i], NULL);
    }
    if (weir_manager_drain(manager, weir_deadline_in(60 * WEIR_NS_PER_SECOND)) != WEIR_OK) {
        fprintf(stderr, "the jobs do not end\n");
        return 1;
    }
    pthread_mutex_lock(&held_lock);
    const uint32_t kept = held_count;
    pthread_mutex_unlock(&held_lock);
    weir_store_relaxed_u32(&is_host_over, 1);
    if (is_hosted) {
        pthread_join(keeper, NULL);
    }
    weir_manager_destroy(manager);
    for (uint32_t i = 0; i < kept; i++) { /* Held beyond the manager's end. */
        weir_held_release(&held[i]);
    }
    held_count = 0;
    printf("%u jobs ended, %u cancelled, %u held at the end, %u wrong\n", ends, cancelled_ends,
           kept, wrong);
    return rmdir(directory) != 0 || wrong != 0 || ends != CALLERS * JOBS;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "worker") == 0) {
        return be_worker(argc, argv);
    }
    const int deferring = run(WEIR_ROOM_DEFER);
    const int waiting = deferring != 0 ? deferring : run(WEIR_ROOM_WAIT);
    if (waiting != 0) {
        return waiting;
    }
    is_hosted = true;
    signal(SIGCHLD, SIG_IGN); /* The host's processes are reaped by the kernel. */
    return run(WEIR_ROOM_DEFER);
}
