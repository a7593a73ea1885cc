/* Random sound layouts: the loader derives what the test computed, and the canonical text keeps
 * every meaning. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/testing/weir_test.h"
#include "layout/layout.h"
#include "layout/testing/layout_texts.h"

enum { STRUCTS_MAX = 6, FIELDS_MAX = 24, TEXT_BYTES = 64 * 1024 };

/* What the test itself knows about a struct that it wrote. */
typedef struct known_struct {
    uint64_t align;
    uint64_t size;
    size_t field_count;
    uint64_t offset[2 * FIELDS_MAX + 2];
    char field[2 * FIELDS_MAX + 2][32];
} known_struct;

typedef struct model {
    char text[TEXT_BYTES];
    size_t used;
    uint64_t state;
    known_struct structs[STRUCTS_MAX];
    size_t struct_count;
} model;

static uint64_t pick(model *to, uint64_t below)
{
    to->state = to->state * 6364136223846793005u + 1442695040888963407u;
    return below == 0 ? 0 : (to->state >> 33) % below;
}

__attribute__((format(printf, 2, 3))) static void put(model *to, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    to->used += (size_t)vsnprintf(to->text + to->used, TEXT_BYTES - to->used, format, arguments);
    va_end(arguments);
    WEIR_EXPECT_LT(to->used, (size_t)TEXT_BYTES);
}

static void put_field(model *to, known_struct *of, const char *name, const char *type,
                      uint64_t offset)
{
    of->offset[of->field_count] = offset;
    snprintf(of->field[of->field_count++], sizeof of->field[0], "%s", name);
    put(to, "  { name = \"%s\", type = \"%s\", offset = %" PRIu64 ", doc = \"d\" },\n", name, type,
        offset);
}

/* Names the bytes up to the next multiple of @p align. */
static uint64_t put_gap(model *to, known_struct *of, uint64_t at, uint64_t align)
{
    uint64_t gap = (align - at % align) % align;
    if (gap == 0)
        return at;
    char name[32];
    char type[32];
    snprintf(name, sizeof name, "reserved%zu", of->field_count);
    snprintf(type, sizeof type, "u8[%" PRIu64 "]", gap);
    put_field(to, of, name, type, at);
    return at + gap;
}

static void put_struct(model *to)
{
    static const char *const scalar[] = {"u8",  "u16", "u32", "u64", "i8",
                                         "i16", "i32", "i64", "f32", "f64"};
    static const uint64_t bytes[] = {1, 2, 4, 8, 1, 2, 4, 8, 4, 8};
    known_struct *of = &to->structs[to->struct_count];
    *of = (known_struct){.align = 1};
    /* Fields go to the side first, because the size stands before them. */
    size_t begin = to->used;
    uint64_t at = 0;
    size_t fields = 1 + pick(to, FIELDS_MAX);
    for (size_t i = 0; i < fields; i++) {
        size_t kind = pick(to, 10 + to->struct_count);
        uint64_t element = kind < 10 ? bytes[kind] : to->structs[kind - 10].size;
        uint64_t align = kind < 10 ? bytes[kind] : to->structs[kind - 10].align;
        uint64_t count = pick(to, 2) == 0 ? 0 : 1 + pick(to, 9);
        char base[32];
        char type[64];
        char name[32];
        if (kind < 10)
            snprintf(base, sizeof base, "%s", scalar[kind]);
        else
            snprintf(base, sizeof base, "s%zu", kind - 10);
        if (count == 0)
            snprintf(type, sizeof type, "%s", base);
        else
            snprintf(type, sizeof type, "%s[%" PRIu64 "]", base, count);
        snprintf(name, sizeof name, "f%zu", i);
        at = put_gap(to, of, at, align);
        put_field(to, of, name, type, at);
        at += element * (count == 0 ? 1 : count);
        of->align = align > of->align ? align : of->align;
    }
    of->align <<= pick(to, 3);
    of->size = put_gap(to, of, at, of->align);
    static char body[TEXT_BYTES];
    size_t body_bytes = to->used - begin;
    memcpy(body, to->text + begin, body_bytes);
    to->used = begin;
    put(to,
        "[[struct]]\nname = \"s%zu\"\nalign = %" PRIu64 "\nsize = %" PRIu64
        "\ndoc = \"d\"\nfields = [\n",
        to->struct_count, of->align, of->size);
    put(to, "%.*s]\n", (int)body_bytes, body);
    to->struct_count++;
}

static void put_model(model *to)
{
    to->used = 0;
    to->struct_count = 0;
    put(to, "%s", HEAD);
    for (uint64_t i = pick(to, 5); i > 0; i--)
        put(to,
            "[[constant]]\nname = \"C%" PRIu64 "\"\ntype = \"u64\"\nvalue = %" PRIu64
            "\ndoc = \"d\"\n",
            i, pick(to, 1u << 30));
    for (uint64_t i = pick(to, 4); i > 0; i--) {
        put(to, "[[enum]]\nname = \"e%" PRIu64 "\"\ntype = \"u32\"\ndoc = \"d\"\nvalues = [\n", i);
        for (uint64_t k = 1 + pick(to, 6); k > 0; k--)
            put(to, "  { name = \"v%" PRIu64 "\", value = %" PRIu64 ", doc = \"d\" },\n", k,
                k * 1000 + pick(to, 1000));
        put(to, "]\n");
    }
    for (size_t i = 1 + pick(to, STRUCTS_MAX); i > 0; i--)
        put_struct(to);
}

static void check_offsets(const model *of, const weir_layout *layout)
{
    WEIR_EXPECT_EQ(layout->struct_count, of->struct_count);
    for (size_t i = 0; i < of->struct_count; i++) {
        const known_struct *known = &of->structs[i];
        const weir_layout_struct *loaded = &layout->structs[i];
        WEIR_EXPECT_EQ(loaded->size, known->size);
        WEIR_EXPECT_EQ(loaded->align, known->align);
        WEIR_EXPECT_EQ(loaded->field_count, known->field_count);
        for (size_t k = 0; k < known->field_count; k++) {
            WEIR_EXPECT_STR_EQ(loaded->fields[k].name, known->field[k]);
            WEIR_EXPECT_EQ(loaded->fields[k].offset, known->offset[k]);
        }
    }
}

WEIR_TEST(layout_property, random_layouts_keep_offsets_and_digest_through_the_canonical_text)
{
    static model random;
    random.state = weir_test_seed();
    for (int round = 0; round < 100; round++) {
        put_model(&random);
        weir_layout *layout = weir_load_sound(random.text);
        check_offsets(&random, layout);
        char *canonical;
        size_t bytes;
        WEIR_EXPECT_STATUS(weir_layout_canonical(layout, &canonical, &bytes), WEIR_OK);
        weir_layout *again = weir_load_sound(canonical);
        check_offsets(&random, again);
        uint8_t first[WEIR_LAYOUT_DIGEST_BYTES];
        uint8_t second[WEIR_LAYOUT_DIGEST_BYTES];
        WEIR_EXPECT_STATUS(weir_layout_digest_of(layout, first), WEIR_OK);
        WEIR_EXPECT_STATUS(weir_layout_digest_of(again, second), WEIR_OK);
        WEIR_EXPECT_MEM_EQ(first, second, sizeof first);
        free(canonical);
        weir_layout_free(layout);
        weir_layout_free(again);
    }
}

/* One stated offset moved by one is a fault that the loader must find, wherever it is. */
WEIR_TEST(layout_property, a_shifted_offset_is_always_found)
{
    static model random;
    random.state = weir_test_seed();
    for (int round = 0; round < 100; round++) {
        put_model(&random);
        const char *place = random.text;
        size_t fields = 0;
        for (const char *next = place; (next = strstr(next, "offset = ")) != NULL; next++)
            fields++;
        WEIR_EXPECT_GT(fields, (size_t)0);
        for (size_t skip = pick(&random, fields) + 1; skip > 0; skip--)
            place = strstr(place + 1, "offset = ");
        char *digits = random.text + (place - random.text) + strlen("offset = ");
        *digits = *digits == '9' ? '8' : (char)(*digits + 1);
        weir_layout *layout = NULL;
        weir_error error = {{0}};
        WEIR_EXPECT_STATUS(
            weir_layout_load(random.text, random.used, "t.toml", NULL, &layout, &error),
            WEIR_INVALID);
        WEIR_EXPECT_NULL(layout);
    }
}

WEIR_TEST(layout_load, collects_twenty_problems_and_counts_the_rest)
{
    char text[8192] = HEAD;
    for (int i = 0; i < 30; i++)
        strcat(text, "[[constant]]\nname = \"bad\"\ntype = \"u8\"\nvalue = 1\ndoc = \"d\"\n");
    weir_layout *layout = NULL;
    weir_layout_problems problems = {0};
    weir_error error = {{0}};
    WEIR_EXPECT_STATUS(weir_layout_load(text, strlen(text), "t.toml", &problems, &layout, &error),
                       WEIR_INVALID);
    WEIR_EXPECT_EQ(problems.found, (size_t)30);
    for (uint32_t i = 0; i < WEIR_LAYOUT_PROBLEMS_MAX; i++)
        WEIR_EXPECT_EQ(problems.item[i].line, 9 + 5 * i);
}
