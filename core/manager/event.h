/**
 * @file
 * Events of the manager's life, handed to the program as they happen and kept on the status page.
 *
 * Threads: the manager's thread, except traces, which come from the thread that sends or ends the
 * job. Never under a lock.
 */
#ifndef WEIR_MANAGER_EVENT_H
#define WEIR_MANAGER_EVENT_H

#include "manager/registry.h"

/** Tells the program; @p incarnation may be NULL. What workers print
 * (kind output) is for a listening program alone. */
void weir_event_tell(weir_pool *pool, uint32_t seat, const weir_incarnation *incarnation,
                     const char *kind, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/** A trace of a job that was sent; does nothing unless traces are on. */
void weir_event_trace_sent(weir_pool *pool, const weir_job_entry *entry,
                           const weir_incarnation *incarnation);
/** A trace of a job's end; does nothing unless traces are on. */
void weir_event_trace_end(weir_pool *pool, const weir_job_entry *entry, weir_outcome_code outcome);

#endif
