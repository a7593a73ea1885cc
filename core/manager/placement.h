/**
 * @file
 * Placement: a worker with room for a job, and a slot for its payload.
 *
 * Purpose: the least loaded worker that serves the opcode, is below its watermark and has a payload
 * slot free.
 *
 * Threads: the caller holds the pool's lock. Blocking: never.
 */
#ifndef WEIR_MANAGER_PLACEMENT_H
#define WEIR_MANAGER_PLACEMENT_H

#include "manager/registry.h"

/** Jobs that are placed in one go. */
#define WEIR_BATCH_MAX 32

/** A job with a place at a worker, on its way into the ring. */
typedef struct weir_placement {
    weir_job_entry *entry;
    weir_incarnation *to;
    /** Dead incarnation that still holds the payload of a job sent again, else NULL. */
    weir_incarnation *from;
    uint32_t from_offset;
} weir_placement;

typedef struct weir_job_batch {
    weir_placement placements[WEIR_BATCH_MAX];
    size_t count;
    weir_incarnation *touched[WEIR_BATCH_MAX]; /**< Those that got something, each once. */
    size_t touched_count;
} weir_job_batch;

/**
 * Takes a place and a slot for the job and adds it to the batch, which must have room. Returns
 * WEIR_OK; WEIR_FULL: no room now; WEIR_UNSUPPORTED: nobody serves the opcode and nobody new is
 * coming; WEIR_OVERSIZE.
 */
weir_status weir_place(weir_pool *pool, weir_job_entry *entry,
                       weir_job_batch *batch) WEIR_MUST_CHECK;

#endif
