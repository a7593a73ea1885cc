/* The loop itself: waiting, batches, orders, the end. What happens to one job is in job.c. */
#include "worker/loop.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "worker/health.h"
#include "worker/setup.h"

void weir_worker_say(const weir_worker_options *options, const char *format, ...)
{
    char line[640];
    const int head =
        snprintf(line, sizeof line - 1, "%s: ", options->role != NULL ? options->role : "worker");
    size_t bytes = head > 0 ? (size_t)head : 0;
    va_list arguments;
    va_start(arguments, format);
    const int body = vsnprintf(line + bytes, sizeof line - 1 - bytes, format, arguments);
    va_end(arguments);
    bytes = strnlen(line, sizeof line - 2);
    if (body > 0) {
        line[bytes++] = '\n';
    }
    (void)!weir_os()->write(STDERR_FILENO, line, bytes);
}

weir_status weir_worker_fault(weir_worker *worker, uint32_t error_code, uint64_t index)
{
    if (worker->fault == WEIR_ERROR_CODE_NONE) {
        worker->fault = error_code;
        worker->fault_index = index;
        weir_counter_add(&worker->counters.errors[error_code], 1);
    }
    return WEIR_PROTOCOL;
}

uint64_t weir_worker_now(weir_worker *worker)
{
    if (worker->now_ns == 0 || worker->now_age_ns > WEIR_WORKER_HOLD_NS) {
        worker->now_ns = weir_os()->clock_ns();
        worker->now_age_ns = 0;
    }
    return worker->now_ns;
}

void weir_worker_flush(weir_worker *worker)
{
    const bool has_replies = worker->responses.staged > 0;
    const bool has_releases = worker->releases.written != worker->releases_published;
    if (has_replies) {
        WEIR_FAILPOINT(worker_before_publish);
        weir_ring_publish(&worker->responses);
        worker->held_ns = 0;
        WEIR_FAILPOINT(worker_after_publish);
    }
    if (has_releases) {
        weir_release_publish(&worker->releases);
        worker->releases_published = worker->releases.written;
        WEIR_FAILPOINT(worker_after_release);
    }
    if (has_replies || has_releases) {
        if (weir_gate_wake(&worker->waker)) {
            weir_store_relaxed_u64(&worker->counters.wakes_sent, worker->waker.calls);
        }
        WEIR_FAILPOINT(worker_after_wake);
    }
}

void weir_worker_set_state(weir_worker *worker, uint32_t state)
{
    if (worker->state == state) {
        return;
    }
    worker->state = state;
    /* SYNC(worker.state): all replies up to here are published. */
    weir_store_release_u32(&worker->control->state, state);
    if (weir_gate_wake(&worker->waker)) {
        weir_store_relaxed_u64(&worker->counters.wakes_sent, worker->waker.calls);
    }
}

static uint32_t load_commands(const weir_worker *worker)
{
    /* SYNC(manager.command): whatever was published before the command is in the ring for a look
     * behind this load. */
    return weir_load_acquire_u32(&worker->manager->command) & (uint32_t)WEIR_COMMAND_ALL;
}

bool weir_worker_see_work(void *context)
{
    const weir_worker *worker = context;
    return weir_ring_ready(&worker->requests) || load_commands(worker) != worker->commands ||
           (worker->counters.term_seen == 0 && weir_health_term_requested());
}

void weir_worker_obey(weir_worker *worker)
{
    worker->commands = load_commands(worker);
    if (worker->counters.term_seen == 0 && weir_health_term_requested()) {
        weir_store_relaxed_u32(&worker->counters.term_seen, 1);
    }
    if (worker->commands != 0 || worker->counters.term_seen != 0) {
        weir_worker_set_state(worker, WEIR_WORKER_STATE_DRAINING);
    }
}

/* Asked after the commands were read, so an empty ring behind a shutdown stays empty. */
static bool should_leave(weir_worker *worker)
{
    if (worker->commands & WEIR_COMMAND_SHUTDOWN) {
        return true;
    }
    if (worker->counters.term_seen == 0) {
        return false;
    }
    const uint64_t now = weir_os()->clock_ns();
    if (worker->idle_from_ns == 0) {
        worker->idle_from_ns = now;
    }
    return now - worker->idle_from_ns >= WEIR_WORKER_LINGER_NS;
}

static void wait_for_work(weir_worker *worker)
{
    WEIR_FAILPOINT(worker_before_wait);
    if (!weir_worker_see_work(worker)) {
        worker->now_ns = 0; /* nobody knows how long this takes */
        (void)!weir_gate_wait(&worker->sleeper, weir_worker_see_work, worker,
                              weir_deadline_in(WEIR_WORKER_LOOK_NS));
        weir_store_relaxed_u32(&worker->counters.wake_strategy, worker->sleeper.strategy);
    }
    WEIR_FAILPOINT(worker_after_wait);
}

uint32_t weir_worker_take_batch(weir_worker *worker, enum weir_error_code *reason)
{
    uint32_t count = 0;
    *reason = WEIR_ERROR_CODE_NONE;
    while (count < WEIR_WORKER_BATCH_MAX) {
        struct weir_envelope *copy = &worker->batch[count];
        const uint64_t index = worker->requests.head;
        if (weir_ring_take(&worker->requests, copy) != WEIR_OK) {
            break;
        }
        *reason = weir_envelope_check_request(copy, index, &worker->envelope_terms);
        if (*reason != WEIR_ERROR_CODE_NONE) {
            break;
        }
        count++;
    }
    if (count > 0) {
        weir_ring_consumed(&worker->requests);
        worker->idle_from_ns = 0;
        WEIR_FAILPOINT(worker_after_copy_out);
    }
    return count;
}

/* Takes a batch and does it. Returns how many jobs it had. */
static uint32_t do_batch(weir_worker *worker)
{
    enum weir_error_code reason = WEIR_ERROR_CODE_NONE;
    const uint64_t first_index = worker->requests.head;
    const uint32_t count = weir_worker_take_batch(worker, &reason);
    for (uint32_t i = 0; i < count; i++) {
        if (weir_worker_run_job(worker, &worker->batch[i], first_index + i) != WEIR_OK) {
            break;
        }
    }
    if (reason != WEIR_ERROR_CODE_NONE) {
        (void)weir_worker_fault(worker, reason, first_index + count);
    }
    weir_worker_flush(worker);
    return count;
}

static void run_until_end(weir_worker *worker)
{
    weir_worker_set_state(worker, WEIR_WORKER_STATE_SERVING);
    for (;;) {
        wait_for_work(worker);
        weir_worker_obey(worker);
        const uint32_t count = do_batch(worker);
        if (worker->fault != WEIR_ERROR_CODE_NONE) {
            return;
        }
        if (count == 0 && should_leave(worker)) {
            weir_worker_set_state(worker, WEIR_WORKER_STATE_ENDED);
            return;
        }
    }
}

static int serve_with_health(weir_worker *worker)
{
    weir_health health;
    if (weir_health_start(&health, worker) != WEIR_OK) {
        weir_worker_say(worker->options,
                        "cannot start the health thread: %s; allow this user more threads",
                        strerror_r(errno, (char[128]){0}, 128));
        return 3;
    }
    run_until_end(worker);
    weir_health_stop(&health);
    if (worker->fault != WEIR_ERROR_CODE_NONE) {
        weir_worker_say(worker->options,
                        "the manager broke the protocol at request %llu (%s); this worker ends, "
                        "the manager starts a new one",
                        (unsigned long long)worker->fault_index,
                        weir_error_code_name(worker->fault));
        return 1;
    }
    return 0;
}

int weir_worker_serve(const weir_worker_options *options, weir_worker_terms *terms)
{
    weir_worker *worker = NULL;
    weir_error error = {.text = ""};
    if (weir_worker_setup(options, terms, &worker, &error) != WEIR_OK) {
        weir_worker_say(options, "%s", error.text);
        return 3;
    }
    const int exit_status = serve_with_health(worker);
    weir_worker_teardown(worker);
    return exit_status;
}
