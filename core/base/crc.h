/**
 * @file
 * CRC32C of bytes, by ISA-L.
 *
 * Purpose: the one checksum of envelopes, payloads and control messages.
 *
 * Threads: pure functions. Blocking: none; about 50 us a mebibyte.
 *
 * The caller checks ranges before the call: ISA-L's assembly is invisible to AddressSanitizer.
 *
 * Source: RFC 3720, appendix B.4 (polynomial 0x1EDC6F41 reflected, initial value and final xor all
 * ones).
 */
#ifndef WEIR_BASE_CRC_H
#define WEIR_BASE_CRC_H

#include <stddef.h>
#include <stdint.h>

/** CRC32C of @p bytes bytes; of no bytes it is 0. */
uint32_t weir_crc32c(const void *data, size_t bytes);

/** CRC32C of a longer string whose first part has the CRC @p crc and whose next part is @p data. */
uint32_t weir_crc32c_extend(uint32_t crc, const void *data, size_t bytes);

#endif
