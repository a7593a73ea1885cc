/**
 * @file
 * The lines that a worker prints, passed on as far as the virtual machine has asked for them.
 *
 * Purpose: a worker that floods its standard error must neither fill the virtual machine's memory
 * nor be stopped by a full pipe. Lines are read in bounded turns, sent within the credit, and
 * counted beyond it.
 *
 * Threads: one.
 *
 * Blocking: as launch_frame_send.
 */
#ifndef WEIR_NIF_LAUNCHER_LINES_H
#define WEIR_NIF_LAUNCHER_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nif/launcher/frames.h"

/** The state of one pipe. Zeroed at first, except for the descriptors. */
typedef struct launch_lines {
    int fd;        /**< Read end, without blocking; -1 after its end of file. */
    int frames_fd; /**< Where frames go. */
    uint32_t credit;
    uint32_t dropped; /**< Since the last frame that told it. */
    size_t used;
    bool is_cutting; /**< The rest of a line that is too long passes by. */
    char line[LAUNCH_LINE_BYTES];
} launch_lines;

/** Adds credit and tells what was dropped meanwhile. Returns false when nobody reads any more. */
bool launch_lines_credit(launch_lines *lines, uint32_t more);

/** Reads at most 64 KiB. Returns false when nobody reads the frames any more. */
bool launch_lines_pump(launch_lines *lines);

/** Reads what is left, at most 1 MiB, ends an unfinished line, and tells what was dropped. */
bool launch_lines_finish(launch_lines *lines);

#endif
