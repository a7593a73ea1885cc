/**
 * @file
 * A worker in a forked child, with a small manager in the test: what most of the worker's tests
 * begin with.
 *
 * Threads: the test's. Ownership: fixture_end or fixture_wait closes everything and reaps the
 * child.
 */
#ifndef WEIR_WORKER_TESTING_FIXTURE_H
#define WEIR_WORKER_TESTING_FIXTURE_H

#include "harness/testing/weir_test.h"
#include "worker/testing/small_manager.h"

/** Opcodes of the test worker, beyond echo. */
enum {
    TEST_FAIL = WEIR_OPCODE_APPLICATION_FIRST, /**< Fails with the sentence "the test wants it". */
    TEST_STATUS,      /**< Returns the status whose number is its payload. */
    TEST_CRC,         /**< Replies weir_job_request_crc: u32 status, u32 crc. */
    TEST_KILL,        /**< SIGKILL to itself, inside the routine. */
    TEST_STUCK,       /**< Never returns. */
    TEST_SLEEP,       /**< Computes for payload (u32) milliseconds. */
    TEST_REPLY_BYTES, /**< Replies with payload (u32) zero bytes, or what weir_job_reply says. */
    TEST_REPLY_TWICE, /**< Replies the status of a second weir_job_reply (u32). */
    TEST_SHRINK,      /**< Asks for 4096 bytes, replies payload (u32) bytes of 'x'. */
    TEST_PROGRESS,    /**< Calls weir_job_progress 10 times, replies nothing. */
    TEST_ALLOCATIONS, /**< Replies how often this process has called malloc, calloc, realloc (u64).
                       */
    TEST_UNKNOWN,     /**< Has no routine. */
};

typedef struct fixture {
    small_manager manager;
    pid_t worker;
} fixture;

/** Starts the worker; @p setup may be NULL, and its table of routines is filled in when empty. */
void fixture_start(fixture *fixture, const small_manager_setup *setup);

/** Waits for the worker's own end and closes everything; returns its exit status (128 + signal). */
int fixture_wait(fixture *fixture);

/** Commands a shutdown, then as fixture_wait. */
int fixture_end(fixture *fixture);

/** Takes a reply and demands its job and status; the caller releases it. */
small_reply fixture_expect(fixture *fixture, uint64_t job_id, uint32_t status);

/** Sends a job, demands this status, releases the reply. */
void fixture_do(fixture *fixture, uint16_t opcode, const void *payload, uint32_t bytes,
                uint32_t status);

/** A telemetry sample with at least this many beats more than the first call found. */
struct weir_telemetry fixture_next_beat(fixture *fixture);

/** Waits until the loop is asleep with this strategy. */
void fixture_await_parked(fixture *fixture, uint32_t strategy);

/** Fills @p bytes bytes that follow from @p seed. */
void fixture_fill(uint8_t *to, size_t bytes, uint64_t seed);

/** The table of all routines above. */
extern const weir_worker_routine fixture_routines[];
extern const size_t fixture_routine_count;

#endif
