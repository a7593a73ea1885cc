/**
 * A request and its reply in buffers of exactly the right size, so that AddressSanitizer sees every
 * byte read or written beyond them. For tests; each function ends the test when something is wrong.
 */
#ifndef LOOPBACK_ROUTINES_TESTING_REQUEST_BUFFER_H
#define LOOPBACK_ROUTINES_TESTING_REQUEST_BUFFER_H

#include "loopback/routines/analytics.h"
#include "loopback/routines/catalogue.h"
#include "loopback/routines/pathfind.h"
#include "loopback/routines/simulate.h"
#include "loopback/routines/worldgen.h"

typedef struct request_buffer {
    routine_id routine;
    void *request;
    size_t request_bytes;
    void *reply;
    size_t reply_capacity;
    size_t reply_bytes;
} request_buffer;

request_buffer simulate_buffer(const simulate_parameters *parameters, const uint64_t *cells);
request_buffer pathfind_buffer(const pathfind_parameters *parameters, const uint64_t *cells);
request_buffer worldgen_buffer(const worldgen_parameters *parameters);
request_buffer analytics_buffer(const double *values, uint64_t count, const double *probabilities,
                                uint32_t quantile_count);

/** A copy of arbitrary request bytes. */
request_buffer bytes_buffer(routine_id routine, const void *request, size_t request_bytes);

/** Runs the routine with a reply buffer as large as reply_bytes says; returns the outcome of
 * either. */
routine_result run_buffer(request_buffer *buffer, routine_memory *memory);

/** Runs the routine, demands success, and demands that verify agrees. */
void run_and_verify(request_buffer *buffer, routine_memory *memory);

void free_buffer(request_buffer *buffer);

/** The next number of a seeded sequence (splitmix64). */
uint64_t next_random(uint64_t *state);

#endif
