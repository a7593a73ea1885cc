/* Layouts with one fault each: the place and the words of the complaint. */
#include "harness/testing/weir_test.h"
#include "layout/testing/layout_texts.h"

static const weir_malformed_layout cases[] = {
    {"unknown key in the file", HEAD "[extra]\n", 8, 2, "unknown key `extra` in the file"},
    {"unknown key in the layout", HEAD "colour = \"red\"\n", 8, 1,
     "unknown key `colour` in [layout]"},
    {"missing layout table", CONSTANT("LIMIT", "u32", "1", DOC), 1, 1, "the file lacks `layout`"},
    {"missing key of the layout",
     "[layout]\n"
     "name = \"t\"\n"
     "major = 1\n"
     "endian = \"little\"\n"
     "line_bytes = 128\n"
     "region_align_bytes = 65536\n",
     1, 1, "[layout] lacks `minor`"},
    {"wrong type of a key",
     "[layout]\n"
     "name = \"t\"\n"
     "major = \"1\"\n"
     "minor = 0\n"
     "endian = \"little\"\n"
     "line_bytes = 128\n"
     "region_align_bytes = 65536\n",
     3, 9, "`major` of [layout] must be an integer, not a string"},
    {"version out of range",
     "[layout]\n"
     "name = \"t\"\n"
     "major = 65536\n"
     "minor = 0\n"
     "endian = \"little\"\n"
     "line_bytes = 128\n"
     "region_align_bytes = 65536\n",
     3, 9, "`major` is 65536, outside 0 to 65535"},
    {"other byte order",
     "[layout]\n"
     "name = \"t\"\n"
     "major = 1\n"
     "minor = 0\n"
     "endian = \"big\"\n"
     "line_bytes = 128\n"
     "region_align_bytes = 65536\n",
     5, 10, "endian `big` is not supported"},
    {"line of no power of two",
     "[layout]\n"
     "name = \"t\"\n"
     "major = 1\n"
     "minor = 0\n"
     "endian = \"little\"\n"
     "line_bytes = 96\n"
     "region_align_bytes = 65536\n",
     6, 14, "`line_bytes` is 96, not a power of two"},
    {"constant in lower case", HEAD CONSTANT("limit", "u32", "1", DOC), 9, 8,
     "`limit` is no identifier"},
    {"constant twice", HEAD CONSTANT("LIMIT", "u32", "1", DOC) CONSTANT("LIMIT", "u32", "1", DOC),
     14, 8, "constant LIMIT is already defined in line 8"},
    {"constant of a signed type", HEAD CONSTANT("LIMIT", "i32", "1", DOC), 10, 8,
     "unknown type `i32` of constant LIMIT"},
    {"constant too large for its type", HEAD CONSTANT("LIMIT", "u8", "256", DOC), 11, 9,
     "value 256 of constant LIMIT does not fit: u8 ends at 255 here"},
    {"negative constant", HEAD CONSTANT("LIMIT", "u32", "-1", DOC), 11, 9,
     "value -1 of constant LIMIT does not fit: u32 ends at 4294967295 here"},
    {"constant without doc", HEAD CONSTANT("LIMIT", "u32", "1", ""), 8, 1,
     "constant LIMIT lacks `doc`"},
    {"constant with an unknown key",
     HEAD CONSTANT("LIMIT", "u32", "1", "doc = \"d\"\nunit = \"ms\"\n"), 13, 1,
     "unknown key `unit` in [[constant]]"},
    {"doc that ends a comment", HEAD CONSTANT("LIMIT", "u32", "1", "doc = \"a */ b\"\n"), 12, 7,
     "`doc` of constant LIMIT holds a comment mark of C"},
    {"doc of two lines", HEAD CONSTANT("LIMIT", "u32", "1", "doc = \"a\\nb\"\n"), 12, 7,
     "`doc` of constant LIMIT holds a backslash or a byte that is not printable ASCII"},
    {"empty doc", HEAD CONSTANT("LIMIT", "u32", "1", "doc = \"\"\n"), 12, 7,
     "`doc` of constant LIMIT is empty"},
    {"constant that an enum generates",
     HEAD CONSTANT("CODE_A", "u32", "1", DOC) ENUM("code", "u16", "", VALUE("a", "1", "")), 18, 3,
     "the constant CODE_A would be generated twice, also for line 8"},
    {"constant that the header defines", HEAD CONSTANT("LINE_BYTES", "u32", "1", DOC), 8, 1,
     "the constant LINE_BYTES is taken by the generated code itself"},
    {"enum without values", HEAD ENUM("code", "u16", "", ""), 12, 10, "enum code has no values"},
    {"enum of floats", HEAD ENUM("code", "f64", "", VALUE("a", "1", "")), 10, 8,
     "unknown type `f64` of enum code"},
    {"enum of unknown kind", HEAD ENUM("code", "u16", "kind = \"bits\"\n", VALUE("a", "1", "")), 11,
     8, "kind `bits` of enum code is unknown"},
    {"value name twice", HEAD ENUM("code", "u16", "", VALUE("a", "1", "") VALUE("a", "2", "")), 14,
     12, "value a is already in enum code"},
    {"value twice", HEAD ENUM("code", "u16", "", VALUE("a", "1", "") VALUE("b", "1", "")), 14, 25,
     "value 1 of b is already taken by a"},
    {"value beyond its type", HEAD ENUM("code", "u16", "", VALUE("a", "65536", "")), 13, 25,
     "value 65536 of value code.a does not fit: u16 ends at 65535 here"},
    {"value beyond an int of C", HEAD ENUM("code", "u32", "", VALUE("a", "2147483648", "")), 13, 25,
     "value 2147483648 of value code.a does not fit: u32 ends at 2147483647 here"},
    {"flag of two bits", HEAD ENUM("code", "u16", "kind = \"flags\"\n", VALUE("a", "3", "")), 14,
     25, "flag a is 3, not a single bit"},
    {"flag of no bit", HEAD ENUM("code", "u16", "kind = \"flags\"\n", VALUE("a", "0", "")), 14, 25,
     "flag a is 0, not a single bit"},
    {"enum twice",
     HEAD ENUM("code", "u16", "", VALUE("a", "1", "")) ENUM("code", "u16", "", VALUE("a", "1", "")),
     16, 8, "enum code is already defined in line 8"},
    {"request limits in part", HEAD ENUM("code", "u16", "", VALUE("a", "1", ", request_min = 1")),
     13, 3, "value a has only one of request_min and request_max"},
    {"request limits exchanged",
     HEAD ENUM("code", "u16", "", VALUE("a", "1", ", request_min = 2, request_max = 1")), 13, 42,
     "request_min 2 of a exceeds request_max 1"},
    {"value that is no table", HEAD ENUM("code", "u16", "", "  7,\n"), 13, 3,
     "a value of [[enum]] must be a table, not an integer"},
    {"region in part", HEAD ENUM("code", "u16", "", VALUE("a", "1", ", writer = \"worker\"")), 13,
     3, "value a describes a region in part"},
    {"region of an unknown struct",
     HEAD ENUM("code", "u16", "",
               VALUE("a", "1", ", writer = \"worker\", holds = \"x\", count = \"one\"")),
     13, 3, "region a holds `x`, which is no struct"},
    {"region with an unknown count",
     HEAD ENUM("code", "u16", "",
               VALUE("a", "1", ", writer = \"worker\", holds = \"u32\", count = \"two\"")),
     13, 3, "count `two` of region a is unknown"},
};

WEIR_TEST(layout_load, points_at_faults_of_constants_and_enums)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        weir_expect_malformed(&cases[i]);
}
