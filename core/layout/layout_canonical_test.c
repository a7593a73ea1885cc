/* Canonical text and digest: what changes them and what does not. */
#include <stdlib.h>
#include <string.h>

#include "harness/testing/weir_test.h"
#include "layout/generated/weir_layout.h"
#include "layout/layout.h"
#include "layout/testing/layout_texts.h"

static void digest_of_text(const char *text, uint8_t digest[WEIR_LAYOUT_DIGEST_BYTES])
{
    weir_layout *layout = weir_load_sound(text);
    WEIR_EXPECT_STATUS(weir_layout_digest_of(layout, digest), WEIR_OK);
    weir_layout_free(layout);
}

#define BASE                                                                                       \
    HEAD CONSTANT("LIMIT", "u32", "16", DOC) ENUM("code", "u16", "", VALUE("a", "1", ""))          \
        STRUCT("s", "8", "16", "", FIELD("x", "u64", "0", "") FIELD("y", "u64", "8", ""))

WEIR_TEST(layout_canonical, digest_ignores_comments_docs_blanks_and_the_base_of_numbers)
{
    static const char *const same[] = {
        "# a comment\n" BASE "# another\n",
        "\n\n" BASE "\n\n",
        HEAD CONSTANT("LIMIT", "u32", "0x10", "doc = \"other words\"\n")
            ENUM("code", "u16", "kind = \"values\"\n", VALUE("a", "1", ""))
                STRUCT("s", "8", "16", "", FIELD("x", "u64", "0", "") FIELD("y", "u64", "0x8", "")),
        HEAD
        "[[struct]]\nsize=16\nalign=8\nname='s'\ndoc='d'\nfields=[{offset=0,doc='d',type='u64',"
        "name='x'},{name='y',offset=8,type='u64',doc='d'}]\n" ENUM(
            "code", "u16", "", VALUE("a", "1", "")) CONSTANT("LIMIT", "u32", "16", DOC),
    };
    uint8_t base[WEIR_LAYOUT_DIGEST_BYTES];
    digest_of_text(BASE, base);
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        uint8_t digest[WEIR_LAYOUT_DIGEST_BYTES];
        digest_of_text(same[i], digest);
        WEIR_EXPECT_MEM_EQ(digest, base, sizeof base);
    }
}

WEIR_TEST(layout_canonical, digest_changes_with_everything_that_has_a_meaning)
{
#define WITH(constant, code, fields, extra)                                                        \
    HEAD CONSTANT constant ENUM code STRUCT("s", "8", "16", extra, fields)
#define X     FIELD("x", "u64", "0", "")
#define Y     FIELD("y", "u64", "8", "")
#define LIMIT ("LIMIT", "u32", "16", DOC)
#define CODE  ("code", "u16", "", VALUE("a", "1", ""))
    static const char *const changed[] = {
        WITH(("LIMIT", "u32", "17", DOC), CODE, X Y, ""),
        WITH(("LIMIT", "u64", "16", DOC), CODE, X Y, ""),
        WITH(("LIMITS", "u32", "16", DOC), CODE, X Y, ""),
        WITH(LIMIT, ("code", "u16", "", VALUE("a", "2", "")), X Y, ""),
        WITH(LIMIT, ("code", "u16", "", VALUE("b", "1", "")), X Y, ""),
        WITH(LIMIT, ("code", "u32", "", VALUE("a", "1", "")), X Y, ""),
        WITH(LIMIT, ("code", "u16", "kind = \"flags\"\n", VALUE("a", "1", "")), X Y, ""),
        WITH(LIMIT, ("code", "u16", "", VALUE("a", "1", ", request_min = 0, request_max = 1")), X Y,
             ""),
        WITH(LIMIT, CODE, X Y, "writer = \"worker\"\n"),
        WITH(LIMIT, CODE, X FIELD("z", "u64", "8", ""), ""),
        WITH(LIMIT, CODE, X FIELD("y", "i64", "8", ""), ""),
        WITH(LIMIT, CODE, X FIELD("y", "u8[8]", "8", ""), ""),
        WITH(LIMIT, CODE, X FIELD("y", "u64", "8", ", atomic = true"), ""),
        WITH(LIMIT, CODE, X FIELD("y", "u64", "8", ", writer = \"worker\""), ""),
        WITH(LIMIT, CODE, FIELD("y", "u64", "0", "") FIELD("x", "u64", "8", ""), ""),
    };
    uint8_t base[WEIR_LAYOUT_DIGEST_BYTES];
    digest_of_text(BASE, base);
    for (size_t i = 0; i < sizeof changed / sizeof changed[0]; i++) {
        uint8_t digest[WEIR_LAYOUT_DIGEST_BYTES];
        digest_of_text(changed[i], digest);
        if (memcmp(digest, base, sizeof base) == 0)
            weir_test_fail(__FILE__, __LINE__, "the digest did not change:\n%s", changed[i]);
    }
}

WEIR_TEST(layout_canonical, is_a_layout_that_says_the_same)
{
    size_t bytes;
    char *source = weir_read_source("core/layout/07-layout.toml", &bytes);
    weir_layout *first = weir_load_sound(source);
    char *canonical;
    WEIR_EXPECT_STATUS(weir_layout_canonical(first, &canonical, &bytes), WEIR_OK);
    WEIR_EXPECT_EQ(strlen(canonical), bytes);
    weir_layout *second = weir_load_sound(canonical);
    char *again;
    WEIR_EXPECT_STATUS(weir_layout_canonical(second, &again, &bytes), WEIR_OK);
    WEIR_EXPECT_STR_EQ(again, canonical);
    free(again);
    free(canonical);
    free(source);
    weir_layout_free(first);
    weir_layout_free(second);
}

WEIR_TEST(layout_canonical, built_in_layout_has_the_generated_digest)
{
    weir_layout *layout;
    uint8_t digest[WEIR_LAYOUT_DIGEST_BYTES];
    weir_error error = {{0}};
    WEIR_EXPECT_STATUS(weir_layout_load_builtin(&layout, &error), WEIR_OK);
    WEIR_EXPECT_STATUS(weir_layout_digest_of(layout, digest), WEIR_OK);
    WEIR_EXPECT_MEM_EQ(digest, weir_layout_digest, sizeof digest);
    uint16_t major;
    uint16_t minor;
    weir_layout_version(layout, &major, &minor);
    WEIR_EXPECT_EQ(major, WEIR_LAYOUT_MAJOR);
    WEIR_EXPECT_EQ(minor, WEIR_LAYOUT_MINOR);
    weir_layout_free(layout);
}

/* coreutils' `b2sum -l 256` over the 119 bytes of the canonical HEAD. */
WEIR_TEST(layout_canonical, digest_is_the_one_that_b2sum_shows)
{
    static const uint8_t expected[WEIR_LAYOUT_DIGEST_BYTES] = {
        0xd4, 0xfd, 0xda, 0x34, 0x9d, 0x78, 0x44, 0xf9, 0xa5, 0xd8, 0x27,
        0x80, 0xbd, 0x45, 0xf5, 0x51, 0xa8, 0x90, 0x44, 0x77, 0x0b, 0x20,
        0xc8, 0x1e, 0xbf, 0x55, 0x45, 0x2c, 0xe7, 0x03, 0x4e, 0x1d};
    uint8_t digest[WEIR_LAYOUT_DIGEST_BYTES];
    digest_of_text(HEAD, digest);
    WEIR_EXPECT_MEM_EQ(digest, expected, sizeof digest);
}
