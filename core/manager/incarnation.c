#include "manager/incarnation.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/atomic.h"
#include "manager/registry.h"

/* Guards the list of each manager and the way from an incarnation to its manager while either may
 * be going away. */
static pthread_mutex_t alive_lock = PTHREAD_MUTEX_INITIALIZER;

static void enlist(weir_incarnation *incarnation)
{
    pthread_mutex_lock(&alive_lock);
    weir_incarnation **first = &incarnation->manager->first_alive;
    incarnation->next_alive = *first;
    if (*first != NULL) {
        (*first)->previous_alive = incarnation;
    }
    *first = incarnation;
    (void)weir_fetch_add_relaxed_u64(&incarnation->manager->mappings, 2);
    pthread_mutex_unlock(&alive_lock);
}

static void delist(weir_incarnation *incarnation)
{
    pthread_mutex_lock(&alive_lock);
    weir_manager *manager = incarnation->manager;
    if (manager != NULL) {
        (void)weir_fetch_add_relaxed_u64(&manager->mappings, (uint64_t)-2);
        if (incarnation->previous_alive != NULL) {
            incarnation->previous_alive->next_alive = incarnation->next_alive;
        } else {
            manager->first_alive = incarnation->next_alive;
        }
        if (incarnation->next_alive != NULL) {
            incarnation->next_alive->previous_alive = incarnation->previous_alive;
        }
    }
    pthread_mutex_unlock(&alive_lock);
}

void weir_incarnation_orphan_all(weir_manager *manager)
{
    pthread_mutex_lock(&alive_lock);
    for (weir_incarnation *one = manager->first_alive; one != NULL; one = one->next_alive) {
        pthread_mutex_lock(&one->lock);
        one->manager = NULL;
        pthread_mutex_unlock(&one->lock);
    }
    manager->first_alive = NULL;
    pthread_mutex_unlock(&alive_lock);
}

static int signal_worker(void *context)
{
    /* Through the pidfd, so that a reused process id is never hit; the worker's other threads block
     * the signal. */
    weir_incarnation *incarnation = context;
    return incarnation->pidfd < 0 ? -1
                                  : weir_os()->pidfd_signal(incarnation->pidfd, WEIR_WAKE_SIGNAL);
}

static weir_status open_descriptors(weir_incarnation *incarnation, weir_error *error)
{
    incarnation->request_eventfd = weir_os()->eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    incarnation->response_eventfd = weir_os()->eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (incarnation->request_eventfd < 0 || incarnation->response_eventfd < 0) {
        return weir_error_system(error, errno, "cannot make a worker's eventfds",
                                 "raise the limit on open files (ulimit -n)");
    }
    return weir_token_make(incarnation->token, error);
}

static weir_status build_channels(weir_incarnation *incarnation, weir_error *error)
{
    weir_arena *arena = &incarnation->arena;
    const weir_pool_options *options = &incarnation->pool->options;
    weir_ring_producer_init(&incarnation->requests, arena->request_ring,
                            &arena->manager_control->request_published,
                            &arena->worker_control->request_consumed, 0);
    weir_ring_consumer_init(&incarnation->responses, arena->response_ring,
                            &arena->manager_control->response_consumed, 0);
    weir_slot_map request_map;
    weir_slot_map_init(&request_map, arena->config.request_class,
                       arena->config.request_class_count);
    weir_slot_map_init(&incarnation->response_map, arena->config.response_class,
                       arena->config.response_class_count);
    weir_release_writer_init(&incarnation->releases, arena->response_release,
                             &arena->manager_control->response_released);
    weir_waker_init(&incarnation->waker, &arena->worker_control->worker_parked,
                    &arena->manager_control->request_bell, &arena->manager_control->manager_refused,
                    incarnation->request_eventfd, signal_worker, incarnation);
    weir_status status =
        weir_slot_pool_init(&incarnation->request_slots, &request_map, arena->request_release,
                            &arena->worker_control->request_released);
    if (status == WEIR_OK) {
        /* The loop spins for all workers at once; a single gate of its own never spins. */
        status = weir_sleeper_init(&incarnation->sleeper, &arena->manager_control->manager_parked,
                                   &arena->worker_control->response_bell,
                                   &arena->worker_control->worker_refused,
                                   incarnation->response_eventfd, options->wake_strategies, 0);
    }
    if (status != WEIR_OK) {
        weir_error_set(error, "cannot set up a worker's channels: %s", weir_status_name(status));
    }
    return status;
}

weir_status weir_incarnation_create(weir_pool *pool, uint32_t seat, uint32_t generation,
                                    weir_incarnation **out, weir_error *error)
{
    weir_incarnation *incarnation = calloc(1, sizeof *incarnation);
    if (incarnation == NULL) {
        weir_error_set(error, "no memory for the records of a worker; free some and start again");
        return WEIR_NO_MEMORY;
    }
    incarnation->pool = pool;
    incarnation->manager = pool->manager;
    incarnation->seat = seat;
    incarnation->generation = generation;
    incarnation->references = 1;
    incarnation->request_eventfd = incarnation->response_eventfd = -1;
    incarnation->socket_fd = incarnation->pidfd = incarnation->output.fd = -1;
    incarnation->stuck_after_ns = WEIR_NEVER;
    weir_job_list_init(&incarnation->in_flight);
    pthread_mutex_init(&incarnation->lock, NULL);
    snprintf(incarnation->correlation, sizeof incarnation->correlation, "%s-%u-%u",
             pool->options.role, seat, generation);
    weir_status status =
        weir_arena_create(&pool->options.arena, generation, &incarnation->arena, error);
    if (status == WEIR_OK) {
        enlist(incarnation);
        status = open_descriptors(incarnation, error);
        if (status == WEIR_OK) {
            status = build_channels(incarnation, error);
        }
    } else {
        incarnation->manager = NULL;
    }
    if (status != WEIR_OK) {
        weir_incarnation_close(incarnation);
        weir_incarnation_release(incarnation);
        return status;
    }
    *out = incarnation;
    return WEIR_OK;
}

void weir_incarnation_retain(weir_incarnation *incarnation)
{
    /* SYNC(incarnation.references): a reference is only taken by who has one, so this orders
     * nothing. */
    (void)weir_fetch_add_relaxed_u32(&incarnation->references, 1);
}

static void destroy(weir_incarnation *incarnation)
{
    delist(incarnation);
    weir_arena_destroy(&incarnation->arena);
    weir_slot_pool_destroy(&incarnation->request_slots);
    pthread_mutex_destroy(&incarnation->lock);
    free(incarnation);
}

void weir_incarnation_release(weir_incarnation *incarnation)
{
    /* SYNC(incarnation.references): the last release comes after all use by the others. */
    if (weir_fetch_add_acq_rel_u32(&incarnation->references, (uint32_t)-1) == 1) {
        destroy(incarnation);
    }
}

static void close_and_forget(int *fd)
{
    if (*fd >= 0) {
        (void)weir_os()->close(*fd);
        *fd = -1;
    }
}

void weir_incarnation_close(weir_incarnation *incarnation)
{
    pthread_mutex_lock(&incarnation->lock);
    close_and_forget(&incarnation->pidfd);
    incarnation->waker.eventfd = -1;
    pthread_mutex_unlock(&incarnation->lock);
    close_and_forget(&incarnation->socket_fd);
    close_and_forget(&incarnation->request_eventfd);
    close_and_forget(&incarnation->response_eventfd);
    close_and_forget(&incarnation->output.fd);
    weir_arena_close_descriptors(&incarnation->arena);
}

void weir_incarnation_wake(weir_incarnation *incarnation)
{
    pthread_mutex_lock(&incarnation->lock);
    if (weir_gate_wake(&incarnation->waker) && incarnation->manager != NULL) {
        (void)weir_fetch_add_relaxed_u64(&incarnation->manager->wakes_sent, 1);
    }
    pthread_mutex_unlock(&incarnation->lock);
}

void weir_incarnation_command(weir_incarnation *incarnation, uint32_t command_bits)
{
    uint32_t *command = &incarnation->arena.manager_control->command;
    /* SYNC(manager.command): what the command is about was published before it. */
    weir_store_release_u32(command, weir_load_relaxed_u32(command) | command_bits);
    weir_incarnation_wake(incarnation);
}

void weir_incarnation_distrust(weir_incarnation *incarnation, uint32_t error_code)
{
    if (weir_exchange_acq_rel_u32(&incarnation->distrust_claimed, 1) == 0) {
        weir_store_relaxed_u32(&incarnation->distrust_reason, error_code);
        (void)weir_fetch_add_relaxed_u64(&incarnation->manager->protocol_errors, 1);
        weir_manager_ring(incarnation->manager);
    }
}
