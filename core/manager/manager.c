#include "weir/manager.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/atomic.h"
#include "manager/admission.h"
#include "manager/loop.h"
#include "manager/registry.h"
#include "manager/runtime_directory.h"
#include "manager/spawn.h"
#include "manager/status_page.h"

#define JOB_CAPACITY_DEFAULT 8192
#define JOB_CAPACITY_MAX     65536
#define HELD_BYTES_DEFAULT   (UINT64_C(64) << 20)

static weir_status take_options(weir_manager *manager, const weir_manager_options *options,
                                weir_error *error)
{
    if (options != NULL) {
        manager->options = *options;
    }
    if (manager->options.job_capacity == 0) {
        manager->options.job_capacity = JOB_CAPACITY_DEFAULT;
    }
    if (manager->options.held_bytes_max == 0) {
        manager->options.held_bytes_max = HELD_BYTES_DEFAULT;
    }
    if (manager->options.job_capacity > JOB_CAPACITY_MAX) {
        weir_error_set(error, "job_capacity is %u; at most %u jobs can be known at once",
                       manager->options.job_capacity, JOB_CAPACITY_MAX);
        return WEIR_INVALID;
    }
    if (manager->options.host != NULL) {
        manager->options.without_thread = true;
        manager->strategy = WEIR_WAKE_STRATEGY_EVENTFD; /* The host polls a descriptor. */
    }
    manager->random = manager->options.seed;
    return WEIR_OK;
}

static void ring(void *context)
{
    weir_manager_ring(context);
}

static weir_status open_resources(weir_manager *manager, weir_error *error)
{
    weir_status status =
        weir_runtime_directory_open(manager->options.runtime_directory, manager->directory,
                                    sizeof manager->directory, &manager->directory_lock_fd, error);
    if (status == WEIR_OK) {
        status = weir_status_page_open(manager, error);
    }
    if (status == WEIR_OK) {
        status = weir_listener_open(manager->directory, "manager.sock", &manager->listener, error);
    }
    if (status == WEIR_OK) {
        manager->wait_eventfd = weir_os()->eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (manager->wait_eventfd < 0) {
            status = weir_error_system(error, errno, "cannot make the manager's eventfd",
                                       "raise the limit on open files (ulimit -n)");
        }
    }
    if (status == WEIR_OK) {
        status = weir_watcher_start(&manager->watcher, ring, manager, error);
    }
    if (status == WEIR_OK) {
        status = weir_watcher_add(&manager->watcher, manager->listener.fd, WEIR_WATCH_LISTENER, 0,
                                  error);
    }
    return status;
}

static void *run(void *context)
{
    weir_manager *manager = context;
    weir_manager_adopt_thread(manager);
    /* SYNC(manager.stop): what the stopping thread did before is seen by the shutting down. */
    while (weir_load_acquire_u32(&manager->stop) == 0) {
        if (weir_loop_poll(manager, WEIR_NEVER) == WEIR_CLOSED) {
            break;
        }
    }
    weir_loop_shut_down(manager);
    return NULL;
}

static weir_status start_thread(weir_manager *manager, weir_error *error)
{
    /* The program's signals are for the program's threads; only the wake signal is ours. */
    sigset_t others;
    sigset_t before;
    sigfillset(&others);
    sigdelset(&others, WEIR_WAKE_SIGNAL);
    sigdelset(&others, SIGBUS);
    sigdelset(&others, SIGSEGV);
    (void)weir_os()->signal_mask(SIG_SETMASK, &others, &before);
    const int code = pthread_create(&manager->thread, NULL, run, manager);
    (void)weir_os()->signal_mask(SIG_SETMASK, &before, NULL);
    if (code != 0) {
        return weir_error_system(error, code, "cannot start the manager's thread",
                                 "raise the limit on threads (ulimit -u)");
    }
    manager->has_thread = true;
    return WEIR_OK;
}

/* A held result may outlive the manager: its incarnation must not speak to it any more. */
static void cut_loose(weir_pool *pool)
{
    for (uint32_t s = 0; s < pool->seat_count; s++) {
        weir_incarnation *now = pool->seats[s].now;
        if (now != NULL) {
            weir_incarnation_close(now);
            weir_incarnation_release(now);
        }
    }
}

static void free_all(weir_manager *manager)
{
    weir_admission_close(manager);
    weir_watcher_stop(&manager->watcher);
    weir_status_page_close(manager);
    weir_listener_close(&manager->listener);
    for (uint32_t i = 0; i < manager->pool_count; i++) {
        cut_loose(manager->pools[i]);
        weir_pool_destroy(manager->pools[i]);
    }
    if (manager->wait_epoll_fd >= 0) {
        (void)weir_os()->close(manager->wait_epoll_fd);
    }
    if (manager->wait_eventfd >= 0) {
        (void)weir_os()->close(manager->wait_eventfd);
    }
    weir_runtime_directory_close(manager->directory, manager->directory_lock_fd);
    weir_incarnation_orphan_all(manager);
    weir_packer_destroy(&manager->unpacker);
    free(manager->unpack_buffer);
    free(manager->handshakes);
    pthread_mutex_destroy(&manager->pools_lock);
    pthread_mutex_destroy(&manager->status.lock);
    pthread_mutex_destroy(&manager->turn_lock);
    free(manager);
}

weir_status weir_manager_create(const weir_manager_options *options, weir_manager **out,
                                weir_error *error)
{
    weir_manager *manager = calloc(1, sizeof *manager);
    weir_handshake *handshakes = calloc(WEIR_HANDSHAKES_MAX, sizeof *handshakes);
    if (manager == NULL || handshakes == NULL) {
        free(manager);
        free(handshakes);
        weir_error_set(error, "no memory for a manager; free some and try again");
        return WEIR_NO_MEMORY;
    }
    manager->handshakes = handshakes;
    manager->directory_lock_fd = manager->listener.fd = -1;
    manager->wait_epoll_fd = manager->wait_eventfd = -1;
    manager->watcher.epoll_fd = manager->watcher.stop_fd = -1;
    manager->strategy = WEIR_WAKE_STRATEGY_FUTEX;
    pthread_mutex_init(&manager->pools_lock, NULL);
    pthread_mutex_init(&manager->status.lock, NULL);
    pthread_mutex_init(&manager->turn_lock, NULL);
    weir_status status = take_options(manager, options, error);
    if (status == WEIR_OK) {
        status = open_resources(manager, error);
    }
    if (status == WEIR_OK && !manager->options.without_thread) {
        status = start_thread(manager, error);
    }
    if (status != WEIR_OK) {
        free_all(manager);
        return status;
    }
    if (manager->options.without_thread && manager->options.host == NULL) {
        weir_manager_adopt_thread(manager);
    }
    *out = manager;
    return WEIR_OK;
}

void weir_manager_destroy(weir_manager *manager)
{
    if (manager == NULL) {
        return;
    }
    weir_store_release_u32(&manager->is_closed, 1);
    /* SYNC(manager.stop): see run. */
    weir_store_release_u32(&manager->stop, 1);
    weir_manager_ring(manager);
    if (manager->has_thread) {
        pthread_join(manager->thread, NULL);
    } else {
        pthread_mutex_lock(&manager->turn_lock);
        weir_loop_shut_down(manager);
        pthread_mutex_unlock(&manager->turn_lock);
    }
    free_all(manager);
}

static weir_status reserve_unpacking(weir_manager *manager, const weir_pool_options *options)
{
    if ((options->capabilities & (WEIR_CAPABILITY_LZ4 | WEIR_CAPABILITY_ZSTD)) == 0 ||
        manager->unpack_buffer != NULL) {
        return WEIR_OK;
    }
    /* Payloads are bounded by the largest slot that any pool can have; pages are only touched when
     * used. */
    manager->unpack_bytes = UINT64_C(64) << 20;
    manager->unpack_buffer = malloc(manager->unpack_bytes);
    if (manager->unpack_buffer == NULL) {
        return WEIR_NO_MEMORY;
    }
    return weir_packer_init(&manager->unpacker, WEIR_CAPABILITY_LZ4 | WEIR_CAPABILITY_ZSTD);
}

static weir_status check_pool(const weir_pool_options *options, weir_error *error)
{
    if (options == NULL || options->role == NULL || options->role[0] == '\0' ||
        strlen(options->role) > 31) {
        weir_error_set(error, "a pool needs a role of 1 to 31 characters");
        return WEIR_INVALID;
    }
    if (options->command == NULL || options->command[0] == NULL) {
        weir_error_set(error, "pool %s needs a command to start its workers", options->role);
        return WEIR_INVALID;
    }
    return weir_spawn_check(options->command[0], error);
}

weir_status weir_manager_add_pool(weir_manager *manager, const weir_pool_options *options,
                                  weir_pool_id *id, weir_error *error)
{
    weir_status status = check_pool(options, error);
    if (status != WEIR_OK) {
        return status;
    }
    pthread_mutex_lock(&manager->pools_lock);
    const uint32_t number = weir_load_relaxed_u32(&manager->pool_count);
    if (number == WEIR_POOLS_MAX) {
        weir_error_set(error, "a manager has at most %u pools; use a second manager",
                       WEIR_POOLS_MAX);
        status = WEIR_INVALID;
    } else {
        status = reserve_unpacking(manager, options);
        if (status == WEIR_OK) {
            status = weir_pool_create(manager, options, number, &manager->pools[number], error);
        }
    }
    if (status == WEIR_OK) {
        *id = number;
        /* SYNC(manager.pools): the pool is complete before it is counted. */
        weir_store_release_u32(&manager->pool_count, number + 1);
    }
    pthread_mutex_unlock(&manager->pools_lock);
    weir_manager_ring(manager);
    return status;
}

weir_status weir_manager_poll(weir_manager *manager, uint64_t deadline_ns)
{
    return manager->options.host != NULL ? WEIR_INVALID : weir_loop_poll(manager, deadline_ns);
}
