/**
 * @file
 * What the loader's files share: collecting problems, strict reading of keys, names and docs.
 *
 * Threads: one loader belongs to one call of weir_layout_load.
 * Problems never stop the loading: each reader reports what it finds and goes on with a harmless
 * value, so that one run shows all faults. When memory runs out, `no_memory` is set and readers
 * return early.
 */
#ifndef WEIR_LAYOUT_LOADER_H
#define WEIR_LAYOUT_LOADER_H

#include "layout/layout.h"

enum {
    WEIR_LOADER_DEFINITIONS_MAX = 1024, /**< constants, enums, structs: each at most this many */
    WEIR_LOADER_VALUES_MAX = 1024,      /**< values of one enum */
    WEIR_LOADER_FIELDS_MAX = 256        /**< fields of one struct */
};

typedef struct weir_loader {
    weir_layout *layout;
    weir_layout_problems *problems;
    bool no_memory;
} weir_loader;

/** A key that a table may have. */
typedef struct weir_loader_key {
    const char *name;
    weir_toml_type type;
    bool required;
} weir_loader_key;

/** Notes one problem; the text says what is wrong and what to do. */
void weir_loader_problem(weir_loader *loader, weir_toml_position at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/** Reports keys that are unknown, missing or of the wrong type. @p what names the table in
 * messages. */
bool weir_loader_keys(weir_loader *loader, const weir_toml_node *table, const char *what,
                      const weir_loader_key *keys, size_t count);

/** The member with that key if it has that type, else NULL without a word (weir_loader_keys reports
 * it). */
const weir_toml_node *weir_loader_member(const weir_toml_node *table, const char *key,
                                         weir_toml_type type);

/** Array @p key of @p table whose elements are all tables, at most @p max; count 0 otherwise. */
const weir_toml_node *weir_loader_tables(weir_loader *loader, const weir_toml_node *table,
                                         const char *key, size_t max, size_t *count);

/** An integer between @p min and @p max; reports one outside and returns @p min. */
uint64_t weir_loader_number(weir_loader *loader, const weir_toml_node *table, const char *key,
                            uint64_t min, uint64_t max);

/** A copy of the text in the layout's pool; "" when absent or without memory. */
const char *weir_loader_text(weir_loader *loader, const weir_toml_node *table, const char *key);

/** `name` as an identifier: upper case for constants, else lower case. Reports what is no
 * identifier. */
const char *weir_loader_name(weir_loader *loader, const weir_toml_node *table, bool upper);

/** `doc`, checked to be fit for a comment in every generated language. */
const char *weir_loader_doc(weir_loader *loader, const weir_toml_node *table, const char *what);

/** `writer`, or WEIR_WRITER_NONE when absent. */
weir_layout_writer weir_loader_writer(weir_loader *loader, const weir_toml_node *table);

/** Zeroed memory from the layout's pool; sets no_memory and returns NULL without it. */
void *weir_loader_take(weir_loader *loader, size_t count, size_t bytes);

/** True when @p text is one of the scalar names; stores the kind. */
bool weir_loader_scalar(const char *text, size_t length, weir_layout_kind *kind);

/** Largest value of an unsigned kind; 0 for the others. */
uint64_t weir_loader_unsigned_max(weir_layout_kind kind);

/** [a-z][a-z0-9_]* or [A-Z][A-Z0-9_]*, at most WEIR_LAYOUT_NAME_MAX bytes. */
bool weir_loader_is_identifier(const char *text, size_t length, bool upper);

/** The language that reserves the word ("C", "C++", "Elixir", "Rust", "Zig"), or NULL. */
const char *weir_loader_reserved_by(const char *word);

/** The parts of the loader, in the order in which they run. */
void weir_loader_read_constants(weir_loader *loader, const weir_toml_node *root);
void weir_loader_read_enums(weir_loader *loader, const weir_toml_node *root);
void weir_loader_read_structs(weir_loader *loader, const weir_toml_node *root);
void weir_loader_check_lines(weir_loader *loader);
void weir_loader_check_regions(weir_loader *loader);
void weir_loader_check_generated_names(weir_loader *loader);

#endif
