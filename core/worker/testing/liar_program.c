/**
 * @file
 * A hostile worker: attaches as workers do and then writes lies into object B; see liar.h.
 *
 * Long because it is a small worker of its own and one table of lies.
 */
#include "channel/testing/liar.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/os.h"
#include "channel/gate.h"
#include "channel/ring.h"
#include "memory/slots.h"
#include "worker/handshake.h"

typedef struct liar {
    weir_worker_terms terms;
    struct weir_worker_control *control;
    weir_ring_consumer requests;
    weir_slot_map request_map;
    weir_ring_producer responses;
    weir_slot_pool reply_slots;
    weir_release_writer releases;
    weir_waker waker;
    uint8_t *_Atomic last_byte; /**< Of the payload answered last. */
    uint64_t served;
    uint64_t beats;
    uint64_t random;
    int lie;
    bool has_lied;
} liar;

static uint64_t next_random(liar *liar)
{
    uint64_t z = liar->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    return z ^ (z >> 27);
}

static int no_signal(void *context)
{
    (void)context;
    return 0;
}

static void join(liar *liar)
{
    weir_arena *arena = &liar->terms.arena;
    struct weir_worker_control *control = arena->worker_control;
    liar->control = control;
    weir_ring_consumer_init(&liar->requests, arena->request_ring, &control->request_consumed, 0);
    weir_ring_producer_init(&liar->responses, arena->response_ring, &control->response_published,
                            &arena->manager_control->response_consumed, 0);
    weir_slot_map_init(&liar->request_map, arena->config.request_class,
                       arena->config.request_class_count);
    weir_slot_map map;
    weir_slot_map_init(&map, arena->config.response_class, arena->config.response_class_count);
    if (weir_slot_pool_init(&liar->reply_slots, &map, arena->response_release,
                            &arena->manager_control->response_released) != WEIR_OK) {
        exit(4);
    }
    weir_release_writer_init(&liar->releases, arena->request_release, &control->request_released);
    weir_waker_init(&liar->waker, &arena->manager_control->manager_parked, &control->response_bell,
                    &control->worker_refused, liar->terms.response_eventfd, no_signal, NULL);
    weir_store_release_u32(&control->state, WEIR_WORKER_STATE_SERVING);
}

static void beat(liar *liar)
{
    weir_store_relaxed_u64(&liar->terms.arena.telemetry->beat_count, ++liar->beats);
}

static void push(liar *liar, const struct weir_envelope *reply)
{
    while (weir_ring_room(&liar->responses, 1) != WEIR_OK) {
        weir_os()->sleep_until(weir_deadline_in(50 * WEIR_NS_PER_US));
    }
    weir_ring_stage(&liar->responses, reply);
    weir_ring_publish(&liar->responses);
}

/* An echo whose payload is copied out of the request. */
static struct weir_envelope make_reply(liar *liar, const struct weir_envelope *request)
{
    struct weir_envelope reply = *request;
    reply.status = WEIR_REPLY_STATUS_OK;
    reply.flags &= (uint16_t)~WEIR_ENVELOPE_FLAG_IDEMPOTENT;
    if (request->payload_bytes > 0) {
        weir_slot slot;
        (void)!weir_slot_pool_collect(&liar->reply_slots);
        if (weir_slot_pool_take(&liar->reply_slots, request->payload_bytes, &slot) != WEIR_OK) {
            exit(5);
        }
        memcpy(
            weir_bytes_at(liar->terms.arena.response_payload, slot.offset, request->payload_bytes),
            weir_bytes_at(liar->terms.arena.request_payload, request->payload_offset,
                          request->payload_bytes),
            request->payload_bytes);
        reply.payload_offset = slot.offset;
        atomic_store(&liar->last_byte, weir_bytes_at(liar->terms.arena.response_payload,
                                                     slot.offset + request->payload_bytes - 1, 1));
    }
    return reply;
}

static void give_back(liar *liar, const struct weir_envelope *request)
{
    uint32_t slot = 0;
    if (request->payload_bytes > 0 &&
        weir_slot_map_find(&liar->request_map, request->payload_offset, request->payload_bytes,
                           &slot) == WEIR_OK) {
        weir_release_slot(&liar->releases, slot);
        weir_release_publish(&liar->releases);
    }
}

/* What is said wrongly before the seal, which then fits. */
static void bend(const liar *liar, struct weir_envelope *reply)
{
    switch (liar->lie) {
    case LIE_GENERATION:
        reply->generation++;
        break;
    case LIE_STATUS_UNKNOWN:
        reply->status = 77;
        break;
    case LIE_STATUS_NONE:
        reply->status = WEIR_REPLY_STATUS_NONE;
        break;
    case LIE_OFFSET_OUTSIDE:
        reply->payload_offset = UINT32_MAX - 63;
        break;
    case LIE_LENGTH_OUTSIDE:
        reply->payload_bytes = reply->original_bytes = UINT32_MAX - 1;
        break;
    case LIE_OFFSET_INSIDE_A_SLOT:
        reply->payload_offset += 8;
        break;
    case LIE_FLAGS:
        reply->flags |= 0x8000;
        break;
    case LIE_VERSION:
        reply->version++;
        break;
    case LIE_MAGIC:
        reply->magic ^= 1;
        break;
    case LIE_PACKED_WITHOUT_AGREEMENT:
        reply->flags |= WEIR_ENVELOPE_FLAG_LZ4;
        reply->original_bytes = 1u << 30;
        break;
    case LIE_JOB_NEVER_SENT:
        reply->job_id ^= UINT64_C(1) << 40;
        break;
    case LIE_OTHER_OPCODE:
        reply->opcode++;
        break;
    case LIE_OTHER_CORRELATION:
        reply->correlation_id++;
        break;
    default:
        break;
    }
}

static void put_release(liar *liar, uint32_t slot)
{
    weir_release_slot(&liar->releases, slot);
    weir_release_publish(&liar->releases);
}

/* Lies that are no reply. */
static void write_lie(liar *liar, const struct weir_envelope *request)
{
    struct weir_worker_control *control = liar->control;
    uint32_t slot = 0;
    uint64_t number = 1;
    switch (liar->lie) {
    case LIE_RELEASE_NOT_TAKEN:
        (void)!weir_slot_map_find(&liar->request_map, request->payload_offset,
                                  request->payload_bytes, &slot);
        put_release(liar, (slot + liar->request_map.slot_total / 2) % liar->request_map.slot_total);
        break;
    case LIE_RELEASE_TWICE:
        (void)!weir_slot_map_find(&liar->request_map, request->payload_offset,
                                  request->payload_bytes, &slot);
        put_release(liar, slot);
        put_release(liar, slot);
        break;
    case LIE_RELEASE_NO_SLOT:
        put_release(liar, UINT32_MAX);
        break;
    case LIE_RELEASE_COUNT_AHEAD:
        weir_store_release_u64(&control->request_released, liar->releases.written + 100000);
        break;
    case LIE_RELEASE_COUNT_BACKWARDS:
        weir_store_release_u64(&control->request_released, liar->releases.written - 1000);
        break;
    case LIE_CONSUMED_AHEAD:
        weir_store_release_u64(&control->request_consumed, liar->requests.head + 1000000);
        break;
    case LIE_CONSUMED_BACKWARDS:
        weir_store_release_u64(&control->request_consumed, 1);
        break;
    case LIE_BEGUN_AHEAD:
    case LIE_BEGUN_AHEAD_AND_DIE:
        weir_store_release_u64(&control->begun, liar->requests.head + 1000000);
        break;
    case LIE_BEGUN_BACKWARDS:
        weir_store_release_u64(&control->begun, 0);
        break;
    case LIE_TELEMETRY:
        memset(liar->terms.arena.telemetry, 0xfe, sizeof *liar->terms.arena.telemetry);
        break;
    case LIE_DRAINED_EVENTFD:
        (void)!weir_os()->eventfd_drain(liar->terms.response_eventfd);
        break;
    case LIE_FILLED_EVENTFD:
        number = UINT64_MAX - 1;
        (void)!weir_os()->write(liar->terms.response_eventfd, &number, sizeof number);
        (void)!weir_os()->write(liar->terms.request_eventfd, &number, sizeof number);
        break;
    case LIE_BLOCKING_EVENTFD:
        fcntl(liar->terms.response_eventfd, F_SETFL, 0);
        fcntl(liar->terms.request_eventfd, F_SETFL, 0);
        fcntl(liar->terms.socket_fd, F_SETFL, 0);
        break;
    case LIE_REFUSED_STRATEGIES:
        weir_store_relaxed_u32(&control->worker_refused, UINT32_MAX);
        break;
    case LIE_PARKED_WORD:
        weir_store_relaxed_u32(&control->worker_parked, UINT32_MAX);
        break;
    case LIE_SOCKET_GARBAGE:
        for (int i = 0; i < 40; i++) {
            (void)!send(liar->terms.socket_fd, "garbage", 7, MSG_DONTWAIT | MSG_NOSIGNAL);
        }
        break;
    case LIE_STATE:
        weir_store_release_u32(&control->state, WEIR_WORKER_STATE_DRAINING);
        break;
    default:
        break;
    }
}

static void lie_about(liar *liar, const struct weir_envelope *request)
{
    struct weir_envelope reply = make_reply(liar, request);
    const uint64_t index = weir_ring_next_index(&liar->responses);
    bend(liar, &reply);
    weir_envelope_seal(&reply, index);
    if (liar->lie == LIE_HEADER_CRC) {
        reply.header_crc ^= 4;
    } else if (liar->lie == LIE_SEQUENCE) {
        /* The ring itself waits for the right one: what can be wrong is the checksum under it. */
        weir_envelope_seal(&reply, index + 1);
        reply.sequence = weir_envelope_sequence(index);
    } else if (liar->lie == LIE_PAYLOAD_CHANGED) {
        *weir_bytes_at(liar->terms.arena.response_payload, reply.payload_offset, 1) ^= 1;
    }
    write_lie(liar, request);
    push(liar, &reply);
    if (liar->lie == LIE_DUPLICATE) {
        weir_envelope_seal(&reply, weir_ring_next_index(&liar->responses));
        push(liar, &reply);
    }
    for (int i = 0; liar->lie == LIE_MORE_REPLIES_THAN_REQUESTS && i < 100; i++) {
        weir_envelope_seal(&reply, weir_ring_next_index(&liar->responses));
        push(liar, &reply);
    }
    if (liar->lie == LIE_BEGUN_AHEAD_AND_DIE) {
        raise(SIGKILL);
    }
}

/* Answers another worker's job, if the request names one. */
static void answer_for_another(liar *liar, const struct weir_envelope *request)
{
    char text[64] = "";
    unsigned long long job_id = 0;
    unsigned long long correlation_id = 0;
    const uint32_t bytes =
        request->payload_bytes < sizeof text ? request->payload_bytes : sizeof text - 1;
    memcpy(text, weir_bytes_at(liar->terms.arena.request_payload, request->payload_offset, bytes),
           bytes);
    if (sscanf(text, "%llu %llu", &job_id, &correlation_id) != 2) {
        return;
    }
    struct weir_envelope reply = make_reply(liar, request);
    reply.job_id = job_id;
    reply.correlation_id = correlation_id;
    weir_envelope_seal(&reply, weir_ring_next_index(&liar->responses));
    push(liar, &reply);
    (void)weir_gate_wake(&liar->waker);
}

static void answer(liar *liar, const struct weir_envelope *request, uint64_t index)
{
    weir_store_release_u64(&liar->control->begun, index + 1);
    if (liar->lie == LIE_SILENT) {
        return;
    }
    if (liar->lie == LIE_JOB_ELSEWHERE) {
        answer_for_another(liar, request);
        return;
    }
    if (liar->served == LIAR_HONEST_JOBS) {
        liar->has_lied = true;
        lie_about(liar, request);
    } else {
        struct weir_envelope reply = make_reply(liar, request);
        weir_envelope_seal(&reply, weir_ring_next_index(&liar->responses));
        push(liar, &reply);
    }
    if (liar->lie == LIE_LATE_RELEASE) {
        (void)weir_gate_wake(&liar->waker);
        weir_os()->sleep_until(weir_deadline_in(20 * WEIR_NS_PER_MS));
    }
    if (!liar->has_lied || liar->lie < LIE_RELEASE_NOT_TAKEN || liar->lie >= LIE_FATAL_END) {
        give_back(liar, request);
    }
    liar->served++;
    weir_store_relaxed_u64(&liar->control->progress, liar->served);
    (void)weir_gate_wake(&liar->waker);
}

static void serve(liar *liar)
{
    for (;;) {
        struct weir_envelope request;
        const uint64_t index = liar->requests.head;
        beat(liar);
        if (weir_ring_take(&liar->requests, &request) != WEIR_OK) {
            weir_os()->sleep_until(weir_deadline_in(200 * WEIR_NS_PER_US));
            if (weir_load_relaxed_u32(&liar->terms.arena.manager_control->command) &
                WEIR_COMMAND_SHUTDOWN) {
                exit(0);
            }
            continue;
        }
        if (!liar->has_lied ||
            (liar->lie != LIE_CONSUMED_AHEAD && liar->lie != LIE_CONSUMED_BACKWARDS)) {
            weir_ring_consumed(&liar->requests);
        }
        answer(liar, &request, index);
    }
}

/* ---- noise */

static void scribble(liar *liar, void *from, size_t bytes)
{
    uint64_t *words = from;
    const size_t count = bytes / sizeof *words;
    for (size_t i = 0; i < 64 && i < count; i++) {
        weir_store_relaxed_u64(&words[next_random(liar) % count], next_random(liar));
    }
}

/* Now and then a well-formed envelope, so that the checks behind the seal are reached too. */
static void forge(liar *liar)
{
    const weir_arena *arena = &liar->terms.arena;
    const uint64_t index = weir_load_relaxed_u64(&arena->manager_control->response_consumed);
    const uint64_t capacity = arena->request_ring.count;
    struct weir_envelope envelope;
    weir_copy_words_in(&envelope, &arena->request_ring.at[next_random(liar) % capacity],
                       WEIR_ENVELOPE_WORDS);
    envelope.status = (uint16_t)(1 + next_random(liar) % 8);
    envelope.flags = (uint16_t)(next_random(liar) % 8);
    envelope.payload_offset = (uint32_t)(next_random(liar) % 64) * 64;
    envelope.payload_bytes = (uint32_t)(next_random(liar) % 300);
    envelope.original_bytes = envelope.payload_bytes;
    weir_envelope_seal(&envelope, index);
    weir_copy_words_out(&arena->response_ring.at[index & (capacity - 1)],
                        (const weir_word *)(const void *)&envelope, WEIR_ENVELOPE_WORDS);
}

static void make_noise(liar *liar)
{
    weir_arena *arena = &liar->terms.arena;
    /* READY is checked against the header; a worker that spoils it at once is never let in. */
    while (weir_load_acquire_u32(&arena->request_ring.at[0].sequence) == 0) {
        beat(liar);
        weir_os()->sleep_until(weir_deadline_in(WEIR_NS_PER_MS));
    }
    for (;;) {
        beat(liar);
        switch (next_random(liar) % 8) {
        case 0:
            scribble(liar, arena->response_ring.at,
                     arena->response_ring.count * sizeof(struct weir_envelope));
            break;
        case 1:
            scribble(liar, arena->worker_control, sizeof *arena->worker_control);
            break;
        case 2:
            scribble(liar, arena->telemetry, sizeof *arena->telemetry);
            break;
        case 3:
            scribble(liar, arena->request_release.at,
                     arena->request_release.count * sizeof(uint32_t));
            break;
        case 4:
            scribble(liar, arena->response_payload.at, arena->response_payload.bytes);
            break;
        case 5:
            scribble(liar, arena->worker_header, sizeof *arena->worker_header);
            break;
        default:
            forge(liar);
            break;
        }
        if (next_random(liar) % 4 == 0) {
            (void)weir_gate_wake(&liar->waker);
            weir_os()->sleep_until(weir_deadline_in(next_random(liar) % (500 * WEIR_NS_PER_US)));
        }
    }
}

/* ---- the shm backing */

static void truncate_objects(void)
{
    /* The names are unlinked by now; the mappings' files still open through /proc. */
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        unsigned long from = 0;
        unsigned long to = 0;
        if (strstr(line, "/dev/shm/weir-") != NULL && sscanf(line, "%lx-%lx", &from, &to) == 2) {
            char path[128];
            snprintf(path, sizeof path, "/proc/self/map_files/%lx-%lx", from, to);
            const int fd = open(path, O_RDWR | O_CLOEXEC);
            if (fd >= 0 && ftruncate(fd, 0) != 0) {
                perror("ftruncate");
            }
        }
    }
    for (;;) {
        pause();
    }
}

static weir_status no_routine(weir_job *job, void *context)
{
    (void)job;
    (void)context;
    return WEIR_UNSUPPORTED;
}

/* ---- a reply changed when the test asks for it */

static liar the_liar;
static const char *rewrite_gate;

static void rewrite(int signal)
{
    (void)signal;
    *atomic_load(&the_liar.last_byte) ^= 1;
    unlink(rewrite_gate);
}

int main(int argc, char **argv)
{
    static const weir_worker_routine routines[] = {{WEIR_OPCODE_ECHO, no_routine}};
    liar *const liar = &the_liar;
    const weir_worker_options options = {.role = "liars", .routines = routines, .routine_count = 1};
    liar->lie = argc > 1 ? atoi(argv[1]) : LIE_NONE;
    liar->random = argc > 2 ? strtoull(argv[2], NULL, 10) + (uint64_t)getpid() : 1;
    if (liar->lie == LIE_REWRITE && argc > 3) {
        rewrite_gate = argv[3];
        signal(SIGUSR1, rewrite);
    }
    weir_error error = {.text = ""};
    weir_worker_identity identity;
    if (weir_worker_handshake_prepare(&options, argc, argv, &identity, &error) != WEIR_OK ||
        weir_worker_handshake_run(&identity, &liar->terms, &error) != WEIR_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 3;
    }
    join(liar);
    if (liar->lie == LIE_TRUNCATE) {
        weir_os()->sleep_until(weir_deadline_in(50 * WEIR_NS_PER_MS));
        truncate_objects();
    } else if (liar->lie == LIE_NOISE) {
        make_noise(liar);
    } else {
        serve(liar);
    }
    return 0;
}
