/**
 * @file
 * What the launcher and the virtual machine say to each other.
 *
 * Purpose: frames as Erlang's port option {packet, 2} has them: two bytes of length, most
 * significant first, then that many bytes, the first of which is the kind.
 *
 * Threads: one.
 *
 * Blocking: launch_frame_send may block while the virtual machine does not read; its death ends
 * that. launch_commands_read does not block when poll found the descriptor readable.
 *
 * Source: erlang:open_port/2.
 */
#ifndef WEIR_NIF_LAUNCHER_FRAMES_H
#define WEIR_NIF_LAUNCHER_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** To the virtual machine; numbers are big-endian. */
enum launch_frame {
    LAUNCH_STARTED = 'P', /**< The worker runs: its pid, 4 bytes. */
    LAUNCH_FAILED = 'F',  /**< It could not be started: a sentence. The launcher ends. */
    LAUNCH_LINE = 'L',    /**< A line that it printed, at most LAUNCH_LINE_BYTES. */
    LAUNCH_DROPPED = 'D', /**< Lines without credit since the last such frame: 4 bytes. */
    LAUNCH_EXITED = 'X',  /**< 'e' and its exit status, or 's' and the signal. The last frame. */
};

/** From the virtual machine. */
typedef enum launch_command_kind {
    LAUNCH_NONE = 0,     /**< No whole command is there. */
    LAUNCH_CREDIT = 'C', /**< That many more lines may be sent: 4 bytes. */
    LAUNCH_SIGNAL = 'S', /**< A signal for the worker alone: 1 byte. */
    LAUNCH_KILL = 'K',   /**< End the worker and everything that it started. */
    LAUNCH_BROKEN = 1,   /**< What came is no command. */
} launch_command_kind;

/** Longest line that is passed on; the rest of a longer one is left out. */
#define LAUNCH_LINE_BYTES 512
/** Longest frame to the virtual machine, kind included. */
#define LAUNCH_FRAME_BYTES (LAUNCH_LINE_BYTES + 1)

typedef struct launch_command {
    launch_command_kind kind;
    uint32_t number; /**< Credit, or the signal. */
} launch_command;

/** Bytes of commands that came and were not yet understood. Zeroed at first. */
typedef struct launch_commands {
    unsigned char bytes[64];
    size_t used;
} launch_commands;

/** Sends one frame; a longer body is cut. Returns false when nobody reads any more. */
bool launch_frame_send(int fd, enum launch_frame kind, const void *body, size_t bytes);

/** The same with a number as its body. */
bool launch_frame_send_number(int fd, enum launch_frame kind, uint32_t number);

/** Reads once. Returns false at the end of file. */
bool launch_commands_read(launch_commands *commands, int fd);

/** Takes the next whole command out; LAUNCH_NONE when there is none. */
launch_command launch_commands_next(launch_commands *commands);

#endif
