/**
 * @file
 * The manager's end of the handshake.
 *
 * Purpose: take a fresh connection to the point where its worker is known, fits, and has mapped its
 * memory, or refuse it with a REJECT that says what to change.
 *
 * Typical use: weir_listener_open once; when it is readable weir_listener_accept and
 * weir_handshake_begin; when the connection is readable or the deadline has come
 * weir_handshake_step until it returns anything but WEIR_EMPTY. After WEIR_OK call
 * weir_arena_seal_worker_object, then keep the descriptor as control channel.
 *
 * The steps: HELLO is checked for the peer's user (SO_PEERCRED), the protocol version, the token,
 * the correlation, role and opcodes, wake strategies, and the layout (SCHEMA_REQUEST and SCHEMA in
 * parts when the digests differ); WELCOME carries the descriptors; READY is checked against object
 * B's header.
 *
 * Threads: one thread per handshake; the callback runs inside the step.
 *
 * Blocking: never. A step handles what is there and returns. A layout with another digest costs
 * milliseconds of parsing, once per connection.
 *
 * Ownership: a handshake owns its descriptor from begin until it returns WEIR_OK; then it is the
 * caller's. The terms and their arena stay the caller's and must outlive the handshake.
 *
 * Units: absolute CLOCK_MONOTONIC nanoseconds, bytes.
 *
 * Source: unix(7).
 */
#ifndef WEIR_MANAGER_HANDSHAKE_H
#define WEIR_MANAGER_HANDSHAKE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "channel/control.h"
#include "channel/token.h"
#include "manager/schema_guard.h"
#include "memory/arena.h"

/** The socket that workers connect to. */
typedef struct weir_listener {
    int fd; /**< -1 when closed; readable when a connection waits. */
    char path[WEIR_CONTROL_PATH_BYTES];
} weir_listener;

/**
 * Listens at DIRECTORY/NAME. The directory exists and is the caller's alone (0700).
 *
 * Returns WEIR_OK, WEIR_INVALID (the path is too long: names length, limit and fix),
 * WEIR_NO_MEMORY, WEIR_SYSTEM.
 */
weir_status weir_listener_open(const char *directory, const char *name, weir_listener *listener,
                               weir_error *error) WEIR_MUST_CHECK;

/**
 * Takes one waiting connection; close-on-exec and non-blocking.
 *
 * Returns WEIR_OK, WEIR_EMPTY (nobody waits), WEIR_NO_MEMORY, WEIR_SYSTEM (for example: no
 * descriptor left).
 */
weir_status weir_listener_accept(const weir_listener *listener, int *fd,
                                 weir_error *error) WEIR_MUST_CHECK;

/** Closes and unlinks; safe twice, and on {.fd = -1}. */
void weir_listener_close(weir_listener *listener);

/** What an incarnation's worker gets. */
typedef struct weir_handshake_terms {
    uint32_t generation; /**< Never 0. */
    const weir_arena *arena;
    int request_eventfd;  /**< Wakes the worker. */
    int response_eventfd; /**< Wakes the manager. */
    /** Bits of enum weir_capability that this side offers. Without payload_crc it agrees to go
     * without payload checksums; they are used unless both sides agree to go without. */
    uint32_t capabilities;
    uint32_t wake_strategies; /**< Bit 1 << enum weir_wake_strategy for each that it can wake. */
    uint64_t spin_ns;
    uint32_t compress_min_bytes;
    uint32_t manager_tid;    /**< Thread that sleeps, for the wake signal. */
    const char *role;        /**< NULL: any. */
    const char *correlation; /**< NULL: any. */
} weir_handshake_terms;

/**
 * Finds the incarnation that waits for this token and marks the token as used; NULL when there is
 * none or it was used. Compare with weir_token_equal, and all of them.
 */
typedef const weir_handshake_terms *(*weir_handshake_find)(void *context,
                                                           const uint8_t token[WEIR_TOKEN_BYTES]);

/** What the handshake waits for. */
typedef enum weir_handshake_state {
    WEIR_HANDSHAKE_HELLO,
    WEIR_HANDSHAKE_SCHEMA,
    WEIR_HANDSHAKE_READY,
    WEIR_HANDSHAKE_DONE,
    WEIR_HANDSHAKE_ENDED
} weir_handshake_state;

/** One connection. The results are complete once a step has returned WEIR_OK. */
typedef struct weir_handshake {
    int fd;               /**< -1 once ended. */
    uint64_t deadline_ns; /**< For all steps together; wake up then and step. */
    weir_handshake_state state;
    weir_handshake_find find;
    void *context;
    bool peer_checked;
    char *schema; /**< The peer's canonical text as far as it has arrived. */
    uint32_t schema_bytes;
    uint32_t schema_total;
    weir_schema_claim claim;

    /* Results. */
    const weir_handshake_terms *terms; /**< Which incarnation; NULL until the token was accepted. */
    uint32_t error_code;               /**< enum weir_error_code of the refusal. */
    pid_t peer_pid;                    /**< From the kernel, not from the message. */
    uid_t peer_uid;
    weir_schema_verdict layout; /**< Class and agreed minor version. */
    uint32_t capabilities;      /**< Agreed. */
    uint32_t wake_strategies;   /**< What the worker can sleep with and this side can wake. */
    uint32_t worker_tid;        /**< From READY: runs the loop, in the worker's pid namespace. */
    char role[32];
    char language[16];
    char correlation[48];
    uint16_t opcode[WEIR_OPCODE_COUNT_MAX]; /**< Ascending, none twice, none 0. */
    uint32_t opcode_count;
} weir_handshake;

/** Starts with a connection, which belongs to the handshake from here on. */
void weir_handshake_begin(weir_handshake *h, int fd, uint64_t deadline_ns, weir_handshake_find find,
                          void *context);

/**
 * Goes on with what has arrived. Call it when the descriptor is readable or the deadline has come.
 *
 * Returns WEIR_EMPTY (more is needed), WEIR_OK (READY has been checked: seal object B now). All
 * other statuses end the handshake, a REJECT has been sent where possible and the descriptor is
 * closed: WEIR_TIMEOUT, WEIR_PEER_DEAD, WEIR_PROTOCOL, WEIR_REFUSED (user, token, correlation,
 * role, opcodes, wake strategies), WEIR_INCOMPATIBLE (version, layout), WEIR_NO_MEMORY,
 * WEIR_SYSTEM; WEIR_CLOSED when it had ended before.
 */
weir_status weir_handshake_step(weir_handshake *h, uint64_t now_ns,
                                weir_error *error) WEIR_MUST_CHECK;

/**
 * Ends a handshake that has not been handed over, or whose object B could not be sealed: sends
 * REJECT with @p text where possible and closes. Safe on an ended one.
 */
void weir_handshake_refuse(weir_handshake *h, uint32_t error_code, const char *text);

#endif
