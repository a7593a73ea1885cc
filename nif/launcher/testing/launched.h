/**
 * @file
 * A launcher with its worker, as the virtual machine would hold it: for tests.
 *
 * Expectations inside end the test. Threads: the test's own.
 */
#ifndef WEIR_NIF_LAUNCHER_TESTING_LAUNCHED_H
#define WEIR_NIF_LAUNCHER_TESTING_LAUNCHED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "nif/launcher/frames.h"

typedef struct launched {
    pid_t pid;       /**< Of the launcher. */
    int commands_fd; /**< -1 once closed. */
    int frames_fd;
    char body[LAUNCH_FRAME_BYTES + 1]; /**< Of the last frame, without kind, with terminator. */
    uint32_t bytes;
} launched;

/** Starts the launcher on a program with at most two arguments (NULL for none). */
launched launched_start(const char *program, const char *first, const char *second);

/** The same with --credit. */
launched launched_start_with_credit(const char *credit, const char *program, const char *first,
                                    const char *second);

/** Starts a shell script and returns once its process was announced. */
launched launched_script(const char *script, pid_t *worker);

/** Reads the next frame and returns its kind, 0 at the end of file. */
int launched_next(launched *it);

/** Reads the next frame, which must be of that kind. */
void launched_expect(launched *it, enum launch_frame kind);

/** The number in the last frame's body. */
uint32_t launched_number(const launched *it);

void launched_credit(launched *it, uint32_t lines);
void launched_signal(launched *it, int number);
void launched_kill(launched *it);
void launched_send(launched *it, const void *bytes, size_t count);

/** Closes the commands, as the end of the virtual machine does. */
void launched_hang_up(launched *it);

/** Waits for the launcher's end, closes everything, and returns its exit code. */
int launched_end(launched *it);

/** State letter of a process in /proc, 'Z' also when there is none. */
char launched_state(pid_t pid);

/** Waits until the process is in that state; 'Z' means gone. */
void launched_await_state(pid_t pid, char state);

#endif
