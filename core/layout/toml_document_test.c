/* TOML as the project sees it: values with their places, and what is refused before toml++ sees it.
 */
#include "layout/toml_document.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/testing/weir_test.h"

static weir_toml *parse(const char *text)
{
    weir_toml *document = NULL;
    weir_error error = {{0}};
    weir_status status = weir_toml_parse(text, strlen(text), "t.toml", &document, &error);
    if (status != WEIR_OK)
        weir_test_fail(__FILE__, __LINE__, "%s", error.text);
    return document;
}

WEIR_TEST(toml_document, gives_every_value_with_its_place)
{
    weir_toml *document = parse(
        "name = \"a\\tb\"\n[plan]\nrate = 2.5\n  on = true\nwhen = 2026-01-02\nlist = [1, -2]\n");
    const weir_toml_node *root = weir_toml_root(document);
    const weir_toml_node *name = weir_toml_get(root, "name");
    WEIR_EXPECT_EQ(name->type, WEIR_TOML_STRING);
    WEIR_EXPECT_STR_EQ(name->as.string.text, "a\tb");
    WEIR_EXPECT_EQ(name->as.string.bytes, (size_t)3);
    WEIR_EXPECT_EQ(name->at.column, 8u);
    const weir_toml_node *plan = weir_toml_get(root, "plan");
    WEIR_EXPECT_EQ(plan->type, WEIR_TOML_TABLE);
    WEIR_EXPECT_EQ(plan->at.line, 2u);
    WEIR_EXPECT_TRUE(weir_toml_get(plan, "rate")->as.number == 2.5);
    const weir_toml_node *on = weir_toml_get(plan, "on");
    WEIR_EXPECT_TRUE(on->as.boolean);
    WEIR_EXPECT_EQ(on->key_at.line, 4u);
    WEIR_EXPECT_EQ(on->key_at.column, 3u);
    WEIR_EXPECT_EQ(weir_toml_get(plan, "when")->type, WEIR_TOML_DATE);
    const weir_toml_node *list = weir_toml_get(plan, "list");
    WEIR_EXPECT_EQ(list->as.children.count, (size_t)2);
    WEIR_EXPECT_EQ(list->as.children.first[1].as.integer, (int64_t)-2);
    WEIR_EXPECT_NULL(weir_toml_get(plan, "absent"));
    WEIR_EXPECT_NULL(weir_toml_get(name, "no table"));
    weir_toml_free(document);
}

WEIR_TEST(toml_document, keeps_the_order_of_the_text)
{
    weir_toml *document = parse("zebra = 1\napple = 2\nmango = 3\n");
    const weir_toml_node *first = weir_toml_root(document)->as.children.first;
    WEIR_EXPECT_STR_EQ(first[0].key, "zebra");
    WEIR_EXPECT_STR_EQ(first[1].key, "apple");
    WEIR_EXPECT_STR_EQ(first[2].key, "mango");
    weir_toml_free(document);
}

WEIR_TEST(toml_document, accepts_the_line_ends_of_other_systems_and_an_empty_text)
{
    weir_toml_free(parse("a = 1\r\nb = 2\r\n"));
    weir_toml *document = parse("");
    WEIR_EXPECT_EQ(weir_toml_root(document)->as.children.count, (size_t)0);
    weir_toml_free(document);
}

typedef struct refused_text {
    const char *name;
    const char *text;
    const char *words;
} refused_text;

#define DEEP17 "[[[[[[[[[[[[[[[[["

/* The two bytes of the sixth entry abort toml++ 3.3.0 when they reach it. */
static const refused_text refused[] = {
    {"syntax error", "a = 1\nb = = 2\n", "t.toml:2:5: "},
    {"key twice", "a = 1\na = 2\n", "t.toml:2:"},
    {"header that begins with =", "a = 1\n[=.b]\n", "t.toml:2:2: a table's name must follow"},
    {"header of tables that begins with .", " [[ .b]]\n", "t.toml:1:5: a table's name must follow"},
    {"array closed by a brace", "a = [1,}\n", "t.toml:1:8: this bracket closes another kind"},
    {"table closed by a bracket", "a = {\nb = [1}\n", "t.toml:2:7: this bracket closes"},
    {"time that toml++ asserts on", "a = 2026-01-01Tx0:00:00Z\n",
     "look for a malformed date or time"},
    {"header without end", "[", "t.toml:1:2: a table's name must follow"},
    {"control byte", "[\x03", "t.toml:1:2: byte 0x03 is not printable ASCII"},
    {"control byte in a comment", "# \x01\n", "t.toml:1:3: byte 0x01"},
    {"control byte in a string", "a = \"\x1f\"\n", "t.toml:1:6: byte 0x1f"},
    {"delete byte", "a = 1\n\x7f", "t.toml:2:1: byte 0x7f"},
    {"UTF-8", "a = \"\xc3\xa4\"\n", "t.toml:1:6: byte 0xc3"},
    {"lone carriage return", "a = 1\rb = 2\n", "t.toml:1:6: byte 0x0d"},
    {"deep header brackets", DEEP17, "t.toml:1:3: a table's name must follow"},
    {"deep array", "a = " DEEP17, "t.toml:1:21: more than 16 brackets"},
    {"deep array behind a string", "a = ['[', \"]\\\"\", " DEEP17, "more than 16 brackets"},
    {"deep array behind a comment", "a = [ # ]]]]\n" DEEP17, "t.toml:2:16: more than 16 brackets"},
    {"deep header", "[a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q]\n", "t.toml:1:33: a dotted key has more"},
    {"deep key", "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q = 1\n", "t.toml:1:32: a dotted key has more"},
    {"deep quoted key", "x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.'y'.'z' = 1\n", "a dotted key has more"},
    {"multi-line string", "a = \"\"\"\nb\"\"\"\n", "t.toml:1:5: multi-line strings"},
    {"multi-line literal", "a = 1\nb = '''c'''\n", "t.toml:2:5: multi-line strings"},
    {"open string", "a = \"b\n", "t.toml:1:"},
    {"number too large", "a = 99999999999999999999\n", "t.toml:1:"},
};

WEIR_TEST(toml_document, refuses_what_its_parser_cannot_take)
{
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        weir_toml *document = NULL;
        weir_error error = {{0}};
        weir_status status =
            weir_toml_parse(refused[i].text, strlen(refused[i].text), "t.toml", &document, &error);
        if (status != WEIR_INVALID || document != NULL ||
            strstr(error.text, refused[i].words) == NULL)
            weir_test_fail(__FILE__, __LINE__, "%s: %s: %s\nexpected: %s", refused[i].name,
                           weir_status_name(status), error.text, refused[i].words);
    }
}

WEIR_TEST(toml_document, accepts_the_deepest_nesting_and_the_longest_key_allowed)
{
    weir_toml_free(parse("a = [[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]\n"));
    weir_toml_free(parse("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p = 1\n"));
}

WEIR_TEST(toml_document, refuses_a_file_over_256_kib)
{
    size_t bytes = WEIR_TOML_BYTES_MAX + 1;
    char *text = malloc(bytes);
    WEIR_EXPECT_NOT_NULL(text);
    memset(text, '\n', bytes);
    weir_toml *document = NULL;
    weir_error error = {{0}};
    WEIR_EXPECT_STATUS(weir_toml_parse(text, bytes, "t.toml", &document, &error), WEIR_INVALID);
    WEIR_EXPECT_STR_HAS(error.text, "longer than 262144 bytes");
    WEIR_EXPECT_STATUS(weir_toml_parse(text, bytes - 1, "t.toml", &document, &error), WEIR_OK);
    weir_toml_free(document);
    free(text);
}

/* Damages a real layout in random places: every outcome is allowed except a crash, a leak or a lie
 * about success. */
WEIR_TEST(toml_document, survives_damaged_text)
{
    static const char tokens[] = "[]{}.=\"'#\n\\,x1-\t";
    uint64_t state = weir_test_seed() | 1;
    static const char base[] = "[a.b]\nc = [1, {d = \"e\", f = 'g'}]\n[[h]]\ni.j = 2.5 # k\n";
    for (int round = 0; round < 3000; round++) {
        char text[sizeof base];
        memcpy(text, base, sizeof base);
        for (int change = 0; change < 4; change++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            text[(state >> 33) % (sizeof base - 1)] = tokens[(state >> 13) % (sizeof tokens - 1)];
        }
        weir_toml *document = NULL;
        weir_error error = {{0}};
        weir_status status = weir_toml_parse(text, sizeof base - 1, "t.toml", &document, &error);
        WEIR_EXPECT_EQ(status == WEIR_OK, document != NULL);
        WEIR_EXPECT_EQ(status == WEIR_OK, error.text[0] == '\0');
        weir_toml_free(document);
    }
}
