#include "channel/envelope.h"

#include <stdbool.h>

static enum weir_error_code check_flags(const struct weir_envelope *copy,
                                        const weir_envelope_terms *terms)
{
    const uint16_t packed = copy->flags & (WEIR_ENVELOPE_FLAG_LZ4 | WEIR_ENVELOPE_FLAG_ZSTD);
    const bool has_crc = (copy->flags & WEIR_ENVELOPE_FLAG_PAYLOAD_CRC) != 0;
    if ((copy->flags & ~(unsigned)WEIR_ENVELOPE_FLAGS_KNOWN) != 0 ||
        packed == (WEIR_ENVELOPE_FLAG_LZ4 | WEIR_ENVELOPE_FLAG_ZSTD) ||
        (packed == WEIR_ENVELOPE_FLAG_LZ4 && !(terms->capabilities & WEIR_CAPABILITY_LZ4)) ||
        (packed == WEIR_ENVELOPE_FLAG_ZSTD && !(terms->capabilities & WEIR_CAPABILITY_ZSTD))) {
        return WEIR_ERROR_CODE_FLAGS;
    }
    /* Without the agreement to go without checksums, a payload that claims to have none is a way
     * around the check. */
    if (copy->payload_bytes > 0 && !has_crc &&
        (terms->capabilities & WEIR_CAPABILITY_PAYLOAD_CRC)) {
        return WEIR_ERROR_CODE_FLAGS;
    }
    if (!has_crc && copy->payload_crc != 0) {
        return WEIR_ERROR_CODE_FLAGS;
    }
    if (packed == 0 ? copy->original_bytes != copy->payload_bytes
                    : copy->payload_bytes == 0 || copy->original_bytes == 0) {
        return WEIR_ERROR_CODE_PAYLOAD_RANGE;
    }
    return WEIR_ERROR_CODE_NONE;
}

static enum weir_error_code check_common(const struct weir_envelope *copy, uint64_t ring_index,
                                         const weir_envelope_terms *terms)
{
    if (copy->magic != WEIR_ENVELOPE_MAGIC) {
        return WEIR_ERROR_CODE_MAGIC;
    }
    if (copy->header_crc != weir_crc32c(copy, offsetof(struct weir_envelope, header_crc))) {
        return WEIR_ERROR_CODE_HEADER_CRC;
    }
    if (copy->sequence != weir_envelope_sequence(ring_index)) {
        return WEIR_ERROR_CODE_SEQUENCE;
    }
    if (copy->version != terms->version) {
        return WEIR_ERROR_CODE_VERSION;
    }
    if (copy->generation != terms->generation) {
        return WEIR_ERROR_CODE_GENERATION;
    }
    return check_flags(copy, terms);
}

enum weir_error_code weir_envelope_check_request(const struct weir_envelope *copy,
                                                 uint64_t ring_index,
                                                 const weir_envelope_terms *terms)
{
    const enum weir_error_code reason = check_common(copy, ring_index, terms);
    if (reason != WEIR_ERROR_CODE_NONE) {
        return reason;
    }
    if (copy->status != WEIR_REPLY_STATUS_NONE) {
        return WEIR_ERROR_CODE_REPLY_STATUS;
    }
    return copy->opcode == WEIR_OPCODE_NONE ? WEIR_ERROR_CODE_OPCODE : WEIR_ERROR_CODE_NONE;
}

enum weir_error_code weir_envelope_check_response(const struct weir_envelope *copy,
                                                  uint64_t ring_index,
                                                  const weir_envelope_terms *terms)
{
    const enum weir_error_code reason = check_common(copy, ring_index, terms);
    if (reason != WEIR_ERROR_CODE_NONE) {
        return reason;
    }
    if (copy->status == WEIR_REPLY_STATUS_NONE || copy->status > WEIR_REPLY_STATUS_MAX) {
        return WEIR_ERROR_CODE_REPLY_STATUS;
    }
    return WEIR_ERROR_CODE_NONE;
}
