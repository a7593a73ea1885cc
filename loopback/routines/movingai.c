#include "loopback/routines/movingai.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loopback/routines/bit_rows.h"
#include "loopback/routines/pathfind.h"

#define MAX_FILE_BYTES ((size_t)16 << 20)
#define MAX_LINE_BYTES ((size_t)512)

/** Text that is read line by line. */
typedef struct reader {
    const char *at;
    const char *end;
    size_t line; /**< number of the line last read */
    const char *text;
    size_t length;
} reader;

__attribute__((format(printf, 3, 4))) static bool fail(movingai_error *why, size_t line,
                                                       const char *format, ...)
{
    int used = 0;
    if (line > 0) {
        used = snprintf(why->text, sizeof(why->text), "line %zu: ", line);
    }
    why->line = line;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why->text + used, sizeof(why->text) - (size_t)used, format, arguments);
    va_end(arguments);
    return false;
}

/** The next line without its end; false at the end of the text. */
static bool next_line(reader *reader)
{
    if (reader->at == reader->end) {
        return false;
    }
    const char *newline = memchr(reader->at, '\n', (size_t)(reader->end - reader->at));
    const char *stop = newline != NULL ? newline : reader->end;
    reader->text = reader->at;
    reader->length = (size_t)(stop - reader->at);
    reader->at = newline != NULL ? newline + 1 : reader->end;
    reader->line++;
    if (reader->length > 0 && reader->text[reader->length - 1] == '\r') {
        reader->length--;
    }
    return true;
}

/** A line as a string of bounded length, for sscanf; false when it is too long or holds a zero
 * byte. */
static bool copy_line(const reader *reader, char line[MAX_LINE_BYTES])
{
    if (reader->length >= MAX_LINE_BYTES || memchr(reader->text, '\0', reader->length) != NULL) {
        return false;
    }
    memcpy(line, reader->text, reader->length);
    line[reader->length] = '\0';
    return true;
}

/** A whole number from 0 to `most`, and nothing else up to `stop`. */
static bool parse_number(const char *text, const char *stop, uint32_t most, uint32_t *value)
{
    uint32_t number = 0;
    if (text == stop) {
        return false;
    }
    for (; text < stop; text++) {
        if (*text < '0' || *text > '9' || number > most / 10) {
            return false;
        }
        number = number * 10 + (uint32_t)(*text - '0');
    }
    *value = number;
    return number <= most;
}

static bool header_line(reader *reader, const char *name, uint32_t *value, movingai_error *why)
{
    const size_t length = strlen(name);
    if (!next_line(reader) || reader->length <= length || memcmp(reader->text, name, length) != 0 ||
        !parse_number(reader->text + length, reader->text + reader->length, BIT_ROWS_MAX_SIDE,
                      value) ||
        *value == 0) {
        return fail(why, reader->line, "expected '%s' and a number from 1 to 65535", name);
    }
    return true;
}

static bool map_header(reader *reader, movingai_map *map, movingai_error *why)
{
    if (!next_line(reader) || reader->length != 11 ||
        memcmp(reader->text, "type octile", 11) != 0) {
        return fail(why, reader->line, "expected 'type octile'");
    }
    if (!header_line(reader, "height ", &map->height, why) ||
        !header_line(reader, "width ", &map->width, why)) {
        return false;
    }
    if ((uint64_t)map->width * map->height > PATHFIND_MAX_CELLS) {
        return fail(why, reader->line, "the map has more than 2^22 cells");
    }
    if (!next_line(reader) || reader->length != 3 || memcmp(reader->text, "map", 3) != 0) {
        return fail(why, reader->line, "expected 'map'");
    }
    return true;
}

static bool map_row(const reader *reader, movingai_map *map, uint32_t y, movingai_error *why)
{
    if (reader->length != map->width) {
        return fail(why, reader->line, "the row has %zu cells, the header says %u", reader->length,
                    map->width);
    }
    for (uint32_t x = 0; x < map->width; x++) {
        switch (reader->text[x]) {
        case '.':
        case 'G':
        case 'S':
            bit_rows_set(map->passable, map->width, x, y);
            break;
        case '@':
        case 'O':
        case 'T':
        case 'W':
            break;
        default:
            return fail(why, reader->line, "column %u holds the unknown terrain 0x%02x", x + 1,
                        (unsigned)(unsigned char)reader->text[x]);
        }
    }
    return true;
}

static bool map_rows(reader *reader, movingai_map *map, movingai_error *why)
{
    for (uint32_t y = 0; y < map->height; y++) {
        if (!next_line(reader)) {
            return fail(why, reader->line, "the map ends after %u of %u rows", y, map->height);
        }
        if (!map_row(reader, map, y, why)) {
            return false;
        }
    }
    while (next_line(reader)) {
        if (reader->length > 0) {
            return fail(why, reader->line, "there is text behind the last row");
        }
    }
    return true;
}

bool movingai_parse_map(const char *text, size_t bytes, movingai_map *map, movingai_error *why)
{
    reader reader = {.at = text, .end = text + bytes};
    *map = (movingai_map){0};
    if (!map_header(&reader, map, why)) {
        return false;
    }
    map->passable = calloc(1, bit_rows_bytes(map->width, map->height));
    if (map->passable == NULL) {
        return fail(why, 0, "no memory for the map");
    }
    if (!map_rows(&reader, map, why)) {
        movingai_free_map(map);
        return false;
    }
    return true;
}

/** The fields of a scenario line are parted by tabs; the map's name, the second, may hold spaces.
 */
static bool parse_scenario(const char *line, movingai_scenario *scenario)
{
    uint32_t *const numbers[] = {&scenario->bucket,  NULL,
                                 &scenario->width,   &scenario->height,
                                 &scenario->start_x, &scenario->start_y,
                                 &scenario->goal_x,  &scenario->goal_y};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        const char *tab = strchr(line, '\t');
        if (tab == NULL ||
            (numbers[i] != NULL &&
             !parse_number(line, tab, i == 0 ? UINT32_MAX / 20 : BIT_ROWS_MAX_SIDE, numbers[i]))) {
            return false;
        }
        line = tab + 1;
    }
    char *end = NULL;
    scenario->optimal_length = strtod(line, &end);
    return end != line && *end == '\0' && isfinite(scenario->optimal_length) &&
           scenario->optimal_length >= 0 && scenario->start_x < scenario->width &&
           scenario->goal_x < scenario->width && scenario->start_y < scenario->height &&
           scenario->goal_y < scenario->height;
}

static bool scenario_version(reader *reader, movingai_error *why)
{
    char line[MAX_LINE_BYTES];
    if (!next_line(reader) || !copy_line(reader, line) ||
        (strcmp(line, "version 1") != 0 && strcmp(line, "version 1.0") != 0)) {
        return fail(why, reader->line, "expected 'version 1'");
    }
    return true;
}

bool movingai_parse_scenarios(const char *text, size_t bytes, movingai_scenarios *scenarios,
                              movingai_error *why)
{
    reader reader = {.at = text, .end = text + bytes};
    *scenarios = (movingai_scenarios){0};
    if (!scenario_version(&reader, why)) {
        return false;
    }
    size_t lines = 1;
    for (size_t i = 0; i < bytes; i++) {
        lines += text[i] == '\n';
    }
    scenarios->entries = calloc(lines, sizeof(*scenarios->entries));
    if (scenarios->entries == NULL) {
        return fail(why, 0, "no memory for the scenarios");
    }
    while (next_line(&reader)) {
        char line[MAX_LINE_BYTES];
        if (reader.length == 0) {
            continue;
        }
        if (!copy_line(&reader, line) ||
            !parse_scenario(line, &scenarios->entries[scenarios->count])) {
            movingai_free_scenarios(scenarios);
            return fail(why, reader.line,
                        "not a scenario: bucket, map, width, height, start x, start y, goal x, "
                        "goal y (inside the map), optimal length, parted by tabs");
        }
        scenarios->count++;
    }
    return true;
}

/** The whole file; NULL with `why` filled when it cannot be read. */
static char *read_file(const char *path, size_t *bytes, movingai_error *why)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fail(why, 0, "cannot open %.80s: %s", path, strerror(errno));
        return NULL;
    }
    char *text = malloc(MAX_FILE_BYTES);
    *bytes = text != NULL ? fread(text, 1, MAX_FILE_BYTES, file) : 0;
    const bool whole = text != NULL && !ferror(file) && *bytes < MAX_FILE_BYTES;
    fclose(file);
    if (!whole) {
        fail(why, 0, "cannot read %.80s, or it is larger than 16 MiB", path);
        free(text);
        return NULL;
    }
    return text;
}

bool movingai_load_map(const char *path, movingai_map *map, movingai_error *why)
{
    size_t bytes;
    char *text = read_file(path, &bytes, why);
    const bool loaded = text != NULL && movingai_parse_map(text, bytes, map, why);
    free(text);
    return loaded;
}

bool movingai_load_scenarios(const char *path, movingai_scenarios *scenarios, movingai_error *why)
{
    size_t bytes;
    char *text = read_file(path, &bytes, why);
    const bool loaded = text != NULL && movingai_parse_scenarios(text, bytes, scenarios, why);
    free(text);
    return loaded;
}

void movingai_free_map(movingai_map *map)
{
    free(map->passable);
    *map = (movingai_map){0};
}

void movingai_free_scenarios(movingai_scenarios *scenarios)
{
    free(scenarios->entries);
    *scenarios = (movingai_scenarios){0};
}
