#include "harness/histogram.h"

#include <math.h>
#include <stddef.h>

#define EXACT (UINT64_C(2) << WEIR_HISTOGRAM_SUB_BITS) /* values below it have their own bucket */

static size_t bucket_of(uint64_t value)
{
    if (value < EXACT) {
        return (size_t)value;
    }
    const unsigned exponent = 63 - (unsigned)__builtin_clzll(value);
    const unsigned shift = exponent - WEIR_HISTOGRAM_SUB_BITS;
    return ((size_t)shift << WEIR_HISTOGRAM_SUB_BITS) + (size_t)(value >> shift);
}

static uint64_t middle_of(size_t bucket)
{
    if (bucket < EXACT) {
        return bucket;
    }
    const unsigned shift = (unsigned)(bucket >> WEIR_HISTOGRAM_SUB_BITS) - 1;
    const uint64_t first = (uint64_t)(bucket - ((size_t)shift << WEIR_HISTOGRAM_SUB_BITS)) << shift;
    return first + (UINT64_C(1) << shift) / 2;
}

void weir_histogram_record(weir_histogram *histogram, uint64_t value)
{
    if (histogram->count == 0 || value < histogram->minimum) {
        histogram->minimum = value;
    }
    if (value > histogram->maximum) {
        histogram->maximum = value;
    }
    histogram->count++;
    histogram->sum += value;
    histogram->bucket[bucket_of(value)]++;
}

void weir_histogram_merge(weir_histogram *into, const weir_histogram *from)
{
    if (from->count == 0) {
        return;
    }
    if (into->count == 0 || from->minimum < into->minimum) {
        into->minimum = from->minimum;
    }
    if (from->maximum > into->maximum) {
        into->maximum = from->maximum;
    }
    into->count += from->count;
    into->sum += from->sum;
    for (size_t i = 0; i < WEIR_HISTOGRAM_BUCKETS; i++) {
        into->bucket[i] += from->bucket[i];
    }
}

uint64_t weir_histogram_percentile(const weir_histogram *histogram, double percent)
{
    if (histogram->count == 0) {
        return 0;
    }
    uint64_t rank = (uint64_t)ceil(percent / 100 * (double)histogram->count);
    if (rank <= 1) {
        return histogram->minimum;
    }
    if (rank >= histogram->count) {
        return histogram->maximum;
    }
    uint64_t seen = 0;
    size_t bucket = 0;
    while ((seen += histogram->bucket[bucket]) < rank) {
        bucket++;
    }
    const uint64_t middle = middle_of(bucket);
    if (middle < histogram->minimum) {
        return histogram->minimum;
    }
    return middle > histogram->maximum ? histogram->maximum : middle;
}
