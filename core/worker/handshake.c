#include "worker/handshake.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/atomic.h"
#include "base/failpoint.h"
#include "base/os.h"

#define ALL_STRATEGIES                                                                             \
    (1u << WEIR_WAKE_STRATEGY_FUTEX | 1u << WEIR_WAKE_STRATEGY_EVENTFD |                           \
     1u << WEIR_WAKE_STRATEGY_SIGNAL)

/* Questions about the layout that are answered: each part twice, then it is a loop. */
#define QUESTIONS_MAX (2 * WEIR_CONTROL_SCHEMA_BYTES_MAX / sizeof(((struct weir_schema *)0)->text))

/* A deadline that has passed: one look, no waiting. */
#define AT_ONCE 0

/* Waits until the socket is ready for @p events. A signal in between only means to look again. */
static weir_status wait_for(int fd, short events, uint64_t deadline_ns, const char *what,
                            weir_error *error)
{
    for (;;) {
        struct pollfd ready = {.fd = fd, .events = events};
        const int count = weir_os()->poll_until(&ready, 1, deadline_ns, NULL);
        if (count > 0) {
            return WEIR_OK;
        }
        if (count < 0 && errno != EINTR) {
            return weir_error_system(error, errno, "waiting for the manager", NULL);
        }
        if (weir_os()->clock_ns() >= deadline_ns) {
            weir_error_set(error,
                           "the manager did not %s before the deadline; see whether it is stopped "
                           "or too busy",
                           what);
            return WEIR_TIMEOUT;
        }
    }
}

static weir_status refused(const struct weir_reject *reject, weir_error *error)
{
    weir_error_set(error, "the manager refused this worker (%s): %s",
                   weir_error_code_name(reject->error_code), (const char *)reject->text);
    return WEIR_REFUSED;
}

/* The next message; a REJECT becomes its sentence. */
static weir_status receive(int fd, uint64_t deadline_ns, weir_control_message *message,
                           weir_control_descriptors *descriptors, weir_error *error)
{
    for (;;) {
        weir_status status = weir_control_receive(fd, message, descriptors, error);
        if (status == WEIR_OK && message->header.kind == WEIR_MESSAGE_REJECT) {
            return refused(&message->reject, error);
        }
        if (status != WEIR_EMPTY) {
            return status;
        }
        status = wait_for(fd, POLLIN, deadline_ns, "answer", error);
        if (status != WEIR_OK) {
            return status;
        }
    }
}

/* Sends, and when the manager has closed already asks for the REJECT that says why. */
static weir_status send_message(int fd, uint64_t deadline_ns, enum weir_message kind, void *message,
                                weir_error *error)
{
    for (;;) {
        weir_status status = weir_control_send(fd, kind, message, NULL, 0, error);
        if (status == WEIR_PEER_DEAD) {
            weir_control_message last;
            weir_control_descriptors descriptors;
            const weir_status got = receive(fd, 0, &last, &descriptors, error);
            weir_control_close_descriptors(&descriptors);
            return got == WEIR_REFUSED ? WEIR_REFUSED : WEIR_PEER_DEAD;
        }
        if (status != WEIR_FULL) {
            return status;
        }
        status = wait_for(fd, POLLOUT, deadline_ns, "take messages", error);
        if (status != WEIR_OK) {
            return status;
        }
    }
}

static weir_status say_hello(const weir_worker_identity *identity, int fd, uint64_t deadline_ns,
                             weir_error *error)
{
    struct weir_hello hello = {
        .protocol_version = WEIR_PROTOCOL_VERSION,
        .layout_major = identity->layout_major,
        .layout_minor = identity->layout_minor,
        .opcode_count = (uint16_t)identity->opcode_count,
        .capabilities = identity->capabilities,
        .wake_strategies = identity->wake_strategies,
        .pid = (uint32_t)weir_os()->getpid(),
    };
    memcpy(hello.layout_digest, identity->layout_digest, sizeof hello.layout_digest);
    memcpy(hello.token, identity->token, sizeof hello.token);
    memcpy(hello.role, identity->role, sizeof hello.role);
    memcpy(hello.language, identity->language, sizeof hello.language);
    memcpy(hello.correlation, identity->correlation, sizeof hello.correlation);
    memcpy(hello.opcode, identity->opcode, sizeof hello.opcode);
    WEIR_FAILPOINT(handshake_before_hello);
    const weir_status status = send_message(fd, deadline_ns, WEIR_MESSAGE_HELLO, &hello, error);
    WEIR_FAILPOINT(handshake_after_hello);
    return status;
}

static weir_status send_part(const weir_worker_identity *identity, int fd, uint64_t deadline_ns,
                             uint32_t offset, weir_error *error)
{
    if (offset >= identity->layout_bytes) {
        weir_error_set(error, "the manager asks for byte %u of a layout of %u bytes", offset,
                       identity->layout_bytes);
        return WEIR_PROTOCOL;
    }
    struct weir_schema part = {.total_bytes = identity->layout_bytes, .offset = offset};
    const uint32_t left = identity->layout_bytes - offset;
    part.part_bytes = left < sizeof part.text ? left : (uint32_t)sizeof part.text;
    memcpy(part.text, identity->layout_text + offset, part.part_bytes);
    return send_message(fd, deadline_ns, WEIR_MESSAGE_SCHEMA, &part, error);
}

/* WEIR_OK for WELCOME; a question about the layout is answered: WEIR_EMPTY. */
static weir_status understand(const weir_worker_identity *identity, int fd, uint64_t deadline_ns,
                              const weir_control_message *message, weir_error *error)
{
    switch (message->header.kind) {
    case WEIR_MESSAGE_WELCOME:
        return WEIR_OK;
    case WEIR_MESSAGE_REJECT:
        return refused(&message->reject, error);
    case WEIR_MESSAGE_SCHEMA_REQUEST: {
        const weir_status status =
            send_part(identity, fd, deadline_ns, message->schema_request.offset, error);
        return status == WEIR_OK ? WEIR_EMPTY : status;
    }
    default:
        weir_error_set(error, "the manager answered HELLO with a %s message",
                       weir_message_name(message->header.kind));
        return WEIR_PROTOCOL;
    }
}

static weir_status too_many_questions(weir_error *error)
{
    weir_error_set(error, "the manager asks for the layout again and again");
    return WEIR_PROTOCOL;
}

/* Answers questions about the layout until WELCOME. */
static weir_status await_welcome(const weir_worker_identity *identity, int fd, uint64_t deadline_ns,
                                 weir_control_message *message,
                                 weir_control_descriptors *descriptors, weir_error *error)
{
    for (size_t i = 0; i <= QUESTIONS_MAX; i++) {
        weir_status status = receive(fd, deadline_ns, message, descriptors, error);
        if (status == WEIR_OK) {
            status = understand(identity, fd, deadline_ns, message, error);
        }
        if (status != WEIR_EMPTY) {
            return status;
        }
    }
    return too_many_questions(error);
}

static weir_status check_welcome(const weir_worker_identity *identity,
                                 const struct weir_welcome *welcome, weir_error *error)
{
    const uint32_t codecs = WEIR_CAPABILITY_LZ4 | WEIR_CAPABILITY_ZSTD;
    const bool needs_crc = (identity->capabilities & WEIR_CAPABILITY_PAYLOAD_CRC) != 0;
    const bool has_crc = (welcome->capabilities & WEIR_CAPABILITY_PAYLOAD_CRC) != 0;
    if (welcome->generation == 0 || welcome->backing > WEIR_BACKING_MAX) {
        weir_error_set(error, "WELCOME says generation %u and backing %u", welcome->generation,
                       welcome->backing);
        return WEIR_PROTOCOL;
    }
    if (welcome->layout_major != identity->layout_major ||
        welcome->layout_minor > identity->layout_minor) {
        weir_error_set(error,
                       "WELCOME agrees on layout %u.%u and this worker speaks %u.%u; rebuild both "
                       "from one release",
                       welcome->layout_major, welcome->layout_minor, identity->layout_major,
                       identity->layout_minor);
        return WEIR_INCOMPATIBLE;
    }
    if ((welcome->capabilities & ~(identity->capabilities & codecs) &
         ~(uint32_t)WEIR_CAPABILITY_PAYLOAD_CRC) != 0 ||
        (needs_crc && !has_crc)) {
        weir_error_set(error, "WELCOME agrees on capabilities 0x%x and this worker offered 0x%x",
                       welcome->capabilities, identity->capabilities);
        return WEIR_PROTOCOL;
    }
    if ((welcome->wake_strategies & identity->wake_strategies & ALL_STRATEGIES) == 0) {
        weir_error_set(error,
                       "the manager wakes with strategies 0x%x and this worker sleeps with 0x%x; "
                       "allow one that both have",
                       welcome->wake_strategies, identity->wake_strategies);
        return WEIR_INCOMPATIBLE;
    }
    return WEIR_OK;
}

/* Maps the memory; the descriptors go to the arena or into the terms, whatever the status. */
static weir_status map_memory(const struct weir_welcome *welcome,
                              weir_control_descriptors *descriptors, weir_worker_terms *terms,
                              weir_error *error)
{
    const bool memfd = welcome->backing == WEIR_BACKING_MEMFD;
    const int manager_fd = memfd ? descriptors->fd[0] : -1;
    const int worker_fd = memfd ? descriptors->fd[1] : -1;
    terms->request_eventfd = descriptors->fd[memfd ? 2 : 0];
    terms->response_eventfd = descriptors->fd[memfd ? 3 : 1];
    descriptors->count = 0;
    const weir_status status =
        weir_arena_attach(welcome, manager_fd, worker_fd, &terms->arena, error);
    if (status != WEIR_OK) {
        terms->arena = (weir_arena){.generation = 0};
        return status;
    }
    weir_arena_close_descriptors(&terms->arena);
    if (terms->arena.generation != welcome->generation) {
        weir_error_set(error, "object A belongs to generation %u and WELCOME to %u",
                       terms->arena.generation, welcome->generation);
        return WEIR_PROTOCOL;
    }
    return WEIR_OK;
}

/* READY is sent after these stores, and that orders them. */
static void write_header(const weir_worker_identity *identity, const weir_arena *arena)
{
    struct weir_worker_header header = {
        .magic = WEIR_WORKER_MAGIC,
        .generation = arena->generation,
        .pid = (uint32_t)weir_os()->getpid(),
    };
    memcpy(header.layout_digest, identity->layout_digest, sizeof header.layout_digest);
    memcpy(header.role, identity->role, sizeof header.role);
    memcpy(header.language, identity->language, sizeof header.language);
    uint64_t words[sizeof header / sizeof(uint64_t)];
    memcpy(words, &header, sizeof words);
    weir_copy_words_out(arena->worker_header, words, sizeof words / sizeof words[0]);
    weir_store_relaxed_u32(&arena->worker_control->worker_tid, (uint32_t)weir_os()->gettid());
}

static weir_status say_ready(const weir_worker_identity *identity, uint64_t deadline_ns,
                             weir_worker_terms *terms, weir_error *error)
{
    write_header(identity, &terms->arena);
    struct weir_ready ready = {.generation = terms->generation,
                               .tid = (uint32_t)weir_os()->gettid()};
    WEIR_FAILPOINT(handshake_before_ready);
    const weir_status status =
        send_message(terms->socket_fd, deadline_ns, WEIR_MESSAGE_READY, &ready, error);
    WEIR_FAILPOINT(handshake_after_ready);
    return status;
}

static void take_terms(const weir_worker_identity *identity, const struct weir_welcome *welcome,
                       weir_worker_terms *terms)
{
    terms->generation = welcome->generation;
    terms->layout_minor = welcome->layout_minor;
    terms->capabilities = welcome->capabilities;
    terms->manager_wakes = welcome->wake_strategies & ALL_STRATEGIES;
    terms->wake_strategies = terms->manager_wakes & identity->wake_strategies;
    terms->spin_ns = welcome->spin_ns;
    terms->compress_min_bytes = welcome->compress_min_bytes;
    terms->manager_tid = weir_load_relaxed_u32(&terms->arena.manager_control->manager_tid);
}

static weir_status introduce(const weir_worker_identity *identity, uint64_t deadline_ns,
                             weir_worker_terms *terms, weir_error *error)
{
    weir_status status =
        weir_control_connect(identity->socket_path, deadline_ns, &terms->socket_fd, error);
    if (status != WEIR_OK) {
        return status;
    }
    uid_t manager_uid;
    status = weir_control_peer(terms->socket_fd, &terms->manager_pid, &manager_uid, error);
    return status == WEIR_OK ? say_hello(identity, terms->socket_fd, deadline_ns, error) : status;
}

/* From a WELCOME to READY. */
static weir_status settle(const weir_worker_identity *identity, uint64_t deadline_ns,
                          const struct weir_welcome *welcome, weir_worker_terms *terms,
                          weir_control_descriptors *descriptors, weir_error *error)
{
    weir_status status = check_welcome(identity, welcome, error);
    if (status == WEIR_OK) {
        status = map_memory(welcome, descriptors, terms, error);
    }
    if (status != WEIR_OK) {
        return status;
    }
    take_terms(identity, welcome, terms);
    return say_ready(identity, deadline_ns, terms, error);
}

static weir_status run(const weir_worker_identity *identity, uint64_t deadline_ns,
                       weir_worker_terms *terms, weir_control_descriptors *descriptors,
                       weir_error *error)
{
    weir_status status = introduce(identity, deadline_ns, terms, error);
    if (status != WEIR_OK) {
        return status;
    }
    weir_control_message message;
    status = await_welcome(identity, terms->socket_fd, deadline_ns, &message, descriptors, error);
    return status == WEIR_OK
               ? settle(identity, deadline_ns, &message.welcome, terms, descriptors, error)
               : status;
}

static weir_worker_terms nothing(void)
{
    return (weir_worker_terms){.socket_fd = -1,
                               .request_eventfd = -1,
                               .response_eventfd = -1,
                               .arena = {.manager_object.fd = -1, .worker_object.fd = -1}};
}

weir_status weir_worker_handshake_run(const weir_worker_identity *identity,
                                      weir_worker_terms *terms, weir_error *error)
{
    *terms = nothing();
    weir_control_descriptors descriptors = {.count = 0};
    const weir_status status =
        run(identity, weir_deadline_in(identity->timeout_ns), terms, &descriptors, error);
    if (status != WEIR_OK) {
        weir_control_close_descriptors(&descriptors);
        weir_worker_handshake_close(terms);
    }
    return status;
}

weir_status weir_worker_approach_begin(const weir_worker_identity *identity,
                                       weir_worker_approach *approach, weir_error *error)
{
    *approach = (weir_worker_approach){.identity = identity, .terms = nothing()};
    const weir_status status = introduce(identity, AT_ONCE, &approach->terms, error);
    if (status != WEIR_OK) {
        weir_worker_handshake_close(&approach->terms);
    }
    return status;
}

weir_status weir_worker_approach_step(weir_worker_approach *approach, weir_error *error)
{
    weir_worker_terms *terms = &approach->terms;
    weir_control_message message;
    weir_control_descriptors descriptors;
    weir_status status = weir_control_receive(terms->socket_fd, &message, &descriptors, error);
    if (status == WEIR_EMPTY) {
        return WEIR_EMPTY;
    }
    if (status == WEIR_OK) {
        status = understand(approach->identity, terms->socket_fd, AT_ONCE, &message, error);
    }
    if (status == WEIR_OK) {
        status = settle(approach->identity, AT_ONCE, &message.welcome, terms, &descriptors, error);
    } else if (status == WEIR_EMPTY && approach->questions++ > QUESTIONS_MAX) {
        status = too_many_questions(error);
    }
    if (status != WEIR_OK && status != WEIR_EMPTY) {
        weir_control_close_descriptors(&descriptors);
    }
    return status;
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        weir_os()->close(*fd);
        *fd = -1;
    }
}

void weir_worker_handshake_close(weir_worker_terms *terms)
{
    weir_arena_destroy(&terms->arena);
    close_fd(&terms->socket_fd);
    close_fd(&terms->request_eventfd);
    close_fd(&terms->response_eventfd);
    *terms = nothing();
}
