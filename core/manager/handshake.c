#include "manager/handshake.h"

#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "base/failpoint.h"
#include "base/os.h"
#include "manager/hello_check.h"

/* A whole handshake has at most 1 + 8 + 1 messages, so one step never leaves any behind. */
#define MESSAGES_MAX 16

static const char *const awaited[] = {
    [WEIR_HANDSHAKE_HELLO] = "hello",
    [WEIR_HANDSHAKE_SCHEMA] = "schema",
    [WEIR_HANDSHAKE_READY] = "ready",
};

void weir_handshake_begin(weir_handshake *h, int fd, uint64_t deadline_ns, weir_handshake_find find,
                          void *context)
{
    *h = (weir_handshake){.fd = fd,
                          .deadline_ns = deadline_ns,
                          .state = WEIR_HANDSHAKE_HELLO,
                          .find = find,
                          .context = context};
}

static void drop_schema(weir_handshake *h)
{
    free(h->schema);
    h->schema = NULL;
}

void weir_handshake_refuse(weir_handshake *h, uint32_t error_code, const char *text)
{
    drop_schema(h);
    if (h->fd >= 0) {
        weir_control_message message = {.reject = {.error_code = error_code}};
        size_t i = 0;
        for (; i + 1 < sizeof message.reject.text && text[i] != '\0'; i++) {
            message.reject.text[i] = (uint8_t)(text[i] >= ' ' && text[i] <= '~' ? text[i] : '?');
        }
        /* Whether it arrives is the peer's affair; the descriptor is closed anyhow. */
        const weir_status sent =
            weir_control_send(h->fd, WEIR_MESSAGE_REJECT, &message, NULL, 0, NULL);
        (void)sent;
        weir_os()->close(h->fd);
        h->fd = -1;
    }
    h->error_code = error_code;
    h->state = WEIR_HANDSHAKE_ENDED;
}

static weir_status check_peer(weir_handshake *h, weir_error *error)
{
    const weir_status status = weir_control_peer(h->fd, &h->peer_pid, &h->peer_uid, error);
    if (status != WEIR_OK) {
        return weir_handshake_note(h, WEIR_ERROR_CODE_PEER, status);
    }
    h->peer_checked = true;
    if (h->peer_uid != weir_os()->geteuid()) {
        weir_error_set(error,
                       "the worker runs as user %u and the manager as user %u; start the worker as "
                       "the manager's user",
                       (unsigned)h->peer_uid, (unsigned)weir_os()->geteuid());
        return weir_handshake_note(h, WEIR_ERROR_CODE_PEER, WEIR_REFUSED);
    }
    return WEIR_OK;
}

static weir_status send_message(weir_handshake *h, enum weir_message kind, void *message,
                                const int *descriptors, uint32_t count, weir_error *error)
{
    const weir_status status = weir_control_send(h->fd, kind, message, descriptors, count, error);
    if (status == WEIR_OK) {
        return WEIR_OK;
    }
    /* The queue takes more than a handshake ever has, so a full one means that nobody reads. */
    return weir_handshake_note(h, WEIR_ERROR_CODE_MESSAGE,
                               status == WEIR_FULL ? WEIR_PROTOCOL : status);
}

static weir_status send_welcome(weir_handshake *h, weir_error *error)
{
    const weir_handshake_terms *terms = h->terms;
    const weir_arena *arena = terms->arena;
    const bool memfd = arena->config.backing == WEIR_BACKING_MEMFD;
    const uint32_t pid = (uint32_t)weir_os()->getpid();
    /* The message itself orders these stores before whatever the worker reads. */
    weir_store_relaxed_u32(&arena->manager_control->manager_pid, pid);
    weir_store_relaxed_u32(&arena->manager_control->manager_tid, terms->manager_tid);

    struct weir_welcome welcome = {
        .generation = terms->generation,
        .layout_major = WEIR_LAYOUT_MAJOR,
        .layout_minor = h->layout.minor,
        .backing = arena->config.backing,
        .capabilities = h->capabilities,
        .wake_strategies = terms->wake_strategies & WEIR_HANDSHAKE_STRATEGIES,
        .manager_pid = pid,
        .manager_bytes = arena->manager_object.bytes,
        .worker_bytes = arena->worker_object.bytes,
        .spin_ns = terms->spin_ns,
        .compress_min_bytes = terms->compress_min_bytes,
    };
    int descriptors[WEIR_CONTROL_DESCRIPTORS_MAX];
    uint32_t count = 0;
    if (memfd) {
        descriptors[count++] = arena->manager_object.fd;
        descriptors[count++] = arena->worker_object.fd;
    } else {
        memcpy(welcome.manager_name, arena->manager_object.name, sizeof welcome.manager_name);
        memcpy(welcome.worker_name, arena->worker_object.name, sizeof welcome.worker_name);
    }
    descriptors[count++] = terms->request_eventfd;
    descriptors[count++] = terms->response_eventfd;

    WEIR_FAILPOINT(handshake_before_welcome);
    const weir_status status =
        send_message(h, WEIR_MESSAGE_WELCOME, &welcome, descriptors, count, error);
    if (status == WEIR_OK) {
        WEIR_FAILPOINT(handshake_after_welcome);
        h->state = WEIR_HANDSHAKE_READY;
    }
    return status;
}

static weir_status ask_schema(weir_handshake *h, weir_error *error)
{
    struct weir_schema_request request = {.offset = h->schema_bytes};
    h->state = WEIR_HANDSHAKE_SCHEMA;
    return send_message(h, WEIR_MESSAGE_SCHEMA_REQUEST, &request, NULL, 0, error);
}

static weir_status on_hello(weir_handshake *h, const struct weir_hello *hello, weir_error *error)
{
    memcpy(h->role, hello->role, sizeof h->role);
    memcpy(h->language, hello->language, sizeof h->language);
    memcpy(h->correlation, hello->correlation, sizeof h->correlation);
    if (hello->protocol_version != WEIR_PROTOCOL_VERSION) {
        weir_error_set(error,
                       "the worker speaks protocol version %u and the manager version %u; build "
                       "both from one release",
                       hello->protocol_version, WEIR_PROTOCOL_VERSION);
        return weir_handshake_note(h, WEIR_ERROR_CODE_VERSION, WEIR_INCOMPATIBLE);
    }
    weir_status status = weir_hello_check_terms(h, hello, error);
    if (status != WEIR_OK) {
        return status;
    }
    h->claim = (weir_schema_claim){.major = hello->layout_major, .minor = hello->layout_minor};
    memcpy(h->claim.digest, hello->layout_digest, sizeof h->claim.digest);
    status = weir_schema_guard_claim(&h->claim, &h->layout, error);
    if (status == WEIR_EMPTY) {
        return ask_schema(h, error);
    }
    if (status != WEIR_OK) {
        return weir_handshake_note(h, WEIR_ERROR_CODE_LAYOUT, status);
    }
    return send_welcome(h, error);
}

/* Parts come in order and full, so that a peer cannot make thousands of steps of them. */
static weir_status check_part(const weir_handshake *h, const struct weir_schema *part,
                              weir_error *error)
{
    if (part->total_bytes == 0 || part->total_bytes > WEIR_CONTROL_SCHEMA_BYTES_MAX) {
        weir_error_set(error, "the worker's layout has %u bytes; it must have 1 to %u",
                       part->total_bytes, WEIR_CONTROL_SCHEMA_BYTES_MAX);
        return WEIR_PROTOCOL;
    }
    if (h->schema != NULL && part->total_bytes != h->schema_total) {
        weir_error_set(error, "the worker's layout had %u bytes and has %u now", h->schema_total,
                       part->total_bytes);
        return WEIR_PROTOCOL;
    }
    const uint32_t left = part->total_bytes - h->schema_bytes;
    const uint32_t expected = left < sizeof part->text ? left : (uint32_t)sizeof part->text;
    if (part->offset != h->schema_bytes || part->part_bytes != expected) {
        weir_error_set(error,
                       "a part of the worker's layout has offset %u and %u bytes; offset %u and %u "
                       "bytes were asked for",
                       part->offset, part->part_bytes, h->schema_bytes, expected);
        return WEIR_PROTOCOL;
    }
    return WEIR_OK;
}

static weir_status on_schema(weir_handshake *h, const struct weir_schema *part, weir_error *error)
{
    weir_status status = check_part(h, part, error);
    if (status != WEIR_OK) {
        return weir_handshake_note(h, WEIR_ERROR_CODE_MESSAGE, status);
    }
    if (h->schema == NULL) {
        h->schema = malloc(part->total_bytes);
        h->schema_total = part->total_bytes;
        if (h->schema == NULL) {
            weir_error_set(error, "there is no memory for the worker's layout of %u bytes",
                           part->total_bytes);
            return weir_handshake_note(h, WEIR_ERROR_CODE_LAYOUT, WEIR_NO_MEMORY);
        }
    }
    memcpy(h->schema + h->schema_bytes, part->text, part->part_bytes);
    h->schema_bytes += part->part_bytes;
    if (h->schema_bytes < h->schema_total) {
        return ask_schema(h, error);
    }
    status = weir_schema_guard_check(&h->claim, h->schema, h->schema_total, &h->layout, error);
    drop_schema(h);
    if (status != WEIR_OK) {
        return weir_handshake_note(h, WEIR_ERROR_CODE_LAYOUT, status);
    }
    return send_welcome(h, error);
}

/* READY, and what the worker wrote into its object's header. */
static weir_status on_ready(weir_handshake *h, const struct weir_ready *ready, weir_error *error)
{
    const uint32_t generation = h->terms->generation;
    if (ready->generation != generation || ready->tid == 0) {
        weir_error_set(error,
                       "READY says generation %u and thread %u; repeat generation %u of WELCOME "
                       "and name the thread that runs the loop",
                       ready->generation, ready->tid, generation);
        return weir_handshake_note(h, WEIR_ERROR_CODE_GENERATION, WEIR_PROTOCOL);
    }
    struct weir_worker_header header;
    weir_copy_words_in(&header, h->terms->arena->worker_header, sizeof header / sizeof(uint64_t));
    if (header.magic != WEIR_WORKER_MAGIC || header.generation != generation ||
        memcmp(header.layout_digest, h->claim.digest, sizeof header.layout_digest) != 0) {
        weir_error_set(error,
                       "object B's header does not hold the magic, generation %u and the digest "
                       "that HELLO announced; fill it in before READY",
                       generation);
        return weir_handshake_note(h, WEIR_ERROR_CODE_MEMORY, WEIR_PROTOCOL);
    }
    h->worker_tid = ready->tid;
    h->state = WEIR_HANDSHAKE_DONE;
    return WEIR_OK;
}

static weir_status on_message(weir_handshake *h, const weir_control_message *message,
                              weir_error *error)
{
    const uint16_t kind = message->header.kind;
    if (h->state == WEIR_HANDSHAKE_HELLO && kind == WEIR_MESSAGE_HELLO) {
        return on_hello(h, &message->hello, error);
    }
    if (h->state == WEIR_HANDSHAKE_SCHEMA && kind == WEIR_MESSAGE_SCHEMA) {
        return on_schema(h, &message->schema, error);
    }
    if (h->state == WEIR_HANDSHAKE_READY && kind == WEIR_MESSAGE_READY) {
        return on_ready(h, &message->ready, error);
    }
    weir_error_set(error,
                   "a %s message arrived where %s was expected; keep the order of the "
                   "handshake",
                   weir_message_name(kind), awaited[h->state]);
    return weir_handshake_note(h, WEIR_ERROR_CODE_MESSAGE, WEIR_PROTOCOL);
}

/* Takes what has arrived. Returns WEIR_EMPTY when all is taken and more is needed. */
static weir_status take_messages(weir_handshake *h, weir_error *error)
{
    for (int i = 0; i < MESSAGES_MAX; i++) {
        weir_control_message message;
        weir_control_descriptors descriptors;
        weir_status status = weir_control_receive(h->fd, &message, &descriptors, error);
        if (status == WEIR_PROTOCOL) {
            return weir_handshake_note(h, WEIR_ERROR_CODE_MESSAGE, status);
        }
        if (status != WEIR_OK) {
            return status;
        }
        /* A worker never has one to hand over. */
        weir_control_close_descriptors(&descriptors);
        status = on_message(h, &message, error);
        if (status != WEIR_OK || h->state == WEIR_HANDSHAKE_DONE) {
            return status;
        }
    }
    return WEIR_EMPTY;
}

weir_status weir_handshake_step(weir_handshake *h, uint64_t now_ns, weir_error *error)
{
    weir_error own;
    if (error == NULL) {
        error = &own;
    }
    error->text[0] = '\0';
    if (h->state >= WEIR_HANDSHAKE_DONE) {
        weir_error_set(error, "the handshake has ended");
        return WEIR_CLOSED;
    }
    weir_status status = h->peer_checked ? WEIR_OK : check_peer(h, error);
    if (status == WEIR_OK) {
        status = take_messages(h, error);
    }
    if (status == WEIR_EMPTY && now_ns >= h->deadline_ns) {
        weir_error_set(error,
                       "the worker's %s message did not come before the deadline; see what the "
                       "worker printed, or allow it more time to start",
                       awaited[h->state]);
        status = weir_handshake_note(h, WEIR_ERROR_CODE_DEADLINE, WEIR_TIMEOUT);
    }
    if (status != WEIR_OK && status != WEIR_EMPTY) {
        weir_handshake_refuse(h, h->error_code, error->text);
    }
    return status;
}
