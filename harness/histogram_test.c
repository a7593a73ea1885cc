#include "harness/histogram.h"

#include <math.h>
#include <stdlib.h>

#include "harness/random.h"
#include "harness/testing/weir_test.h"

static weir_histogram histogram;

static int ascending(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a;
    const uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static uint64_t exact_percentile(const uint64_t *sorted, size_t count, double percent)
{
    size_t rank = (size_t)ceil(percent / 100 * (double)count);
    return sorted[rank == 0 ? 0 : rank - 1];
}

/* Records values that spread evenly over @p bits powers of two and compares with sorting them. */
static void compare_with_sorting(unsigned bits, size_t count)
{
    static uint64_t values[20000];
    static const double percents[] = {0, 1, 10, 50, 90, 99, 99.9, 99.99, 100};
    weir_random random = weir_random_of(weir_test_seed(), bits);
    histogram = (weir_histogram){0};
    for (size_t i = 0; i < count; i++) {
        values[i] = weir_random_next(&random) >> (63 - weir_random_below(&random, bits));
        weir_histogram_record(&histogram, values[i]);
    }
    qsort(values, count, sizeof *values, ascending);
    for (size_t i = 0; i < sizeof percents / sizeof *percents; i++) {
        const double exact = (double)exact_percentile(values, count, percents[i]);
        const double told = (double)weir_histogram_percentile(&histogram, percents[i]);
        WEIR_EXPECT_LE(fabs(told - exact), exact * 0.01);
    }
}

WEIR_TEST(histogram, percentiles_are_within_one_percent_of_sorting)
{
    for (unsigned bits = 1; bits <= 64; bits++) {
        compare_with_sorting(bits, 2000);
    }
    compare_with_sorting(34, 20000);
}

WEIR_TEST(histogram, small_values_are_exact)
{
    histogram = (weir_histogram){0};
    for (uint64_t value = 0; value < 256; value++) {
        weir_histogram_record(&histogram, value);
    }
    WEIR_EXPECT_EQ(weir_histogram_percentile(&histogram, 50), 127);
    WEIR_EXPECT_EQ(weir_histogram_percentile(&histogram, 99), 253);
    WEIR_EXPECT_EQ(weir_histogram_percentile(&histogram, 0), 0);
    WEIR_EXPECT_EQ(weir_histogram_percentile(&histogram, 100), 255);
    WEIR_EXPECT_EQ(histogram.sum, 255 * 256 / 2);
}

WEIR_TEST(histogram, takes_the_largest_value_there_is)
{
    histogram = (weir_histogram){0};
    weir_histogram_record(&histogram, UINT64_MAX);
    weir_histogram_record(&histogram, UINT64_MAX - 1);
    weir_histogram_record(&histogram, 1);
    WEIR_EXPECT_EQ(histogram.maximum, UINT64_MAX);
    WEIR_EXPECT_GE(weir_histogram_percentile(&histogram, 50), UINT64_MAX / 256 * 255);
    WEIR_EXPECT_EQ(weir_histogram_percentile(&histogram, 1), 1);
}

WEIR_TEST(histogram, an_empty_one_answers_zero)
{
    histogram = (weir_histogram){0};
    WEIR_EXPECT_EQ(weir_histogram_percentile(&histogram, 99), 0);
}

WEIR_TEST(histogram, merging_is_like_recording_into_one)
{
    static weir_histogram parts[2];
    static weir_histogram whole;
    weir_random random = weir_random_of(weir_test_seed(), 7);
    parts[0] = parts[1] = whole = (weir_histogram){0};
    for (unsigned i = 0; i < 5000; i++) {
        const uint64_t value = weir_random_next(&random) >> weir_random_below(&random, 50);
        weir_histogram_record(&parts[i % 3 == 0], value);
        weir_histogram_record(&whole, value);
    }
    weir_histogram_merge(&parts[0], &parts[1]);
    WEIR_EXPECT_MEM_EQ(&parts[0], &whole, sizeof whole);
    weir_histogram_merge(&whole, &(weir_histogram){0});
    WEIR_EXPECT_MEM_EQ(&parts[0], &whole, sizeof whole);
}
