/**
 * @file
 * Reads the test vectors that several implementations share (docs/vectors).
 *
 * Purpose: a line is a word and fields `key=value`; the last line counts the cases, so that a file
 * that lost some of them fails the test instead of testing less.
 *
 * Threads: one test body. Blocking: reads a file. Ownership: texts live until the next line is
 * read; a reader that came to the end has freed everything. Every fault of the file ends the test
 * with the line in front.
 */
#ifndef WEIR_HARNESS_TESTING_WEIR_TEST_VECTORS_H
#define WEIR_HARNESS_TESTING_WEIR_TEST_VECTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEIR_TEST_VECTOR_FIELDS_MAX 24

typedef struct weir_test_vectors {
    const char *path;
    char *text; /**< The whole file. */
    char *next; /**< The line after the current one. */
    unsigned line;
    uint64_t cases; /**< Lines so far, without the last. */
    const char *word;
    struct {
        const char *key;
        const char *value;
    } field[WEIR_TEST_VECTOR_FIELDS_MAX];
    size_t field_count;
} weir_test_vectors;

/** Opens a file by its whole path. */
void weir_test_vectors_open(weir_test_vectors *vectors, const char *path);

/** Goes to the next case; false behind the last one, when the count was right and not 0. */
bool weir_test_vectors_next(weir_test_vectors *vectors);

/** The line that follows, whole and as it stands; NULL at the end. Not counted as a case. */
const char *weir_test_vectors_raw(weir_test_vectors *vectors);

/** The current line's first word is this one. */
bool weir_test_vectors_is(const weir_test_vectors *vectors, const char *word);

/** The value of a field; NULL when the line has none. */
const char *weir_test_vectors_find(const weir_test_vectors *vectors, const char *key);

/** The value of a field that must be there. */
const char *weir_test_vectors_text(const weir_test_vectors *vectors, const char *key);
uint64_t weir_test_vectors_number(const weir_test_vectors *vectors, const char *key);

/** Exactly @p count bytes, written in hexadecimal. */
void weir_test_vectors_bytes(const weir_test_vectors *vectors, const char *key, void *bytes,
                             size_t count);

/** Ends the test with the file, the line and a sentence. */
void weir_test_vectors_fail(const weir_test_vectors *vectors, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

#endif
