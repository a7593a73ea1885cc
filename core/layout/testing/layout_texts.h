/**
 * @file
 * Pieces of small layouts, and the check that a faulty one is refused at the right place with the
 * right words.
 */
#ifndef WEIR_LAYOUT_TESTING_TEXTS_H
#define WEIR_LAYOUT_TESTING_TEXTS_H

#include <stdint.h>

#include "weir/layout.h"

/* Seven lines, so that what follows begins in line 8. */
#define HEAD                                                                                       \
    "[layout]\nname = \"t\"\nmajor = 1\nminor = 0\nendian = \"little\"\nline_bytes = 128\n"        \
    "region_align_bytes = 65536\n"
#define DOC "doc = \"d\"\n"
#define CONSTANT(name, type, value, rest)                                                          \
    "[[constant]]\nname = \"" name "\"\ntype = \"" type "\"\nvalue = " value "\n" rest
#define ENUM(name, type, extra, values)                                                            \
    "[[enum]]\nname = \"" name "\"\ntype = \"" type "\"\n" extra DOC "values = [\n" values "]\n"
#define VALUE(name, value, extra)                                                                  \
    "  { name = \"" name "\", value = " value extra ", doc = \"d\" },\n"
#define STRUCT(name, align, size, extra, fields)                                                   \
    "[[struct]]\nname = \"" name "\"\nalign = " align "\nsize = " size "\n" extra DOC              \
    "fields = [\n" fields "]\n"
#define FIELD(name, type, offset, extra)                                                           \
    "  { name = \"" name "\", type = \"" type "\", offset = " offset extra ", doc = \"d\" },\n"

typedef struct weir_malformed_layout {
    const char *name;
    const char *text;
    uint32_t line;
    uint32_t column;
    const char *words;
} weir_malformed_layout;

/** Fails the test unless the first problem stands at the place and begins with the words. */
void weir_expect_malformed(const weir_malformed_layout *malformed);

/** Loads a layout that must be sound. */
weir_layout *weir_load_sound(const char *text);

/** The file's whole text, zero-terminated, from below the project's root; free() it. */
char *weir_read_source(const char *path, size_t *bytes);

#endif
