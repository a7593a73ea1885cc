/**
 * @file
 * The envelope codec: one job or one reply in 64 bytes.
 *
 * Purpose: complete an envelope for its ring position, and check a copy of a foreign one before
 * anything in it is used.
 *
 * Threads: pure functions on the caller's own 64 bytes; never called on shared memory. Blocking:
 * none. About one CRC of 60 bytes each.
 *
 * A check answers with a reason (enum weir_error_code), not with a bool: the reason is counted and
 * named in the log. Nothing is read outside the 64 bytes; payload ranges are checked against the
 * slot map by the caller, who owns the map.
 *
 * Source: layout in core/layout/07-layout.toml, CRC32C as in base/crc.h.
 */
#ifndef WEIR_CHANNEL_ENVELOPE_H
#define WEIR_CHANNEL_ENVELOPE_H

#include <stddef.h>
#include <stdint.h>

#include "base/crc.h"
#include "layout/generated/weir_layout.h"

/** Flags that this version knows. */
#define WEIR_ENVELOPE_FLAGS_KNOWN                                                                  \
    (WEIR_ENVELOPE_FLAG_PAYLOAD_CRC | WEIR_ENVELOPE_FLAG_LZ4 | WEIR_ENVELOPE_FLAG_ZSTD |           \
     WEIR_ENVELOPE_FLAG_IDEMPOTENT)

/** What the reader knows before it looks. */
typedef struct weir_envelope_terms {
    uint32_t generation;
    uint16_t version;      /**< Agreed minor version. */
    uint16_t capabilities; /**< Agreed enum weir_capability bits. */
} weir_envelope_terms;

/** The part of a ring index that an envelope carries: never 0 for the first lap of a fresh slot. */
static inline uint32_t weir_envelope_sequence(uint64_t ring_index)
{
    return (uint32_t)(ring_index + 1);
}

/** Stamps the envelope for its ring position and sets the header's checksum; the last thing before
 * it is staged. */
static inline void weir_envelope_seal(struct weir_envelope *envelope, uint64_t ring_index)
{
    envelope->sequence = weir_envelope_sequence(ring_index);
    envelope->header_crc = weir_crc32c(envelope, offsetof(struct weir_envelope, header_crc));
}

/**
 * Checks a private copy that claims to be a request: magic, header checksum, sequence, version,
 * generation, flags, status and the relations between lengths. Returns WEIR_ERROR_CODE_NONE or the
 * first reason against it.
 */
enum weir_error_code weir_envelope_check_request(const struct weir_envelope *copy,
                                                 uint64_t ring_index,
                                                 const weir_envelope_terms *terms);

/** The same for a response. */
enum weir_error_code weir_envelope_check_response(const struct weir_envelope *copy,
                                                  uint64_t ring_index,
                                                  const weir_envelope_terms *terms);

#endif
