/* Which changes an old peer can live with. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/testing/weir_test.h"
#include "layout/layout.h"
#include "layout/testing/layout_texts.h"

#define HEAD_WITH(major, minor, line)                                                              \
    "[layout]\nname = \"t\"\nmajor = " major "\nminor = " minor                                    \
    "\nendian = \"little\"\nline_bytes = " line "\nregion_align_bytes = 65536\n"
#define NEXT  HEAD_WITH("1", "2", "128")
#define OLD   HEAD_WITH("1", "1", "128")
#define LIMIT CONSTANT("LIMIT", "u32", "16", DOC)
#define CODES ENUM("code", "u16", "", VALUE("a", "1", ", request_min = 0, request_max = 9"))
#define X     FIELD("x", "u32", "0", "")
#define FREE  FIELD("reserved", "u32[3]", "4", "")
#define THING STRUCT("s", "8", "16", "", X FREE)
#define BASE  OLD LIMIT CODES THING

typedef struct change {
    const char *name;
    const char *text;
    weir_layout_relation relation;
    const char *words; /* of the difference told first; NULL when there is none */
    bool raise_minor;
} change;

static const change changes[] = {
    {"nothing", BASE, WEIR_LAYOUT_IDENTICAL, NULL, false},
    {"other docs", OLD CONSTANT("LIMIT", "u32", "16", "doc = \"x\"\n") CODES THING,
     WEIR_LAYOUT_IDENTICAL, NULL, false},
    {"other order", OLD THING CODES LIMIT, WEIR_LAYOUT_IDENTICAL, NULL, false},
    {"minor raised", NEXT LIMIT CODES THING, WEIR_LAYOUT_COMPATIBLE, "minor 1 became 2", false},
    {"constant added", NEXT LIMIT CONSTANT("MORE", "u8", "1", DOC) CODES THING,
     WEIR_LAYOUT_COMPATIBLE, "constant MORE was added", false},
    {"constant added, minor kept", OLD LIMIT CONSTANT("MORE", "u8", "1", DOC) CODES THING,
     WEIR_LAYOUT_COMPATIBLE, "constant MORE was added", true},
    {"enum added", NEXT LIMIT CODES ENUM("more", "u8", "", VALUE("a", "1", "")) THING,
     WEIR_LAYOUT_COMPATIBLE, "enum more was added", false},
    {"value added",
     NEXT LIMIT ENUM("code", "u16", "",
                     VALUE("a", "1", ", request_min = 0, request_max = 9") VALUE("b", "2", ""))
         THING,
     WEIR_LAYOUT_COMPATIBLE, "enum code: value b = 2 was added", false},
    {"struct added", NEXT LIMIT CODES THING STRUCT("more", "4", "4", "", X), WEIR_LAYOUT_COMPATIBLE,
     "struct more was added", false},
    {"field from reserved bytes",
     NEXT LIMIT CODES STRUCT("s", "8", "16", "",
                             X FIELD("y", "u32", "4", "") FIELD("reserved", "u64", "8", "")),
     WEIR_LAYOUT_COMPATIBLE, "struct s: field y was added from reserved bytes", false},
    {"all reserved bytes taken",
     NEXT LIMIT CODES STRUCT("s", "8", "16", "", X FIELD("y", "u32[3]", "4", "")),
     WEIR_LAYOUT_COMPATIBLE, "field y was added from reserved", false},
    {"field from reserved bytes of another writer",
     NEXT LIMIT CODES STRUCT("s", "8", "16", "",
                             X FIELD("y", "u32", "4", ", writer = \"worker\"")
                                 FIELD("reserved", "u64", "8", "")),
     WEIR_LAYOUT_BREAKING, "field y was added outside", false},
    {"major raised", HEAD_WITH("2", "1", "128") LIMIT CODES THING, WEIR_LAYOUT_BREAKING,
     "layout major 1 became 2", false},
    {"minor lowered", HEAD_WITH("1", "0", "128") LIMIT CODES THING, WEIR_LAYOUT_BREAKING,
     "layout minor 1 became 0", false},
    {"other lines", HEAD_WITH("1", "1", "64") LIMIT CODES THING, WEIR_LAYOUT_BREAKING,
     "line_bytes 128 became 64", false},
    {"constant changed", NEXT CONSTANT("LIMIT", "u32", "17", DOC) CODES THING, WEIR_LAYOUT_BREAKING,
     "constant LIMIT: value 16 became 17", false},
    {"constant of another type", NEXT CONSTANT("LIMIT", "u64", "16", DOC) CODES THING,
     WEIR_LAYOUT_BREAKING, "constant LIMIT: type u32 became u64", false},
    {"constant removed", NEXT CODES THING, WEIR_LAYOUT_BREAKING, "constant LIMIT was removed",
     false},
    {"enum removed", NEXT LIMIT THING, WEIR_LAYOUT_BREAKING, "enum code was removed", false},
    {"value renumbered",
     NEXT LIMIT ENUM("code", "u16", "", VALUE("a", "3", ", request_min = 0, request_max = 9"))
         THING,
     WEIR_LAYOUT_BREAKING, "enum code, value a: 1 became 3", false},
    {"value renamed",
     NEXT LIMIT ENUM("code", "u16", "", VALUE("b", "1", ", request_min = 0, request_max = 9"))
         THING,
     WEIR_LAYOUT_BREAKING, "enum code: value a was removed", false},
    {"request limits changed",
     NEXT LIMIT ENUM("code", "u16", "", VALUE("a", "1", ", request_min = 0, request_max = 8"))
         THING,
     WEIR_LAYOUT_BREAKING, "request_max 9 became 8", false},
    {"enum of another kind",
     NEXT LIMIT ENUM("code", "u16", "kind = \"flags\"\n",
                     VALUE("a", "1", ", request_min = 0, request_max = 9")) THING,
     WEIR_LAYOUT_BREAKING, "enum code: kind values became flags", false},
    {"struct removed", NEXT LIMIT CODES, WEIR_LAYOUT_BREAKING, "struct s was removed", false},
    {"struct grown",
     NEXT LIMIT CODES STRUCT("s", "8", "24", "", X FREE FIELD("y", "u64", "16", "")),
     WEIR_LAYOUT_BREAKING, "struct s: size 16 became 24", false},
    {"field moved",
     NEXT LIMIT CODES STRUCT("s", "8", "16", "",
                             FIELD("reserved", "u32[3]", "0", "") FIELD("x", "u32", "12", "")),
     WEIR_LAYOUT_BREAKING, "struct s, field x: offset 0 became 12", false},
    {"field of another type",
     NEXT LIMIT CODES STRUCT("s", "8", "16", "", FIELD("x", "i32", "0", "") FREE),
     WEIR_LAYOUT_BREAKING, "struct s, field x: type u32 became i32", false},
    {"field renamed", NEXT LIMIT CODES STRUCT("s", "8", "16", "", FIELD("y", "u32", "0", "") FREE),
     WEIR_LAYOUT_BREAKING, "struct s: field x was removed", false},
    {"field atomic",
     NEXT LIMIT CODES STRUCT("s", "8", "16", "", FIELD("x", "u32", "0", ", atomic = true") FREE),
     WEIR_LAYOUT_BREAKING, "struct s, field x: became atomic", false},
    {"other writer", NEXT LIMIT CODES STRUCT("s", "8", "16", "writer = \"worker\"\n", X FREE),
     WEIR_LAYOUT_BREAKING, "struct s, field x: writer none became worker", false},
};

static void check_change(const change *expected)
{
    weir_layout *from = weir_load_sound(BASE);
    weir_layout *to = weir_load_sound(expected->text);
    weir_layout_differences differences;
    weir_layout_diff(from, to, &differences);
    const weir_layout_difference *first = weir_layout_first_difference(&differences);
    bool words = expected->words == NULL
                     ? first == NULL
                     : first != NULL && strstr(first->text, expected->words) != NULL;
    if (differences.relation != expected->relation || !words ||
        differences.raise_minor != expected->raise_minor)
        weir_test_fail(__FILE__, __LINE__, "%s: %s (%s), raise minor: %d\nexpected %s (%s)",
                       expected->name, weir_layout_relation_name(differences.relation),
                       first == NULL ? "" : first->text, differences.raise_minor,
                       weir_layout_relation_name(expected->relation),
                       expected->words == NULL ? "" : expected->words);
    weir_layout_free(from);
    weir_layout_free(to);
}

WEIR_TEST(layout_diff, classifies_changes_and_names_the_first)
{
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++)
        check_change(&changes[i]);
}

/* 100 added constants fill the list; the one breaking change behind them must still be told. */
WEIR_TEST(layout_diff, keeps_a_breaking_change_behind_many_harmless_ones)
{
    char text[16384] = NEXT LIMIT CODES;
    for (int i = 0; i < 100; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text),
                 "[[constant]]\nname = \"C%d\"\ntype = \"u8\"\nvalue = 1\ndoc = \"d\"\n", i);
    weir_layout *from = weir_load_sound(BASE);
    weir_layout *to = weir_load_sound(text);
    weir_layout_differences differences;
    weir_layout_diff(from, to, &differences);
    WEIR_EXPECT_EQ(differences.relation, WEIR_LAYOUT_BREAKING);
    WEIR_EXPECT_EQ(differences.found, (size_t)102);
    WEIR_EXPECT_STR_EQ(weir_layout_first_difference(&differences)->text, "struct s was removed");
    weir_layout_free(from);
    weir_layout_free(to);
}
