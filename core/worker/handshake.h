/**
 * @file
 * The worker's end of the handshake.
 *
 * Purpose: from the environment and the options to mapped, checked memory.
 *
 * Typical use: weir_worker_handshake_prepare, weir_worker_handshake_run, serve,
 * weir_worker_handshake_close.
 *
 * Threads: the thread that will run the loop (its id is announced), before others start: prepare
 * changes the environment.
 *
 * Blocking: until the deadline at most.
 *
 * Ownership: the result owns its arena and descriptors.
 *
 * Units: absolute CLOCK_MONOTONIC nanoseconds for deadlines.
 */
#ifndef WEIR_WORKER_HANDSHAKE_H
#define WEIR_WORKER_HANDSHAKE_H

#include <stdint.h>
#include <sys/types.h>

#include "channel/control.h"
#include "channel/token.h"
#include "memory/arena.h"
#include "weir/worker.h"

/** All that the handshake says about this worker, resolved. */
typedef struct weir_worker_identity {
    char socket_path[WEIR_CONTROL_PATH_BYTES];
    uint8_t token[WEIR_TOKEN_BYTES];
    char correlation[48];
    char role[32];
    char language[16];
    uint16_t opcode[WEIR_OPCODE_COUNT_MAX];
    uint32_t opcode_count;
    uint32_t capabilities; /**< Without payload_crc: agrees to go without payload checksums. */
    uint32_t wake_strategies;
    uint64_t timeout_ns; /**< For the whole handshake. */

    /* The layout that this worker speaks; prepare fills in the built-in one. */
    uint16_t layout_major;
    uint16_t layout_minor;
    uint8_t layout_digest[WEIR_DIGEST_BYTES];
    const char *layout_text;
    uint32_t layout_bytes;
} weir_worker_identity;

/** What both sides agreed on. */
typedef struct weir_worker_terms {
    weir_arena arena;     /**< Mapped; its descriptors are closed. */
    int socket_fd;        /**< Control channel; end of file means that the manager is gone. */
    int request_eventfd;  /**< The worker sleeps on it. */
    int response_eventfd; /**< Wakes the manager. */
    uint32_t generation;
    uint16_t layout_minor;
    uint32_t capabilities;
    uint32_t wake_strategies; /**< What this side can sleep with and the manager can wake. */
    uint32_t manager_wakes;   /**< What the manager said that it can use to wake. */
    uint64_t spin_ns;
    uint32_t compress_min_bytes;
    pid_t manager_pid;    /**< From the kernel. */
    uint32_t manager_tid; /**< From object A; may change there, see manager_control. */
} weir_worker_terms;

/**
 * Resolves @p options, the command line (--socket PATH, --correlation TEXT) and the environment
 * (WEIR_SOCKET, WEIR_TOKEN, WEIR_CORRELATION). The command line goes before the options, those
 * before the environment. WEIR_TOKEN is wiped and unset, whatever the status.
 *
 * Returns WEIR_OK, WEIR_INVALID (options that make no sense), WEIR_NOT_FOUND (no manager: no socket
 * or token was named).
 */
weir_status weir_worker_handshake_prepare(const weir_worker_options *options, int argc, char **argv,
                                          weir_worker_identity *identity,
                                          weir_error *error) WEIR_MUST_CHECK;

/**
 * The same for a worker inside another runtime, which knows its names without a command line: @p
 * options has the socket's path. The environment is neither read nor changed where an argument says
 * it.
 *
 * Returns WEIR_OK, WEIR_INVALID, WEIR_NOT_FOUND (no socket is named).
 */
weir_status weir_worker_handshake_name(const weir_worker_options *options, const char *token,
                                       const char *correlation, const char *language,
                                       weir_worker_identity *identity,
                                       weir_error *error) WEIR_MUST_CHECK;

/**
 * Connects, says HELLO, answers questions about the layout, maps the memory of WELCOME, fills in
 * object B's header and says READY. On failure nothing is left open or mapped.
 *
 * Returns WEIR_OK, WEIR_REFUSED (REJECT; the sentence repeats the manager's), WEIR_TIMEOUT,
 * WEIR_PEER_DEAD, WEIR_NOT_FOUND (nobody listens), WEIR_PROTOCOL, WEIR_INCOMPATIBLE, WEIR_INVALID,
 * WEIR_NO_MEMORY, WEIR_SYSTEM.
 */
weir_status weir_worker_handshake_run(const weir_worker_identity *identity,
                                      weir_worker_terms *terms, weir_error *error) WEIR_MUST_CHECK;

/** A handshake that goes on whenever its socket is readable, for a worker that must not wait. */
typedef struct weir_worker_approach {
    const weir_worker_identity *identity; /**< Must outlive the approach. */
    weir_worker_terms terms;              /**< The caller's once a step has returned WEIR_OK. */
    uint32_t questions;                   /**< About the layout, answered so far. */
} weir_worker_approach;

/**
 * Connects and says HELLO without waiting; poll terms.socket_fd for input and step. On failure
 * nothing is left open.
 *
 * Returns WEIR_OK, WEIR_TIMEOUT (the listener's queue is full: the token is not used up, try
 * again), and as weir_worker_handshake_run.
 */
weir_status weir_worker_approach_begin(const weir_worker_identity *identity,
                                       weir_worker_approach *approach,
                                       weir_error *error) WEIR_MUST_CHECK;

/**
 * Takes one message, if one is there, and answers it. Returns WEIR_EMPTY (more is needed), WEIR_OK
 * (READY is said). All other statuses end the approach; they are those of
 * weir_worker_handshake_run. Closing is the caller's, whatever the status: the socket may be in a
 * poll set of its own. So is the deadline.
 */
weir_status weir_worker_approach_step(weir_worker_approach *approach,
                                      weir_error *error) WEIR_MUST_CHECK;

/** Unmaps and closes all; safe twice. */
void weir_worker_handshake_close(weir_worker_terms *terms);

#endif
