/*
 * NIST's reference data for univariate statistics (StRD), with certified values. The number of
 * right digits is NIST's measure, the negative logarithm of the relative error. The decimals of the
 * data become doubles first, which is why even exact arithmetic reaches no more digits than are
 * asked for here. That exact arithmetic was done with rational numbers in Python; its results,
 * rounded once, must come out bit by bit.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "harness/testing/weir_test.h"
#include "layout/generated/weir_layout.h"
#include "loopback/routines/testing/request_buffer.h"

#define DATA WEIR_SOURCE_DIR "/loopback/data/nist/"

typedef struct certified {
    const char *path;
    size_t count;
    double mean;
    double deviation;
    double correlation;
    double deviation_digits; /**< at least */
    double correlation_digits;
    double exact_deviation; /**< exact arithmetic over the doubles */
    double exact_correlation;
} certified;

static double digits(double value, double certified)
{
    return value == certified ? 16 : -log10(fabs(value - certified) / fabs(certified));
}

/** The numbers of a data file; lines that begin with '#' are comments. */
static size_t read_values(const char *path, double *values, size_t most)
{
    char line[128];
    size_t count = 0;
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        weir_test_fail(__FILE__, __LINE__, "cannot open %s", path);
    }
    while (fgets(line, sizeof(line), file) != NULL) {
        char *end = line;
        const double value = strtod(line, &end);
        if (line[0] != '#' && end != line) {
            WEIR_EXPECT_LT(count, most);
            values[count++] = value;
        }
    }
    fclose(file);
    return count;
}

static void expect_certified(const certified *data)
{
    double values[1100];
    routine_memory memory = {0};
    const size_t count = read_values(data->path, values, 1100);
    WEIR_EXPECT_EQ(count, data->count);
    request_buffer buffer = analytics_buffer(values, count, NULL, 0);
    run_and_verify(&buffer, &memory);
    const struct weir_analytics_reply *reply = buffer.reply;
    WEIR_EXPECT_EQ(reply->mean, data->mean);
    WEIR_EXPECT_GE(digits(reply->standard_deviation, data->deviation), data->deviation_digits);
    WEIR_EXPECT_GE(digits(reply->lag1_autocorrelation, data->correlation),
                   data->correlation_digits);
    WEIR_EXPECT_EQ(reply->standard_deviation, data->exact_deviation);
    WEIR_EXPECT_EQ(reply->lag1_autocorrelation, data->exact_correlation);
    free_buffer(&buffer);
    routine_memory_free(&memory);
}

WEIR_TEST(analytics_nist, reproduces_numacc1)
{
    expect_certified(&(certified){DATA "NumAcc1.txt", 3, 10000002, 1, -0.5, 14, 10, 1, -0.5});
}

WEIR_TEST(analytics_nist, reproduces_numacc2)
{
    expect_certified(&(certified){DATA "NumAcc2.txt", 1001, 1.2, 0.1, -0.999, 14, 10,
                                  0x1.9999999999998p-4, -0x1.ff7ced916872bp-1});
}

WEIR_TEST(analytics_nist, reproduces_numacc3)
{
    expect_certified(&(certified){DATA "NumAcc3.txt", 1001, 1000000.2, 0.1, -0.999, 9.4, 10,
                                  0x1.9999999c00000p-4, -0x1.ff7ced91672b5p-1});
}

WEIR_TEST(analytics_nist, reproduces_numacc4)
{
    expect_certified(&(certified){DATA "NumAcc4.txt", 1001, 10000000.2, 0.1, -0.999, 8.2, 10,
                                  0x1.999999c000000p-4, -0x1.ff7ced9153fd1p-1});
}
