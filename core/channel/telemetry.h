/**
 * @file
 * The telemetry block: a sample that one side writes and the other reads whole.
 *
 * Purpose: a worker's health thread writes a sample at every beat; a reader takes a copy of which
 * it knows that all fields belong to one beat.
 *
 * Threads: one writer; any number of readers, in any process.
 *
 * Blocking and progress: writing is wait-free. Reading tries a bounded number of times, since the
 * writer may have died in the middle.
 *
 * Ordering: SYNC(telemetry.sequence): the writer makes the sequence odd, stores each word with
 * release, and makes it even with release; the reader loads the sequence, each word with acquire,
 * and the sequence again. A reader that got a word of the new sample sees at least the odd sequence
 * in its second look, so equal even sequences mean one beat.
 *
 * Trust: a reader's copy is whole, not true: what it says is the worker's opinion.
 *
 * Source: Boehm, "Can seqlocks get along with programming language memory models?", MSPC 2012.
 */
#ifndef WEIR_CHANNEL_TELEMETRY_H
#define WEIR_CHANNEL_TELEMETRY_H

#include "layout/generated/weir_layout.h"
#include "weir/status.h"

/** Writes @p sample into the shared block; its own sequence field is ignored. */
void weir_telemetry_write(struct weir_telemetry *shared, const struct weir_telemetry *sample);

/**
 * Copies one whole sample. Returns WEIR_OK; WEIR_EMPTY when there was none between two writes after
 * a few tries (the writer is at work, or died at it), and the copy is then not to be used.
 */
weir_status weir_telemetry_read(const struct weir_telemetry *shared,
                                struct weir_telemetry *copy) WEIR_MUST_CHECK;

#endif
