/**
 * @file
 * The worker's process and everything that it starts.
 *
 * Purpose: start the worker in a process group of its own, notice its end, and end all that
 * descends from it, also what has left the group. That works because the launcher is a subreaper:
 * whatever loses its parent below it becomes its child.
 *
 * Threads: one. PR_SET_PDEATHSIG is tied to the thread that starts the worker.
 *
 * Blocking: launch_worker_end_all, at most two seconds.
 *
 * Source: prctl(2), proc(5) on /proc/PID/task/TID/children.
 */
#ifndef WEIR_NIF_LAUNCHER_WORKER_H
#define WEIR_NIF_LAUNCHER_WORKER_H

#include <stdbool.h>
#include <sys/types.h>

typedef struct launch_worker {
    pid_t pid; /**< Also its process group; 0 when it was never started. */
    bool has_ended;
    bool is_reaped;
    int status;    /**< Of waitpid, once reaped. */
    int output_fd; /**< Read end of what it prints, without blocking. */
} launch_worker;

/** Makes the calling process the one that inherits orphans. Returns false and errno if refused. */
bool launch_worker_prepare(void);

/**
 * Starts the program with standard input from /dev/null. Returns false with a sentence of at most
 * @p bytes bytes that names cause and fix.
 */
bool launch_worker_start(launch_worker *worker, char *const argv[], char *sentence, size_t bytes);

/** Looks whether the worker has ended, without reaping it, and reaps orphans that have. */
void launch_worker_look(launch_worker *worker);

/** Sends the worker a signal, unless it has been reaped. */
void launch_worker_signal(const launch_worker *worker, int number);

/** Kills the worker and its descendants and reaps them. Returns false when some are still there
 * after two seconds. */
bool launch_worker_end_all(launch_worker *worker);

#endif
