/**
 * `crc`: the CRC32C (Castagnoli) of the request, through ISA-L. See routine.h for the calling
 * rules. Codes: ROUTINE_OK, ROUTINE_REPLY_TOO_SMALL. Source: RFC 3720 appendix B.4; the check value
 * of "123456789" is 0xE3069283.
 */
#ifndef LOOPBACK_ROUTINES_CRC_H
#define LOOPBACK_ROUTINES_CRC_H

#include "loopback/routines/routine.h"

routine_result crc_reply_bytes(const void *request, size_t request_bytes);
routine_result crc_run(const void *request, size_t request_bytes, void *reply,
                       size_t reply_capacity);

/**
 * Checks a reply with a plain table-driven CRC32C that shares nothing with ISA-L (some milliseconds
 * per MiB). Returns NULL when the reply is right, else a static sentence that says what is wrong.
 */
const char *crc_verify(const void *request, size_t request_bytes, const void *reply,
                       size_t reply_bytes);

#endif
