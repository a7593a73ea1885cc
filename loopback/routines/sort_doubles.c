#include "loopback/routines/sort_doubles.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define DIGITS 8 /* of eight bits each, the lowest first */

/**
 * The bits of a double as a number that sorts alike: the sign flipped, and negative numbers, whose
 * magnitude runs the other way, inverted as a whole.
 */
static uint64_t sort_key(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return (bits >> 63) != 0 ? ~bits : bits | UINT64_C(1) << 63;
}

static unsigned digit_of(double value, unsigned digit)
{
    return (unsigned)(sort_key(value) >> (8 * digit) & 255);
}

/** Turns the counts of one digit into places; false when all values share the digit and the pass is
 * idle. */
static bool places(size_t counts[256], size_t count)
{
    size_t place = 0;
    for (size_t i = 0; i < 256; i++) {
        const size_t here = counts[i];
        if (here == count) {
            return false;
        }
        counts[i] = place;
        place += here;
    }
    return true;
}

void sort_doubles(double *values, double *spare, size_t count)
{
    size_t counts[DIGITS][256] = {{0}};
    double *from = values, *to = spare;
    for (size_t i = 0; i < count; i++) {
        const uint64_t key = sort_key(values[i]);
        for (unsigned digit = 0; digit < DIGITS; digit++) {
            counts[digit][key >> (8 * digit) & 255]++;
        }
    }
    for (unsigned digit = 0; digit < DIGITS; digit++) {
        if (!places(counts[digit], count)) {
            continue;
        }
        for (size_t i = 0; i < count; i++) {
            to[counts[digit][digit_of(from[i], digit)]++] = from[i];
        }
        double *swap = from;
        from = to;
        to = swap;
    }
    if (from != values && count > 0) {
        memcpy(values, from, count * sizeof(*values));
    }
}
