#include "loopback/routines/crc.h"

#include <stdlib.h>

#include "harness/testing/weir_test.h"
#include "layout/generated/weir_layout.h"
#include "loopback/routines/testing/request_buffer.h"

static uint32_t crc_of(const void *bytes, size_t count)
{
    struct weir_crc_reply reply;
    WEIR_EXPECT_EQ(crc_run(bytes, count, &reply, sizeof(reply)).code, ROUTINE_OK);
    WEIR_EXPECT_EQ(reply.bytes, count);
    WEIR_EXPECT_STR_EQ(crc_verify(bytes, count, &reply, sizeof(reply)), NULL);
    return reply.crc32c;
}

WEIR_TEST(crc, gives_the_check_value_of_crc32c)
{
    WEIR_EXPECT_EQ(crc_of("123456789", 9), 0xE3069283u);
}

/* RFC 3720, appendix B.4. */
WEIR_TEST(crc, gives_the_values_of_rfc_3720)
{
    unsigned char bytes[32] = {0};
    WEIR_EXPECT_EQ(crc_of(bytes, 32), 0x8A9136AAu);
    memset(bytes, 0xFF, 32);
    WEIR_EXPECT_EQ(crc_of(bytes, 32), 0x62A8AB43u);
    for (unsigned char i = 0; i < 32; i++) {
        bytes[i] = i;
    }
    WEIR_EXPECT_EQ(crc_of(bytes, 32), 0x46DD794Eu);
}

WEIR_TEST(crc, of_nothing_is_zero)
{
    WEIR_EXPECT_EQ(crc_of(NULL, 0), 0);
}

WEIR_TEST(crc, agrees_with_the_plain_algorithm_at_random_lengths)
{
    uint64_t state = weir_test_seed();
    for (int round = 0; round < 200; round++) {
        const size_t bytes = next_random(&state) % 5000;
        unsigned char *request = malloc(bytes > 0 ? bytes : 1);
        WEIR_EXPECT_NOT_NULL(request);
        for (size_t i = 0; i < bytes; i++) {
            request[i] = (unsigned char)next_random(&state);
        }
        crc_of(request, bytes);
        free(request);
    }
}

WEIR_TEST(crc, verify_notices_each_wrong_field)
{
    const struct weir_crc_reply right = {.bytes = 9, .crc32c = 0xE3069283u};
    struct weir_crc_reply reply = right;
    reply.crc32c ^= 1;
    WEIR_EXPECT_STR_HAS(crc_verify("123456789", 9, &reply, sizeof(reply)), "wrong CRC32C");
    reply = right;
    reply.bytes = 8;
    WEIR_EXPECT_STR_HAS(crc_verify("123456789", 9, &reply, sizeof(reply)), "other bytes");
    reply = right;
    reply.reserved = 1;
    WEIR_EXPECT_STR_HAS(crc_verify("123456789", 9, &reply, sizeof(reply)), "reserved");
    WEIR_EXPECT_STR_HAS(crc_verify("123456789", 9, &right, sizeof(right) - 1), "length");
}

WEIR_TEST(crc, refuses_a_reply_buffer_that_is_too_small)
{
    struct weir_crc_reply reply;
    WEIR_EXPECT_EQ(crc_run("", 0, &reply, sizeof(reply) - 1).code, ROUTINE_REPLY_TOO_SMALL);
}
