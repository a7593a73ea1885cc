#include "harness/options.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "harness/units.h"

enum { OPTIONS_MAX = 48, WORD_MAX = 64 };

/* Edits between two words (Wagner and Fischer 1974), one row of the table at a time. */
static size_t edits_between(const char *a, const char *b)
{
    size_t row[WORD_MAX + 1];
    const size_t width = strnlen(b, WORD_MAX);
    for (size_t j = 0; j <= width; j++) {
        row[j] = j;
    }
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= width; j++) {
            const size_t above = row[j];
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            best = above + 1 < best ? above + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            diagonal = above;
            row[j] = best;
        }
    }
    return row[width];
}

const char *weir_nearest_word(const char *word, const char *const *words, size_t count)
{
    const char *nearest = NULL;
    size_t fewest = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        const size_t edits = edits_between(word, words[i]);
        if (edits < fewest) {
            fewest = edits;
            nearest = words[i];
        }
    }
    return nearest;
}

size_t weir_word_count(const char *const *words)
{
    size_t count = 0;
    while (words[count] != NULL) {
        count++;
    }
    return count;
}

bool weir_words_have(const char *list, const char *word)
{
    const size_t length = strlen(word);
    for (const char *at = list; *at != '\0';) {
        const size_t part = strcspn(at, ",");
        if (part == length && strncmp(at, word, length) == 0) {
            return true;
        }
        at += part + (at[part] == ',');
    }
    return false;
}

static bool is_one_of(const char *word, size_t length, const char *const *words)
{
    for (size_t i = 0; words[i] != NULL; i++) {
        if (strlen(words[i]) == length && strncmp(words[i], word, length) == 0) {
            return true;
        }
    }
    return false;
}

static weir_status complain_about_word(const weir_option *option, const char *word, size_t length,
                                       weir_error *error)
{
    char list[256] = "";
    char copy[WORD_MAX];
    for (size_t i = 0; option->words[i] != NULL; i++) {
        const size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", i > 0 ? ", " : "", option->words[i]);
    }
    snprintf(copy, sizeof copy, "%.*s", (int)length, word);
    weir_error_set(error, "--%s: \"%s\" is not one of %s; did you mean \"%s\"?", option->name, copy,
                   list, weir_nearest_word(copy, option->words, weir_word_count(option->words)));
    return WEIR_INVALID;
}

static weir_status take_words(const weir_option *option, const char *text, weir_error *error)
{
    const char *at = text;
    do {
        const size_t length = option->kind == WEIR_OPTION_WORDS ? strcspn(at, ",") : strlen(at);
        if (!is_one_of(at, length, option->words)) {
            return complain_about_word(option, at, length, error);
        }
        at += length;
    } while (*at++ == ',');
    *(const char **)option->target = text;
    return WEIR_OK;
}

/* What a number may be, as the error tells it. */
static void describe_range(const weir_option *option, char *text, size_t bytes)
{
    char lowest[WEIR_UNITS_TEXT_MAX];
    char highest[WEIR_UNITS_TEXT_MAX];
    switch (option->kind) {
    case WEIR_OPTION_DURATION:
        snprintf(text, bytes, "a duration from %s to %s, such as 10s, 100ms or 2m",
                 weir_units_option_duration(option->minimum, lowest),
                 weir_units_option_duration(option->maximum, highest));
        break;
    case WEIR_OPTION_SIZE:
        snprintf(text, bytes, "a size from %s to %s, such as 512, 64K or 1M",
                 weir_units_size(option->minimum, lowest),
                 weir_units_size(option->maximum, highest));
        break;
    default:
        if (option->maximum == UINT64_MAX) {
            snprintf(text, bytes, "a whole number from %" PRIu64 " up", option->minimum);
        } else {
            snprintf(text, bytes, "a whole number from %" PRIu64 " to %" PRIu64, option->minimum,
                     option->maximum);
        }
        break;
    }
}

static weir_status take_number(const weir_option *option, const char *text, weir_error *error)
{
    uint64_t value = 0;
    const bool is_number = option->kind == WEIR_OPTION_COUNT ? weir_units_parse_count(text, &value)
                           : option->kind == WEIR_OPTION_DURATION
                               ? weir_units_parse_duration(text, &value)
                               : weir_units_parse_size(text, &value);
    if (!is_number || value < option->minimum || value > option->maximum) {
        char range[160];
        describe_range(option, range, sizeof range);
        weir_error_set(error, "--%s: \"%s\" is not %s", option->name, text, range);
        return WEIR_INVALID;
    }
    *(uint64_t *)option->target = value;
    return WEIR_OK;
}

static weir_status take(const weir_option *option, const char *text, weir_error *error)
{
    if (option->given != NULL) {
        *option->given = true;
    }
    switch (option->kind) {
    case WEIR_OPTION_FLAG:
        *(bool *)option->target = true;
        return WEIR_OK;
    case WEIR_OPTION_TEXT:
        *(const char **)option->target = text;
        return WEIR_OK;
    case WEIR_OPTION_WORD:
    case WEIR_OPTION_WORDS:
        return take_words(option, text, error);
    default:
        return take_number(option, text, error);
    }
}

static weir_status complain(const weir_option *options, size_t count, const char *word, int kind,
                            const char *command, weir_error *error)
{
    const char *names[OPTIONS_MAX + 1];
    char copy[WORD_MAX];
    if (kind == ':') {
        weir_error_set(error, "%s needs a value; see `weir %s --help`", word, command);
        return WEIR_INVALID;
    }
    if (strncmp(word, "--", 2) != 0) {
        weir_error_set(error,
                       "there is no option %s; options begin with two dashes, see `weir %s "
                       "--help`",
                       word, command);
        return WEIR_INVALID;
    }
    const size_t length = strcspn(word + 2, "=");
    snprintf(copy, sizeof copy, "%.*s", (int)length, word + 2);
    for (size_t i = 0; i < count; i++) {
        names[i] = options[i].name;
        if (strcmp(copy, names[i]) == 0) {
            weir_error_set(error, "--%s takes no value", copy);
            return WEIR_INVALID;
        }
    }
    names[count] = "help";
    weir_error_set(error, "there is no option --%s; did you mean --%s?", copy,
                   weir_nearest_word(copy, names, count + 1));
    return WEIR_INVALID;
}

weir_status weir_options_parse(const weir_option *options, size_t count, int argc, char **argv,
                               bool *help, weir_error *error)
{
    struct option table[OPTIONS_MAX + 2] = {{0}};
    for (size_t i = 0; i < count && i < OPTIONS_MAX; i++) {
        table[i] = (struct option){
            .name = options[i].name,
            .has_arg = options[i].kind == WEIR_OPTION_FLAG ? no_argument : required_argument,
            .val = 256 + (int)i};
    }
    table[count] = (struct option){.name = "help", .has_arg = no_argument, .val = 'h'};
    optind = 0; /* glibc: start over, also its own state */
    opterr = 0;
    for (;;) {
        const int at = optind > 0 ? optind : 1;
        const int found = getopt_long(argc, argv, "+:h", table, NULL);
        if (found == -1) {
            break;
        }
        if (found == 'h') {
            *help = true;
            return WEIR_OK;
        }
        if (found == '?' || found == ':') {
            return complain(options, count, argv[at], found, argv[0], error);
        }
        const weir_status status = take(&options[found - 256], optarg, error);
        if (status != WEIR_OK) {
            return status;
        }
    }
    if (optind < argc) {
        weir_error_set(error,
                       "\"%s\" is one word too many; `weir %s --help` shows what may stand "
                       "there",
                       argv[optind], argv[0]);
        return WEIR_INVALID;
    }
    return WEIR_OK;
}

/* Prints text behind a column of 28, broken between words at 100. */
static void print_wrapped(FILE *out, const char *text)
{
    size_t column = 28;
    while (*text != '\0') {
        const size_t word = strcspn(text, " ");
        if (column > 28 && column + 1 + word > 100) {
            fprintf(out, "\n%28s", "");
            column = 28;
        }
        fprintf(out, "%s%.*s", column > 28 ? " " : "", (int)word, text);
        column += word + (column > 28);
        text += word + (text[word] == ' ');
    }
    fputc('\n', out);
}

void weir_options_print_help(FILE *out, const weir_command_help *help, const weir_option *options,
                             size_t count)
{
    char left[64];
    fprintf(out, "%s\n\nUsage: %s %s\n\nOptions:\n", help->purpose, help->name, help->synopsis);
    for (size_t i = 0; i < count; i++) {
        snprintf(left, sizeof left, "--%s %s", options[i].name,
                 options[i].argument != NULL ? options[i].argument : "");
        fprintf(out, "  %-25s ", left);
        print_wrapped(out, options[i].help);
    }
    fprintf(out, "  %-25s ", "--help");
    print_wrapped(out, "show this text");
    if (help->notes != NULL) {
        fprintf(out, "\n%s", help->notes);
    }
    fprintf(out, "\nExamples:\n%s", help->examples);
}
