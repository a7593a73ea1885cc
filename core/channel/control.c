#include "channel/control.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "base/crc.h"
#include "base/os.h"

#define HEADER_BYTES    sizeof(struct weir_message_header)
#define FIELDS_MAX      3
#define INTERRUPTED_MAX 16 /* A call that is interrupted more often counts as "nothing there". */

/* Bytes of a struct. */
typedef struct field {
    uint16_t offset;
    uint16_t bytes;
    const char *name;
} field;

/* What every message of a kind must keep. */
typedef struct shape {
    uint32_t bytes;
    field text[FIELDS_MAX]; /* Terminated and printable. */
    field zero[FIELDS_MAX];
} shape;

#define FIELD(kind, member)                                                                        \
    {                                                                                              \
        .offset = offsetof(struct weir_##kind, member),                                            \
        .bytes = sizeof(((struct weir_##kind *)0)->member), .name = #kind "." #member              \
    }

static const shape shapes[WEIR_MESSAGE_MAX + 1] = {
    [WEIR_MESSAGE_HELLO] = {.bytes = sizeof(struct weir_hello),
                            .text = {FIELD(hello, role), FIELD(hello, language),
                                     FIELD(hello, correlation)},
                            .zero = {FIELD(hello, reserved)}},
    [WEIR_MESSAGE_WELCOME] = {.bytes = sizeof(struct weir_welcome),
                              .text = {FIELD(welcome, manager_name), FIELD(welcome, worker_name)},
                              .zero = {FIELD(welcome, reserved), FIELD(welcome, reserved1)}},
    [WEIR_MESSAGE_REJECT] = {.bytes = sizeof(struct weir_reject),
                             .text = {FIELD(reject, text)},
                             .zero = {FIELD(reject, reserved)}},
    [WEIR_MESSAGE_READY] = {.bytes = sizeof(struct weir_ready), .zero = {FIELD(ready, reserved)}},
    [WEIR_MESSAGE_SCHEMA_REQUEST] = {.bytes = sizeof(struct weir_schema_request),
                                     .zero = {FIELD(schema_request, reserved)}},
    [WEIR_MESSAGE_SCHEMA] = {.bytes = sizeof(struct weir_schema),
                             .zero = {FIELD(schema, reserved)}},
};

size_t weir_control_bytes(uint32_t kind)
{
    return kind <= WEIR_MESSAGE_MAX ? shapes[kind].bytes : 0;
}

void weir_control_close_descriptors(weir_control_descriptors *descriptors)
{
    for (uint32_t i = 0; i < WEIR_CONTROL_DESCRIPTORS_MAX; i++) {
        if (i < descriptors->count && descriptors->fd[i] >= 0) {
            weir_os()->close(descriptors->fd[i]);
        }
        descriptors->fd[i] = -1;
    }
    descriptors->count = 0;
}

/* Room for the descriptors of one message; a longer list is cut by the kernel, which says so. */
typedef union rights {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(WEIR_CONTROL_DESCRIPTORS_MAX * sizeof(int))];
} rights;

weir_status weir_control_send(int fd, enum weir_message kind, void *message, const int *descriptors,
                              uint32_t descriptor_count, weir_error *error)
{
    const size_t bytes = weir_control_bytes(kind);
    if (bytes == 0 || descriptor_count > WEIR_CONTROL_DESCRIPTORS_MAX) {
        weir_error_set(error, "a message of kind %d with %u descriptors cannot be sent", (int)kind,
                       descriptor_count);
        return WEIR_INVALID;
    }
    struct weir_message_header *header = message;
    *header = (struct weir_message_header){
        .magic = WEIR_MESSAGE_MAGIC, .kind = (uint16_t)kind, .bytes = (uint32_t)bytes};
    header->crc = weir_crc32c((const char *)message + HEADER_BYTES, bytes - HEADER_BYTES);

    struct iovec part = {.iov_base = message, .iov_len = bytes};
    struct msghdr envelope = {.msg_iov = &part, .msg_iovlen = 1};
    rights room = {.bytes = {0}};
    if (descriptor_count > 0) {
        envelope.msg_control = room.bytes;
        envelope.msg_controllen = CMSG_SPACE(descriptor_count * sizeof(int));
        struct cmsghdr *list = CMSG_FIRSTHDR(&envelope);
        list->cmsg_level = SOL_SOCKET;
        list->cmsg_type = SCM_RIGHTS;
        list->cmsg_len = CMSG_LEN(descriptor_count * sizeof(int));
        memcpy(CMSG_DATA(list), descriptors, descriptor_count * sizeof(int));
    }
    ssize_t sent = -1;
    errno = EINTR;
    for (int i = 0; i < INTERRUPTED_MAX && sent < 0 && errno == EINTR; i++) {
        sent = weir_os()->sendmsg(fd, &envelope, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    if (sent == (ssize_t)bytes) {
        return WEIR_OK;
    }
    if (sent >= 0) {
        weir_error_set(error, "sending a %s message stopped after %zd of %zu bytes",
                       weir_message_name(kind), sent, bytes);
        return WEIR_SYSTEM;
    }
    switch (errno) {
    case EAGAIN:
    case EINTR:
    case ENOBUFS:
        weir_error_set(error, "the other side does not take messages from its control socket");
        return WEIR_FULL;
    case EPIPE:
    case ECONNRESET:
    case ENOTCONN:
        weir_error_set(error, "the other side has closed the control socket");
        return WEIR_PEER_DEAD;
    default:
        return weir_error_system(error, errno, "sending on the control socket", NULL);
    }
}

/* Takes over all descriptors that came, so that none can leak. */
static void collect(struct msghdr *envelope, weir_control_descriptors *descriptors)
{
    for (struct cmsghdr *list = CMSG_FIRSTHDR(envelope); list != NULL;
         list = CMSG_NXTHDR(envelope, list)) {
        if (list->cmsg_level != SOL_SOCKET || list->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        const size_t count = (list->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(list) + i * sizeof fd, sizeof fd);
            if (descriptors->count < WEIR_CONTROL_DESCRIPTORS_MAX) {
                descriptors->fd[descriptors->count++] = fd;
            } else {
                weir_os()->close(fd);
            }
        }
    }
}

static bool is_zero(const uint8_t *bytes, size_t count)
{
    uint8_t any = 0;
    for (size_t i = 0; i < count; i++) {
        any |= bytes[i];
    }
    return any == 0;
}

static bool is_text(const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] == 0) {
            return true;
        }
        if (bytes[i] < 0x20 || bytes[i] > 0x7e) {
            return false;
        }
    }
    return false;
}

static weir_status check_header(const weir_control_message *message, size_t received,
                                weir_error *error)
{
    const struct weir_message_header *header = &message->header;
    if (received < HEADER_BYTES) {
        weir_error_set(error, "a control message of %zu bytes is too short for its header",
                       received);
        return WEIR_PROTOCOL;
    }
    if (header->magic != WEIR_MESSAGE_MAGIC) {
        weir_error_set(error,
                       "a control message begins with 0x%08x, not with 0x%08x; "
                       "the other side does not speak Weir's protocol",
                       header->magic, WEIR_MESSAGE_MAGIC);
        return WEIR_PROTOCOL;
    }
    const size_t bytes = weir_control_bytes(header->kind);
    if (bytes == 0) {
        weir_error_set(error, "a control message is of the unknown kind %u", header->kind);
        return WEIR_PROTOCOL;
    }
    if (header->bytes != received || bytes != received) {
        weir_error_set(error, "a %s message has %zu bytes and says %u; it must have %zu",
                       weir_message_name(header->kind), received, header->bytes, bytes);
        return WEIR_PROTOCOL;
    }
    const uint32_t crc = weir_crc32c((const uint8_t *)message + HEADER_BYTES, bytes - HEADER_BYTES);
    if (header->crc != crc) {
        weir_error_set(error, "a %s message has the checksum 0x%08x; it must have 0x%08x",
                       weir_message_name(header->kind), header->crc, crc);
        return WEIR_PROTOCOL;
    }
    return WEIR_OK;
}

static weir_status check_fields(const weir_control_message *message, weir_error *error)
{
    const uint8_t *bytes = (const uint8_t *)message;
    const shape *is = &shapes[message->header.kind];
    if (message->header.reserved != 0) {
        weir_error_set(error, "the reserved field of a %s message's header is not zero",
                       weir_message_name(message->header.kind));
        return WEIR_PROTOCOL;
    }
    for (int i = 0; i < FIELDS_MAX && is->zero[i].bytes > 0; i++) {
        if (!is_zero(bytes + is->zero[i].offset, is->zero[i].bytes)) {
            weir_error_set(error, "the field %s is not zero", is->zero[i].name);
            return WEIR_PROTOCOL;
        }
    }
    for (int i = 0; i < FIELDS_MAX && is->text[i].bytes > 0; i++) {
        if (!is_text(bytes + is->text[i].offset, is->text[i].bytes)) {
            weir_error_set(error, "the field %s is not printable ASCII that ends with a zero",
                           is->text[i].name);
            return WEIR_PROTOCOL;
        }
    }
    return WEIR_OK;
}

/* Only WELCOME carries descriptors: both objects when they are memfds, and both eventfds. */
static weir_status check_descriptors(const weir_control_message *message, uint32_t count,
                                     weir_error *error)
{
    uint32_t expected = 0;
    if (message->header.kind == WEIR_MESSAGE_WELCOME) {
        expected = message->welcome.backing == WEIR_BACKING_MEMFD ? 4 : 2;
    }
    if (count != expected) {
        weir_error_set(error, "a %s message came with %u descriptors; it must come with %u",
                       weir_message_name(message->header.kind), count, expected);
        return WEIR_PROTOCOL;
    }
    return WEIR_OK;
}

static weir_status receive_failed(weir_error *error)
{
    switch (errno) {
    case EAGAIN:
    case EINTR:
        return WEIR_EMPTY;
    case ECONNRESET:
    case ENOTCONN:
    case EPIPE:
        weir_error_set(error, "the other side has closed the control socket");
        return WEIR_PEER_DEAD;
    default:
        return weir_error_system(error, errno, "receiving on the control socket", NULL);
    }
}

/* One recvmsg. A peer that closed with unread bytes makes the next call fail with ECONNRESET once,
 * although its last words still lie in the queue, so the call is made again. */
static ssize_t receive_once(int fd, struct msghdr *envelope)
{
    const struct msghdr fresh = *envelope;
    ssize_t got = -1;
    for (int i = 0; i < INTERRUPTED_MAX; i++) {
        *envelope = fresh;
        got = weir_os()->recvmsg(fd, envelope, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (got >= 0 || (errno != EINTR && errno != ECONNRESET)) {
            break;
        }
    }
    return got;
}

weir_status weir_control_receive(int fd, weir_control_message *message,
                                 weir_control_descriptors *descriptors, weir_error *error)
{
    *descriptors = (weir_control_descriptors){.fd = {-1, -1, -1, -1}};
    rights room = {.bytes = {0}};
    struct iovec part = {.iov_base = message, .iov_len = sizeof *message};
    struct msghdr envelope = {.msg_iov = &part,
                              .msg_iovlen = 1,
                              .msg_control = room.bytes,
                              .msg_controllen = sizeof room.bytes};
    const ssize_t got = receive_once(fd, &envelope);
    if (got < 0) {
        return receive_failed(error);
    }
    collect(&envelope, descriptors);
    weir_status status = WEIR_OK;
    if (got == 0) {
        weir_error_set(error, "the other side has closed the control socket");
        status = WEIR_PEER_DEAD; /* An empty message cannot be told from it, and says as much. */
    } else if ((envelope.msg_flags & MSG_TRUNC) != 0) {
        weir_error_set(error, "a control message is longer than %zu bytes", sizeof *message);
        status = WEIR_PROTOCOL;
    } else if ((envelope.msg_flags & MSG_CTRUNC) != 0) {
        weir_error_set(error,
                       "a control message came with more descriptors than can be taken; "
                       "at most %d are allowed, and there must be room in the descriptor table",
                       WEIR_CONTROL_DESCRIPTORS_MAX);
        status = WEIR_PROTOCOL;
    }
    if (status == WEIR_OK) {
        status = check_header(message, (size_t)got, error);
    }
    if (status == WEIR_OK) {
        status = check_fields(message, error);
    }
    if (status == WEIR_OK) {
        status = check_descriptors(message, descriptors->count, error);
    }
    if (status != WEIR_OK) {
        weir_control_close_descriptors(descriptors);
    }
    return status;
}

weir_status weir_control_peer(int fd, pid_t *pid, uid_t *uid, weir_error *error)
{
    struct ucred peer = {0};
    socklen_t bytes = sizeof peer;
    if (weir_os()->getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) != 0) {
        return weir_error_system(error, errno, "asking who is at the other end of the socket",
                                 NULL);
    }
    *pid = peer.pid;
    *uid = peer.uid;
    return WEIR_OK;
}
