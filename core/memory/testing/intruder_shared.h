/**
 * @file
 * Everything that a process could try in order to change a memory object that it may only read.
 *
 * Threads: single-threaded. Reports by text, so that any process can use it.
 */
#ifndef WEIR_MEMORY_TESTING_INTRUDER_SHARED_H
#define WEIR_MEMORY_TESTING_INTRUDER_SHARED_H

#include <stddef.h>

/** What an intruder has in its hands. */
typedef struct intruder_target {
    int fd;
    void *mapping; /**< Its read-only mapping, or NULL. */
    size_t offset; /**< Where the mapping begins in the object. */
    size_t bytes;  /**< Size of the object. */
} intruder_target;

/** Tries to change the size; NULL when the kernel refused everything with the expected errno, else
 * what went wrong. */
const char *intruder_try_size(const intruder_target *target);

/** Tries to write in all ways; NULL when the kernel refused everything with the expected errno. */
const char *intruder_try_write(const intruder_target *target);

/** Sends bytes, and two descriptors unless they are -1, over a socket; 0 when done. */
int intruder_send(int socket, const void *bytes, size_t count, int first_fd, int second_fd);

/** Receives them; no descriptors are expected where @p first_fd is NULL. 0 when done. */
int intruder_receive(int socket, void *bytes, size_t count, int *first_fd, int *second_fd);

#endif
