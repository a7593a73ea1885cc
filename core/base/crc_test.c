#include "base/crc.h"

#include "harness/testing/weir_test.h"

/* RFC 3720, appendix B.4 (its table prints the bytes in the order of transmission), and the usual
 * check value. */
WEIR_TEST(crc, matches_the_examples_of_rfc_3720)
{
    uint8_t bytes[32];
    memset(bytes, 0, sizeof bytes);
    WEIR_EXPECT_EQ(weir_crc32c(bytes, sizeof bytes), 0x8a9136aau);
    memset(bytes, 0xff, sizeof bytes);
    WEIR_EXPECT_EQ(weir_crc32c(bytes, sizeof bytes), 0x62a8ab43u);
    for (int i = 0; i < 32; i++) {
        bytes[i] = (uint8_t)i;
    }
    WEIR_EXPECT_EQ(weir_crc32c(bytes, sizeof bytes), 0x46dd794eu);
    for (int i = 0; i < 32; i++) {
        bytes[i] = (uint8_t)(31 - i);
    }
    WEIR_EXPECT_EQ(weir_crc32c(bytes, sizeof bytes), 0x113fdb5cu);
    WEIR_EXPECT_EQ(weir_crc32c("123456789", 9), 0xe3069283u);
    WEIR_EXPECT_EQ(weir_crc32c("", 0), 0);
}

/* Bit by bit, straight from the polynomial: independent of ISA-L. */
static uint32_t slow_crc32c(const uint8_t *data, size_t bytes)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
        }
    }
    return ~crc;
}

WEIR_TEST(crc, is_the_same_at_every_length_alignment_and_split)
{
    uint8_t bytes[300];
    uint64_t state = weir_test_seed() | 1;
    for (size_t i = 0; i < sizeof bytes; i++) {
        state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
        bytes[i] = (uint8_t)(state >> 56);
    }
    for (size_t from = 0; from < 16; from++) {
        for (size_t length = 0; length <= sizeof bytes - from; length++) {
            const uint32_t expected = slow_crc32c(bytes + from, length);
            WEIR_EXPECT_EQ(weir_crc32c(bytes + from, length), expected);
            const size_t first = state % (length + 1);
            const uint32_t part = weir_crc32c(bytes + from, first);
            WEIR_EXPECT_EQ(weir_crc32c_extend(part, bytes + from + first, length - first),
                           expected);
        }
    }
}
