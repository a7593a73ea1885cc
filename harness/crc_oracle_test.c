#include "harness/crc_oracle.h"

#include "base/crc.h"
#include "harness/random.h"
#include "harness/testing/weir_test.h"

enum { BLOCK = 1 << 16 };

static unsigned char block[BLOCK];
static uint32_t prefix[BLOCK / WEIR_CRC_ORACLE_STEP + 1];
static weir_crc_oracle oracle;

WEIR_TEST(crc_oracle, knows_the_check_value_of_the_standard)
{
    weir_crc_oracle_init(&oracle, block, 0, prefix);
    WEIR_EXPECT_EQ(weir_crc_oracle_plain(&oracle, 0, "123456789", 9), 0xE3069283u);
}

WEIR_TEST(crc_oracle, slices_agree_with_the_library_at_every_place)
{
    weir_random random = weir_random_of(weir_test_seed(), 0);
    for (size_t i = 0; i < BLOCK; i++) {
        block[i] = (unsigned char)weir_random_next(&random);
    }
    weir_crc_oracle_init(&oracle, block, BLOCK, prefix);
    for (unsigned i = 0; i < 5000; i++) {
        const size_t offset = weir_random_below(&random, BLOCK / 64) * 64;
        const size_t bytes = weir_random_between(&random, 0, i % 2 ? 200 : BLOCK);
        const size_t length = offset + bytes > BLOCK ? BLOCK - offset : bytes;
        const uint64_t head = weir_random_next(&random);
        const size_t head_bytes = weir_random_below(&random, 9);
        const uint32_t before = weir_crc32c(&head, head_bytes);
        WEIR_EXPECT_EQ(weir_crc_oracle_plain(&oracle, 0, &head, head_bytes), before);
        WEIR_EXPECT_EQ(weir_crc_oracle_slice(&oracle, before, offset, length),
                       weir_crc32c_extend(before, block + offset, length));
    }
}
