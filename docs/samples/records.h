/**
 * @file
 * Prints what a manager and the shared memory of its workers hold.
 *
 * Looks into the manager's private structures for the raw words of shared memory, which no program
 * should do; workers and statistics come through weir/manager.h.
 *
 * Threads: main. Blocking: never, but for standard output.
 */
#ifndef WEIR_DOCS_SAMPLES_RECORDS_H
#define WEIR_DOCS_SAMPLES_RECORDS_H

#include <stddef.h>

#include "docs/samples/scene.h"
#include "manager/registry.h"

/** The live incarnation of a seat; its memory stays where it is while nobody kills it. */
weir_incarnation *peek(const scene *at, uint32_t seat);

/** The registry, as weir_manager_read_workers tells it. */
void print_workers(const scene *at);

/** The telemetry block of a seat's worker. */
void print_telemetry(const scene *at, uint32_t seat);

/** The statistics, as weir_manager_read_stats tells them. */
void print_stats(const scene *at);

void print_hex(const char *name, const void *from, size_t bytes);

/** The control words of both sides. */
void print_control(const weir_arena *arena);

#endif
