/**
 * @file
 * Numbers as people write and read them.
 *
 * Purpose: "10s", "64K" and "1,204,331" in options, workload files, progress lines and reports.
 *
 * Threads: pure functions over the caller's memory. Never blocks.
 *
 * Units: durations are nanoseconds, sizes bytes (K, M and G are powers of 1024).
 */
#ifndef WEIR_HARNESS_UNITS_H
#define WEIR_HARNESS_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Room for any number that the functions below write. */
#define WEIR_UNITS_TEXT_MAX 32

/** "0", "42", "0x2a"; digits only, no sign. Returns false when it is not that or too large. */
bool weir_units_parse_count(const char *text, uint64_t *value);

/** "250us", "10s", "1.5m", "2h", "100ms", "7ns"; a bare "0" too. Returns false when it is not that.
 */
bool weir_units_parse_duration(const char *text, uint64_t *nanoseconds);

/** "64", "64K", "1M", "2G", each also with a final B. Returns false when it is not that. */
bool weir_units_parse_size(const char *text, uint64_t *bytes);

/** "1,204,331". Returns @p text. */
const char *weir_units_count(uint64_t value, char text[WEIR_UNITS_TEXT_MAX]);

/** Three figures and a unit: "1.37 us", "84.0 ms", "10.0 s". Returns @p text. */
const char *weir_units_duration(uint64_t nanoseconds, char text[WEIR_UNITS_TEXT_MAX]);

/** "0 B", "640 B", "64.0 KiB", "1.25 GiB". Returns @p text. */
const char *weir_units_size(uint64_t bytes, char text[WEIR_UNITS_TEXT_MAX]);

/** The shortest duration text that parses to the same value: "10s", "1500ms". Returns @p text. */
const char *weir_units_option_duration(uint64_t nanoseconds, char text[WEIR_UNITS_TEXT_MAX]);

#endif
