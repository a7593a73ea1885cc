/**
 * @file
 * The life of a launcher: one worker, from its start to its end.
 *
 * Purpose: stand between the Erlang virtual machine and a worker process. When the virtual machine
 * is gone, however it went, standard input reaches its end, and the worker with all that it started
 * is killed. When the launcher itself is killed, the kernel kills the worker.
 *
 * Threads: one, the process's first.
 *
 * Blocking: until the worker has ended or the commands have reached their end of file.
 */
#ifndef WEIR_NIF_LAUNCHER_LAUNCH_H
#define WEIR_NIF_LAUNCHER_LAUNCH_H

#include <stdint.h>

/**
 * Starts argv[0] and serves it; @p credit lines may be sent before the first command gives more.
 * Frames and commands are those of frames.h. Returns the exit status of the launcher: 0 when
 * everything was told or nobody listens any more, 1 when descendants could not be ended, 3 when the
 * kernel refuses what it needs.
 */
int launch_run(int commands_fd, int frames_fd, uint32_t credit, char *const argv[]);

#endif
