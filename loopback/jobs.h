/**
 * @file
 * The loopback routines as a worker's table.
 *
 * Purpose: put each routine of the catalogue behind its opcode: it reads the request in place, asks
 * for exactly the room that the reply needs, and writes the reply in place.
 *
 * Threads: one worker per loopback_jobs. Blocking: as the routines; asking for room waits until the
 * job's deadline at most. Ownership: loopback_jobs holds the memory that routines keep between
 * calls.
 */
#ifndef LOOPBACK_JOBS_H
#define LOOPBACK_JOBS_H

#include <stddef.h>

#include "loopback/routines/catalogue.h"
#include "weir/worker.h"

/** A worker's table and the memory behind it. Starts as `{0}`. */
typedef struct loopback_jobs {
    weir_worker_routine table[ROUTINE_COUNT];
    size_t count;
    routine_memory memory; /**< What the worker hands to each routine as context. */
} loopback_jobs;

/**
 * Fills the table from @p list, names separated by commas; NULL means all. Returns WEIR_OK, or
 * WEIR_INVALID with a sentence (an unknown name, the same name twice, nothing).
 */
weir_status loopback_jobs_choose(loopback_jobs *jobs, const char *list,
                                 weir_error *error) WEIR_MUST_CHECK;

/** Gives the routines' memory back; the table can be used again. */
void loopback_jobs_free(loopback_jobs *jobs);

#endif
