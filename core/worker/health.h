/**
 * @file
 * The health thread: heartbeat, SIGTERM, the manager's death.
 *
 * Purpose: say twice a second how the worker is doing even while a routine computes; take SIGTERM
 * on the loop's behalf; end the process when the manager is gone, whatever the loop is stuck in.
 *
 * Threads: started and stopped by the loop's thread; one per process, since a signal has one
 * handler.
 *
 * Blocking: stopping waits for the thread, which never waits for anything but its own ppoll.
 *
 * SIGTERM: blocked in the loop's thread and let in only while the health thread waits in ppoll. It
 * sets a flag, and a parked loop is woken by the wake signal. The signal can fall between a look
 * and the sleep behind it (the bell, which would close that window, belongs to the manager), so it
 * is repeated until the loop says that it has seen the flag.
 *
 * Telemetry: last_job_ns is that of the last job that was timed (job.c says which are).
 * busy_since_ns is exact for those and, for others, the beat that first found the job running.
 *
 * Units: nanoseconds of CLOCK_MONOTONIC.
 *
 * Source: signal-safety(7), ppoll(2), unix(7).
 */
#ifndef WEIR_WORKER_HEALTH_H
#define WEIR_WORKER_HEALTH_H

#include <pthread.h>
#include <stdbool.h>

#include "channel/control.h"
#include "channel/telemetry.h"
#include "worker/loop.h"

/** The thread and what it remembers from beat to beat. */
typedef struct weir_health {
    weir_worker *worker;
    pthread_t thread;
    struct sigaction old_term;
    sigset_t old_mask;
    sigset_t wait_mask; /**< Signals blocked while it waits: all but those that it waits for. */
    uint32_t tid;       /**< Stored by the thread; 0 until it runs. */
    uint32_t should_stop;
    uint64_t beat_count;
    uint64_t running_index; /**< Begun marker of the job that the last beat found running. */
    uint64_t running_since_ns;
    uint64_t next_beat_ns;
    uint64_t nudge_ns; /**< Pause before the loop is reminded again of SIGTERM. */
    uint64_t errors;   /**< Control messages that nobody expected. */
    weir_control_message message;
} weir_health;

/** Writes the first beat and starts the thread. Returns WEIR_OK or WEIR_SYSTEM (see errno). */
weir_status weir_health_start(weir_health *health, weir_worker *worker) WEIR_MUST_CHECK;

/** One beat of a worker that has no health thread; @p health remembers the worker from beat to beat
 * and is otherwise zero at first. */
void weir_health_beat(weir_health *health);

/** Writes a last beat, ends the thread, restores signal mask and handler. */
void weir_health_stop(weir_health *health);

/** True once SIGTERM arrived since weir_health_start. */
bool weir_health_term_requested(void);

#endif
