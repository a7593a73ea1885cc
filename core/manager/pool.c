#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "manager/registry.h"

static void fill_in_defaults(weir_pool_options *options)
{
#define WEIR_DEFAULT(field, value)                                                                 \
    if (options->field == 0) {                                                                     \
        options->field = (value);                                                                  \
    }
    if (options->arena.ring_capacity == 0) {
        const uint32_t backing = options->arena.backing;
        weir_arena_config_default(&options->arena);
        options->arena.backing = backing;
    }
    WEIR_DEFAULT(worker_count, 1)
    WEIR_DEFAULT(in_flight_max, options->arena.ring_capacity)
    WEIR_DEFAULT(high_percent, 100)
    WEIR_DEFAULT(low_percent, options->high_percent < 75 ? options->high_percent : 75)
    WEIR_DEFAULT(deferred_max, 1024)
    WEIR_DEFAULT(wake_strategies, WEIR_STRATEGIES_ALL)
    WEIR_DEFAULT(compress_min_bytes, 4096)
    WEIR_DEFAULT(spin_ns, 20 * WEIR_NS_PER_US)
    WEIR_DEFAULT(start_timeout_ns, 10 * WEIR_NS_PER_SECOND)
    WEIR_DEFAULT(silence_ns, 3 * WEIR_NS_PER_SECOND)
    WEIR_DEFAULT(stuck_ns, 2 * WEIR_NS_PER_SECOND)
    WEIR_DEFAULT(kill_ns, 2 * WEIR_NS_PER_SECOND)
    WEIR_DEFAULT(backoff_first_ns, 100 * WEIR_NS_PER_MS)
    WEIR_DEFAULT(backoff_max_ns, 10 * WEIR_NS_PER_SECOND)
    WEIR_DEFAULT(stable_ns, 30 * WEIR_NS_PER_SECOND)
    WEIR_DEFAULT(deaths_max, 8)
#undef WEIR_DEFAULT
}

static weir_status check_options(const weir_pool_options *options, weir_error *error)
{
    const weir_status status = weir_arena_config_check(&options->arena, error);
    if (status != WEIR_OK) {
        return status;
    }
    if (options->worker_count >= WEIR_SEATS_MAX) {
        weir_error_set(error, "worker_count is %u; a pool has at most %u workers",
                       options->worker_count, WEIR_SEATS_MAX - 1);
        return WEIR_INVALID;
    }
    if (options->in_flight_max > options->arena.ring_capacity) {
        weir_error_set(
            error, "in_flight_max is %u and the ring holds %u; lower it or enlarge ring_capacity",
            options->in_flight_max, options->arena.ring_capacity);
        return WEIR_INVALID;
    }
    if (options->high_percent > 100 || options->low_percent > options->high_percent) {
        weir_error_set(error, "watermarks are high %u and low %u percent; need low <= high <= 100",
                       options->high_percent, options->low_percent);
        return WEIR_INVALID;
    }
    if ((unsigned)options->policy > WEIR_ROOM_WAIT) {
        weir_error_set(error, "policy is %u; the policies are 0 (reject) to %u (wait)",
                       (unsigned)options->policy, (unsigned)WEIR_ROOM_WAIT);
        return WEIR_INVALID;
    }
    if (options->wake_strategies & ~(uint32_t)WEIR_STRATEGIES_ALL) {
        weir_error_set(error, "wake_strategies has bits 0x%x; known are 0x%x",
                       options->wake_strategies, (unsigned)WEIR_STRATEGIES_ALL);
        return WEIR_INVALID;
    }
    return WEIR_OK;
}

static void free_command(char **command)
{
    for (size_t i = 0; command != NULL && command[i] != NULL; i++) {
        free(command[i]);
    }
    free((void *)command);
}

static char **copy_command(const char *const *command)
{
    size_t count = 0;
    while (command[count] != NULL) {
        count++;
    }
    char **copy = calloc(count + 1, sizeof *copy);
    for (size_t i = 0; copy != NULL && i < count; i++) {
        copy[i] = strdup(command[i]);
        if (copy[i] == NULL) {
            free_command(copy);
            return NULL;
        }
    }
    return copy;
}

static weir_status start_packing(weir_pool *pool)
{
    const uint32_t offered =
        pool->options.capabilities & (WEIR_CAPABILITY_LZ4 | WEIR_CAPABILITY_ZSTD);
    if (offered == 0) {
        return WEIR_OK;
    }
    const weir_status status = weir_packer_init(&pool->packing.packer, offered);
    if (status != WEIR_OK) {
        return status;
    }
    pool->packing.buffer = malloc(pool->slot_bytes_max);
    return pool->packing.buffer != NULL ? WEIR_OK : WEIR_NO_MEMORY;
}

static void start_locks(weir_pool *pool)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_mutex_init(&pool->packing.lock, NULL);
}

static weir_status start_tables(weir_pool *pool)
{
    const weir_arena_config *arena = &pool->options.arena;
    pool->slot_bytes_max = arena->request_class_count == 0
                               ? 0
                               : arena->request_class[arena->request_class_count - 1].slot_bytes;
    pool->throttle_high =
        (uint32_t)((uint64_t)pool->options.in_flight_max * pool->options.high_percent / 100);
    pool->throttle_low =
        (uint32_t)((uint64_t)pool->options.in_flight_max * pool->options.low_percent / 100);
    if (pool->throttle_high == 0) {
        pool->throttle_high = 1;
    }
    pool->seat_count = pool->options.worker_count + 1;
    pool->seats = calloc(pool->seat_count, sizeof *pool->seats);
    if (pool->seats == NULL) {
        return WEIR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < pool->options.worker_count; i++) {
        pool->seats[i].is_wanted = true;
    }
    weir_status status =
        weir_job_table_init(&pool->jobs, pool->manager->options.job_capacity, (uint8_t)pool->id);
    if (status == WEIR_OK) {
        status = start_packing(pool);
    }
    return status;
}

weir_status weir_pool_create(weir_manager *manager, const weir_pool_options *options,
                             weir_pool_id id, weir_pool **out, weir_error *error)
{
    weir_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL) {
        weir_error_set(error, "no memory for a pool; free some and try again");
        return WEIR_NO_MEMORY;
    }
    pool->manager = manager;
    pool->id = id;
    pool->options = *options;
    pool->options.role = strdup(options->role);
    pool->options.command = (const char *const *)copy_command(options->command);
    pool->next_deadline_ns = WEIR_NEVER;
    weir_job_list_init(&pool->deferred);
    fill_in_defaults(&pool->options);
    start_locks(pool);
    weir_status status = check_options(&pool->options, error);
    if (status == WEIR_OK) {
        status = pool->options.role == NULL || pool->options.command == NULL ? WEIR_NO_MEMORY
                                                                             : start_tables(pool);
        if (status != WEIR_OK) {
            weir_error_set(error, "no memory for the tables of pool %s; lower job_capacity",
                           options->role);
        }
    }
    if (status != WEIR_OK) {
        weir_pool_destroy(pool);
        return status;
    }
    *out = pool;
    return WEIR_OK;
}

void weir_pool_destroy(weir_pool *pool)
{
    weir_job_table_destroy(&pool->jobs);
    weir_packer_destroy(&pool->packing.packer);
    free(pool->packing.buffer);
    free(pool->seats);
    free_command((char **)(uintptr_t)pool->options.command);
    free((char *)(uintptr_t)pool->options.role);
    pthread_mutex_destroy(&pool->packing.lock);
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->changed);
    free(pool);
}

bool weir_pool_wait(weir_pool *pool, uint64_t deadline_ns)
{
    int code = 0;
    pool->waiters++;
    if (deadline_ns == WEIR_NEVER) {
        code = pthread_cond_wait(&pool->changed, &pool->lock);
    } else {
        const struct timespec at = {
            .tv_sec = (time_t)(deadline_ns / WEIR_NS_PER_SECOND),
            .tv_nsec = (long)(deadline_ns % WEIR_NS_PER_SECOND),
        };
        code = pthread_cond_timedwait(&pool->changed, &pool->lock, &at);
    }
    pool->waiters--;
    return code != ETIMEDOUT;
}
