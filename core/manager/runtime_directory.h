/**
 * @file
 * Where managers keep their sockets, and how the leftovers of killed ones go away.
 *
 * Purpose: one directory for all managers of a user ($WEIR_RUNTIME_DIR, else $XDG_RUNTIME_DIR/weir,
 * else /tmp/weir-UID, mode 0700, owner checked), in it one private directory for each manager with
 * a locked file. A directory whose lock can be had belongs to nobody alive and is swept, together
 * with shared memory objects that its process left behind.
 *
 * Threads: any. Blocking: file system calls only.
 *
 * Source: flock(2); shm_overview(7) for /dev/shm.
 */
#ifndef WEIR_MANAGER_RUNTIME_DIRECTORY_H
#define WEIR_MANAGER_RUNTIME_DIRECTORY_H

#include <stdbool.h>
#include <stddef.h>

#include "weir/status.h"

/**
 * Sweeps what killed managers left and makes a private directory; its path goes to @p path, the
 * held lock to @p lock_fd.
 * @p base NULL means the default. Returns WEIR_OK, WEIR_INVALID (not a directory, wrong owner or
 * mode, path too long), WEIR_SYSTEM.
 */
weir_status weir_runtime_directory_open(const char *base, char *path, size_t path_bytes,
                                        int *lock_fd, weir_error *error) WEIR_MUST_CHECK;

/**
 * Names the runtime directory: @p base, or the default when it is NULL. Nothing is made. Returns
 * WEIR_OK, WEIR_INVALID (path too long).
 */
weir_status weir_runtime_directory_name(const char *base, char *path, size_t path_bytes,
                                        weir_error *error) WEIR_MUST_CHECK;

/** Takes the path of one manager's private directory; false ends the walk. */
typedef bool (*weir_runtime_directory_visit)(void *context, const char *path);

/**
 * Shows the private directory of each manager, dead ones included, to @p visit; changes nothing.
 * Returns WEIR_OK, WEIR_NOT_FOUND (there is no runtime directory: nobody ever ran), WEIR_INVALID
 * (not a directory, wrong owner or mode), WEIR_SYSTEM.
 */
weir_status weir_runtime_directory_walk(const char *base, weir_runtime_directory_visit visit,
                                        void *context, weir_error *error) WEIR_MUST_CHECK;

/**
 * Whether the manager that made the private directory lives: it holds the lock. Takes the lock for
 * an instant when it is free, so a manager that sweeps just then leaves that directory to the next.
 */
bool weir_runtime_directory_is_alive(const char *path);

/** Process id in the name of a private directory, 0 when there is none. */
int weir_runtime_directory_pid(const char *path);

/** Removes the private directory with what is in it and gives the lock back. */
void weir_runtime_directory_close(const char *path, int lock_fd);

#endif
