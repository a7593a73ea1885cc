/**
 * @file
 * Reading the tables of a workload file by description.
 *
 * Purpose: a table of keys (name, kind, place, range) reads one TOML table and complains about what
 * is unknown, missing, of the wrong type or out of range, with its line and column.
 *
 * Threads: one reader per file. Blocking: never.
 */
#ifndef WEIR_HARNESS_WORKLOAD_READER_H
#define WEIR_HARNESS_WORKLOAD_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "layout/toml_document.h"
#include "weir/status.h"

typedef enum weir_key_kind {
    WEIR_KEY_TEXT,     /**< char[limit] at the place */
    WEIR_KEY_COUNT,    /**< uint64_t; an integer */
    WEIR_KEY_DURATION, /**< uint64_t; a string such as "10s" */
    WEIR_KEY_BOOLEAN,  /**< bool */
    WEIR_KEY_WORD,     /**< uint32_t: position in words */
    WEIR_KEY_OTHER     /**< left to the caller */
} weir_key_kind;

typedef struct weir_key {
    const char *name;
    weir_key_kind kind;
    void *target;
    uint64_t minimum;
    uint64_t maximum; /**< for text the size of the buffer */
    const char *const *words;
    bool required;
} weir_key;

typedef struct weir_reader {
    const char *file_name;
    weir_error *error;
} weir_reader;

/** Writes "file:line:column: sentence" and returns WEIR_INVALID. */
weir_status weir_reader_complain(const weir_reader *reader, weir_toml_position at,
                                 const char *format, ...) __attribute__((format(printf, 3, 4)));

/** Reads one table. @p what names it in messages, for example "[[mix]]". */
weir_status weir_reader_read(const weir_reader *reader, const weir_toml_node *table,
                             const char *what, const weir_key *keys, size_t count) WEIR_MUST_CHECK;

/** Reads a number of bytes, an integer or a string such as "64K". */
weir_status weir_reader_size(const weir_reader *reader, const weir_toml_node *node,
                             const char *what, uint64_t minimum, uint64_t maximum,
                             uint32_t *bytes) WEIR_MUST_CHECK;

#endif
