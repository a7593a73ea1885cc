#include "manager/schema_guard.h"

#include <stdio.h>
#include <stdlib.h>

#include "harness/testing/weir_test.h"

/* A peer: the built-in layout with one text replaced by another. */
typedef struct peer {
    weir_schema_claim claim;
    char *text;
    size_t bytes;
} peer;

static peer make_peer(const char *what, const char *with, const char *more)
{
    peer made = {.text = NULL};
    weir_layout *layout = NULL;
    weir_error error = {.text = ""};
    const char *at = strstr(weir_layout_canonical_text, what);
    WEIR_EXPECT_NOT_NULL(at);
    char *text = NULL;
    const int bytes = asprintf(&text, "%.*s%s%s%s", (int)(at - weir_layout_canonical_text),
                               weir_layout_canonical_text, with, at + strlen(what), more);
    WEIR_EXPECT_GT(bytes, 0);
    if (weir_layout_load(text, (size_t)bytes, "peer", NULL, &layout, &error) != WEIR_OK) {
        weir_test_fail(__FILE__, __LINE__, "not a layout: %s", error.text);
    }
    WEIR_EXPECT_STATUS(weir_layout_canonical(layout, &made.text, &made.bytes), WEIR_OK);
    WEIR_EXPECT_STATUS(weir_layout_digest_of(layout, made.claim.digest), WEIR_OK);
    weir_layout_version(layout, &made.claim.major, &made.claim.minor);
    weir_layout_free(layout);
    free(text);
    return made;
}

static weir_status judge(const peer *p, weir_schema_verdict *verdict, weir_error *error)
{
    const weir_status status = weir_schema_guard_claim(&p->claim, verdict, error);
    return status == WEIR_EMPTY
               ? weir_schema_guard_check(&p->claim, p->text, p->bytes, verdict, error)
               : status;
}

WEIR_TEST(schema_guard, knows_its_own_layout_by_the_digest)
{
    peer same = make_peer("minor = 1\n", "minor = 1\n", "");
    weir_schema_verdict verdict;
    WEIR_EXPECT_STATUS(weir_schema_guard_claim(&same.claim, &verdict, NULL), WEIR_OK);
    WEIR_EXPECT_EQ(verdict.relation, WEIR_LAYOUT_IDENTICAL);
    WEIR_EXPECT_EQ(verdict.minor, WEIR_LAYOUT_MINOR);
    WEIR_EXPECT_STATUS(weir_schema_guard_check(&same.claim, same.text, same.bytes, &verdict, NULL),
                       WEIR_OK);
    WEIR_EXPECT_EQ(verdict.relation, WEIR_LAYOUT_IDENTICAL);
    free(same.text);
}

WEIR_TEST(schema_guard, accepts_more_and_less_at_the_same_minor_version)
{
    static const char extra[] = "\n[[constant]]\nname = \"EXTRA\"\ntype = \"u32\"\nvalue = 1\n";
    static const char lost[] = "  { name = \"analytics\", value = 19, request_min = 80, "
                               "request_max = 1073741824 },\n";
    peer more = make_peer("minor = 1\n", "minor = 1\n", extra);
    peer less = make_peer(lost, "", "");
    const peer *const both[] = {&more, &less};
    for (int i = 0; i < 2; i++) {
        weir_schema_verdict verdict;
        weir_error error = {.text = ""};
        const weir_status status = judge(both[i], &verdict, &error);
        WEIR_EXPECT_STR_EQ(error.text, "");
        WEIR_EXPECT_STATUS(status, WEIR_OK);
        WEIR_EXPECT_EQ(verdict.relation, WEIR_LAYOUT_COMPATIBLE);
        WEIR_EXPECT_EQ(verdict.minor, WEIR_LAYOUT_MINOR);
        WEIR_EXPECT_STR_HAS(verdict.difference, i == 0 ? "EXTRA" : "analytics");
    }
    free(more.text);
    free(less.text);
}

WEIR_TEST(schema_guard, a_breaking_layout_gets_the_field_and_the_command)
{
    peer moved = make_peer("{ name = \"opcode\", type = \"u16\", offset = 8 },\n"
                           "  { name = \"status\", type = \"u16\", offset = 10 }",
                           "{ name = \"status\", type = \"u16\", offset = 8 },\n"
                           "  { name = \"opcode\", type = \"u16\", offset = 10 }",
                           "");
    weir_schema_verdict verdict;
    weir_error error = {.text = ""};
    WEIR_EXPECT_STATUS(judge(&moved, &verdict, &error), WEIR_INCOMPATIBLE);
    WEIR_EXPECT_EQ(verdict.relation, WEIR_LAYOUT_BREAKING);
    WEIR_EXPECT_STR_HAS(error.text, "struct envelope");
    WEIR_EXPECT_STR_HAS(error.text, "opcode");
    WEIR_EXPECT_STR_HAS(error.text, "`weir layout diff OLD NEW`");
    WEIR_EXPECT_LT(strlen(error.text), sizeof((struct weir_reject *)0)->text);
    free(moved.text);
}

WEIR_TEST(schema_guard, believes_no_claim_that_the_text_does_not_bear_out)
{
    peer other = make_peer("minor = 1\n", "minor = 3\n", "");
    weir_schema_verdict verdict;
    weir_error error = {.text = ""};
    WEIR_EXPECT_STATUS(judge(&other, &verdict, &error), WEIR_OK);
    other.claim.minor = 2;
    WEIR_EXPECT_STATUS(judge(&other, &verdict, &error), WEIR_PROTOCOL);
    WEIR_EXPECT_STR_HAS(error.text, "version 1.3 and its HELLO said 1.2");
    other.claim.minor = 3;
    other.claim.digest[0] ^= 1;
    WEIR_EXPECT_STATUS(judge(&other, &verdict, &error), WEIR_PROTOCOL);
    WEIR_EXPECT_STR_HAS(error.text, "another digest");
    for (size_t bytes = 0; bytes < other.bytes; bytes += 1 + bytes / 7) {
        WEIR_EXPECT_STATUS(
            weir_schema_guard_check(&other.claim, other.text, bytes, &verdict, &error),
            WEIR_PROTOCOL);
    }
    free(other.text);
}

WEIR_TEST(schema_guard, bounds_requests_by_the_schema_of_their_opcode)
{
    static const struct {
        uint64_t bytes;
        uint16_t opcode;
        weir_status status;
    } cases[] = {
        {0, WEIR_OPCODE_ECHO, WEIR_OK},
        {1 << 30, WEIR_OPCODE_ECHO, WEIR_OK},
        {(1 << 30) + 1, WEIR_OPCODE_ECHO, WEIR_INCOMPATIBLE},
        {23, WEIR_OPCODE_SIMULATE, WEIR_INCOMPATIBLE},
        {24, WEIR_OPCODE_SIMULATE, WEIR_OK},
        {63, WEIR_OPCODE_WORLDGEN, WEIR_INCOMPATIBLE},
        {64, WEIR_OPCODE_WORLDGEN, WEIR_OK},
        {65, WEIR_OPCODE_WORLDGEN, WEIR_INCOMPATIBLE},
        {79, WEIR_OPCODE_ANALYTICS, WEIR_INCOMPATIBLE},
        {UINT64_MAX, WEIR_OPCODE_ANALYTICS, WEIR_INCOMPATIBLE},
        {0, WEIR_OPCODE_NONE, WEIR_UNSUPPORTED},
        {0, 3, WEIR_UNSUPPORTED},
        {0, WEIR_OPCODE_APPLICATION_FIRST - 1, WEIR_UNSUPPORTED},
        {UINT64_MAX, WEIR_OPCODE_APPLICATION_FIRST, WEIR_OK},
        {0, UINT16_MAX, WEIR_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        weir_error error = {.text = ""};
        WEIR_EXPECT_STATUS(weir_schema_check_request(cases[i].opcode, cases[i].bytes, &error),
                           cases[i].status);
        WEIR_EXPECT_STATUS(weir_schema_check_request(cases[i].opcode, cases[i].bytes, NULL),
                           cases[i].status);
        WEIR_EXPECT_EQ(error.text[0] != '\0', cases[i].status != WEIR_OK);
    }
    weir_error error;
    WEIR_EXPECT_STATUS(weir_schema_check_request(WEIR_OPCODE_WORLDGEN, 65, &error),
                       WEIR_INCOMPATIBLE);
    WEIR_EXPECT_STR_EQ(error.text, "a worldgen request has 65 bytes; it must have 64 to 64");
}
