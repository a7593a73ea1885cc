/**
 * @file
 * A growing text, for the canonical form and the generators.
 *
 * Threads: one text belongs to one thread. When memory runs out the text remembers it, further
 * writes do nothing, and weir_layout_text_finish says so: writers need no checks in between.
 */
#ifndef WEIR_LAYOUT_TEXT_H
#define WEIR_LAYOUT_TEXT_H

#include <stdarg.h>

#include "layout/layout.h"

typedef struct weir_layout_text {
    char *bytes;
    size_t used;
    size_t room;
    bool no_memory;
} weir_layout_text;

/** Appends formatted text. */
void weir_layout_text_add(weir_layout_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** Appends @p pattern with each $1 ... $9 replaced by the value with that number. */
void weir_layout_text_fill(weir_layout_text *text, const char *pattern, const char *const values[]);

/** Appends @p doc as full lines of at most 100 columns, each starting with @p lead; nothing for an
 * empty doc. */
void weir_layout_text_wrap(weir_layout_text *text, const char *lead, const char *doc);

/** Hands the zero-terminated text over; release it with free(). @return WEIR_OK or WEIR_NO_MEMORY
 * (nothing is left). */
WEIR_MUST_CHECK weir_status weir_layout_text_finish(weir_layout_text *text, char **bytes,
                                                    size_t *count);

/** @p name with capital letters. @return @p upper. */
char *weir_layout_upper(const char *name, char upper[WEIR_LAYOUT_NAME_MAX + 1]);

/** @p name as CamelCase. @return @p camel. */
char *weir_layout_camel(const char *name, char camel[WEIR_LAYOUT_NAME_MAX + 1]);

#endif
