#include "worker/testing/small_manager.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define GENERATION 7

static void give_up(const char *what)
{
    fprintf(stderr, "small manager: %s\n", what);
    _exit(97);
}

static void pause_briefly(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
}

void small_manager_config(weir_arena_config *config)
{
    *config = (weir_arena_config){
        .ring_capacity = 8,
        .request_class_count = 3,
        .response_class_count = 3,
        .request_class = {{256, 8}, {4096, 4}, {1048576, 2}},
        .response_class = {{256, 8}, {4096, 4}, {1048576, 2}},
    };
}

static int signal_worker(void *context)
{
    const small_manager *manager = context;
    const uint32_t tid = weir_load_relaxed_u32(&manager->arena.worker_control->worker_tid);
    return weir_os()->thread_signal(manager->worker_pid, (pid_t)tid, WEIR_WAKE_SIGNAL);
}

static void open_descriptors(small_manager *manager)
{
    int sockets[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0) {
        give_up("socketpair");
    }
    manager->own_socket = sockets[0];
    manager->worker_socket = sockets[1];
    manager->request_eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    manager->response_eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (manager->request_eventfd < 0 || manager->response_eventfd < 0) {
        give_up("eventfd");
    }
}

static void join_rings(small_manager *manager)
{
    weir_arena *arena = &manager->arena;
    const weir_arena_config *config = &arena->config;
    weir_ring_producer_init(&manager->requests, arena->request_ring,
                            &arena->manager_control->request_published,
                            &arena->worker_control->request_consumed, 0);
    weir_ring_consumer_init(&manager->responses, arena->response_ring,
                            &arena->manager_control->response_consumed, 0);
    weir_slot_map requests;
    weir_slot_map_init(&requests, config->request_class, config->request_class_count);
    weir_slot_map_init(&manager->response_map, config->response_class,
                       config->response_class_count);
    weir_release_writer_init(&manager->releases, arena->response_release,
                             &arena->manager_control->response_released);
    if (weir_slot_pool_init(&manager->request_pool, &requests, arena->request_release,
                            &arena->worker_control->request_released) != WEIR_OK) {
        give_up("slot pool");
    }
}

static void join_gate(small_manager *manager)
{
    struct weir_manager_control *own = manager->arena.manager_control;
    struct weir_worker_control *worker = manager->arena.worker_control;
    weir_waker_init(&manager->waker, &worker->worker_parked, &own->request_bell,
                    &own->manager_refused, manager->request_eventfd, signal_worker, manager);
    weir_store_relaxed_u32(&own->manager_pid, (uint32_t)getpid());
    weir_store_relaxed_u32(&own->manager_tid, (uint32_t)gettid());
    if (weir_sleeper_init(&manager->sleeper, &own->manager_parked, &worker->response_bell,
                          &worker->worker_refused, manager->response_eventfd,
                          manager->setup.wake_strategies, manager->setup.spin_ns) != WEIR_OK) {
        give_up("sleeper");
    }
}

void small_manager_open(small_manager *manager, const small_manager_setup *setup)
{
    memset(manager, 0, sizeof *manager);
    manager->setup = *setup;
    if (manager->setup.config.ring_capacity == 0) {
        small_manager_config(&manager->setup.config);
    }
    if (manager->setup.wake_strategies == 0) {
        manager->setup.wake_strategies = WEIR_STRATEGIES_ALL;
    }
    if (!setup->is_without_payload_crc) {
        manager->setup.capabilities |= WEIR_CAPABILITY_PAYLOAD_CRC;
    }
    weir_error error;
    if (weir_arena_create(&manager->setup.config, GENERATION, &manager->arena, &error) != WEIR_OK) {
        give_up(error.text);
    }
    manager->terms = (weir_envelope_terms){
        .generation = GENERATION,
        .version = WEIR_LAYOUT_MINOR,
        .capabilities = (uint16_t)manager->setup.capabilities,
    };
    manager->next_job = 1;
    open_descriptors(manager);
    join_rings(manager);
    join_gate(manager);
}

/* A worker's sleep as bad as it can be: 20 ms pass between its last look and the call, and the call
 * never times out. */
static int endless_eventfd;

static void linger(void)
{
    const uint64_t end_ns = weir_os_linux()->clock_ns() + 20 * WEIR_NS_PER_MS;
    while (weir_os_linux()->clock_ns() < end_ns) {
    }
}

static int endless_futex(const uint32_t *address, uint32_t expected, uint64_t deadline_ns)
{
    (void)deadline_ns;
    linger();
    return weir_os_linux()->futex_wait(address, expected, WEIR_NEVER);
}

static int endless_poll(struct pollfd *fds, unsigned count, uint64_t deadline_ns,
                        const sigset_t *mask)
{
    if (fds->fd == endless_eventfd) {
        linger();
        deadline_ns = WEIR_NEVER;
    }
    return weir_os_linux()->poll_until(fds, count, deadline_ns, mask);
}

static int endless_signal(const sigset_t *set, uint64_t deadline_ns)
{
    (void)deadline_ns;
    linger();
    return weir_os_linux()->signal_wait(set, WEIR_NEVER);
}

static void make_sleeps_endless(const small_manager *manager)
{
    static weir_os_table table;
    table = *weir_os_linux();
    endless_eventfd = manager->request_eventfd;
    table.futex_wait = endless_futex;
    table.poll_until = endless_poll;
    table.signal_wait = endless_signal;
    (void)weir_os_replace(&table);
}

int small_manager_serve(small_manager *manager, bool is_own_process)
{
    const small_manager_setup *setup = &manager->setup;
    if (is_own_process) {
        close(manager->own_socket);
    }
    if (setup->has_endless_sleeps) {
        make_sleeps_endless(manager);
    }
    struct weir_welcome welcome = {
        .generation = GENERATION,
        .layout_major = WEIR_LAYOUT_MAJOR,
        .layout_minor = WEIR_LAYOUT_MINOR,
        .backing = WEIR_BACKING_MEMFD,
        .capabilities = setup->capabilities,
        .wake_strategies = setup->wake_strategies,
        .manager_bytes = manager->arena.manager_object.bytes,
        .worker_bytes = manager->arena.worker_object.bytes,
    };
    weir_worker_terms terms = {
        .socket_fd = manager->worker_socket,
        .request_eventfd = manager->request_eventfd,
        .response_eventfd = manager->response_eventfd,
        .generation = GENERATION,
        .layout_minor = WEIR_LAYOUT_MINOR,
        .capabilities = setup->capabilities,
        .wake_strategies = setup->wake_strategies,
        .manager_wakes = setup->wake_strategies,
        .spin_ns = setup->spin_ns,
        .compress_min_bytes = setup->compress_min_bytes,
        .manager_pid = is_own_process ? getppid() : getpid(),
    };
    weir_error error;
    if (weir_arena_attach(&welcome, fcntl(manager->arena.manager_object.fd, F_DUPFD_CLOEXEC, 0),
                          fcntl(manager->arena.worker_object.fd, F_DUPFD_CLOEXEC, 0), &terms.arena,
                          &error) != WEIR_OK) {
        give_up(error.text);
    }
    const int status = weir_worker_serve(&setup->options, &terms);
    weir_arena_destroy(&terms.arena);
    return status;
}

void small_manager_started(small_manager *manager, pid_t worker_pid)
{
    manager->worker_pid = worker_pid;
    if (worker_pid != getpid()) {
        close(manager->worker_socket);
        manager->worker_socket = -1;
    }
}

struct weir_envelope small_manager_request(small_manager *manager, uint16_t opcode,
                                           const void *payload, uint32_t bytes)
{
    struct weir_envelope request = {
        .magic = WEIR_ENVELOPE_MAGIC,
        .version = manager->terms.version,
        .opcode = opcode,
        .generation = manager->terms.generation,
        .job_id = manager->next_job++,
        .correlation_id = UINT64_C(0xc0ffee),
        .payload_bytes = bytes,
        .original_bytes = bytes,
    };
    if (bytes > 0) {
        weir_slot slot;
        weir_status status = weir_slot_pool_take(&manager->request_pool, bytes, &slot);
        for (int i = 0; status == WEIR_FULL && i < 50000; i++) {
            if (weir_slot_pool_collect(&manager->request_pool) != WEIR_OK) {
                give_up("the worker released a slot that was not out");
            }
            status = weir_slot_pool_take(&manager->request_pool, bytes, &slot);
            if (status == WEIR_FULL) {
                pause_briefly();
            }
        }
        if (status != WEIR_OK) {
            give_up("no request slot became free");
        }
        memcpy(weir_bytes_at(manager->arena.request_payload, slot.offset, bytes), payload, bytes);
        request.payload_offset = slot.offset;
        if (!manager->setup.is_without_payload_crc) {
            request.flags = WEIR_ENVELOPE_FLAG_PAYLOAD_CRC;
            request.payload_crc = weir_crc32c(payload, bytes);
        }
    }
    weir_envelope_seal(&request, weir_ring_next_index(&manager->requests));
    return request;
}

void small_manager_stage_raw(small_manager *manager, const struct weir_envelope *request)
{
    weir_status status = weir_ring_room(&manager->requests, 1);
    for (int i = 0; status == WEIR_FULL && i < 50000; i++) {
        pause_briefly();
        status = weir_ring_room(&manager->requests, 1);
    }
    if (status != WEIR_OK) {
        give_up("the request ring has no room");
    }
    weir_ring_stage(&manager->requests, request);
}

void small_manager_stage(small_manager *manager, struct weir_envelope *request)
{
    weir_envelope_seal(request, weir_ring_next_index(&manager->requests));
    small_manager_stage_raw(manager, request);
}

void small_manager_publish(small_manager *manager)
{
    weir_ring_publish(&manager->requests);
    (void)weir_gate_wake(&manager->waker);
}

uint64_t small_manager_send(small_manager *manager, uint16_t opcode, const void *payload,
                            uint32_t bytes)
{
    const struct weir_envelope request = small_manager_request(manager, opcode, payload, bytes);
    small_manager_stage_raw(manager, &request);
    small_manager_publish(manager);
    return request.job_id;
}

static bool see_reply(void *context)
{
    const small_manager *manager = context;
    return weir_ring_ready(&manager->responses);
}

static weir_status refuse(const char *what, unsigned long long value)
{
    fprintf(stderr, "small manager: bad reply: %s (%llu)\n", what, value);
    return WEIR_PROTOCOL;
}

weir_status small_manager_receive(small_manager *manager, small_reply *reply, uint64_t deadline_ns)
{
    *reply = (small_reply){.has_slot = false};
    if (weir_gate_wait(&manager->sleeper, see_reply, manager, deadline_ns) != WEIR_OK) {
        return WEIR_TIMEOUT;
    }
    const uint64_t index = manager->responses.head;
    if (weir_ring_take(&manager->responses, &reply->envelope) != WEIR_OK) {
        return refuse("gone again", index);
    }
    weir_ring_consumed(&manager->responses);
    const enum weir_error_code reason =
        weir_envelope_check_response(&reply->envelope, index, &manager->terms);
    if (reason != WEIR_ERROR_CODE_NONE) {
        return refuse(weir_error_code_name(reason), index);
    }
    const uint32_t bytes = reply->envelope.payload_bytes;
    if (bytes == 0) {
        return WEIR_OK;
    }
    if (weir_slot_map_find(&manager->response_map, reply->envelope.payload_offset, bytes,
                           &reply->slot) != WEIR_OK) {
        return refuse("payload offset", reply->envelope.payload_offset);
    }
    reply->has_slot = true;
    reply->payload =
        weir_bytes_at(manager->arena.response_payload, reply->envelope.payload_offset, bytes);
    if (!manager->setup.is_without_payload_crc &&
        weir_crc32c(reply->payload, bytes) != reply->envelope.payload_crc) {
        return refuse("payload checksum", reply->envelope.payload_crc);
    }
    return WEIR_OK;
}

void small_manager_release(small_manager *manager, const small_reply *reply)
{
    if (reply->has_slot) {
        weir_release_slot(&manager->releases, reply->slot);
        weir_release_publish(&manager->releases);
    }
}

void small_manager_command(small_manager *manager, uint32_t command)
{
    weir_store_release_u32(&manager->arena.manager_control->command, command);
    (void)weir_gate_wake(&manager->waker);
}

bool small_manager_await_state(small_manager *manager, uint32_t state, uint64_t deadline_ns)
{
    while (weir_load_acquire_u32(&manager->arena.worker_control->state) != state) {
        if (weir_os()->clock_ns() >= deadline_ns) {
            return false;
        }
        pause_briefly();
    }
    return true;
}

void small_manager_die(small_manager *manager)
{
    if (manager->own_socket >= 0) {
        close(manager->own_socket);
        manager->own_socket = -1;
    }
}

void small_manager_close(small_manager *manager)
{
    small_manager_die(manager);
    if (manager->worker_socket >= 0) {
        close(manager->worker_socket);
    }
    close(manager->request_eventfd);
    close(manager->response_eventfd);
    weir_slot_pool_destroy(&manager->request_pool);
    weir_arena_destroy(&manager->arena);
}
