#include "worker/health.h"

#include <errno.h>

#include "base/os.h"

#define NUDGE_FIRST_NS WEIR_NS_PER_MS
#define NUDGE_LAST_NS  (64 * WEIR_NS_PER_MS)

/* What the process ends with when its manager is gone: the environment cannot do this. */
#define EXIT_WITHOUT_MANAGER 3

/* Signal handlers have no other memory than that of the program. */
static uint32_t term_requested;

static void on_term(int signal)
{
    (void)signal;
    weir_store_relaxed_u32(&term_requested, 1);
}

bool weir_health_term_requested(void)
{
    return weir_load_relaxed_u32(&term_requested) != 0;
}

/* A job without a timed start counts as begun at the beat that first finds it running. */
static uint64_t busy_since(weir_health *health, uint64_t begun, uint64_t now_ns)
{
    const weir_worker_counters *counters = &health->worker->counters;
    const uint64_t timed = weir_load_relaxed_u64(&counters->busy_since_ns);
    if (begun == weir_load_relaxed_u64(&counters->finished)) {
        health->running_index = 0;
        return 0;
    }
    if (begun != health->running_index) {
        health->running_index = begun;
        health->running_since_ns = now_ns;
    }
    return timed != 0 ? timed : health->running_since_ns;
}

void weir_health_beat(weir_health *health)
{
    weir_worker *worker = health->worker;
    const weir_worker_counters *counters = &worker->counters;
    const weir_sleeper_stats *sleeps = &worker->sleeper.stats;
    const uint64_t now_ns = weir_os()->clock_ns();
    const uint64_t begun = weir_load_relaxed_u64(&worker->control->begun);
    const uint64_t waiting = weir_load_relaxed_u64(&worker->manager->request_published) - begun;
    const uint64_t capacity = worker->requests.capacity;
    struct weir_telemetry sample = {
        .beat_ns = now_ns,
        .beat_count = ++health->beat_count,
        .jobs_ok = weir_load_relaxed_u64(&counters->jobs_ok),
        .jobs_failed = weir_load_relaxed_u64(&counters->jobs_failed),
        .last_job_ns = weir_load_relaxed_u64(&counters->last_job_ns),
        .busy_since_ns = busy_since(health, begun, now_ns),
        /* A job can be begun before its count is seen: then the difference is below zero. */
        .queue_depth = (int64_t)waiting < 0 ? 0 : waiting,
        .request_bytes = weir_load_relaxed_u64(&counters->request_bytes),
        .response_bytes = weir_load_relaxed_u64(&counters->response_bytes),
        .bytes_copied = weir_load_relaxed_u64(&counters->bytes_copied),
        .slot_waits = weir_load_relaxed_u64(&counters->slot_waits),
        .wake_strategy = weir_load_relaxed_u32(&counters->wake_strategy),
        .wake_switches = (uint32_t)weir_load_relaxed_u64(&sleeps->switches),
        .parks = weir_load_relaxed_u64(&sleeps->parks),
        .spin_hits = weir_load_relaxed_u64(&sleeps->spin_hits),
        .wakes_sent = weir_load_relaxed_u64(&counters->wakes_sent),
    };
    /* Copied out by the worker and not begun are up to a batch more than the ring holds. */
    if (sample.queue_depth > capacity + WEIR_WORKER_BATCH_MAX) {
        sample.queue_depth = capacity + WEIR_WORKER_BATCH_MAX;
    }
    for (size_t i = 0; i < sizeof sample.errors / sizeof sample.errors[0]; i++) {
        sample.errors[i] = weir_load_relaxed_u64(&counters->errors[i]);
    }
    sample.errors[WEIR_ERROR_CODE_MESSAGE] += health->errors;
    weir_telemetry_write(worker->terms->arena.telemetry, &sample);
    health->next_beat_ns = now_ns + WEIR_BEAT_PERIOD_NS;
}

static void close_all(const weir_control_descriptors *descriptors)
{
    for (uint32_t i = 0; i < descriptors->count; i++) {
        (void)weir_os()->close(descriptors->fd[i]);
    }
}

/* The control channel has no messages for a serving worker yet; its end is the manager's end. */
static void read_control(weir_health *health)
{
    weir_worker *worker = health->worker;
    weir_control_descriptors descriptors;
    weir_error error;
    const weir_status status =
        weir_control_receive(worker->terms->socket_fd, &health->message, &descriptors, &error);
    if (status == WEIR_OK) {
        close_all(&descriptors);
        health->errors++;
    } else if (status == WEIR_PROTOCOL) {
        health->errors++;
    } else if (status != WEIR_EMPTY) {
        /* Nobody is left to read an answer or a sentence, and the loop may be stuck: end at once.
         */
        const uint32_t command = weir_load_relaxed_u32(&worker->manager->command);
        weir_os()->exit_now(command & WEIR_COMMAND_SHUTDOWN ? 0 : EXIT_WITHOUT_MANAGER);
    }
}

/* Wakes a parked loop that does not know of SIGTERM yet. Returns when to look again. */
static uint64_t nudge(weir_health *health)
{
    weir_worker *worker = health->worker;
    if (!weir_health_term_requested() || weir_load_relaxed_u32(&worker->counters.term_seen) != 0) {
        return WEIR_NEVER;
    }
    /* SYNC(gate.park): flag stored, fence, parked loaded; a loop that is found awake looks before
     * it sleeps. */
    weir_fence_full();
    const uint32_t parked = weir_load_relaxed_u32(&worker->control->worker_parked);
    if ((parked & ((1u << WEIR_PARKED_EPOCH_SHIFT) - 1)) != WEIR_WAKE_STRATEGY_AWAKE) {
        const uint32_t loop_tid = weir_load_relaxed_u32(&worker->control->worker_tid);
        (void)weir_os()->thread_signal(weir_os()->getpid(), (pid_t)loop_tid, WEIR_WAKE_SIGNAL);
    }
    const uint64_t again_ns = weir_deadline_in(health->nudge_ns);
    if (health->nudge_ns < NUDGE_LAST_NS) {
        health->nudge_ns *= 2;
    }
    return again_ns;
}

static void *run(void *context)
{
    weir_health *health = context;
    weir_store_relaxed_u32(&health->tid, (uint32_t)weir_os()->gettid());
    /* SYNC(health.stop): tid stored, fence, should_stop loaded: who stops has either the id or its
     * wish seen. */
    weir_fence_full();
    for (;;) {
        /* SYNC(health.stop): acquire, so that the last beat counts everything that the loop did. */
        const bool should_stop = weir_load_acquire_u32(&health->should_stop) != 0;
        if (should_stop || weir_os()->clock_ns() >= health->next_beat_ns) {
            weir_health_beat(health);
        }
        if (should_stop) {
            return NULL;
        }
        const uint64_t nudge_at_ns = nudge(health);
        struct pollfd control = {.fd = health->worker->terms->socket_fd, .events = POLLIN};
        const int ready = weir_os()->poll_until(
            &control, 1, nudge_at_ns < health->next_beat_ns ? nudge_at_ns : health->next_beat_ns,
            &health->wait_mask);
        if (ready > 0) {
            read_control(health);
        }
    }
}

/* All signals are blocked in the thread but those that report its own faults; ppoll lets two more
 * in. */
static void make_masks(weir_health *health, sigset_t *thread_mask)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};
    sigfillset(thread_mask);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        sigdelset(thread_mask, faults[i]);
    }
    health->wait_mask = *thread_mask;
    sigdelset(&health->wait_mask, SIGTERM);
    sigdelset(&health->wait_mask, WEIR_WAKE_SIGNAL);
}

static weir_status take_term(weir_health *health)
{
    weir_store_relaxed_u32(&term_requested, 0);
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    if (weir_os()->signal_mask(SIG_BLOCK, &term, &health->old_mask) != 0) {
        return WEIR_SYSTEM;
    }
    struct sigaction action = {.sa_handler = on_term};
    sigemptyset(&action.sa_mask);
    return weir_os()->signal_action(SIGTERM, &action, &health->old_term) == 0 ? WEIR_OK
                                                                              : WEIR_SYSTEM;
}

/* Gives back the handler and, of the mask, SIGTERM alone: the rest is the gate's. */
static void give_term_back(weir_health *health)
{
    (void)weir_os()->signal_action(SIGTERM, &health->old_term, NULL);
    if (!sigismember(&health->old_mask, SIGTERM)) {
        sigset_t term;
        sigemptyset(&term);
        sigaddset(&term, SIGTERM);
        (void)weir_os()->signal_mask(SIG_UNBLOCK, &term, NULL);
    }
}

weir_status weir_health_start(weir_health *health, weir_worker *worker)
{
    *health = (weir_health){.worker = worker, .nudge_ns = NUDGE_FIRST_NS};
    if (take_term(health) != WEIR_OK) {
        return WEIR_SYSTEM;
    }
    weir_health_beat(health);
    sigset_t thread_mask;
    sigset_t loop_mask;
    make_masks(health, &thread_mask);
    (void)weir_os()->signal_mask(SIG_SETMASK, &thread_mask, &loop_mask);
    const int error = pthread_create(&health->thread, NULL, run, health);
    (void)weir_os()->signal_mask(SIG_SETMASK, &loop_mask, NULL);
    if (error != 0) {
        give_term_back(health);
        errno = error;
        return WEIR_SYSTEM;
    }
    return WEIR_OK;
}

void weir_health_stop(weir_health *health)
{
    /* SYNC(health.stop): everything that the last beat tells lies before it. */
    weir_store_release_u32(&health->should_stop, 1);
    weir_fence_full();
    const uint32_t tid = weir_load_relaxed_u32(&health->tid);
    if (tid != 0) {
        /* Blocked outside ppoll, hence pending: it cannot fall between the thread's look and its
         * sleep. */
        (void)weir_os()->thread_signal(weir_os()->getpid(), (pid_t)tid, WEIR_WAKE_SIGNAL);
    }
    (void)pthread_join(health->thread, NULL);
    give_term_back(health);
}
