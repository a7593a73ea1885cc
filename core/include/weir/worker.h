/**
 * @file
 * Writing a worker: a process that takes jobs from a Weir manager.
 *
 * Purpose: fill in a table of routines and call weir_worker_main from main. The library does the
 * handshake, takes requests from the ring, checks them, calls the routine of their opcode,
 * publishes the reply, reports health, drains on SIGTERM or on the manager's word, and ends the
 * process when the manager is gone.
 *
 * Threads: routines run on the thread that called weir_worker_main, one at a time. A second thread
 * reports health; it calls no routine.
 *
 * Blocking: weir_worker_main returns when the worker has ended. A routine may compute as long as it
 * likes; one that runs long should call weir_job_progress so that it is not taken for stuck.
 *
 * Ownership: request bytes belong to the manager and are read-only shared memory, valid until the
 * routine returns; reply bytes are written in place, into shared memory, where weir_job_reply says.
 *
 * Exit status of weir_worker_main: 0 drained or shut down, 1 a promise was broken (protocol), 2
 * usage, 3 the environment cannot do this (no manager, refused handshake).
 */
#ifndef WEIR_WORKER_H
#define WEIR_WORKER_H

#include <stddef.h>
#include <stdint.h>

#include "weir/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A job in the hands of its routine. */
typedef struct weir_job weir_job;

/** Request payload, unpacked and already checked against its checksum. 8-byte aligned; NULL when
 * there are no bytes. */
WEIR_API const void *weir_job_request(const weir_job *job, size_t *bytes);

/**
 * CRC32C of the request's stored bytes as just verified, so that a routine that needs it reads the
 * payload only once. Returns WEIR_OK, or WEIR_NOT_FOUND when checksums are off or the payload was
 * compressed.
 */
WEIR_API weir_status weir_job_request_crc(const weir_job *job, uint32_t *crc) WEIR_MUST_CHECK;

/** Opcode of the job. */
WEIR_API uint16_t weir_job_opcode(const weir_job *job);
/** Identity that the manager gave to the job. */
WEIR_API uint64_t weir_job_id(const weir_job *job);
/** Absolute CLOCK_MONOTONIC nanoseconds by which the caller wants the answer; 0 for none. */
WEIR_API uint64_t weir_job_deadline_ns(const weir_job *job);

/**
 * Room for a reply of @p bytes bytes, in place; may be called once per job. Waits for a free slot
 * until the job's deadline at most. Returns WEIR_OK, WEIR_OVERSIZE (no slot is that large),
 * WEIR_TIMEOUT (none became free), WEIR_INVALID (called twice).
 */
WEIR_API weir_status weir_job_reply(weir_job *job, size_t bytes, void **reply) WEIR_MUST_CHECK;

/** Makes the reply shorter than was asked for. */
WEIR_API void weir_job_shrink_reply(weir_job *job, size_t bytes);

/** Fails the job with a sentence for the caller, which becomes the reply. */
WEIR_API void weir_job_fail(weir_job *job, const char *reason);

/** Says that a long routine is getting on. */
WEIR_API void weir_job_progress(weir_job *job);

/** Does one job. An error status other than WEIR_OK fails the job (WEIR_OVERSIZE and WEIR_TIMEOUT
 * keep their meaning). */
typedef weir_status (*weir_routine)(weir_job *job, void *context);

/** One entry of a worker's table. */
typedef struct weir_worker_routine {
    uint16_t opcode;
    weir_routine run;
} weir_worker_routine;

/** What a worker is. Zero means the default everywhere. */
typedef struct weir_worker_options {
    const char *role;                    /**< At most 31 characters; default "worker". */
    const weir_worker_routine *routines; /**< At most 64. */
    size_t routine_count;
    void *context;            /**< Handed to every routine. */
    uint32_t wake_strategies; /**< Bits 1 << enum weir_wake_strategy; default all. */
    uint32_t capabilities; /**< Bits of enum weir_capability to offer besides payload_crc; default
                              all. */
    uint32_t without_payload_crc; /**< 1: offers to go without payload checksums. */
    const char *socket_path;      /**< Default: environment WEIR_SOCKET, or option --socket. */
    uint64_t connect_timeout_ns;  /**< Default 10 s for the whole handshake. */
} weir_worker_options;

/**
 * Runs a worker until it ends; see the top for the exit status. Prints one sentence to stderr when
 * it cannot work. Command-line options read: --socket PATH, --correlation TEXT; others are left to
 * the caller. The token comes from the environment variable WEIR_TOKEN only, since everyone can
 * read a command line; it is erased from the environment once read.
 */
WEIR_API int weir_worker_main(const weir_worker_options *options, int argc, char **argv);

#ifdef __cplusplus
}
#endif

#endif
