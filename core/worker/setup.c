#include "worker/setup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int signal_manager(void *context)
{
    const weir_worker *worker = context;
    const uint32_t tid = weir_load_relaxed_u32(&worker->manager->manager_tid);
    if (tid == 0) {
        errno = ESRCH;
        return -1;
    }
    /* The process is the one that the kernel named at the handshake; only the thread within it is
     * the manager's word. */
    return weir_os()->thread_signal(worker->terms->manager_pid, (pid_t)tid, WEIR_WAKE_SIGNAL);
}

static weir_status fill_table(weir_worker *worker, weir_error *error)
{
    const weir_worker_options *options = worker->options;
    if (options->routine_count == 0 || options->routine_count > WEIR_OPCODE_COUNT_MAX) {
        weir_error_set(error, "a worker has 1 to %u routines, not %zu; change its table",
                       (unsigned)WEIR_OPCODE_COUNT_MAX, options->routine_count);
        return WEIR_INVALID;
    }
    for (size_t i = 0; i < options->routine_count; i++) {
        const weir_worker_routine *routine = &options->routines[i];
        if (routine->opcode == WEIR_OPCODE_NONE || routine->run == NULL ||
            worker->routine_of[routine->opcode] != 0) {
            weir_error_set(error,
                           "routine %zu has opcode %u, which is 0, has no function or stands "
                           "twice in the table; correct the table",
                           i, (unsigned)routine->opcode);
            return WEIR_INVALID;
        }
        worker->routine_of[routine->opcode] = (uint8_t)(i + 1);
    }
    for (size_t i = 0; i <= WEIR_OPCODE_COUNT_MAX; i++) {
        for (size_t k = 0; k < WEIR_WORKER_WIDTHS; k++) {
            worker->cost[i][k].expected_ns = UINT32_MAX;
        }
    }
    return WEIR_OK;
}

static uint32_t largest_slot(const weir_size_class *classes, uint32_t count)
{
    return count == 0 ? 0 : classes[count - 1].slot_bytes; /* ascending */
}

static weir_status make_scratch(weir_worker *worker)
{
    const uint32_t packing =
        worker->terms->capabilities & (uint32_t)(WEIR_CAPABILITY_LZ4 | WEIR_CAPABILITY_ZSTD);
    if (packing == 0) {
        return WEIR_OK;
    }
    /* Pages that no job needs are never touched. */
    worker->stored_scratch = malloc(worker->request_bytes_max);
    worker->unpacked_scratch = malloc(worker->request_bytes_max);
    worker->reply_scratch = malloc(worker->response_bytes_max);
    if (worker->stored_scratch == NULL || worker->unpacked_scratch == NULL ||
        worker->reply_scratch == NULL) {
        return WEIR_NO_MEMORY;
    }
    return weir_packer_init(&worker->packer, packing);
}

static weir_status join_memory(weir_worker *worker)
{
    weir_worker_terms *terms = worker->terms;
    weir_arena *arena = &terms->arena;
    const weir_arena_config *config = &arena->config;
    worker->manager = arena->manager_control;
    worker->control = arena->worker_control;
    worker->envelope_terms = (weir_envelope_terms){
        .generation = terms->generation,
        .version = terms->layout_minor,
        .capabilities = (uint16_t)terms->capabilities,
    };
    weir_ring_consumer_init(&worker->requests, arena->request_ring,
                            &worker->control->request_consumed, 0);
    weir_ring_producer_init(&worker->responses, arena->response_ring,
                            &worker->control->response_published,
                            &worker->manager->response_consumed, 0);
    weir_slot_map_init(&worker->request_map, config->request_class, config->request_class_count);
    weir_release_writer_init(&worker->releases, arena->request_release,
                             &worker->control->request_released);
    worker->request_bytes_max = largest_slot(config->request_class, config->request_class_count);
    worker->response_bytes_max = largest_slot(config->response_class, config->response_class_count);
    weir_slot_map responses;
    weir_slot_map_init(&responses, config->response_class, config->response_class_count);
    return weir_slot_pool_init(&worker->response_pool, &responses, arena->response_release,
                               &worker->manager->response_released);
}

static weir_status join_gate(weir_worker *worker, weir_error *error)
{
    weir_worker_terms *terms = worker->terms;
    weir_waker_init(&worker->waker, &worker->manager->manager_parked,
                    &worker->control->response_bell, &worker->control->worker_refused,
                    terms->response_eventfd, signal_manager, worker);
    weir_store_relaxed_u32(&worker->control->worker_tid, (uint32_t)weir_os()->gettid());
    const weir_status status =
        weir_sleeper_init(&worker->sleeper, &worker->control->worker_parked,
                          &worker->manager->request_bell, &worker->manager->manager_refused,
                          terms->request_eventfd, terms->wake_strategies, terms->spin_ns);
    if (status == WEIR_INVALID) {
        weir_error_set(error, "no wake strategy is left that both sides allow; allow at least one "
                              "of futex, eventfd and signal on both");
    } else if (status != WEIR_OK) {
        return weir_error_system(error, errno, "installing the handler of the wake signal", NULL);
    }
    return status;
}

weir_status weir_worker_setup(const weir_worker_options *options, weir_worker_terms *terms,
                              weir_worker **worker, weir_error *error)
{
    weir_worker *made = aligned_alloc(64, (sizeof *made + 63) & ~(size_t)63);
    if (made == NULL) {
        return weir_error_system(error, ENOMEM, "allocating the worker", NULL);
    }
    memset(made, 0, sizeof *made); /* too large for a literal on the stack */
    made->options = options;
    made->terms = terms;
    weir_status status = fill_table(made, error);
    if (status == WEIR_OK) {
        status = join_memory(made);
        if (status == WEIR_OK) {
            status = make_scratch(made);
        }
        if (status != WEIR_OK) {
            (void)weir_error_system(error, ENOMEM, "allocating the worker's private memory", NULL);
        }
    }
    if (status == WEIR_OK) {
        status = join_gate(made, error);
    }
    if (status != WEIR_OK) {
        weir_worker_teardown(made);
        return status;
    }
    *worker = made;
    return WEIR_OK;
}

void weir_worker_teardown(weir_worker *worker)
{
    if (worker == NULL) {
        return;
    }
    weir_packer_destroy(&worker->packer);
    weir_slot_pool_destroy(&worker->response_pool);
    free(worker->stored_scratch);
    free(worker->unpacked_scratch);
    free(worker->reply_scratch);
    free(worker);
}
