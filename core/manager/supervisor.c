/* Long because a seat's life is one state machine and reads best in one piece: start, watch, fence,
 * bury, replace. */
#include "manager/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/atomic.h"
#include "base/failpoint.h"
#include "manager/admission.h"
#include "manager/event.h"
#include "manager/recovery.h"
#include "manager/spawn.h"

/* Between the end of a control socket and the end of its process lies only the kernel's clean-up.
 */
#define CLOSED_GRACE_NS (200 * WEIR_NS_PER_MS)
#define RETRY_NS        WEIR_NS_PER_MS

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void set_state(weir_pool *pool, weir_seat *seat, weir_seat_state state)
{
    pthread_mutex_lock(&pool->lock);
    seat->state = state;
    weir_pool_changed(pool);
    pthread_mutex_unlock(&pool->lock);
}

static void set_wanted(weir_pool *pool, weir_seat *seat, bool is_wanted)
{
    pthread_mutex_lock(&pool->lock);
    seat->is_wanted = is_wanted;
    pthread_mutex_unlock(&pool->lock);
}

/* ---- random
 * ---------------------------------------------------------------------------------------------- */

/* splitmix64 (Steele, Lea, Flood, OOPSLA 2014): every choice of the supervisor derives from the
 * manager's seed. */
static uint64_t next_random(weir_manager *manager)
{
    uint64_t z = manager->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Half of the delay is certain, half is chance, so that workers that died together do not start
 * together. */
static uint64_t with_jitter(weir_manager *manager, uint64_t delay_ns)
{
    return delay_ns / 2 + next_random(manager) % (delay_ns / 2 + 1);
}

/* ---- start
 * -----------------------------------------------------------------------------------------------
 */

static void schedule_restart(weir_pool *pool, weir_seat *seat, uint64_t now_ns)
{
    const weir_pool_options *options = &pool->options;
    seat->backoff_ns = seat->backoff_ns == 0
                           ? options->backoff_first_ns
                           : earlier(seat->backoff_ns * 2, options->backoff_max_ns);
    seat->start_at_ns = now_ns + with_jitter(pool->manager, seat->backoff_ns);
}

static void quarantine(weir_pool *pool, uint32_t number, const char *why)
{
    weir_seat *seat = &pool->seats[number];
    set_state(pool, seat, WEIR_SEAT_QUARANTINED);
    weir_event_tell(pool, number, NULL, "quarantined", "%s; it is not started again", why);
    weir_manager_ring(pool->manager); /* Deferred jobs may have nobody left to wait for. */
}

/* A worker ended or could not be started: again later, or never. */
static void note_death(weir_pool *pool, uint32_t number, bool was_stable, uint64_t now_ns)
{
    weir_seat *seat = &pool->seats[number];
    if (was_stable) {
        seat->deaths_in_row = 0;
        seat->backoff_ns = 0;
    }
    seat->deaths_in_row++;
    if (seat->deaths_in_row >= pool->options.deaths_max) {
        quarantine(pool, number, "the worker died too often in a row");
        return;
    }
    schedule_restart(pool, seat, now_ns);
    weir_event_tell(pool, number, NULL, "restarting", "next start in %llu ms",
                    (unsigned long long)((seat->start_at_ns - now_ns) / WEIR_NS_PER_MS));
}

static void offer_terms(weir_incarnation *incarnation)
{
    const weir_pool *pool = incarnation->pool;
    const weir_pool_options *options = &pool->options;
    const uint32_t tid = weir_load_relaxed_u32(&pool->manager->loop_tid);
    struct weir_manager_control *control = incarnation->arena.manager_control;
    weir_store_relaxed_u32(&control->manager_pid, (uint32_t)weir_os()->getpid());
    weir_store_relaxed_u32(&control->manager_tid, tid);
    incarnation->offered = (weir_handshake_terms){
        .generation = incarnation->generation,
        .arena = &incarnation->arena,
        .request_eventfd = incarnation->request_eventfd,
        .response_eventfd = incarnation->response_eventfd,
        .capabilities = (options->capabilities & (WEIR_CAPABILITY_LZ4 | WEIR_CAPABILITY_ZSTD)) |
                        (options->without_payload_crc ? 0u : WEIR_CAPABILITY_PAYLOAD_CRC),
        .wake_strategies = options->wake_strategies,
        .spin_ns = options->spin_ns == 1 ? 0 : options->spin_ns,
        .compress_min_bytes = options->compress_min_bytes,
        .manager_tid = tid,
        .role = options->role,
        .correlation = incarnation->correlation,
    };
}

static weir_status bring_up(weir_pool *pool, uint32_t number, weir_incarnation **out,
                            weir_error *error)
{
    weir_manager *manager = pool->manager;
    weir_incarnation *incarnation = NULL;
    weir_status status =
        weir_incarnation_create(pool, number, ++manager->generation, &incarnation, error);
    if (status != WEIR_OK) {
        return status;
    }
    offer_terms(incarnation);
    status = weir_spawn(incarnation, manager->listener.path, error);
    if (status == WEIR_OK) {
        status = weir_watcher_add(&manager->watcher, incarnation->pidfd, WEIR_WATCH_PROCESS,
                                  incarnation->generation, error);
    }
    if (status == WEIR_OK) {
        status = weir_watcher_add(&manager->watcher, incarnation->output.fd, WEIR_WATCH_OUTPUT,
                                  incarnation->generation, error);
    }
    *out = incarnation;
    return status;
}

static void start(weir_pool *pool, uint32_t number, uint64_t now_ns)
{
    weir_seat *seat = &pool->seats[number];
    weir_incarnation *incarnation = NULL;
    weir_error error = {{0}};
    const weir_status status = bring_up(pool, number, &incarnation, &error);
    if (status != WEIR_OK) {
        pthread_mutex_lock(&pool->lock);
        seat->last_refusal = error;
        seat->has_refusal = true;
        weir_pool_changed(pool);
        pthread_mutex_unlock(&pool->lock);
        weir_event_tell(pool, number, incarnation, "refused", "%s", error.text);
    }
    if (incarnation == NULL || incarnation->pidfd < 0) {
        if (incarnation != NULL) {
            weir_incarnation_close(incarnation);
            weir_incarnation_release(incarnation);
        }
        note_death(pool, number, false, now_ns);
        return;
    }
    incarnation->spawned_ns = now_ns;
    pthread_mutex_lock(&pool->lock);
    seat->now = incarnation;
    seat->is_leaving = false;
    seat->state = WEIR_SEAT_STARTING;
    pthread_mutex_unlock(&pool->lock);
    weir_event_tell(pool, number, incarnation, "spawned", "started %s as pid %d",
                    pool->options.command[0], (int)incarnation->pid);
}

/* ---- fence and bury
 * -------------------------------------------------------------------------------------- */

static void take_line(void *context, const char *line)
{
    const weir_incarnation *incarnation = context;
    weir_event_tell(incarnation->pool, incarnation->seat, incarnation, "output", "%s", line);
}

/* A flooding worker gets a bounded turn; the edge is spent then, so the rest is remembered. */
static void pump_output(weir_incarnation *incarnation)
{
    incarnation->has_more_output = weir_output_pump(&incarnation->output, take_line, incarnation);
}

/* From here on nothing is sent there any more. */
static void mark_gone(weir_pool *pool, weir_seat *seat, weir_seat_state state)
{
    pthread_mutex_lock(&pool->lock);
    seat->now->is_gone = true;
    seat->now->is_serving = false;
    seat->state = state;
    weir_pool_changed(pool);
    pthread_mutex_unlock(&pool->lock);
}

/* Killed through its pidfd; its jobs go nowhere before it is reaped. */
static void fence(weir_pool *pool, weir_seat *seat, const char *kind, const char *why,
                  uint64_t now_ns)
{
    weir_incarnation *incarnation = seat->now;
    mark_gone(pool, seat, WEIR_SEAT_DYING);
    incarnation->fenced_ns = now_ns;
    (void)weir_os()->pidfd_signal(incarnation->pidfd, SIGKILL);
    WEIR_FAILPOINT(recovery_after_fence);
    weir_event_tell(pool, incarnation->seat, incarnation, kind, "%s; pid %d is killed", why,
                    (int)incarnation->pid);
}

static void unwatch(weir_manager *manager, weir_incarnation *incarnation)
{
    weir_watcher_remove(&manager->watcher, incarnation->pidfd);
    weir_watcher_remove(&manager->watcher, incarnation->socket_fd);
    weir_watcher_remove(&manager->watcher, incarnation->output.fd);
    if (manager->wait_epoll_fd >= 0) {
        (void)weir_os()->epoll_ctl(manager->wait_epoll_fd, EPOLL_CTL_DEL,
                                   incarnation->response_eventfd, NULL);
    }
}

static void tell_exit(weir_pool *pool, weir_incarnation *incarnation, size_t resent,
                      bool was_intended)
{
    weir_event_tell(pool, incarnation->seat, incarnation, was_intended ? "stopped" : "exited",
                    "pid %d ended %s %d, %zu jobs to be sent again", (int)incarnation->pid,
                    incarnation->exit.was_signal ? "by signal" : "with status",
                    incarnation->exit.status, resent);
}

/* A caller is writing a payload there; it will notice when it publishes. */
static bool is_being_filled(weir_incarnation *incarnation)
{
    pthread_mutex_lock(&incarnation->pool->lock);
    const bool has_reserved = incarnation->reserved > 0;
    pthread_mutex_unlock(&incarnation->pool->lock);
    return has_reserved;
}

/* Ended before READY: what it said last is the best explanation that there is. */
static void note_early_end(weir_pool *pool, weir_seat *seat)
{
    const weir_incarnation *incarnation = seat->now;
    pthread_mutex_lock(&pool->lock);
    if (!seat->has_refusal) {
        weir_error_set(
            &seat->last_refusal, "%s ended %s %d before it was ready; its last words: %.300s",
            pool->options.command[0], incarnation->exit.was_signal ? "by signal" : "with status",
            incarnation->exit.status,
            incarnation->output.lines > 0 ? incarnation->output.line : "none");
    }
    pthread_mutex_unlock(&pool->lock);
}

/* The process is reaped: take in what it left, recover its jobs, empty the seat. */
static uint64_t bury(weir_pool *pool, weir_seat *seat, uint64_t now_ns)
{
    weir_manager *manager = pool->manager;
    weir_incarnation *incarnation = seat->now;
    const bool is_quarantined = seat->state == WEIR_SEAT_QUARANTINED;
    if (!incarnation->is_gone) {
        mark_gone(pool, seat, WEIR_SEAT_DYING);
    }
    if (is_being_filled(incarnation)) {
        return now_ns + RETRY_NS;
    }
    weir_output_finish(&incarnation->output, take_line, incarnation);
    const size_t resent = weir_recover(incarnation, true);
    if (incarnation->ready_ns == 0) {
        note_early_end(pool, seat);
    }
    const bool was_intended = seat->is_leaving;
    const bool was_stable =
        incarnation->ready_ns != 0 && now_ns - incarnation->ready_ns >= pool->options.stable_ns;
    const uint32_t number = incarnation->seat;
    tell_exit(pool, incarnation, resent, was_intended);
    unwatch(manager, incarnation);
    weir_incarnation_close(incarnation);
    pthread_mutex_lock(&pool->lock);
    seat->now = NULL;
    seat->state = is_quarantined ? WEIR_SEAT_QUARANTINED : WEIR_SEAT_EMPTY;
    seat->restarts += seat->is_wanted && !is_quarantined;
    weir_pool_changed(pool);
    pthread_mutex_unlock(&pool->lock);
    weir_incarnation_release(incarnation);
    if (seat->is_wanted && !is_quarantined) {
        WEIR_FAILPOINT(recovery_before_respawn);
        if (was_intended) {
            seat->start_at_ns = now_ns;
        } else {
            note_death(pool, number, was_stable, now_ns);
        }
    }
    weir_manager_ring(manager);
    return now_ns;
}

/* A process that outlives SIGKILL (stuck in the kernel) keeps its seat; its jobs end, they may
 * still be running. */
static void give_up(weir_pool *pool, weir_seat *seat)
{
    weir_incarnation *incarnation = seat->now;
    if (is_being_filled(incarnation)) {
        return;
    }
    (void)weir_recover(incarnation, false);
    quarantine(pool, incarnation->seat, "the worker does not exit after SIGKILL");
}

/* ---- watch
 * -----------------------------------------------------------------------------------------------
 */

static bool try_reap(weir_incarnation *incarnation)
{
    if (!incarnation->is_reaped) {
        const int result = weir_os()->pidfd_reap(incarnation->pidfd, &incarnation->exit);
        /* ECHILD: somebody else in this program reaped it; it is gone all the same. */
        incarnation->is_reaped = result == 1 || (result < 0 && errno == ECHILD);
    }
    return incarnation->is_reaped;
}

static bool is_silent(weir_incarnation *incarnation, uint64_t now_ns)
{
    const struct weir_telemetry *telemetry = incarnation->arena.telemetry;
    const uint64_t count = weir_load_relaxed_u64(&telemetry->beat_count);
    if (count != incarnation->beat_count_seen) {
        incarnation->beat_count_seen = count;
        incarnation->beat_seen_ns =
            now_ns; /* Our own clock: the worker's stamp could say anything. */
    }
    return now_ns - incarnation->beat_seen_ns > incarnation->pool->options.silence_ns;
}

static bool is_stuck(weir_incarnation *incarnation, uint64_t now_ns)
{
    weir_pool *pool = incarnation->pool;
    bool stuck = false;
    pthread_mutex_lock(&pool->lock);
    if (incarnation->stuck_after_ns != WEIR_NEVER) {
        const uint64_t progress =
            weir_load_relaxed_u64(&incarnation->arena.worker_control->progress);
        /* Replies come in the order of the requests: this one may have been on its way when its
         * deadline passed, and a worker that then has nothing to do makes no progress. */
        if (progress != incarnation->stuck_progress ||
            incarnation->received > incarnation->stuck_index) {
            incarnation->stuck_after_ns = WEIR_NEVER;
        } else {
            stuck = now_ns > incarnation->stuck_after_ns &&
                    now_ns - incarnation->stuck_after_ns > pool->options.stuck_ns;
        }
    }
    pthread_mutex_unlock(&pool->lock);
    return stuck;
}

static bool has_nothing_left(weir_incarnation *incarnation)
{
    pthread_mutex_lock(&incarnation->pool->lock);
    const bool is_idle = weir_incarnation_outstanding(incarnation) == 0;
    pthread_mutex_unlock(&incarnation->pool->lock);
    return is_idle;
}

static void begin_drain(weir_pool *pool, weir_seat *seat, const char *why)
{
    pthread_mutex_lock(&pool->lock);
    seat->now->is_serving = false;
    seat->state = WEIR_SEAT_DRAINING;
    weir_pool_changed(pool);
    pthread_mutex_unlock(&pool->lock);
    seat->is_leaving = true;
    weir_incarnation_command(seat->now, WEIR_COMMAND_DRAIN);
    weir_event_tell(pool, seat->now->seat, seat->now, "draining", "%s", why);
}

static void tell_to_stop(weir_incarnation *incarnation, uint64_t now_ns)
{
    if (!incarnation->was_told_to_stop) {
        incarnation->was_told_to_stop = true;
        incarnation->told_ns = now_ns;
        weir_incarnation_command(incarnation, WEIR_COMMAND_SHUTDOWN);
    }
}

/* Whatever is wrong with a live worker, worst first; NULL when it is well. */
static const char *find_fault(weir_incarnation *incarnation, uint64_t now_ns, const char **why)
{
    if (weir_arena_is_truncated(&incarnation->arena)) {
        weir_incarnation_distrust(incarnation, WEIR_ERROR_CODE_TRUNCATED);
    }
    const uint32_t reason = weir_load_relaxed_u32(&incarnation->distrust_reason);
    if (reason != 0) {
        *why = weir_error_code_name(reason);
        return "protocol_error";
    }
    if (incarnation->closed_ns != 0 && now_ns - incarnation->closed_ns > CLOSED_GRACE_NS) {
        *why = "it closed its control socket and lives on";
        return "fenced";
    }
    if (is_silent(incarnation, now_ns)) {
        *why = "no heartbeat";
        return "silent";
    }
    if (is_stuck(incarnation, now_ns)) {
        *why = "no progress past a job's deadline";
        return "stuck";
    }
    return NULL;
}

static void watch_serving(weir_pool *pool, weir_seat *seat, uint64_t now_ns)
{
    weir_incarnation *incarnation = seat->now;
    const char *why = NULL;
    const char *fault = find_fault(incarnation, now_ns, &why);
    if (fault != NULL) {
        fence(pool, seat, fault, why, now_ns);
        return;
    }
    /* SYNC(worker.state): a worker that drains by itself (SIGTERM) asks for no more jobs. */
    const uint32_t state = weir_load_acquire_u32(&incarnation->arena.worker_control->state);
    if (seat->state == WEIR_SEAT_READY && state == WEIR_WORKER_STATE_DRAINING) {
        begin_drain(pool, seat, "the worker asked to be drained");
    }
    if (seat->state == WEIR_SEAT_DRAINING) {
        if (has_nothing_left(incarnation)) {
            tell_to_stop(incarnation, now_ns);
        }
        if (incarnation->was_told_to_stop &&
            now_ns - incarnation->told_ns > pool->options.kill_ns) {
            fence(pool, seat, "fenced", "it does not stop when told to", now_ns);
        }
    }
}

static uint64_t supervise_starting(weir_pool *pool, weir_seat *seat, uint64_t now_ns)
{
    const uint64_t limit_ns = seat->now->spawned_ns + pool->options.start_timeout_ns;
    if (now_ns >= limit_ns) {
        weir_error *refusal = &seat->last_refusal;
        pthread_mutex_lock(&pool->lock);
        if (!seat->has_refusal) {
            weir_error_set(
                refusal,
                "%s did not finish the handshake within %llu ms; is it a Weir worker for role %s?",
                pool->options.command[0],
                (unsigned long long)(pool->options.start_timeout_ns / WEIR_NS_PER_MS),
                pool->options.role);
            seat->has_refusal = true;
        }
        pthread_mutex_unlock(&pool->lock);
        fence(pool, seat, "refused", "no READY in time", now_ns);
        return now_ns;
    }
    return limit_ns;
}

static uint64_t supervise_dying(weir_pool *pool, weir_seat *seat, uint64_t now_ns)
{
    const uint64_t limit_ns = seat->now->fenced_ns + pool->options.kill_ns;
    if (now_ns < limit_ns) {
        return limit_ns;
    }
    give_up(pool, seat);
    return now_ns + WEIR_SUPERVISE_PERIOD_NS;
}

static uint64_t supervise_empty(weir_pool *pool, uint32_t number, uint64_t now_ns)
{
    weir_seat *seat = &pool->seats[number];
    if (!seat->is_wanted) {
        return WEIR_NEVER;
    }
    if (now_ns < seat->start_at_ns) {
        return seat->start_at_ns;
    }
    start(pool, number, now_ns);
    return seat->now != NULL ? now_ns + WEIR_SUPERVISE_PERIOD_NS : seat->start_at_ns;
}

static uint64_t supervise_seat(weir_pool *pool, uint32_t number, uint64_t now_ns)
{
    weir_seat *seat = &pool->seats[number];
    if (seat->now != NULL && try_reap(seat->now)) {
        return bury(pool, seat, now_ns);
    }
    if (seat->now != NULL && seat->now->has_more_output) {
        pump_output(seat->now);
        if (seat->now->has_more_output) {
            return now_ns + RETRY_NS;
        }
    }
    switch (seat->state) {
    case WEIR_SEAT_EMPTY:
        return supervise_empty(pool, number, now_ns);
    case WEIR_SEAT_STARTING:
        return supervise_starting(pool, seat, now_ns);
    case WEIR_SEAT_READY:
    case WEIR_SEAT_DRAINING:
        watch_serving(pool, seat, now_ns);
        return now_ns + WEIR_SUPERVISE_PERIOD_NS;
    case WEIR_SEAT_DYING:
        return supervise_dying(pool, seat, now_ns);
    default:
        return now_ns + WEIR_SUPERVISE_PERIOD_NS;
    }
}

/* ---- reload
 * ---------------------------------------------------------------------------------------------- */

static bool find_old_seat(weir_pool *pool, uint32_t *number)
{
    for (uint32_t i = 0; i < pool->seat_count; i++) {
        const weir_seat *seat = &pool->seats[i];
        if (seat->is_wanted &&
            (seat->now == NULL || seat->now->generation <= pool->reload.last_generation)) {
            *number = i;
            return true;
        }
    }
    return false;
}

static void end_reload(weir_pool *pool, bool has_failed)
{
    pthread_mutex_lock(&pool->lock);
    pool->reload.is_running = false;
    pool->reload.has_failed = has_failed;
    weir_pool_changed(pool);
    pthread_mutex_unlock(&pool->lock);
    weir_event_tell(pool, 0, NULL, "reloaded", "%s",
                    has_failed ? "the reload stopped: the new worker does not start"
                               : "every worker of the pool was replaced");
}

static void begin_next_replacement(weir_pool *pool, uint64_t now_ns)
{
    weir_reload *reload = &pool->reload;
    if (!find_old_seat(pool, &reload->old_seat)) {
        end_reload(pool, false);
        return;
    }
    for (uint32_t i = 0; i < pool->seat_count; i++) {
        weir_seat *seat = &pool->seats[i];
        if (!seat->is_wanted && seat->state == WEIR_SEAT_EMPTY) {
            reload->new_seat = i;
            reload->is_draining = false;
            set_wanted(pool, seat, true);
            seat->start_at_ns = now_ns;
            seat->backoff_ns = 0;
            seat->deaths_in_row = 0;
            return;
        }
    }
}

/* One at a time: the replacement serves before the old one is drained, so there is always somebody
 * to take jobs. */
static void supervise_reload(weir_pool *pool, uint64_t now_ns)
{
    weir_reload *reload = &pool->reload;
    if (reload->last_generation == 0) {
        reload->last_generation = pool->manager->generation;
        begin_next_replacement(pool, now_ns);
        return;
    }
    weir_seat *old = &pool->seats[reload->old_seat];
    weir_seat *fresh = &pool->seats[reload->new_seat];
    if (!reload->is_draining) {
        if (fresh->state == WEIR_SEAT_QUARANTINED) {
            set_wanted(pool, fresh, false);
            set_state(pool, fresh, WEIR_SEAT_EMPTY);
            end_reload(pool, true);
        } else if (fresh->state == WEIR_SEAT_READY) {
            reload->is_draining = true;
            set_wanted(pool, old, false);
            if (old->state == WEIR_SEAT_READY) {
                begin_drain(pool, old, "a replacement is ready");
            }
        }
    } else if (old->state ==
               WEIR_SEAT_READY) { /* It was still starting when its replacement was ready. */
        begin_drain(pool, old, "a replacement is ready");
    } else if (old->now == NULL) {
        set_state(pool, old, WEIR_SEAT_EMPTY);
        begin_next_replacement(pool, now_ns);
    }
}

/* ---- the whole
 * ------------------------------------------------------------------------------------------- */

static uint64_t supervise_pool(weir_pool *pool, uint64_t now_ns)
{
    uint64_t next_ns = WEIR_NEVER;
    for (uint32_t i = 0; i < pool->seat_count; i++) {
        next_ns = earlier(next_ns, supervise_seat(pool, i, now_ns));
    }
    pthread_mutex_lock(&pool->lock);
    const bool is_reloading = pool->reload.is_running;
    pthread_mutex_unlock(&pool->lock);
    if (is_reloading) {
        supervise_reload(pool, now_ns);
        next_ns = earlier(next_ns, now_ns + 10 * WEIR_NS_PER_MS);
    }
    return next_ns;
}

uint64_t weir_supervise(weir_manager *manager, uint64_t now_ns)
{
    weir_admission_accept(manager, now_ns);
    uint64_t next_ns = weir_admission_step(manager, now_ns);
    const uint32_t count = weir_load_acquire_u32(&manager->pool_count);
    for (uint32_t i = 0; i < count; i++) {
        next_ns = earlier(next_ns, supervise_pool(manager->pools[i], now_ns));
    }
    return next_ns;
}

static weir_incarnation *find_generation(weir_manager *manager, uint32_t generation)
{
    const uint32_t count = weir_load_acquire_u32(&manager->pool_count);
    for (uint32_t p = 0; p < count; p++) {
        for (uint32_t s = 0; s < manager->pools[p]->seat_count; s++) {
            weir_incarnation *now = manager->pools[p]->seats[s].now;
            if (now != NULL && now->generation == generation) {
                return now;
            }
        }
    }
    return NULL;
}

static void read_socket(weir_incarnation *incarnation)
{
    /* Nothing is expected here yet but the end: read and drop, bounded, until there is nothing. */
    for (int i = 0; i < 16 && incarnation->closed_ns == 0; i++) {
        char dropped[64];
        struct iovec into = {.iov_base = dropped, .iov_len = sizeof dropped};
        struct msghdr message = {.msg_iov = &into, .msg_iovlen = 1};
        const ssize_t got =
            weir_os()->recvmsg(incarnation->socket_fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
            incarnation->closed_ns = weir_os()->clock_ns();
        } else if (got < 0) {
            return;
        }
    }
}

static void pump_all_outputs(weir_manager *manager)
{
    const uint32_t count = weir_load_acquire_u32(&manager->pool_count);
    for (uint32_t p = 0; p < count; p++) {
        for (uint32_t s = 0; s < manager->pools[p]->seat_count; s++) {
            weir_incarnation *now = manager->pools[p]->seats[s].now;
            if (now != NULL && now->socket_fd >= 0 && now->closed_ns == 0) {
                read_socket(now);
            }
            if (now != NULL) {
                pump_output(now);
            }
        }
    }
}

bool weir_supervise_events(weir_manager *manager)
{
    weir_watch_event events[32];
    bool has_overflowed = false;
    const uint32_t count = weir_watcher_take(&manager->watcher, events, 32, &has_overflowed);
    bool is_due = false;
    for (uint32_t i = 0; i < count; i++) {
        if (events[i].generation == 0) {
            is_due = true; /* A connection or a handshake. */
            continue;
        }
        weir_incarnation *incarnation = find_generation(manager, events[i].generation);
        if (incarnation == NULL) {
            continue; /* It was buried before its last event was taken. */
        }
        if (events[i].kind == WEIR_WATCH_OUTPUT) {
            pump_output(incarnation);
            is_due |= incarnation->has_more_output;
        } else {
            is_due = true;
            if (events[i].kind == WEIR_WATCH_SOCKET) {
                read_socket(incarnation);
            }
        }
    }
    if (has_overflowed) {
        pump_all_outputs(manager);
    }
    return is_due || has_overflowed;
}

void weir_supervise_stop(weir_manager *manager, uint64_t now_ns)
{
    weir_admission_close(manager);
    for (uint32_t p = 0; p < manager->pool_count; p++) {
        weir_pool *pool = manager->pools[p];
        for (uint32_t s = 0; s < pool->seat_count; s++) {
            weir_seat *seat = &pool->seats[s];
            set_wanted(pool, seat, false);
            seat->is_leaving = true;
            if (seat->state == WEIR_SEAT_READY) {
                begin_drain(pool, seat, "the manager is stopping");
            }
            if (seat->state == WEIR_SEAT_DRAINING) {
                tell_to_stop(seat->now, now_ns);
            } else if (seat->state == WEIR_SEAT_STARTING) {
                fence(pool, seat, "fenced", "the manager is stopping", now_ns);
            }
        }
    }
}

void weir_supervise_kill(weir_manager *manager, uint64_t now_ns)
{
    for (uint32_t p = 0; p < manager->pool_count; p++) {
        weir_pool *pool = manager->pools[p];
        for (uint32_t s = 0; s < pool->seat_count; s++) {
            weir_seat *seat = &pool->seats[s];
            if (seat->now != NULL && seat->now->fenced_ns == 0) {
                fence(pool, seat, "fenced", "the manager is stopping", now_ns);
            }
        }
    }
}

bool weir_supervise_is_empty(const weir_manager *manager)
{
    for (uint32_t p = 0; p < manager->pool_count; p++) {
        for (uint32_t s = 0; s < manager->pools[p]->seat_count; s++) {
            const weir_seat *seat = &manager->pools[p]->seats[s];
            if (seat->now != NULL && seat->state != WEIR_SEAT_QUARANTINED) {
                return false;
            }
        }
    }
    return true;
}
