/**
 * @file
 * Envelopes, checksums and layouts without any memory: what Elixir's own codec is compared with,
 * and what LayoutLoader stands on.
 *
 * Threads: any; pure functions. Blocking: none; layout_load parses TOML for milliseconds, on a
 * dirty scheduler.
 *
 * Trust: binaries, texts and maps may hold anything. Names from a layout become binaries, never
 * atoms.
 */
#ifndef WEIR_NIF_RAW_CODEC_H
#define WEIR_NIF_RAW_CODEC_H

#include "nif_common.h"

#define WEIR_NIF_CODEC_FUNCTIONS(F)                                                                \
    F(envelope_encode, 2, 0)                                                                       \
    F(envelope_decode, 1, 0)                                                                       \
    F(envelope_check, 4, 0)                                                                        \
    F(crc32c, 1, 0)                                                                                \
    F(crc32c_large, 1, ERL_NIF_DIRTY_JOB_CPU_BOUND)                                                \
    F(layout_load, 2, ERL_NIF_DIRTY_JOB_CPU_BOUND)                                                 \
    F(layout_load_builtin, 0, ERL_NIF_DIRTY_JOB_CPU_BOUND)                                         \
    F(layout_diff, 2, ERL_NIF_DIRTY_JOB_CPU_BOUND)

/** Longest layout text. */
#define WEIR_NIF_LAYOUT_BYTES_MAX (256u * 1024u)

WEIR_NIF_CODEC_FUNCTIONS(WEIR_NIF_DECLARE)

#endif
