/*
 * The worker's two threads under ThreadSanitizer: the loop does jobs in every way of sleeping while
 * the health thread beats. The manager's end runs in the main thread over a mapping of its own,
 * where TSan sees no race; what it watches here is the pair that shares one mapping and the
 * worker's private memory.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "worker/testing/small_manager.h"

#define JOBS 2000

static weir_status run_echo(weir_job *job, void *context)
{
    (void)context;
    size_t bytes = 0;
    void *reply = NULL;
    const void *request = weir_job_request(job, &bytes);
    const weir_status status = weir_job_reply(job, bytes, &reply);
    if (status == WEIR_OK && bytes > 0) {
        memcpy(reply, request, bytes);
    }
    return status;
}

static int exit_status = -1;

static void *serve(void *context)
{
    exit_status = small_manager_serve(context, false);
    return NULL;
}

static int fail(const char *what)
{
    fprintf(stderr, "serve_tsan: %s\n", what);
    return 1;
}

static int do_jobs(small_manager *manager)
{
    char data[64] = "data";
    for (int i = 0; i < JOBS; i++) {
        (void)small_manager_send(manager, WEIR_OPCODE_ECHO, data, sizeof data);
        small_reply reply;
        if (small_manager_receive(manager, &reply, weir_deadline_in(30 * WEIR_NS_PER_SECOND)) !=
                WEIR_OK ||
            reply.envelope.status != WEIR_REPLY_STATUS_OK) {
            return fail("a job was not answered");
        }
        small_manager_release(manager, &reply);
    }
    return 0;
}

static int round_with(uint32_t strategy, uint64_t spin_ns)
{
    static const weir_worker_routine routine = {WEIR_OPCODE_ECHO, run_echo};
    small_manager manager;
    small_manager_open(&manager, &(small_manager_setup){
                                     .options = {.routines = &routine, .routine_count = 1},
                                     .wake_strategies = WEIR_STRATEGY_BIT(strategy),
                                     .spin_ns = spin_ns,
                                 });
    small_manager_started(&manager, getpid());
    pthread_t worker;
    if (pthread_create(&worker, NULL, serve, &manager) != 0) {
        return fail("no thread");
    }
    const int result = do_jobs(&manager);
    const uint64_t beats = weir_load_relaxed_u64(&manager.arena.telemetry->beat_count);
    /* A beat in the middle, so that reading the counters overlaps with writing them. */
    const uint64_t deadline_ns = weir_deadline_in(10 * WEIR_NS_PER_SECOND);
    while (result == 0 && weir_os()->clock_ns() < deadline_ns &&
           weir_load_relaxed_u64(&manager.arena.telemetry->beat_count) == beats) {
        if (do_jobs(&manager) != 0) {
            return 1;
        }
    }
    small_manager_command(&manager, WEIR_COMMAND_SHUTDOWN);
    pthread_join(worker, NULL);
    small_manager_close(&manager);
    return result != 0 || exit_status != 0 ? fail("the worker ended badly") : 0;
}

int main(void)
{
    for (uint32_t strategy = WEIR_WAKE_STRATEGY_FUTEX; strategy <= WEIR_WAKE_STRATEGY_SIGNAL;
         strategy++) {
        if (round_with(strategy, strategy == WEIR_WAKE_STRATEGY_FUTEX ? 50000 : 0) != 0) {
            return 1;
        }
    }
    return 0;
}
