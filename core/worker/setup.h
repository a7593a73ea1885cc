/**
 * @file
 * Everything that the loop needs before its first job, and its end.
 *
 * Threads: the loop's, while no health thread runs. Blocking: none. Ownership: the worker is
 * released by weir_worker_teardown; options and terms must outlive it.
 */
#ifndef WEIR_WORKER_SETUP_H
#define WEIR_WORKER_SETUP_H

#include "worker/loop.h"

/**
 * Allocates and joins all parts to the memory in @p terms. Returns WEIR_OK, WEIR_INVALID (the table
 * of routines, no usable wake strategy), WEIR_NO_MEMORY, WEIR_SYSTEM.
 */
weir_status weir_worker_setup(const weir_worker_options *options, weir_worker_terms *terms,
                              weir_worker **worker, weir_error *error) WEIR_MUST_CHECK;

/** Frees it; NULL is allowed. */
void weir_worker_teardown(weir_worker *worker);

#endif
