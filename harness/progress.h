/**
 * @file
 * What a person sees while a run goes on.
 *
 * Purpose: on a terminal one line that is refreshed a few times a second, elsewhere a plain line
 * each second; what happens to workers stands in lines of its own above it.
 *
 * Threads: lines may come from any thread at once; one lock orders them. Blocking: writes to the
 * stream.
 */
#ifndef WEIR_HARNESS_PROGRESS_H
#define WEIR_HARNESS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "weir/manager.h"

/** How often the engine asks for a line. */
#define WEIR_PROGRESS_PERIOD_NS UINT64_C(200000000)

/** Room for the sentence of weir_progress_last_trouble. */
#define WEIR_TROUBLE_MAX 300

typedef struct weir_progress weir_progress;

typedef struct weir_progress_numbers {
    uint64_t elapsed_ns;
    uint64_t ended; /**< jobs */
    uint64_t not_ok;
    uint64_t in_flight; /**< submitted and not ended */
    uint32_t workers_ready;
    uint32_t workers;
    uint32_t restarts;
} weir_progress_numbers;

/** @p is_quiet: neither lines nor events. @p is_traced: all events. NULL when there is no memory.
 */
weir_progress *weir_progress_create(FILE *out, bool is_quiet, bool is_traced);
void weir_progress_free(weir_progress *progress);

/** The clock of event lines starts now. */
void weir_progress_start(weir_progress *progress);

/** Shows how far the run is, when it is time for a line. */
void weir_progress_show(weir_progress *progress, const weir_progress_numbers *numbers);

/** A weir_event_handler; the context is the progress. */
void weir_progress_event(void *context, const weir_event *event);

/** From now on the ends of workers are intended and not shown. */
void weir_progress_expect_end(weir_progress *progress);

/** Removes the refreshed line. */
void weir_progress_finish(weir_progress *progress);

/** The last reason why a worker did not start or ended, for error sentences; "" when there is none.
 * Copies it to @p text. */
void weir_progress_last_trouble(weir_progress *progress, char *text, size_t bytes);

#endif
