/**
 * @file
 * Starting a worker process.
 *
 * Purpose: a child in its own process group, with an empty standard input, its output in a pipe,
 * default signals, and what it needs to find its manager in the environment: WEIR_SOCKET,
 * WEIR_TOKEN, WEIR_CORRELATION.
 *
 * Threads: the manager's thread. Blocking: posix_spawn(3) until the child has called exec.
 *
 * Source: posix_spawn(3), pidfd_open(2). The pidfd is opened while the child cannot have been
 * reaped, so it names the right one.
 */
#ifndef WEIR_MANAGER_SPAWN_H
#define WEIR_MANAGER_SPAWN_H

#include "manager/incarnation.h"

/**
 * Starts the pool's command for @p incarnation and fills in its pid, pidfd and output.
 * Returns WEIR_OK, WEIR_NOT_FOUND (no such program, or not executable), WEIR_SYSTEM,
 * WEIR_NO_MEMORY.
 */
weir_status weir_spawn(weir_incarnation *incarnation, const char *socket_path,
                       weir_error *error) WEIR_MUST_CHECK;

/** Says whether @p path can be started: WEIR_OK or WEIR_NOT_FOUND with a sentence. */
weir_status weir_spawn_check(const char *path, weir_error *error) WEIR_MUST_CHECK;

#endif
