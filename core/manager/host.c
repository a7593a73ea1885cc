#include "manager/host.h"

#include <errno.h>
#include <poll.h>

#include "base/atomic.h"
#include "manager/event.h"
#include "manager/loop.h"
#include "manager/loop_wait.h"

/* Batches of each worker in one turn of a host. */
#define BATCHES_MAX 16

/* ---- the host's calls */

static void sum_up(weir_manager *manager, weir_turn *turn)
{
    const uint32_t count = weir_load_acquire_u32(&manager->pool_count);
    for (uint32_t i = 0; i < count; i++) {
        weir_pool *pool = manager->pools[i];
        pthread_mutex_lock(&pool->lock);
        turn->outstanding += pool->live_jobs;
        pthread_mutex_unlock(&pool->lock);
    }
    turn->next_ns = weir_loop_next_deadline(manager, manager->next_step_ns);
}

/* The loop takes one batch of each worker a turn; the host's turn goes on as long as it finds some.
 * A peer that keeps ringing for nothing does not keep it. */
static bool take_turn(weir_manager *manager, weir_budget *budget)
{
    bool did_something = false;
    for (int i = 0; i < BATCHES_MAX && weir_loop_turn(manager, budget); i++) {
        did_something = true;
        if (budget->has_stopped) {
            break;
        }
        budget->has_stopped = i + 1 == BATCHES_MAX;
    }
    return did_something;
}

weir_status weir_host_turn(weir_manager *manager, const weir_turn_limits *limits, weir_turn *turn)
{
    *turn = (weir_turn){0};
    if (manager->options.host == NULL || limits->jobs == 0) {
        return WEIR_INVALID;
    }
    if (pthread_mutex_trylock(&manager->turn_lock) != 0) {
        return WEIR_FULL;
    }
    weir_budget budget = {.jobs = limits->jobs,
                          .bytes = limits->bytes,
                          .may_take_long = limits->may_take_long,
                          .is_fresh = true};
    /* A long turn may put a new worker to work, which no earlier parking has armed. */
    const bool ends_park = limits->may_take_long && weir_loop_is_parked(manager);
    if (ends_park) {
        weir_loop_unpark_hosted(manager);
    }
    const bool did_something = take_turn(manager, &budget);
    if (ends_park) { /* Whoever parked is to park anew. */
        (void)weir_os()->eventfd_ring(manager->wait_eventfd);
    }
    turn->jobs = limits->jobs - (uint32_t)budget.jobs;
    turn->has_more = budget.has_stopped && !budget.has_large;
    turn->needs_long = budget.has_large || manager->is_supervision_due;
    sum_up(manager, turn);
    pthread_mutex_unlock(&manager->turn_lock);
    return did_something ? WEIR_OK : WEIR_EMPTY;
}

weir_status weir_host_park(weir_manager *manager, weir_turn *turn)
{
    *turn = (weir_turn){0};
    if (manager->options.host == NULL) {
        return WEIR_INVALID;
    }
    if (pthread_mutex_trylock(&manager->turn_lock) != 0) {
        return WEIR_FULL;
    }
    const weir_status status = weir_loop_park_hosted(manager);
    turn->needs_long = manager->is_supervision_due;
    sum_up(manager, turn);
    pthread_mutex_unlock(&manager->turn_lock);
    return status;
}

weir_status weir_host_unpark(weir_manager *manager)
{
    if (manager->options.host == NULL) {
        return WEIR_INVALID;
    }
    if (pthread_mutex_trylock(&manager->turn_lock) != 0) {
        return WEIR_FULL;
    }
    weir_loop_unpark_hosted(manager);
    pthread_mutex_unlock(&manager->turn_lock);
    return WEIR_OK;
}

int weir_host_descriptor(weir_manager *manager)
{
    pthread_mutex_lock(&manager->turn_lock);
    const int fd = weir_loop_open_epoll(manager) ? manager->wait_epoll_fd : -1;
    pthread_mutex_unlock(&manager->turn_lock);
    return fd;
}

weir_status weir_host_start_worker(weir_manager *manager, weir_pool_id id, uint32_t worker)
{
    weir_pool *pool = weir_manager_pool(manager, id);
    if (pool == NULL || manager->options.host == NULL) {
        return WEIR_INVALID;
    }
    if (worker >= pool->seat_count) {
        return WEIR_NOT_FOUND;
    }
    pthread_mutex_lock(&pool->lock);
    weir_seat *seat = &pool->seats[worker];
    const bool is_vacant = seat->now == NULL && seat->state == WEIR_SEAT_EMPTY;
    seat->is_start_asked |= is_vacant;
    pthread_mutex_unlock(&pool->lock);
    if (!is_vacant) {
        return WEIR_FULL;
    }
    weir_manager_ring(manager);
    return WEIR_OK;
}

weir_status weir_host_start_failed(weir_manager *manager, weir_pool_id id, uint32_t worker,
                                   uint32_t generation, const char *sentence)
{
    weir_pool *pool = weir_manager_pool(manager, id);
    if (pool == NULL || worker >= pool->seat_count) {
        return WEIR_NOT_FOUND;
    }
    pthread_mutex_lock(&pool->lock);
    weir_seat *seat = &pool->seats[worker];
    const bool is_awaited = seat->now != NULL && seat->now->generation == generation &&
                            seat->state == WEIR_SEAT_STARTING;
    if (is_awaited) {
        seat->now->has_no_process = true;
        weir_error_set(&seat->last_refusal, "%s", sentence);
        seat->has_refusal = true;
        weir_pool_changed(pool);
    }
    pthread_mutex_unlock(&pool->lock);
    if (!is_awaited) {
        return WEIR_NOT_FOUND;
    }
    weir_manager_ring(manager);
    return WEIR_OK;
}

/* ---- the loop's questions */

bool weir_host_wants_start(weir_pool *pool, uint32_t number)
{
    weir_seat *seat = &pool->seats[number];
    pthread_mutex_lock(&pool->lock);
    const bool is_asked = seat->is_start_asked;
    seat->is_start_asked = false;
    pthread_mutex_unlock(&pool->lock);
    if (!is_asked && !seat->was_told_vacant) {
        weir_event_tell(pool, number, NULL, "vacant", "the host may start a worker here");
    }
    seat->was_told_vacant = !is_asked;
    return is_asked;
}

void weir_host_order(weir_incarnation *incarnation)
{
    const weir_manager *manager = incarnation->manager;
    char token[WEIR_TOKEN_TEXT_BYTES];
    weir_token_write(incarnation->token, token);
    const weir_start_order order = {
        .pool = incarnation->pool->id,
        .worker = incarnation->seat,
        .generation = incarnation->generation,
        .socket = manager->listener.path,
        .token = token,
        .correlation = incarnation->correlation,
    };
    manager->options.host->start(manager->options.host->context, &order);
}

/*
 * The number names the right process: whoever sent HELLO was alive when the kernel noted its pid,
 * and it answers with READY only after this, so nobody else can have got the number in between
 * unless that answer never comes; then the start time-out kills what the host started.
 */
weir_status weir_host_adopt_process(weir_incarnation *incarnation, pid_t pid, weir_error *error)
{
    if (pid <= 0) {
        weir_error_set(error, "the worker runs in a pid namespace that this manager cannot see; "
                              "start it in the manager's own");
        return WEIR_SYSTEM;
    }
    const int pidfd = weir_os()->pidfd_open(pid);
    if (pidfd < 0) {
        return weir_error_system(error, errno, "cannot get a pidfd for a worker",
                                 "raise the limit on open files (ulimit -n); Linux 5.3 is needed");
    }
    pthread_mutex_lock(&incarnation->pool->lock); /* Snapshots read the number under it. */
    incarnation->pid = pid;
    pthread_mutex_unlock(&incarnation->pool->lock);
    pthread_mutex_lock(&incarnation->lock);
    incarnation->pidfd = pidfd;
    pthread_mutex_unlock(&incarnation->lock);
    return weir_watcher_add(&incarnation->manager->watcher, pidfd, WEIR_WATCH_PROCESS,
                            incarnation->generation, error);
}

bool weir_host_has_ended(weir_incarnation *incarnation)
{
    if (incarnation->pidfd < 0) {
        pthread_mutex_lock(&incarnation->pool->lock);
        const bool never_came = incarnation->has_no_process;
        pthread_mutex_unlock(&incarnation->pool->lock);
        return never_came || incarnation->fenced_ns != 0;
    }
    struct pollfd ended = {.fd = incarnation->pidfd, .events = POLLIN};
    return weir_os()->poll_until(&ended, 1, 0, NULL) > 0;
}
