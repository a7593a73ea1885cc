#include "channel/token.h"

#include <stdio.h>

#include "harness/testing/weir_test.h"

WEIR_TEST(token, survives_being_written_and_read)
{
    uint8_t token[WEIR_TOKEN_BYTES];
    uint8_t again[WEIR_TOKEN_BYTES];
    char text[WEIR_TOKEN_TEXT_BYTES];
    WEIR_EXPECT_STATUS(weir_token_make(token, NULL), WEIR_OK);
    weir_token_write(token, text);
    WEIR_EXPECT_EQ(strlen(text), 64);
    WEIR_EXPECT_EQ(strspn(text, "0123456789abcdef"), 64);
    WEIR_EXPECT_STATUS(weir_token_read(text, again, NULL), WEIR_OK);
    WEIR_EXPECT_MEM_EQ(token, again, sizeof token);
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = (char)(text[i] >= 'a' ? text[i] - 'a' + 'A' : text[i]);
    }
    WEIR_EXPECT_STATUS(weir_token_read(text, again, NULL), WEIR_OK);
    WEIR_EXPECT_MEM_EQ(token, again, sizeof token);
}

WEIR_TEST(token, is_another_one_each_time)
{
    uint8_t a[WEIR_TOKEN_BYTES];
    uint8_t b[WEIR_TOKEN_BYTES];
    WEIR_EXPECT_STATUS(weir_token_make(a, NULL), WEIR_OK);
    WEIR_EXPECT_STATUS(weir_token_make(b, NULL), WEIR_OK);
    WEIR_EXPECT_FALSE(weir_token_equal(a, b));
}

WEIR_TEST(token, differs_by_any_one_bit)
{
    uint8_t a[WEIR_TOKEN_BYTES] = {0};
    uint8_t b[WEIR_TOKEN_BYTES] = {0};
    WEIR_EXPECT_TRUE(weir_token_equal(a, b));
    for (size_t bit = 0; bit < 8 * sizeof a; bit++) {
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
        WEIR_EXPECT_FALSE(weir_token_equal(a, b));
        b[bit / 8] = 0;
    }
}

WEIR_TEST(token, refuses_text_that_is_no_token_and_does_not_repeat_it)
{
    uint8_t token[WEIR_TOKEN_BYTES];
    weir_error error;
    char text[80];
    memset(text, 'a', sizeof text);
    for (size_t length = 0; length < sizeof text; length++) {
        text[length] = '\0';
        const weir_status expected = length == 64 ? WEIR_OK : WEIR_INVALID;
        WEIR_EXPECT_STATUS(weir_token_read(text, token, &error), expected);
        text[length] = 'a';
    }
    text[64] = '\0';
    static const char wrong[] = {'g', 'G', '/', ':', '@', '`', ' ', '\x80'};
    for (size_t i = 0; i < 64; i++) {
        text[i] = wrong[i % sizeof wrong];
        WEIR_EXPECT_STATUS(weir_token_read(text, token, &error), WEIR_INVALID);
        char position[32];
        snprintf(position, sizeof position, "position %zu ", i + 1);
        WEIR_EXPECT_STR_HAS(error.text, position);
        cr_assert_null(strstr(error.text, "aaaa"), "a secret shows up: %s", error.text);
        text[i] = 'a';
    }
}
