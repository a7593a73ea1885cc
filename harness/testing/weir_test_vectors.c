#include "harness/testing/weir_test_vectors.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/testing/weir_test.h"

#define FILE_BYTES_MAX ((size_t)1 << 20)

void weir_test_vectors_fail(const weir_test_vectors *vectors, const char *format, ...)
{
    char text[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    weir_test_fail(vectors->path, (int)vectors->line, "%s", text);
    abort(); /* weir_test_fail does not return. */
}

void weir_test_vectors_open(weir_test_vectors *vectors, const char *path)
{
    *vectors = (weir_test_vectors){.path = path};
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        weir_test_vectors_fail(vectors, "cannot be opened: %s", strerror(errno));
    }
    vectors->text = malloc(FILE_BYTES_MAX + 1);
    WEIR_EXPECT_NOT_NULL(vectors->text);
    const size_t bytes = fread(vectors->text, 1, FILE_BYTES_MAX + 1, file);
    fclose(file);
    if (bytes > FILE_BYTES_MAX) {
        weir_test_vectors_fail(vectors, "is longer than %zu bytes", FILE_BYTES_MAX);
    }
    vectors->text[bytes] = '\0';
    vectors->next = vectors->text;
}

static char *take_line(weir_test_vectors *vectors)
{
    char *line = vectors->next;
    if (*line == '\0') {
        return NULL;
    }
    char *end = strchr(line, '\n');
    vectors->next = end != NULL ? end + 1 : line + strlen(line);
    if (end != NULL) {
        *end = '\0';
    }
    vectors->line++;
    return line;
}

const char *weir_test_vectors_raw(weir_test_vectors *vectors)
{
    return take_line(vectors);
}

/* `first=` is a sentence and takes the rest of its line. */
static void split(weir_test_vectors *vectors, char *line)
{
    vectors->field_count = 0;
    vectors->word = line;
    for (char *at = strchr(line, ' '); at != NULL;) {
        *at++ = '\0';
        char *value = strchr(at, '=');
        if (value == NULL || vectors->field_count == WEIR_TEST_VECTOR_FIELDS_MAX) {
            weir_test_vectors_fail(vectors, "has no fields `key=value`, or too many, at %s", at);
        }
        *value++ = '\0';
        vectors->field[vectors->field_count].key = at;
        vectors->field[vectors->field_count++].value = value;
        at = strcmp(at, "first") == 0 ? NULL : strchr(value, ' ');
    }
}

static bool finish(weir_test_vectors *vectors)
{
    const uint64_t counted = weir_test_vectors_number(vectors, "cases");
    if (vectors->cases == 0 || counted != vectors->cases) {
        weir_test_vectors_fail(vectors, "%llu cases were read, the last line says %llu",
                               (unsigned long long)vectors->cases, (unsigned long long)counted);
    }
    free(vectors->text);
    vectors->text = vectors->next = NULL;
    return false;
}

bool weir_test_vectors_next(weir_test_vectors *vectors)
{
    for (char *line = take_line(vectors); line != NULL; line = take_line(vectors)) {
        if (*line == '#' || *line == '\0') {
            continue;
        }
        split(vectors, line);
        if (weir_test_vectors_is(vectors, "end")) {
            return finish(vectors);
        }
        vectors->cases++;
        return true;
    }
    weir_test_vectors_fail(vectors, "ends without a line `end cases=N`");
}

bool weir_test_vectors_is(const weir_test_vectors *vectors, const char *word)
{
    return strcmp(vectors->word, word) == 0;
}

const char *weir_test_vectors_find(const weir_test_vectors *vectors, const char *key)
{
    for (size_t i = 0; i < vectors->field_count; i++) {
        if (strcmp(vectors->field[i].key, key) == 0) {
            return vectors->field[i].value;
        }
    }
    return NULL;
}

const char *weir_test_vectors_text(const weir_test_vectors *vectors, const char *key)
{
    const char *value = weir_test_vectors_find(vectors, key);
    if (value == NULL) {
        weir_test_vectors_fail(vectors, "has no field %s", key);
    }
    return value;
}

uint64_t weir_test_vectors_number(const weir_test_vectors *vectors, const char *key)
{
    const char *value = weir_test_vectors_text(vectors, key);
    char *end = NULL;
    errno = 0;
    const unsigned long long number = strtoull(value, &end, 10);
    if (*value < '0' || *value > '9' || *end != '\0' || errno != 0) {
        weir_test_vectors_fail(vectors, "%s=%s is no number of 64 bits", key, value);
    }
    return number;
}

static int nibble(char digit)
{
    const char *digits = "0123456789abcdef";
    const char *at = digit != '\0' ? strchr(digits, digit) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

void weir_test_vectors_bytes(const weir_test_vectors *vectors, const char *key, void *bytes,
                             size_t count)
{
    const char *value = weir_test_vectors_text(vectors, key);
    if (strlen(value) != 2 * count) {
        weir_test_vectors_fail(vectors, "%s is not %zu bytes in hexadecimal", key, count);
    }
    for (size_t i = 0; i < count; i++) {
        const int high = nibble(value[2 * i]);
        const int low = nibble(value[2 * i + 1]);
        if (high < 0 || low < 0) {
            weir_test_vectors_fail(vectors, "%s is not hexadecimal", key);
        }
        ((uint8_t *)bytes)[i] = (uint8_t)(high << 4 | low);
    }
}
