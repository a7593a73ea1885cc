/**
 * @file
 * The supervisor: starts, watches, fences and replaces workers.
 *
 * Purpose: a seat that wants a worker gets one; a worker that is dead (pidfd), silent (heartbeat),
 * stuck (no progress past a job's deadline) or lying (protocol) is killed, reaped, its jobs
 * recovered, and its seat filled again after a backoff with jitter, or quarantined when it keeps
 * dying. Draining, reloading and stopping are seats on their way to be empty.
 *
 * Nobody calls the supervisor but the loop: it reads the registry, the telemetry and the watcher's
 * events.
 *
 * Threads: the manager's thread. Blocking: posix_spawn only; callbacks run outside locks.
 */
#ifndef WEIR_MANAGER_SUPERVISOR_H
#define WEIR_MANAGER_SUPERVISOR_H

#include "manager/registry.h"

/** How often a healthy worker is looked at: half a heartbeat. */
#define WEIR_SUPERVISE_PERIOD_NS (250 * WEIR_NS_PER_MS)

/** Looks at every seat and does what is due. Returns when it wants to look again. */
uint64_t weir_supervise(weir_manager *manager, uint64_t now_ns);

/** Asks every worker to stop and wants none back. */
void weir_supervise_stop(weir_manager *manager, uint64_t now_ns);

/** Kills what is left of the workers. */
void weir_supervise_kill(weir_manager *manager, uint64_t now_ns);

/** True when no seat holds a process. */
bool weir_supervise_is_empty(const weir_manager *manager);

#endif
