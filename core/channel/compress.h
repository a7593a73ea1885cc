/**
 * @file
 * Compression of payloads: LZ4 blocks and Zstandard frames behind one interface.
 *
 * Purpose: pack a payload into its slot when that makes it shorter, and unpack a foreign one
 * without ever writing more than the length that its envelope states.
 *
 * Typical use: weir_packer_init once with what the handshake agreed on, then weir_pack and
 * weir_unpack for each payload.
 *
 * Threads: a packer belongs to one thread at a time. Blocking: computes only; time grows with the
 * length.
 *
 * Ownership: the packer owns its workspaces, which are made once: no heap afterwards, whatever the
 * lengths.
 *
 * Trust: @p from may hold anything, but must not change during the call. What lies in memory that
 * the other side can write is copied out first, and its checksum compared on the copy.
 *
 * Units: bytes.
 *
 * Source: lz4.h (LZ4 block format), zstd.h and RFC 8878 (Zstandard frames).
 */
#ifndef WEIR_CHANNEL_COMPRESS_H
#define WEIR_CHANNEL_COMPRESS_H

#include <stddef.h>
#include <stdint.h>

#include "layout/generated/weir_layout.h"
#include "weir/status.h"

/** An algorithm is named by its envelope flag: WEIR_ENVELOPE_FLAG_LZ4 or WEIR_ENVELOPE_FLAG_ZSTD.
 */
#define WEIR_PACKING_FLAGS (WEIR_ENVELOPE_FLAG_LZ4 | WEIR_ENVELOPE_FLAG_ZSTD)

/** Longest payload that can be packed or unpacked; slots are shorter (OBJECT_BYTES_MAX of the
 * layout). */
#define WEIR_PACK_BYTES_MAX WEIR_OBJECT_BYTES_MAX

/** The workspaces of one thread. */
typedef struct weir_packer {
    void *lz4_state;      /**< NULL when LZ4 was not asked for. */
    void *zstd_workspace; /**< Holds both contexts; NULL when Zstandard was not asked for. */
    void *zstd_pack;
    void *zstd_unpack;
} weir_packer;

/** Makes the workspaces for the enum weir_capability bits given. Returns WEIR_OK or WEIR_NO_MEMORY.
 */
weir_status weir_packer_init(weir_packer *packer, uint32_t capabilities) WEIR_MUST_CHECK;

/** Frees the workspaces; safe on a zeroed packer and twice. */
void weir_packer_destroy(weir_packer *packer);

/**
 * Packs @p bytes bytes. Returns WEIR_OK with @p packed below @p bytes and at most @p capacity;
 * WEIR_FULL when it would not shrink or does not fit (what @p to holds is then undefined);
 * WEIR_UNSUPPORTED when the algorithm was not asked for.
 */
weir_status weir_pack(weir_packer *packer, uint32_t algorithm, const void *from, size_t bytes,
                      void *to, size_t capacity, size_t *packed) WEIR_MUST_CHECK;

/**
 * Unpacks exactly @p original_bytes bytes into @p to and never writes more. Returns WEIR_OK;
 * WEIR_CORRUPT when the bytes are not one whole block or frame of exactly that length;
 * WEIR_UNSUPPORTED when the algorithm was not asked for.
 */
weir_status weir_unpack(weir_packer *packer, uint32_t algorithm, const void *from, size_t bytes,
                        void *to, size_t original_bytes) WEIR_MUST_CHECK;

#endif
