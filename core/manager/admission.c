#include "manager/admission.h"

#include <stdio.h>
#include <string.h>

#include "base/atomic.h"
#include "base/failpoint.h"
#include "manager/event.h"
#include "manager/host.h"

/* A connection that says nothing must not hold a place for long. */
#define HANDSHAKE_NS (5 * WEIR_NS_PER_SECOND)

static weir_incarnation *waiting_in(const weir_pool *pool, uint32_t seat)
{
    return pool->seats[seat].state == WEIR_SEAT_STARTING ? pool->seats[seat].now : NULL;
}

/* All tokens are compared, so that the time says nothing about which came close. */
static const weir_handshake_terms *find_by_token(void *context,
                                                 const uint8_t token[WEIR_TOKEN_BYTES])
{
    weir_manager *manager = context;
    weir_incarnation *found = NULL;
    for (uint32_t p = 0; p < weir_load_acquire_u32(&manager->pool_count); p++) {
        for (uint32_t s = 0; s < manager->pools[p]->seat_count; s++) {
            weir_incarnation *candidate = waiting_in(manager->pools[p], s);
            if (candidate != NULL && weir_token_equal(candidate->token, token) &&
                !candidate->is_token_used) {
                found = candidate;
            }
        }
    }
    if (found == NULL) {
        return NULL;
    }
    found->is_token_used = true;
    return &found->offered;
}

static weir_incarnation *incarnation_of(const weir_manager *manager,
                                        const weir_handshake *handshake)
{
    for (uint32_t p = 0;
         handshake->terms != NULL && p < weir_load_acquire_u32(&manager->pool_count); p++) {
        for (uint32_t s = 0; s < manager->pools[p]->seat_count; s++) {
            weir_incarnation *candidate = waiting_in(manager->pools[p], s);
            if (candidate != NULL && &candidate->offered == handshake->terms) {
                return candidate;
            }
        }
    }
    return NULL;
}

void weir_admission_accept(weir_manager *manager, uint64_t now_ns)
{
    while (manager->handshake_count < WEIR_HANDSHAKES_MAX) {
        int fd = -1;
        if (weir_listener_accept(&manager->listener, &fd, NULL) != WEIR_OK) {
            return;
        }
        weir_handshake *handshake = &manager->handshakes[manager->handshake_count];
        weir_handshake_begin(handshake, fd, now_ns + HANDSHAKE_NS, find_by_token, manager);
        if (weir_watcher_add(&manager->watcher, fd, WEIR_WATCH_HANDSHAKE, 0, NULL) == WEIR_OK) {
            manager->handshake_count++;
        } else {
            weir_handshake_refuse(handshake, WEIR_ERROR_CODE_NONE,
                                  "the manager is out of resources; try again later");
        }
    }
}

static uint16_t choose_packing(uint32_t agreed)
{
    if (agreed & WEIR_CAPABILITY_LZ4) {
        return WEIR_ENVELOPE_FLAG_LZ4;
    }
    return agreed & WEIR_CAPABILITY_ZSTD ? WEIR_ENVELOPE_FLAG_ZSTD : 0;
}

static void take_terms(weir_incarnation *incarnation, const weir_handshake *handshake)
{
    incarnation->agreed = handshake->capabilities;
    incarnation->terms = (weir_envelope_terms){
        .generation = incarnation->generation,
        .version = handshake->layout.minor,
        .capabilities = (uint16_t)handshake->capabilities,
    };
    incarnation->pack_flag = choose_packing(handshake->capabilities);
    incarnation->has_payload_crc = (handshake->capabilities & WEIR_CAPABILITY_PAYLOAD_CRC) != 0;
    snprintf(incarnation->language, sizeof incarnation->language, "%s", handshake->language);
    for (uint32_t i = 0; i < handshake->opcode_count; i++) {
        const uint16_t opcode = handshake->opcode[i];
        incarnation->opcodes[opcode / 64] |= UINT64_C(1) << (opcode % 64);
    }
    incarnation->socket_fd = handshake->fd;
}

static void note_refusal(weir_manager *manager, const weir_handshake *handshake,
                         const weir_error *error)
{
    weir_incarnation *incarnation = incarnation_of(manager, handshake);
    if (incarnation == NULL) {
        for (uint32_t p = 0; p < weir_load_acquire_u32(&manager->pool_count); p++) {
            weir_event_tell(manager->pools[p], 0, NULL, "refused", "a connection was refused: %s",
                            error->text);
        }
        return;
    }
    weir_pool *pool = incarnation->pool;
    pthread_mutex_lock(&pool->lock);
    weir_seat *seat = &pool->seats[incarnation->seat];
    seat->last_refusal = *error;
    seat->has_refusal = true;
    weir_pool_changed(pool);
    pthread_mutex_unlock(&pool->lock);
    weir_event_tell(pool, incarnation->seat, incarnation, "refused", "%s", error->text);
}

static void put_to_work(weir_manager *manager, weir_incarnation *incarnation,
                        weir_handshake *handshake, uint64_t now_ns)
{
    weir_pool *pool = incarnation->pool;
    weir_error error = {{0}};
    if (weir_arena_seal_worker_object(&incarnation->arena, &error) != WEIR_OK) {
        weir_watcher_remove(&manager->watcher, handshake->fd);
        note_refusal(manager, handshake, &error);
        weir_handshake_refuse(handshake, WEIR_ERROR_CODE_MEMORY, error.text);
        return; /* The start time-out ends the process. */
    }
    WEIR_FAILPOINT(handshake_after_seal);
    weir_watcher_remove(&manager->watcher, handshake->fd);
    take_terms(incarnation, handshake);
    weir_arena_close_descriptors(&incarnation->arena);
    incarnation->ready_ns = incarnation->beat_seen_ns = now_ns;
    weir_error error_of_watch = {{0}};
    if (weir_watcher_add(&manager->watcher, incarnation->socket_fd, WEIR_WATCH_SOCKET,
                         incarnation->generation, &error_of_watch) != WEIR_OK) {
        /* Its death is still seen by its pidfd. */
        weir_event_tell(pool, incarnation->seat, incarnation, "output", "%s", error_of_watch.text);
    }
    pthread_mutex_lock(&pool->lock);
    weir_seat *seat = &pool->seats[incarnation->seat];
    incarnation->is_serving = true;
    seat->state = WEIR_SEAT_READY;
    seat->has_refusal = false;
    weir_pool_changed(pool);
    pthread_mutex_unlock(&pool->lock);
    weir_event_tell(pool, incarnation->seat, incarnation, "ready",
                    "pid %d speaks %s, layout %u.%u, generation %u", (int)incarnation->pid,
                    incarnation->language, WEIR_LAYOUT_MAJOR, incarnation->terms.version,
                    incarnation->generation);
}

/* A process that the host started is known by its connection alone. Returns @p status, or what
 * keeps its death from being seen; then it is refused and its start time-out ends it. */
static weir_status know_process(weir_manager *manager, weir_handshake *handshake,
                                weir_status status, weir_error *error)
{
    weir_incarnation *incarnation = incarnation_of(manager, handshake);
    if (manager->options.host == NULL || incarnation == NULL || incarnation->pidfd >= 0) {
        return status;
    }
    const weir_status known = weir_host_adopt_process(incarnation, handshake->peer_pid, error);
    if (known != WEIR_OK) {
        weir_watcher_remove(&manager->watcher, handshake->fd);
        weir_handshake_refuse(handshake, WEIR_ERROR_CODE_NONE, error->text);
        return known;
    }
    return status;
}

uint64_t weir_admission_step(weir_manager *manager, uint64_t now_ns)
{
    uint64_t next_ns = WEIR_NEVER;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < manager->handshake_count; i++) {
        weir_handshake *handshake = &manager->handshakes[i];
        weir_error error = {{0}};
        weir_status status = weir_handshake_step(handshake, now_ns, &error);
        if (status == WEIR_OK || status == WEIR_EMPTY) {
            status = know_process(manager, handshake, status, &error);
        }
        if (status == WEIR_EMPTY) {
            next_ns = handshake->deadline_ns < next_ns ? handshake->deadline_ns : next_ns;
            if (kept != i) {
                manager->handshakes[kept] = *handshake;
            }
            kept++;
            continue;
        }
        weir_incarnation *incarnation =
            status == WEIR_OK ? incarnation_of(manager, handshake) : NULL;
        if (incarnation != NULL) {
            put_to_work(manager, incarnation, handshake, now_ns);
        } else if (status == WEIR_OK) { /* Its process ended in the meantime. */
            weir_handshake_refuse(handshake, WEIR_ERROR_CODE_TOKEN, "this worker was given up");
        } else {
            note_refusal(manager, handshake, &error);
        }
    }
    manager->handshake_count = kept;
    return next_ns;
}

void weir_admission_close(weir_manager *manager)
{
    for (uint32_t i = 0; i < manager->handshake_count; i++) {
        weir_watcher_remove(&manager->watcher, manager->handshakes[i].fd);
        weir_handshake_refuse(&manager->handshakes[i], WEIR_ERROR_CODE_NONE,
                              "the manager is stopping");
    }
    manager->handshake_count = 0;
}
