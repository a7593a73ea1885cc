/**
 * @file
 * SIGINT, SIGTERM, SIGHUP (unless ignored) and SIGPIPE as something to wait for.
 *
 * Purpose: a run ends by a signal between two of its steps, never in the middle of one. The
 * signals are blocked in all threads and taken by the main thread when it waits here. A reader of
 * the output that goes away counts as one signal, however often it is noticed.
 *
 * Threads: weir_stop_block before any other thread starts, the rest on the main thread.
 * Blocking: weir_stop_wait until a signal or the time.
 */
#ifndef WEIR_HARNESS_STOP_H
#define WEIR_HARNESS_STOP_H

#include <stdint.h>

/** Blocks the signals; children that the manager starts get them unblocked. */
void weir_stop_block(void);

/** Waits up to @p nanoseconds for a signal. Returns how many came since the start. */
unsigned weir_stop_wait(uint64_t nanoseconds);

/** How many signals came so far, without waiting. */
unsigned weir_stop_count(void);

/** Lets the next signal end the process at once. */
void weir_stop_unblock(void);

#endif
