#include "manager/seat.h"

#include <signal.h>

#include "base/atomic.h"
#include "base/failpoint.h"
#include "manager/event.h"
#include "manager/recovery.h"

void weir_seat_set_state(weir_pool *pool, weir_seat *seat, weir_seat_state state)
{
    pthread_mutex_lock(&pool->lock);
    seat->state = state;
    weir_pool_changed(pool);
    pthread_mutex_unlock(&pool->lock);
}

void weir_seat_set_wanted(weir_pool *pool, weir_seat *seat, bool is_wanted)
{
    pthread_mutex_lock(&pool->lock);
    seat->is_wanted = is_wanted;
    pthread_mutex_unlock(&pool->lock);
}

static void take_line(void *context, const char *line)
{
    const weir_incarnation *incarnation = context;
    weir_event_tell(incarnation->pool, incarnation->seat, incarnation, "output", "%s", line);
}

/* A flooding worker gets a bounded turn; the edge is spent then, so the rest is remembered. */
void weir_seat_pump_output(weir_incarnation *incarnation)
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
void weir_seat_fence(weir_pool *pool, weir_seat *seat, const char *kind, const char *why,
                     uint64_t now_ns)
{
    weir_incarnation *incarnation = seat->now;
    mark_gone(pool, seat, WEIR_SEAT_DYING);
    incarnation->fenced_ns = now_ns;
    (void)weir_os()->pidfd_signal(incarnation->pidfd, SIGKILL);
    WEIR_FAILPOINT(recovery_after_fence);
    if (incarnation->pid == 0) { /* A host was to start it. */
        weir_event_tell(pool, incarnation->seat, incarnation, kind, "%s; its process never came",
                        why);
        return;
    }
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
        incarnation->is_watched = false;
    }
}

static void tell_exit(weir_pool *pool, weir_incarnation *incarnation, size_t resent,
                      bool was_intended)
{
    const char *kind = was_intended ? "stopped" : "exited";
    if (pool->manager->options.host != NULL) { /* How it ended is known to its parent alone. */
        weir_event_tell(pool, incarnation->seat, incarnation, kind,
                        incarnation->pid != 0 ? "pid %d ended, %zu jobs to be sent again"
                                              : "no process connected (pid %d), %zu jobs to be "
                                                "sent again",
                        (int)incarnation->pid, resent);
        return;
    }
    weir_event_tell(pool, incarnation->seat, incarnation, kind,
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
uint64_t weir_seat_bury(weir_pool *pool, weir_seat *seat, uint64_t now_ns)
{
    weir_manager *manager = pool->manager;
    weir_incarnation *incarnation = seat->now;
    const bool is_quarantined = seat->state == WEIR_SEAT_QUARANTINED;
    if (!incarnation->is_gone) {
        mark_gone(pool, seat, WEIR_SEAT_DYING);
    }
    if (is_being_filled(incarnation)) {
        return now_ns + WEIR_SEAT_RETRY_NS;
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
            weir_seat_note_death(pool, number, was_stable, now_ns);
        }
    }
    weir_manager_ring(manager);
    return now_ns;
}

/* A process that outlives SIGKILL (stuck in the kernel) keeps its seat; its jobs end, they may
 * still be running. */
void weir_seat_give_up(weir_pool *pool, weir_seat *seat)
{
    weir_incarnation *incarnation = seat->now;
    if (is_being_filled(incarnation)) {
        return;
    }
    (void)weir_recover(incarnation, false);
    weir_seat_quarantine(pool, incarnation->seat, "the worker does not exit after SIGKILL");
}

void weir_seat_begin_drain(weir_pool *pool, weir_seat *seat, const char *why)
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

void weir_seat_tell_to_stop(weir_incarnation *incarnation, uint64_t now_ns)
{
    if (!incarnation->was_told_to_stop) {
        incarnation->was_told_to_stop = true;
        incarnation->told_ns = now_ns;
        weir_incarnation_command(incarnation, WEIR_COMMAND_SHUTDOWN);
    }
}
