/**
 * @file
 * The end of a job: exactly one outcome, delivered outside all locks.
 *
 * Purpose: whoever decides a job's outcome (ingestor, dispatcher, deadlines, recovery, cancelling
 * caller) first takes the entry out of every list under the pool's lock (state ENDING: from then on
 * nobody else finds it), then delivers, then frees it.
 *
 * Threads: any. Blocking: the caller's done function only.
 */
#ifndef WEIR_MANAGER_ENDING_H
#define WEIR_MANAGER_ENDING_H

#include <stddef.h>

#include "manager/registry.h"

/** Most jobs that are ended in one go. */
#define WEIR_ENDINGS_MAX 64

/** Jobs taken out of the table's lists and their outcomes. */
typedef struct weir_endings {
    weir_job_entry *entries[WEIR_ENDINGS_MAX];
    weir_outcome_code outcomes[WEIR_ENDINGS_MAX];
    size_t count;
} weir_endings;

/**
 * Takes a job out of the list it is in and notes its outcome; a request slot that was never
 * published goes back. Needs the pool's lock and room in @p endings.
 */
void weir_ending_note(weir_pool *pool, weir_endings *endings, weir_job_entry *entry,
                      weir_outcome_code outcome);

/** Delivers all noted ends without payload and frees the entries; without locks. Empties @p
 * endings. */
void weir_ending_deliver(weir_pool *pool, weir_endings *endings);

/** Calls done with the end of one job. */
void weir_ending_call(const weir_job_entry *entry, weir_outcome_code outcome, const void *payload,
                      size_t payload_bytes, uint64_t ended_ns, const void *ticket);

/** Counts and frees entries that were delivered; needs the pool's lock. */
void weir_ending_free(weir_pool *pool, weir_job_entry *entry, weir_outcome_code outcome);

#endif
