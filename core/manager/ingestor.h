/**
 * @file
 * The ingestor: from a worker's response ring to the caller's outcome.
 *
 * Purpose: drain responses in batches, believe only what matches a job in flight there, verify
 * payloads, deliver each outcome exactly once, give slots back.
 *
 * Threads: the manager's thread. Blocking: only in the callers' done functions, which run outside
 * all locks.
 *
 * Trust: a bad envelope, range or release makes the incarnation distrusted; the rest of its batch
 * is not looked at and its jobs are left to recovery.
 */
#ifndef WEIR_MANAGER_INGESTOR_H
#define WEIR_MANAGER_INGESTOR_H

#include <stddef.h>

#include "manager/budget.h"
#include "manager/registry.h"

/** Takes in at most one batch from one incarnation, as far as the budget allows. Returns how many
 * envelopes were taken. */
size_t weir_ingest(weir_incarnation *incarnation, weir_budget *budget);

#endif
