/**
 * @file
 * What a worker prints, taken from a pipe into a bounded buffer and handed on line by line.
 *
 * Purpose: stdout and stderr of a worker must neither block it nor fill the manager's memory.
 *
 * Threads: the manager's thread. Blocking: never; one call reads a bounded amount, a flooding
 * worker gets its turn again later.
 *
 * Ownership: owns the pipe's reading end.
 */
#ifndef WEIR_MANAGER_OUTPUT_H
#define WEIR_MANAGER_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#define WEIR_OUTPUT_LINE_BYTES 512

typedef struct weir_output {
    int fd; /**< -1 when closed. */
    uint32_t used;
    bool is_cutting; /**< Inside a line longer than the buffer, the rest of which is dropped. */
    uint64_t lines;
    uint64_t dropped; /**< Lines not handed on because too many came at once. */
    char line[WEIR_OUTPUT_LINE_BYTES];
} weir_output;

typedef void (*weir_output_line)(void *context, const char *line);

void weir_output_init(weir_output *output, int fd);

/**
 * Reads what is there, at most 64 KiB, and hands on at most 32 lines; more are counted as dropped.
 * Returns true when there may be more to read now.
 */
bool weir_output_pump(weir_output *output, weir_output_line take, void *context);

/** Hands on what is left and closes. */
void weir_output_finish(weir_output *output, weir_output_line take, void *context);

#endif
