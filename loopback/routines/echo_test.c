#include "loopback/routines/echo.h"

#include "harness/testing/weir_test.h"

WEIR_TEST(echo, gives_back_every_byte)
{
    unsigned char request[257], reply[257] = {0};
    for (size_t i = 0; i < sizeof(request); i++) {
        request[i] = (unsigned char)(i * 7);
    }
    WEIR_EXPECT_EQ(echo_reply_bytes(request, sizeof(request)).bytes, sizeof(request));
    WEIR_EXPECT_EQ(echo_run(request, sizeof(request), reply, sizeof(reply)).code, ROUTINE_OK);
    WEIR_EXPECT_MEM_EQ(reply, request, sizeof(request));
    WEIR_EXPECT_STR_EQ(echo_verify(request, sizeof(request), reply, sizeof(reply)), NULL);
}

WEIR_TEST(echo, answers_nothing_with_nothing)
{
    const routine_result result = echo_run(NULL, 0, NULL, 0);
    WEIR_EXPECT_EQ(result.code, ROUTINE_OK);
    WEIR_EXPECT_EQ(result.bytes, 0);
}

WEIR_TEST(echo, refuses_a_reply_buffer_that_is_one_byte_short)
{
    char request[8] = {0}, reply[8] = {0};
    const routine_result result = echo_run(request, sizeof(request), reply, sizeof(reply) - 1);
    WEIR_EXPECT_EQ(result.code, ROUTINE_REPLY_TOO_SMALL);
    WEIR_EXPECT_NOT_NULL(result.reason);
}

WEIR_TEST(echo, verify_notices_a_changed_byte_and_a_changed_length)
{
    char request[64] = {0}, reply[64] = {0};
    reply[63] = 1;
    WEIR_EXPECT_STR_HAS(echo_verify(request, 64, reply, 64), "differs");
    WEIR_EXPECT_STR_HAS(echo_verify(request, 64, reply, 63), "length");
}
