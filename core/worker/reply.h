/**
 * @file
 * A job's reply: from the room that the routine asks for to the staged envelope.
 *
 * Threads, blocking, ownership: as worker/loop.h; staging waits for room in the response ring.
 */
#ifndef WEIR_WORKER_REPLY_H
#define WEIR_WORKER_REPLY_H

#include "worker/loop.h"

/**
 * weir_job_reply for a host that must not wait: WEIR_FULL when there is no slot, or no room for the
 * reply in the ring, just now; after WEIR_OK the staging does not wait either. Returns
 * WEIR_PROTOCOL too.
 */
weir_status weir_reply_try(weir_job *job, size_t bytes, void **reply) WEIR_MUST_CHECK;

/**
 * Stages the reply with @p status (enum weir_reply_status); a reply other than ok carries the job's
 * reason, if it has one, instead of what the routine wrote. Returns WEIR_OK or WEIR_PROTOCOL.
 */
weir_status weir_reply_stage(weir_job *job, uint32_t status) WEIR_MUST_CHECK;

#endif
