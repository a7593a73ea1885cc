/**
 * @file
 * TOML text as a tree of plain C structs.
 *
 * Purpose: the layout loader and the readers of workload and chaos-plan files see TOML through this
 * header alone; toml_document.cpp, which turns toml++'s tree into this one, is the only C++ file of
 * the project. Every node knows the line and column that it came from, so that readers can point at
 * what is wrong.
 *
 * Threads: a document never changes after it was parsed; any number of threads may read it.
 *
 * Accepted text: TOML 1.0 without multi-line strings, at most WEIR_TOML_BYTES_MAX bytes of
 * printable ASCII, tab and newline (LF or CR LF), at most WEIR_TOML_DEPTH_MAX open brackets and
 * WEIR_TOML_DEPTH_MAX parts in a dotted key. These limits are checked before toml++ sees the text,
 * because it aborts on some control characters and overflows the stack on deep dotted headers
 * (found by fuzzing 3.3.0).
 *
 * Ownership: weir_toml_free releases the document with everything that was reached through it.
 */
#ifndef WEIR_LAYOUT_TOML_DOCUMENT_H
#define WEIR_LAYOUT_TOML_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_TOML_BYTES_MAX ((size_t)256 * 1024) /**< Longest text. */
#define WEIR_TOML_DEPTH_MAX 16                   /**< Deepest nesting and longest dotted key. */

/** What a node is. Dates and times are recognised as such but have no value here. */
typedef enum weir_toml_type {
    WEIR_TOML_STRING,
    WEIR_TOML_INTEGER,
    WEIR_TOML_FLOAT,
    WEIR_TOML_BOOLEAN,
    WEIR_TOML_ARRAY,
    WEIR_TOML_TABLE,
    WEIR_TOML_DATE
} weir_toml_type;

typedef struct weir_toml weir_toml;
typedef struct weir_toml_node weir_toml_node;

/** Lines and columns count from 1; a column is a byte, because the text is ASCII. */
typedef struct weir_toml_position {
    uint32_t line;
    uint32_t column;
} weir_toml_position;

/** One value. Members of a table also carry their key; `type` says which member of `as` holds. */
struct weir_toml_node {
    weir_toml_type type;
    weir_toml_position at;     /**< where the value begins; for a [header] table, its header */
    const char *key;           /**< zero-terminated; NULL when not a member of a table */
    weir_toml_position key_at; /**< where the key begins */
    union {
        struct {
            const char *text; /**< zero-terminated; may hold zeros in between */
            size_t bytes;     /**< without the final zero */
        } string;
        int64_t integer;
        double number;
        bool boolean;
        struct {
            const weir_toml_node
                *first; /**< members of an array, or of a table in the order of the text */
            size_t count;
        } children;
    } as;
};

/**
 * Parses @p text of @p bytes bytes (no final zero needed). @p file_name is only for messages. Never
 * blocks.
 *
 * @return WEIR_OK; WEIR_INVALID with "file:line:column: what is wrong; what to do" in @p error;
 * WEIR_NO_MEMORY.
 */
WEIR_MUST_CHECK weir_status weir_toml_parse(const char *text, size_t bytes, const char *file_name,
                                            weir_toml **document, weir_error *error);

/** Releases a document; NULL is allowed. */
void weir_toml_free(weir_toml *document);

/** The table that holds everything. */
const weir_toml_node *weir_toml_root(const weir_toml *document);

/** The member of @p table with that key, or NULL. */
const weir_toml_node *weir_toml_get(const weir_toml_node *table, const char *key);

/** "a string", "an integer", ...: for messages. */
const char *weir_toml_type_name(weir_toml_type type);

/**
 * The limits above, applied to @p text; weir_toml_parse calls it first.
 *
 * @return WEIR_OK, or WEIR_INVALID with the place and the reason in @p error.
 */
WEIR_MUST_CHECK weir_status weir_toml_guard(const char *text, size_t bytes, const char *file_name,
                                            weir_error *error);

#ifdef __cplusplus
}
#endif

#endif
