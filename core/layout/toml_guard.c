/* The limits that keep toml++ on ground where it was fuzzed without findings, and the small
 * accessors. */
#include <string.h>

#include "layout/toml_document.h"

typedef struct scan {
    const char *text;
    size_t bytes;
    size_t next;
    size_t line_start;
    uint32_t line;
    int brackets;
    char opened[WEIR_TOML_DEPTH_MAX]; /* the open ones */
    int dots;                         /* since the last character that ends a key */
    const char *file_name;
    weir_error *error;
} scan;

static weir_status refuse(const scan *at, size_t offset, const char *what)
{
    weir_error_set(at->error, "%.160s:%u:%zu: %s", at->file_name, at->line,
                   offset - at->line_start + 1, what);
    return WEIR_INVALID;
}

static char peek(const scan *at, size_t ahead)
{
    return at->next + ahead < at->bytes ? at->text[at->next + ahead] : '\0';
}

static weir_status check_byte(const scan *at)
{
    unsigned char byte = (unsigned char)at->text[at->next];
    if (byte == '\t' || byte == '\n' || (byte >= 0x20 && byte < 0x7f))
        return WEIR_OK;
    if (byte == '\r' && peek(at, 1) == '\n')
        return WEIR_OK;
    char what[120];
    size_t used = 0;
    static const char digits[] = "0123456789abcdef";
    for (const char *part = "byte 0x"; *part != '\0'; part++)
        what[used++] = *part;
    what[used++] = digits[byte >> 4];
    what[used++] = digits[byte & 15];
    strcpy(what + used, " is not printable ASCII; remove it, or write \\u escapes in a string");
    return refuse(at, at->next, what);
}

/* Checks the byte at `next` and steps over it. */
static weir_status step(scan *at)
{
    weir_status status = check_byte(at);
    if (status != WEIR_OK)
        return status;
    if (at->text[at->next++] == '\n') {
        at->line++;
        at->line_start = at->next;
    }
    return WEIR_OK;
}

/* A string ends with its line at the latest: toml++ then reports what is missing. */
static weir_status skip_string(scan *at)
{
    size_t start = at->next;
    char quote = at->text[at->next];
    if (peek(at, 1) == quote && peek(at, 2) == quote)
        return refuse(at, start, "multi-line strings are not accepted; write the text on one line");
    at->next++;
    while (at->next < at->bytes && at->text[at->next] != '\n') {
        char here = at->text[at->next];
        weir_status status = step(at);
        if (status != WEIR_OK)
            return status;
        if (here == quote)
            return WEIR_OK;
        /* The escaped byte cannot end the string; it still has to be an accepted one. */
        if (here == '\\' && quote == '"' && at->next < at->bytes && at->text[at->next] != '\n')
            status = step(at);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

static weir_status skip_comment(scan *at)
{
    while (at->next < at->bytes && at->text[at->next] != '\n') {
        weir_status status = step(at);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

static bool only_blanks_before(const scan *at)
{
    for (size_t i = at->line_start; i < at->next; i++) {
        if (at->text[i] != ' ' && at->text[i] != '\t')
            return false;
    }
    return true;
}

/* toml++ asserts that a key follows the brackets of a header. */
static weir_status check_header(const scan *at)
{
    size_t ahead = peek(at, 1) == '[' ? 2 : 1;
    while (peek(at, ahead) == ' ' || peek(at, ahead) == '\t')
        ahead++;
    char first = peek(at, ahead);
    bool letter = (first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z');
    bool digit = first >= '0' && first <= '9';
    if (letter || digit || (first != '\0' && strchr("_-\"']", first) != NULL))
        return WEIR_OK;
    if ((unsigned char)first < 0x20 || (unsigned char)first > 0x7e) {
        scan there = *at;
        there.next += ahead;
        if (there.next < there.bytes && check_byte(&there) != WEIR_OK)
            return WEIR_INVALID;
    }
    return refuse(at, at->next + ahead, "a table's name must follow the bracket; write [name]");
}

static weir_status scan_structure(scan *at)
{
    char here = at->text[at->next];
    if (here == '[' && at->brackets == 0 && only_blanks_before(at)) {
        weir_status status = check_header(at);
        if (status != WEIR_OK)
            return status;
    }
    if (here == '[' || here == '{') {
        if (at->brackets == WEIR_TOML_DEPTH_MAX)
            return refuse(at, at->next, "more than 16 brackets are open; nest less deeply");
        at->opened[at->brackets++] = here;
    } else if ((here == ']' || here == '}') && at->brackets > 0) {
        /* toml++ asserts that a value does not begin with the wrong one. */
        if (at->opened[--at->brackets] != (here == ']' ? '[' : '{'))
            return refuse(at, at->next,
                          "this bracket closes another kind; close the inner one first");
    }
    if (here == '.') {
        if (++at->dots >= WEIR_TOML_DEPTH_MAX)
            return refuse(at, at->next, "a dotted key has more than 16 parts; shorten it");
    } else if (strchr("[]{}=,\n", here) != NULL) {
        at->dots = 0;
    }
    return step(at);
}

weir_status weir_toml_guard(const char *text, size_t bytes, const char *file_name,
                            weir_error *error)
{
    scan at = {.text = text, .bytes = bytes, .line = 1, .file_name = file_name, .error = error};
    if (bytes > WEIR_TOML_BYTES_MAX)
        return refuse(&at, 0, "the file is longer than 262144 bytes; split or shorten it");
    while (at.next < bytes) {
        weir_status status;
        char here = text[at.next];
        if (here == '"' || here == '\'')
            status = skip_string(&at);
        else if (here == '#')
            status = skip_comment(&at);
        else
            status = check_byte(&at) != WEIR_OK ? WEIR_INVALID : scan_structure(&at);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

const weir_toml_node *weir_toml_get(const weir_toml_node *table, const char *key)
{
    if (table->type != WEIR_TOML_TABLE)
        return NULL;
    for (size_t i = 0; i < table->as.children.count; i++) {
        if (strcmp(table->as.children.first[i].key, key) == 0)
            return &table->as.children.first[i];
    }
    return NULL;
}

const char *weir_toml_type_name(weir_toml_type type)
{
    switch (type) {
    case WEIR_TOML_STRING:
        return "a string";
    case WEIR_TOML_INTEGER:
        return "an integer";
    case WEIR_TOML_FLOAT:
        return "a float";
    case WEIR_TOML_BOOLEAN:
        return "true or false";
    case WEIR_TOML_ARRAY:
        return "an array";
    case WEIR_TOML_TABLE:
        return "a table";
    case WEIR_TOML_DATE:
        return "a date or time";
    }
    return "nothing";
}
