/**
 * @file
 * The dispatcher: from a caller's job to an envelope in a worker's ring.
 *
 * Purpose: check the schema, find a worker with room, let the caller write the payload in place,
 * publish, wake. What finds no room goes by the pool's policy.
 *
 * Threads: submit from any thread; deferred jobs are sent by the manager's thread. Neither the
 * ingestor nor the supervisor calls it; they share the registry with it.
 *
 * Blocking: never, except under the policy `wait`. A payload is written outside all locks.
 *
 * Ordering: as ring.h and gate.h. Jobs of one caller reach one worker in the order of submission.
 */
#ifndef WEIR_MANAGER_DISPATCHER_H
#define WEIR_MANAGER_DISPATCHER_H

#include <stddef.h>

#include "manager/budget.h"
#include "manager/registry.h"

/** See weir_submit, which checks the arguments. */
void weir_dispatch_submit(weir_pool *pool, const weir_job_spec *specs, size_t count,
                          uint64_t *job_ids);

/** Sends what waits in the pool's queue as far as there is room and budget. Returns how many were
 * sent. */
size_t weir_dispatch_deferred(weir_pool *pool, weir_budget *budget);

#endif
