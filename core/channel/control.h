/**
 * @file
 * Messages on the control socket.
 *
 * Purpose: the handshake and the control channel speak in whole messages over SOCK_SEQPACKET. This
 * file sends and receives one message with its descriptors and believes nothing of what arrives:
 * what it hands out has the right magic, kind, length, checksum, zeroed reserved fields and
 * terminated strings of printable ASCII, and the number of descriptors that belongs to its kind.
 *
 * Typical use: weir_control_connect or weir_listener_open (manager/handshake.h), poll the
 * descriptor, weir_control_receive until WEIR_EMPTY, weir_control_send.
 *
 * Threads: one thread per socket and direction.
 *
 * Blocking: none but weir_control_connect's, which is bounded by its deadline. Each call carries
 * MSG_DONTWAIT, since O_NONBLOCK belongs to the shared description and the peer may clear it.
 *
 * Ordering: what a process stored before it sent a message is visible to whom has received it.
 *
 * Ownership: descriptors to send stay the caller's; received ones become the caller's when the
 * status is WEIR_OK and are closed in here otherwise.
 *
 * Source: unix(7), cmsg(3).
 */
#ifndef WEIR_CHANNEL_CONTROL_H
#define WEIR_CHANNEL_CONTROL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "layout/generated/weir_layout.h"
#include "weir/status.h"

/** Most descriptors that a message carries. */
#define WEIR_CONTROL_DESCRIPTORS_MAX 4

/** Room for a socket's path with its final zero (sun_path of unix(7)). */
#define WEIR_CONTROL_PATH_BYTES 108

/** Longest canonical layout that is taken from a peer. */
#define WEIR_CONTROL_SCHEMA_BYTES_MAX (256u * 1024u)

/** Room for any message. */
typedef union weir_control_message {
    struct weir_message_header header;
    struct weir_hello hello;
    struct weir_welcome welcome;
    struct weir_reject reject;
    struct weir_ready ready;
    struct weir_schema_request schema_request;
    struct weir_schema schema;
} weir_control_message;

/** Descriptors that came with a message. */
typedef struct weir_control_descriptors {
    int fd[WEIR_CONTROL_DESCRIPTORS_MAX]; /**< -1 beyond count. */
    uint32_t count;
} weir_control_descriptors;

/** Length of a message of this kind; 0 when the kind is unknown. */
size_t weir_control_bytes(uint32_t kind);

/**
 * Sends @p message, which is the struct of @p kind; its header is filled in here.
 *
 * Returns WEIR_OK, WEIR_FULL (the socket takes nothing now), WEIR_PEER_DEAD, WEIR_INVALID (unknown
 * kind, too many descriptors), WEIR_NO_MEMORY, WEIR_SYSTEM.
 */
weir_status weir_control_send(int fd, enum weir_message kind, void *message, const int *descriptors,
                              uint32_t descriptor_count, weir_error *error) WEIR_MUST_CHECK;

/**
 * Takes one message. @p descriptors is filled in whatever the status; it holds open ones for
 * WEIR_OK alone.
 *
 * Returns WEIR_OK, WEIR_EMPTY (nothing there), WEIR_PEER_DEAD (end of file), WEIR_PROTOCOL (a
 * sentence says what is wrong; close the socket), WEIR_NO_MEMORY, WEIR_SYSTEM.
 */
weir_status weir_control_receive(int fd, weir_control_message *message,
                                 weir_control_descriptors *descriptors,
                                 weir_error *error) WEIR_MUST_CHECK;

/** Closes what @p descriptors still holds. */
void weir_control_close_descriptors(weir_control_descriptors *descriptors);

/**
 * Writes "DIRECTORY/NAME" to @p path. Returns WEIR_OK, or WEIR_INVALID naming the length, the limit
 * and the fix when it does not fit a socket's address.
 */
weir_status weir_control_path(const char *directory, const char *name,
                              char path[WEIR_CONTROL_PATH_BYTES],
                              weir_error *error) WEIR_MUST_CHECK;

/**
 * Opens a socket that listens at @p path; close-on-exec and non-blocking.
 *
 * Returns WEIR_OK, WEIR_INVALID (path empty or too long), WEIR_NO_MEMORY, WEIR_SYSTEM.
 */
weir_status weir_control_listen(const char *path, int *fd, weir_error *error) WEIR_MUST_CHECK;

/**
 * Connects to @p path; waits at most until @p deadline_ns when the listener's queue is full.
 *
 * Returns WEIR_OK, WEIR_INVALID (path empty or too long), WEIR_NOT_FOUND (nobody listens there),
 * WEIR_TIMEOUT, WEIR_NO_MEMORY, WEIR_SYSTEM.
 */
weir_status weir_control_connect(const char *path, uint64_t deadline_ns, int *fd,
                                 weir_error *error) WEIR_MUST_CHECK;

/**
 * Who is at the other end, as the kernel saw it when the connection was made (SO_PEERCRED).
 *
 * Returns WEIR_OK, WEIR_SYSTEM.
 */
weir_status weir_control_peer(int fd, pid_t *pid, uid_t *uid, weir_error *error) WEIR_MUST_CHECK;

#endif
