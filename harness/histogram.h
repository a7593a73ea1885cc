/**
 * @file
 * A histogram of latencies in fixed memory.
 *
 * Purpose: percentiles of any number of durations from nanoseconds to hours with a relative error
 * under 1 % (at most 1/256), without keeping the values.
 *
 * How: values below 256 have a bucket each; above, every power of two is divided into 128 buckets.
 * A percentile is answered with the middle of its bucket, never beyond the exact minimum and
 * maximum, which are kept beside.
 *
 * Threads: one at a time. Blocking: never; recording is a few instructions and allocates nothing.
 *
 * Units: whatever was recorded; here nanoseconds.
 *
 * Source: the idea of log-linear buckets is G. Tene's HdrHistogram (hdrhistogram.org).
 */
#ifndef WEIR_HARNESS_HISTOGRAM_H
#define WEIR_HARNESS_HISTOGRAM_H

#include <stdint.h>

#define WEIR_HISTOGRAM_SUB_BITS 7
/** 256 exact values, then 128 buckets for each power of two from 2^8 to 2^63. */
#define WEIR_HISTOGRAM_BUCKETS ((64 - WEIR_HISTOGRAM_SUB_BITS + 1) << WEIR_HISTOGRAM_SUB_BITS)

/** Starts as `{0}`. */
typedef struct weir_histogram {
    uint64_t count;
    uint64_t sum; /**< wraps after 584 years of nanoseconds */
    uint64_t minimum;
    uint64_t maximum;
    uint64_t bucket[WEIR_HISTOGRAM_BUCKETS];
} weir_histogram;

void weir_histogram_record(weir_histogram *histogram, uint64_t value);

/** Adds all values of @p from to @p into. */
void weir_histogram_merge(weir_histogram *into, const weir_histogram *from);

/**
 * The smallest recorded value, within the error above, that is not exceeded by the share @p percent
 * (0 to 100) of all values: the nearest-rank percentile. 0 when nothing was recorded.
 */
uint64_t weir_histogram_percentile(const weir_histogram *histogram, double percent);

#endif
