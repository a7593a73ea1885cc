/**
 * @file
 * Opcodes of the worker that the manager's tests start (job_worker_program).
 *
 * A request begins with a u32 where a number is named. Options on the command line:
 * --role NAME, --without-crc, --crash-first FILE (dies by SIGKILL in its first life, before the
 * handshake, and leaves FILE), --die (says "these are my last words" and exits with 7), --mute
 * (never says HELLO), --strategies BITS.
 */
#ifndef WEIR_MANAGER_TESTING_JOB_WORKER_H
#define WEIR_MANAGER_TESTING_JOB_WORKER_H

#include "layout/generated/weir_layout.h"

enum {
    JOB_SLEEP = WEIR_OPCODE_APPLICATION_FIRST, /**< Sleeps that many ms; replies nothing. */
    JOB_SIGNAL,                                /**< Raises that signal. */
    JOB_EXIT,                                  /**< exit(0) in the routine. */
    JOB_BUSY,                                  /**< Computes for ever. */
    JOB_REPLY_BYTES,                           /**< Replies that many bytes of job_worker_byte. */
    JOB_FAIL,                                  /**< Fails with "the test wants it". */
    JOB_PROGRESS,                              /**< Works that many ms and says so every ms. */
    JOB_CLOSE_SOCKET, /**< Closes the control socket and sleeps for ever. */
    JOB_PID,          /**< Replies its process id (u32). */
    JOB_MARK_AND_DIE, /**< Appends a byte to the file named by the request, then SIGKILL. */
    JOB_MARK,         /**< Appends a byte to the file named by the request, replies nothing. */
    JOB_FLOOD,        /**< Prints that many lines. */
    JOB_HOLD,         /**< Appends a byte to the file named by the request; ends when it is gone. */
    JOB_UNKNOWN,      /**< Has no routine. */
};

/** Byte @p i of a reply or request made from @p seed. */
static inline unsigned char job_worker_byte(unsigned long seed, unsigned long i)
{
    return (unsigned char)((seed * 31 + i * 7 + (i >> 8)) & 0xff);
}

#endif
