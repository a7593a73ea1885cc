/**
 * @file
 * Sending: payloads into their slots, envelopes into the rings, workers awake.
 *
 * Purpose: what follows a placement. Each payload is written in place by its caller's fill
 * function, outside all locks; then the whole batch is published under the pool's lock and each
 * worker that got something is woken once.
 *
 * Threads: any, without locks. Blocking: in the callers' fill functions only.
 *
 * Ordering: as ring.h and gate.h.
 */
#ifndef WEIR_MANAGER_SENDING_H
#define WEIR_MANAGER_SENDING_H

#include "manager/placement.h"

/**
 * Sends a batch and empties it. A job whose worker was lost since its placement goes to the front
 * of the pool's queue.
 */
void weir_send(weir_pool *pool, weir_job_batch *batch);

#endif
