#include "raw_passing.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/os.h"
#include "channel/control.h"
#include "raw_descriptor.h"

#define MOST WEIR_CONTROL_DESCRIPTORS_MAX

/* Room for more than is allowed, so that too many arrive and can be closed instead of being cut
 * off. */
typedef union ancillary {
    struct cmsghdr header;
    char room[CMSG_SPACE(2 * MOST * sizeof(int))];
} ancillary;

ERL_NIF_TERM weir_nif_passing_pair(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    (void)argv;
    int fds[2] = {-1, -1};
    if (weir_os()->socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) !=
        0) {
        weir_error error;
        const weir_status status = weir_error_system(&error, errno, "cannot make a socket pair",
                                                     "raise the limit of open files (ulimit -n)");
        return weir_nif_status(env, status, &error);
    }
    ERL_NIF_TERM sender = 0;
    ERL_NIF_TERM receiver = 0;
    const ERL_NIF_TERM first =
        weir_nif_descriptor_adopt(env, fds[0], WEIR_NIF_DESCRIPTOR_SENDER, &sender);
    if (sender == 0) {
        (void)weir_os()->close(fds[1]);
        return first;
    }
    const ERL_NIF_TERM second =
        weir_nif_descriptor_adopt(env, fds[1], WEIR_NIF_DESCRIPTOR_RECEIVER, &receiver);
    return receiver == 0 ? second : enif_make_tuple3(env, weir_nif_atoms.ok_, sender, receiver);
}

/* --- Sending --- */

typedef struct outgoing {
    int fd[MOST]; /* duplicates, so that no descriptor's lock is held while another is taken */
    size_t count;
} outgoing;

static void close_outgoing(outgoing *all)
{
    while (all->count > 0) {
        (void)weir_os()->close(all->fd[--all->count]);
    }
}

/* 1: all are there; 0: badarg; -1: one is closed or cannot be duplicated. */
static int collect(ErlNifEnv *env, ERL_NIF_TERM list, outgoing *all)
{
    ERL_NIF_TERM head;
    while (enif_get_list_cell(env, list, &head, &list)) {
        weir_nif_descriptor *descriptor = NULL;
        int fd = -1;
        if (all->count == MOST || !weir_nif_descriptor_get(env, head, ~0u, &descriptor)) {
            return 0;
        }
        if (!weir_nif_descriptor_hold(descriptor, &fd)) {
            return -1;
        }
        all->fd[all->count] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        weir_nif_descriptor_let_go(descriptor);
        if (all->fd[all->count] < 0) {
            return -1;
        }
        all->count++;
    }
    return enif_is_empty_list(env, list) ? 1 : 0;
}

static ssize_t send_now(int fd, const ErlNifBinary *bytes, const outgoing *all)
{
    ancillary room;
    memset(&room, 0, sizeof room);
    struct iovec part = {.iov_base = bytes->data, .iov_len = bytes->size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (all->count > 0) {
        message.msg_control = &room;
        message.msg_controllen = CMSG_SPACE(all->count * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(all->count * sizeof(int));
        memcpy(CMSG_DATA(header), all->fd, all->count * sizeof(int));
    }
    return weir_os()->sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static ERL_NIF_TERM sent(ErlNifEnv *env, ssize_t result, int reason)
{
    if (result >= 0) {
        return weir_nif_atoms.ok_;
    }
    if (reason == EAGAIN || reason == EWOULDBLOCK || reason == ETOOMANYREFS) {
        return weir_nif_refusal(env, WEIR_FULL, "the socket takes nothing now; try again");
    }
    if (reason == EPIPE || reason == ECONNRESET || reason == ENOTCONN) {
        return weir_nif_refusal(env, WEIR_PEER_DEAD, "the other end is closed");
    }
    weir_error error;
    const weir_status status = weir_error_system(&error, reason, "cannot send descriptors", NULL);
    return weir_nif_status(env, status, &error);
}

ERL_NIF_TERM weir_nif_passing_send(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    weir_nif_descriptor *socket = NULL;
    ErlNifBinary bytes;
    outgoing all = {.count = 0};
    int fd = -1;
    /* An empty packet could not be told from the end of the connection. */
    if (!weir_nif_descriptor_get(env, argv[0], 1u << WEIR_NIF_DESCRIPTOR_SENDER, &socket) ||
        enif_inspect_binary(env, argv[1], &bytes) == 0 || bytes.size == 0 ||
        bytes.size > WEIR_NIF_PASSING_BYTES_MAX) {
        return enif_make_badarg(env);
    }
    const int collected = collect(env, argv[2], &all);
    ERL_NIF_TERM result;
    if (collected == 0) {
        result = enif_make_badarg(env);
    } else if (collected < 0 || !weir_nif_descriptor_hold(socket, &fd)) {
        result = weir_nif_descriptor_is_closed(env);
    } else {
        const ssize_t count = send_now(fd, &bytes, &all);
        const int reason = errno;
        weir_nif_descriptor_let_go(socket);
        result = sent(env, count, reason);
    }
    close_outgoing(&all);
    return result;
}

/* --- Receiving --- */

/* Takes over every descriptor of the message. False when something else than descriptors came too.
 */
static bool take_descriptors(struct msghdr *message, int fds[2 * MOST], size_t *count)
{
    bool is_clean = true;
    *count = 0;
    for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at != NULL; at = CMSG_NXTHDR(message, at)) {
        if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS) {
            is_clean = false;
            continue;
        }
        const size_t found = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < found && *count < 2 * MOST; i++) {
            memcpy(&fds[(*count)++], CMSG_DATA(at) + i * sizeof(int), sizeof(int));
        }
    }
    return is_clean;
}

/* Descriptors become resources of the caller; those after one that fails are closed. */
static ERL_NIF_TERM adopt_all(ErlNifEnv *env, const int *fds, size_t count, ERL_NIF_TERM bytes)
{
    ERL_NIF_TERM list = enif_make_list(env, 0);
    ERL_NIF_TERM refusal = 0;
    for (size_t i = count; i > 0; i--) {
        if (refusal != 0) {
            (void)weir_os()->close(fds[i - 1]);
            continue;
        }
        ERL_NIF_TERM term = 0;
        const ERL_NIF_TERM result =
            weir_nif_descriptor_adopt(env, fds[i - 1], WEIR_NIF_DESCRIPTOR_PLAIN, &term);
        if (term == 0) {
            refusal = result;
        } else {
            list = enif_make_list_cell(env, term, list);
        }
    }
    return refusal != 0 ? refusal : enif_make_tuple3(env, weir_nif_atoms.ok_, bytes, list);
}

static ERL_NIF_TERM received(ErlNifEnv *env, ssize_t bytes, const char *data,
                             struct msghdr *message)
{
    int fds[2 * MOST];
    size_t count = 0;
    const bool is_clean = take_descriptors(message, fds, &count);
    if (bytes > 0 && is_clean && count <= MOST &&
        (message->msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0) {
        return adopt_all(env, fds, count, weir_nif_bytes(env, data, (size_t)bytes));
    }
    for (size_t i = 0; i < count; i++) {
        (void)weir_os()->close(fds[i]);
    }
    return bytes == 0 ? weir_nif_refusal(env, WEIR_PEER_DEAD, "the other end is closed")
                      : weir_nif_refusal(env, WEIR_PROTOCOL,
                                         "a message was too long or carried too much; close the "
                                         "socket");
}

ERL_NIF_TERM weir_nif_passing_receive(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    weir_nif_descriptor *socket = NULL;
    int fd = -1;
    if (!weir_nif_descriptor_get(env, argv[0], 1u << WEIR_NIF_DESCRIPTOR_RECEIVER, &socket)) {
        return enif_make_badarg(env);
    }
    if (!weir_nif_descriptor_hold(socket, &fd)) {
        return weir_nif_descriptor_is_closed(env);
    }
    char data[WEIR_NIF_PASSING_BYTES_MAX];
    ancillary room;
    struct iovec part = {.iov_base = data, .iov_len = sizeof data};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &room, .msg_controllen = sizeof room};
    const ssize_t bytes = weir_os()->recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    const int reason = errno;
    weir_nif_descriptor_let_go(socket);
    if (bytes >= 0) {
        return received(env, bytes, data, &message);
    }
    if (reason == EAGAIN || reason == EWOULDBLOCK || reason == EINTR) {
        return weir_nif_refusal(env, WEIR_EMPTY, "no message is there");
    }
    weir_error error;
    const weir_status status = weir_error_system(&error, reason, "cannot receive", NULL);
    return weir_nif_status(env, status, &error);
}
