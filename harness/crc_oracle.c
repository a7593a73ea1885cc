#include "harness/crc_oracle.h"

#define POLYNOMIAL UINT32_C(0x82F63B78) /* 0x1EDC6F41 with its bits reversed */
#define ONE        UINT32_C(0x80000000) /* the polynomial 1 in reversed bits */

/* a * b modulo the polynomial, in reversed bits. */
static uint32_t multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;
    for (uint32_t bit = ONE; bit != 0; bit >>= 1) {
        product ^= (a & bit) != 0 ? b : 0;
        b = (b & 1) != 0 ? (b >> 1) ^ POLYNOMIAL : b >> 1;
    }
    return product;
}

/* The CRC after @p bytes zero bytes, without initial and final inversion: times x^(8 bytes). */
static uint32_t shift(const weir_crc_oracle *oracle, uint32_t crc, size_t bytes)
{
    unsigned i = 3; /* x^8 */
    for (; bytes != 0; bytes >>= 1, i = (i + 1) % 32) {
        if ((bytes & 1) != 0) {
            crc = multiply(oracle->power[i], crc);
        }
    }
    return crc;
}

void weir_crc_oracle_init(weir_crc_oracle *oracle, const void *block, size_t bytes,
                          uint32_t *prefix)
{
    oracle->block = block;
    oracle->prefix = prefix;
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (unsigned k = 0; k < 8; k++) {
            crc = (crc & 1) != 0 ? (crc >> 1) ^ POLYNOMIAL : crc >> 1;
        }
        oracle->table[i] = crc;
    }
    oracle->power[0] = ONE >> 1;
    for (unsigned i = 1; i < 32; i++) {
        oracle->power[i] = multiply(oracle->power[i - 1], oracle->power[i - 1]);
    }
    prefix[0] = 0;
    for (size_t i = 1; i <= bytes / WEIR_CRC_ORACLE_STEP; i++) {
        prefix[i] = weir_crc_oracle_plain(oracle, prefix[i - 1],
                                          oracle->block + (i - 1) * WEIR_CRC_ORACLE_STEP,
                                          WEIR_CRC_ORACLE_STEP);
    }
}

uint32_t weir_crc_oracle_plain(const weir_crc_oracle *oracle, uint32_t crc, const void *data,
                               size_t bytes)
{
    const unsigned char *at = data;
    crc = ~crc;
    for (size_t i = 0; i < bytes; i++) {
        crc = oracle->table[(crc ^ at[i]) & 0xff] ^ (crc >> 8);
    }
    return ~crc;
}

uint32_t weir_crc_oracle_slice(const weir_crc_oracle *oracle, uint32_t before, size_t offset,
                               size_t bytes)
{
    const size_t end = offset + bytes;
    const size_t whole = end / WEIR_CRC_ORACLE_STEP;
    const size_t known = whole * WEIR_CRC_ORACLE_STEP;
    const uint32_t to_end =
        weir_crc_oracle_plain(oracle, oracle->prefix[whole], oracle->block + known, end - known);
    return to_end ^ shift(oracle, before ^ oracle->prefix[offset / WEIR_CRC_ORACLE_STEP], bytes);
}
