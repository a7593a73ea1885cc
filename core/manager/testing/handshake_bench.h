/**
 * @file
 * A manager's end of a handshake on the bench: a socket directory, one incarnation and its terms.
 *
 * Threads: test bodies only; the functions fail the test by themselves.
 */
#ifndef WEIR_MANAGER_TESTING_HANDSHAKE_BENCH_H
#define WEIR_MANAGER_TESTING_HANDSHAKE_BENCH_H

#include "manager/handshake.h"

/** Everything around one handshake. */
typedef struct handshake_bench {
    char directory[64];
    weir_listener listener;
    weir_arena arena;
    uint8_t token[WEIR_TOKEN_BYTES];
    bool token_used;
    weir_handshake_terms terms;
    weir_handshake h; /**< The last connection. */
} handshake_bench;

/** A worker process. */
typedef struct bench_worker {
    pid_t pid;
    int output;      /**< Its stderr. */
    char text[1024]; /**< What it wrote there, after bench_wait. */
} bench_worker;

/** Makes the directory, the listener, the arena, eventfds and a fresh token. */
void bench_open(handshake_bench *bench, uint32_t backing);

/** Gives all of it back; ends the last handshake if it is still open. */
void bench_close(handshake_bench *bench);

/** Makes another token, as for the next incarnation. */
void bench_renew(handshake_bench *bench);

/** Starts handshake_worker_program with the bench's environment and up to four settings NAME=VALUE,
 * which end with NULL; a setting without '=' takes the name away. */
bench_worker bench_start(const handshake_bench *bench, const char *const *settings);

/** Waits for the worker's exit code and reads what it wrote. */
int bench_wait(bench_worker *worker);

/** Accepts a connection and begins its handshake. */
void bench_accept(handshake_bench *bench, uint64_t deadline_ns);

/** Polls and steps until the handshake has ended in one way or another. */
weir_status bench_finish(handshake_bench *bench, weir_error *error);

/** Connects from this process and begins the handshake; returns the worker's end. */
int bench_connect(handshake_bench *bench);

/** A HELLO that is accepted. */
struct weir_hello bench_hello(const handshake_bench *bench);

/** Steps at the time 0, so that no deadline passes. */
weir_status bench_step(handshake_bench *bench, weir_error *error);

/** Sends a message from the worker's end and steps. */
weir_status bench_say(handshake_bench *bench, int fd, enum weir_message kind, void *message,
                      weir_error *error);

/** Receives at the worker's end and demands this kind. */
void bench_expect(int fd, enum weir_message kind, weir_control_message *message);

/** Writes object B's header as a worker does, by a mapping of its own. */
void bench_write_header(const handshake_bench *bench, const weir_control_message *welcome,
                        const weir_control_descriptors *descriptors);

/** Brings a fresh connection to the point where READY is awaited and fills in object B's header;
 * returns the worker's end. */
int bench_reach_ready(handshake_bench *bench);

/** Brings a fresh connection to the point where a part of the layout is awaited. */
int bench_reach_schema(handshake_bench *bench);

/** The handshake has ended with this code, and the peer was told why; closes the worker's end. */
void bench_expect_told(const handshake_bench *bench, int fd, uint32_t error_code,
                       const char *reason);

/** Descriptors that this process has open. */
int bench_descriptors(void);

#endif
