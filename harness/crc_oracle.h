/**
 * @file
 * CRC32C of slices of a fixed block, by arithmetic on polynomials.
 *
 * Purpose: the harness's own answer to `crc` jobs. It shares nothing with ISA-L, which the worker
 * and libweir use, and costs about a microsecond however long the slice is: with the CRCs of all
 * prefixes of the block known, that of a slice follows from the linearity of the CRC,
 * crc(A B) = shift(crc(A), length of B) xor crc(B).
 *
 * Threads: constant after weir_crc_oracle_init; any number of threads. Blocking: never.
 *
 * Source: RFC 3720 appendix B.4 for the polynomial; W. W. Peterson, D. T. Brown, "Cyclic Codes for
 * Error Detection", 1961, for the arithmetic.
 */
#ifndef WEIR_HARNESS_CRC_ORACLE_H
#define WEIR_HARNESS_CRC_ORACLE_H

#include <stddef.h>
#include <stdint.h>

/** A prefix is remembered every so many bytes. */
#define WEIR_CRC_ORACLE_STEP 64

typedef struct weir_crc_oracle {
    const unsigned char *block; /**< the caller's; must outlive the oracle */
    uint32_t *prefix;           /**< crc of the first i * WEIR_CRC_ORACLE_STEP bytes */
    uint32_t table[256];
    uint32_t power[32]; /**< x^(2^i) modulo the polynomial */
} weir_crc_oracle;

/** @p prefix has room for @p bytes / WEIR_CRC_ORACLE_STEP + 1 numbers. */
void weir_crc_oracle_init(weir_crc_oracle *oracle, const void *block, size_t bytes,
                          uint32_t *prefix);

/** CRC32C of any bytes, one at a time. */
uint32_t weir_crc_oracle_plain(const weir_crc_oracle *oracle, uint32_t crc, const void *data,
                               size_t bytes);

/** CRC32C of some bytes with the CRC @p before followed by the slice; @p offset is a multiple of
 * the step, the slice lies within the block. */
uint32_t weir_crc_oracle_slice(const weir_crc_oracle *oracle, uint32_t before, size_t offset,
                               size_t bytes);

#endif
