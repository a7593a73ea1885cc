/**
 * @file
 * A manager that does what a test wants, in a process of its own.
 *
 * Threads: test bodies only. The fake manager ends with exit code 0, or with the line of the check
 * that failed, modulo 90, plus 1.
 */
#ifndef WEIR_WORKER_TESTING_FAKE_MANAGER_H
#define WEIR_WORKER_TESTING_FAKE_MANAGER_H

#include <sys/types.h>

#include "worker/handshake.h"

/** What the fake manager does with one connection. It holds fd, the connection, from the start. */
typedef struct fake_manager fake_manager;
typedef void (*fake_script)(fake_manager *fake);

struct fake_manager {
    char directory[64];
    char path[WEIR_CONTROL_PATH_BYTES];
    int listener;
    uint8_t token[WEIR_TOKEN_BYTES];
    fake_script script;
    int variant; /**< For scripts that come in several. */
    pid_t pid;

    /* In the fake manager's process only. */
    int fd;
    weir_arena arena;
    int request_eventfd;
    int response_eventfd;
    struct weir_hello hello;
};

/** Leaves the fake manager's process when the condition does not hold. */
#define FAKE_DEMAND(condition)                                                                     \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fake_fail(#condition, __LINE__);                                                       \
        }                                                                                          \
    } while (0)

_Noreturn void fake_fail(const char *condition, int line);

/** Starts the process; it makes memory, accepts one connection and runs the script. */
void fake_start(fake_manager *fake, fake_script script, int variant);

/** Waits for its end, demands exit code 0, and clears away the socket. */
void fake_stop(fake_manager *fake);

/** Who the worker says it is: WEIR_OPCODE_ECHO, role "tester", ten seconds. */
weir_worker_identity fake_identity(const fake_manager *fake);

/* For scripts. */

/** Waits for a message of this kind. */
void fake_receive(fake_manager *fake, enum weir_message kind, weir_control_message *message);

/** Waits for HELLO and keeps it. */
void fake_hello(fake_manager *fake);

/** Sends; a peer that is gone already is no failure. */
void fake_send(fake_manager *fake, enum weir_message kind, void *message, const int *descriptors,
               uint32_t count);

/** A WELCOME that is right. */
struct weir_welcome fake_welcome(const fake_manager *fake);

/** Its four descriptors, in the right order. */
void fake_descriptors(const fake_manager *fake, int descriptors[4]);

/** Waits until the worker has closed its end. */
void fake_await_end(fake_manager *fake);

#endif
