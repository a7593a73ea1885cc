/**
 * @file
 * A region of an arena together with its length.
 *
 * Purpose: the start of a region and how far it reaches travel as one value, so that nobody pairs
 * the pointer of one region with the length of another. Both come from the private plan of the
 * arena; nothing in a slice was read from shared memory.
 *
 * Threads: plain values, read by any thread. Blocking: never. Ordering: none; what lies behind a
 * slice is shared memory and goes through core/base/atomic.h, as before.
 *
 * Ownership: a slice owns nothing and is as good as the mapping that it points into, which the
 * arena owns. Its type does not say who may write: see arena.h. The guard begins at the end of the
 * last page that the region touches, so up to there a slice may be followed by slack.
 *
 * Units: count in elements, bytes in bytes.
 */
#ifndef WEIR_MEMORY_SLICE_H
#define WEIR_MEMORY_SLICE_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

struct weir_envelope;

/** The slots of a ring. */
typedef struct weir_envelope_slice {
    struct weir_envelope *at;
    uint32_t count;
} weir_envelope_slice;

/** The entries of a release ring. */
typedef struct weir_release_slice {
    uint32_t *at;
    uint32_t count;
} weir_release_slice;

/** The payload slots of one direction. */
typedef struct weir_byte_slice {
    uint8_t *at;
    size_t bytes;
} weir_byte_slice;

/**
 * Where @p bytes bytes at @p offset lie. The range must be known to be inside: it belongs to a slot
 * of the own pool, or it came in an envelope and weir_slot_map_find has accepted it. The assertion
 * is for our own mistakes only and costs nothing where assertions are off; it validates nothing
 * that the other side says.
 */
static inline uint8_t *weir_bytes_at(weir_byte_slice slice, size_t offset, size_t bytes)
{
    /* Subtracted rather than added, so that no pair of values wraps around. */
    assert(offset <= slice.bytes && bytes <= slice.bytes - offset);
    (void)bytes;
    return slice.at + offset;
}

#endif
