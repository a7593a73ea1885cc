/**
 * @file
 * Command-line options.
 *
 * Purpose: one table per command says which options exist, what they may be and what they mean; it
 * drives getopt_long, the help text and the error sentences ("--workers: 0 is not …").
 *
 * Threads: the main thread, since getopt_long keeps global state. Blocking: never.
 *
 * Ownership: texts point into argv; tables are the caller's.
 */
#ifndef WEIR_HARNESS_OPTIONS_H
#define WEIR_HARNESS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "weir/status.h"

/** Exit codes of every command. */
enum {
    WEIR_EXIT_HELD = 0,
    WEIR_EXIT_BROKEN = 1,
    WEIR_EXIT_USAGE = 2,
    WEIR_EXIT_ENVIRONMENT = 3,
    WEIR_EXIT_INTERRUPTED = 130
};

typedef enum weir_option_kind {
    WEIR_OPTION_FLAG,     /**< target is bool * */
    WEIR_OPTION_COUNT,    /**< target is uint64_t *, checked against minimum and maximum */
    WEIR_OPTION_DURATION, /**< target is uint64_t *, nanoseconds, checked likewise */
    WEIR_OPTION_SIZE,     /**< target is uint64_t *, bytes, checked likewise */
    WEIR_OPTION_TEXT,     /**< target is const char ** */
    WEIR_OPTION_WORD,     /**< target is const char **; one of words */
    WEIR_OPTION_WORDS     /**< target is const char **; some of words, with commas between */
} weir_option_kind;

/** One option; a table ends where its count says. */
typedef struct weir_option {
    const char *name; /**< without dashes */
    weir_option_kind kind;
    const char *argument; /**< its name in the help, for example "N"; NULL for flags */
    const char *help;
    void *target;
    uint64_t minimum;
    uint64_t maximum;
    const char *const *words; /**< ended by NULL */
    bool *given;              /**< set when the option was there; may be NULL */
} weir_option;

/** A command as its help shows it. */
typedef struct weir_command_help {
    const char *name;     /**< "weir run" */
    const char *purpose;  /**< one sentence */
    const char *synopsis; /**< "[options]" */
    const char *notes;    /**< lines behind the options; may be NULL */
    const char *examples; /**< lines, each beginning with two spaces */
} weir_command_help;

/**
 * Reads the options of argv[1] and following. `--help` is known to every command: it sets @p help.
 * Returns WEIR_OK, or WEIR_INVALID with a sentence that names the option and the nearest valid one,
 * or the value and what it may be.
 */
weir_status weir_options_parse(const weir_option *options, size_t count, int argc, char **argv,
                               bool *help, weir_error *error) WEIR_MUST_CHECK;

/** Prints purpose, synopsis, options and examples. */
void weir_options_print_help(FILE *out, const weir_command_help *help, const weir_option *options,
                             size_t count);

/** The word that takes the fewest changes to get from @p word; NULL when there are no words. */
const char *weir_nearest_word(const char *word, const char *const *words, size_t count);

/** Number of words in a list ended by NULL. */
size_t weir_word_count(const char *const *words);

/** Whether @p word stands in @p list, a text of words with commas between. */
bool weir_words_have(const char *list, const char *word);

#endif
