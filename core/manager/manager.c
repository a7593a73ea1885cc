#include "weir/manager.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/atomic.h"
#include "manager/admission.h"
#include "manager/dispatcher.h"
#include "manager/ending.h"
#include "manager/loop.h"
#include "manager/registry.h"
#include "manager/runtime_directory.h"
#include "manager/spawn.h"

#define JOB_CAPACITY_DEFAULT 8192
#define JOB_CAPACITY_MAX     65536
#define HELD_BYTES_DEFAULT   (UINT64_C(64) << 20)
#define LOOP_SPIN_NS         (20 * WEIR_NS_PER_US)
#define POLL_SLICE_NS        (10 * WEIR_NS_PER_MS)

/* ---- create and destroy
 * ---------------------------------------------------------------------------------- */

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
    weir_loop_adopt(manager);
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
    manager->spin = (weir_spin){.max_ns = LOOP_SPIN_NS, .ns = LOOP_SPIN_NS};
    pthread_mutex_init(&manager->pools_lock, NULL);
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
    if (manager->options.without_thread) {
        weir_loop_adopt(manager);
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
        weir_loop_shut_down(manager);
    }
    free_all(manager);
}

/* ---- pools
 * -----------------------------------------------------------------------------------------------
 */

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
    const uint32_t number = manager->pool_count;
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

/* ---- waiting for the pool
 * -------------------------------------------------------------------------------- */

/** Says whether the wait is over; called under the pool's lock. */
typedef bool (*pool_look)(weir_pool *pool);

/* Waits in the condition, or runs the loop when there is no thread that does. */
static weir_status wait_for(weir_pool *pool, pool_look look, uint64_t deadline_ns)
{
    weir_manager *manager = pool->manager;
    for (;;) {
        pthread_mutex_lock(&pool->lock);
        bool is_over = look(pool);
        if (!is_over && manager->has_thread) {
            (void)weir_pool_wait(pool, deadline_ns);
            is_over = look(pool);
        }
        pthread_mutex_unlock(&pool->lock);
        if (is_over) {
            return WEIR_OK;
        }
        const uint64_t now_ns = weir_os()->clock_ns();
        if (now_ns >= deadline_ns) {
            return WEIR_TIMEOUT;
        }
        if (!manager->has_thread) {
            const uint64_t slice_ns = now_ns + POLL_SLICE_NS;
            if (weir_loop_poll(manager, slice_ns < deadline_ns ? slice_ns : deadline_ns) ==
                WEIR_CLOSED) {
                return WEIR_TIMEOUT;
            }
        }
    }
}

static uint32_t count_ready(const weir_pool *pool)
{
    uint32_t ready = 0;
    for (uint32_t i = 0; i < pool->seat_count; i++) {
        ready += pool->seats[i].state == WEIR_SEAT_READY;
    }
    return ready;
}

static const weir_seat *find_refused(const weir_pool *pool)
{
    for (uint32_t i = 0; i < pool->seat_count; i++) {
        const weir_seat *seat = &pool->seats[i];
        if (seat->state == WEIR_SEAT_QUARANTINED ||
            (seat->has_refusal && seat->state != WEIR_SEAT_READY)) {
            return seat;
        }
    }
    return NULL;
}

/* Why a worker that is not ready ended the last time; empty when none did. */
static const char *find_last_words(const weir_pool *pool)
{
    for (uint32_t i = 0; i < pool->seat_count; i++) {
        const weir_seat *seat = &pool->seats[i];
        if (seat->is_wanted && seat->state != WEIR_SEAT_READY && seat->last_refusal.text[0] != 0) {
            return seat->last_refusal.text;
        }
    }
    return "";
}

static bool is_ready_or_refused(weir_pool *pool)
{
    return count_ready(pool) >= pool->options.worker_count || find_refused(pool) != NULL;
}

weir_status weir_manager_await_ready(weir_manager *manager, weir_pool_id id, uint64_t deadline_ns,
                                     weir_error *error)
{
    weir_pool *pool = weir_manager_pool(manager, id);
    if (pool == NULL) {
        weir_error_set(error, "there is no pool %u", id);
        return WEIR_REFUSED;
    }
    if (wait_for(pool, is_ready_or_refused, deadline_ns) != WEIR_OK) {
        pthread_mutex_lock(&pool->lock);
        const char *reason = find_last_words(pool);
        weir_error_set(error,
                       "%u of %u workers of pool %s are ready; the others still start%s%.320s",
                       count_ready(pool), pool->options.worker_count, pool->options.role,
                       reason[0] != '\0' ? "; " : "", reason);
        pthread_mutex_unlock(&pool->lock);
        return WEIR_TIMEOUT;
    }
    pthread_mutex_lock(&pool->lock);
    const weir_seat *refused = find_refused(pool);
    if (refused != NULL && error != NULL) {
        *error = refused->last_refusal;
    }
    pthread_mutex_unlock(&pool->lock);
    return refused != NULL ? WEIR_REFUSED : WEIR_OK;
}

static bool has_no_jobs(weir_pool *pool)
{
    return pool->live_jobs == 0;
}

weir_status weir_manager_drain(weir_manager *manager, uint64_t deadline_ns)
{
    weir_store_release_u32(&manager->is_closed, 1);
    for (uint32_t i = 0; i < weir_load_acquire_u32(&manager->pool_count); i++) {
        const weir_status status = wait_for(manager->pools[i], has_no_jobs, deadline_ns);
        if (status != WEIR_OK) {
            return status;
        }
    }
    return WEIR_OK;
}

static bool has_reloaded(weir_pool *pool)
{
    return !pool->reload.is_running;
}

weir_status weir_manager_reload(weir_manager *manager, weir_pool_id id, uint64_t deadline_ns,
                                weir_error *error)
{
    weir_pool *pool = weir_manager_pool(manager, id);
    if (pool == NULL) {
        weir_error_set(error, "there is no pool %u to reload", id);
        return WEIR_INVALID;
    }
    if (weir_load_acquire_u32(&manager->is_closed)) {
        weir_error_set(error, "the manager is stopping; nothing is reloaded any more");
        return WEIR_CLOSED;
    }
    pthread_mutex_lock(&pool->lock);
    if (!pool->reload.is_running) { /* One that is under way serves this caller too. */
        pool->reload = (weir_reload){.is_running = true};
    }
    pthread_mutex_unlock(&pool->lock);
    weir_manager_ring(manager);
    const weir_status status = wait_for(pool, has_reloaded, deadline_ns);
    if (status != WEIR_OK) {
        weir_error_set(error, "the reload of pool %s goes on behind the deadline",
                       pool->options.role);
        return status;
    }
    pthread_mutex_lock(&pool->lock);
    const bool has_failed = pool->reload.has_failed;
    pthread_mutex_unlock(&pool->lock);
    if (has_failed) {
        weir_error_set(error, "the new worker of pool %s does not start; the old ones serve on",
                       pool->options.role);
        return WEIR_INVALID;
    }
    return WEIR_OK;
}

weir_status weir_manager_poll(weir_manager *manager, uint64_t deadline_ns)
{
    weir_loop_adopt(manager);
    return weir_loop_poll(manager, deadline_ns);
}

/* ---- jobs
 * ------------------------------------------------------------------------------------------------
 */

weir_status weir_submit(weir_manager *manager, weir_pool_id id, const weir_job_spec *specs,
                        size_t count, uint64_t *job_ids)
{
    weir_pool *pool = weir_manager_pool(manager, id);
    if (pool == NULL) {
        return WEIR_INVALID;
    }
    for (size_t i = 0; i < count; i++) {
        if (specs[i].done == NULL || (specs[i].fill == NULL && specs[i].payload_bytes > 0)) {
            return WEIR_INVALID;
        }
    }
    if (weir_load_acquire_u32(&manager->is_closed)) {
        return WEIR_CLOSED;
    }
    weir_dispatch_submit(pool, specs, count, job_ids);
    return WEIR_OK;
}

weir_status weir_cancel(weir_manager *manager, uint64_t job_id)
{
    weir_pool *pool = weir_manager_pool(manager, weir_job_id_pool(job_id));
    if (pool == NULL) {
        return WEIR_NOT_FOUND;
    }
    weir_endings endings;
    endings.count = 0;
    pthread_mutex_lock(&pool->lock);
    weir_job_entry *entry = weir_job_table_find(&pool->jobs, job_id);
    if (entry != NULL &&
        (entry->state == WEIR_JOB_IN_FLIGHT || entry->state == WEIR_JOB_DEFERRED)) {
        weir_ending_note(pool, &endings, entry, WEIR_OUTCOME_CANCELLED);
    }
    pthread_mutex_unlock(&pool->lock);
    if (endings.count == 0) {
        return WEIR_NOT_FOUND;
    }
    weir_ending_deliver(pool, &endings);
    return WEIR_OK;
}
