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

/** Removes the private directory with what is in it and gives the lock back. */
void weir_runtime_directory_close(const char *path, int lock_fd);

#endif
