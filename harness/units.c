#include "harness/units.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct unit {
    const char *name;
    uint64_t factor;
} unit;

static const unit duration_units[] = {
    {"ns", UINT64_C(1)},
    {"us", UINT64_C(1000)},
    {"ms", UINT64_C(1000000)},
    {"s", UINT64_C(1000000000)},
    {"m", UINT64_C(60000000000)},
    {"min", UINT64_C(60000000000)},
    {"h", UINT64_C(3600000000000)},
};

static const unit size_units[] = {
    {"", 1},
    {"B", 1},
    {"K", UINT64_C(1) << 10},
    {"KB", UINT64_C(1) << 10},
    {"KiB", UINT64_C(1) << 10},
    {"M", UINT64_C(1) << 20},
    {"MB", UINT64_C(1) << 20},
    {"MiB", UINT64_C(1) << 20},
    {"G", UINT64_C(1) << 30},
    {"GB", UINT64_C(1) << 30},
    {"GiB", UINT64_C(1) << 30},
};

bool weir_units_parse_count(const char *text, uint64_t *value)
{
    if (!isdigit((unsigned char)text[0])) {
        return false;
    }
    const bool is_hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    if (is_hex && !isxdigit((unsigned char)text[2])) {
        return false;
    }
    char *end = NULL;
    errno = 0;
    const unsigned long long number = strtoull(text, &end, is_hex ? 16 : 10);
    if (errno != 0 || *end != '\0') {
        return false;
    }
    *value = number;
    return true;
}

/* A decimal number with an optional fraction and a unit of the table. */
static bool parse_with_unit(const char *text, const unit *units, size_t unit_count, uint64_t *value)
{
    uint64_t whole = 0;
    double fraction = 0;
    if (!isdigit((unsigned char)*text)) {
        return false;
    }
    for (; isdigit((unsigned char)*text); text++) {
        if (whole > (UINT64_MAX - 9) / 10) {
            return false;
        }
        whole = whole * 10 + (uint64_t)(*text - '0');
    }
    if (*text == '.') {
        text++;
        if (!isdigit((unsigned char)*text)) {
            return false;
        }
        double place = 0.1;
        for (; isdigit((unsigned char)*text); text++) {
            fraction += place * (*text - '0');
            place /= 10;
        }
    }
    for (size_t i = 0; i < unit_count; i++) {
        if (strcmp(text, units[i].name) == 0) {
            const uint64_t factor = units[i].factor;
            if (whole > UINT64_MAX / 2 / factor) {
                return false;
            }
            *value = whole * factor + (uint64_t)(fraction * (double)factor + 0.5);
            return true;
        }
    }
    return false;
}

bool weir_units_parse_duration(const char *text, uint64_t *nanoseconds)
{
    if (strcmp(text, "0") == 0) {
        *nanoseconds = 0;
        return true;
    }
    return parse_with_unit(text, duration_units, sizeof duration_units / sizeof *duration_units,
                           nanoseconds);
}

bool weir_units_parse_size(const char *text, uint64_t *bytes)
{
    return parse_with_unit(text, size_units, sizeof size_units / sizeof *size_units, bytes);
}

const char *weir_units_count(uint64_t value, char text[WEIR_UNITS_TEXT_MAX])
{
    char plain[24];
    const int digits = snprintf(plain, sizeof plain, "%" PRIu64, value);
    size_t used = 0;
    for (int i = 0; i < digits; i++) {
        if (i > 0 && (digits - i) % 3 == 0) {
            text[used++] = ',';
        }
        text[used++] = plain[i];
    }
    text[used] = '\0';
    return text;
}

/* Three figures: 1.37, 84.0, 640. */
static void write_figures(double value, const char *unit_name, char text[WEIR_UNITS_TEXT_MAX])
{
    const int places = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    snprintf(text, WEIR_UNITS_TEXT_MAX, "%.*f %s", places, value, unit_name);
}

const char *weir_units_duration(uint64_t nanoseconds, char text[WEIR_UNITS_TEXT_MAX])
{
    static const char *const names[] = {"ns", "us", "ms", "s"};
    double value = (double)nanoseconds;
    size_t name = 0;
    while (value >= 999.5 && name < 3) {
        value /= 1000;
        name++;
    }
    if (name == 0) {
        snprintf(text, WEIR_UNITS_TEXT_MAX, "%" PRIu64 " ns", nanoseconds);
    } else {
        write_figures(value, names[name], text);
    }
    return text;
}

const char *weir_units_size(uint64_t bytes, char text[WEIR_UNITS_TEXT_MAX])
{
    static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    size_t name = 0;
    while (value >= 1023.5 && name < 4) {
        value /= 1024;
        name++;
    }
    if (name == 0) {
        snprintf(text, WEIR_UNITS_TEXT_MAX, "%" PRIu64 " B", bytes);
    } else {
        write_figures(value, names[name], text);
    }
    return text;
}

const char *weir_units_option_duration(uint64_t nanoseconds, char text[WEIR_UNITS_TEXT_MAX])
{
    /* From the largest unit down: the first that leaves no rest. */
    for (size_t i = sizeof duration_units / sizeof *duration_units; i-- > 0;) {
        const unit *one = &duration_units[i];
        if (strcmp(one->name, "min") != 0 && nanoseconds != 0 && nanoseconds % one->factor == 0) {
            snprintf(text, WEIR_UNITS_TEXT_MAX, "%" PRIu64 "%s", nanoseconds / one->factor,
                     one->name);
            return text;
        }
    }
    return strcpy(text, "0");
}
