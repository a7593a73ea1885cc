#include "loopback/routines/sort_doubles.h"

#include <float.h>
#include <stdlib.h>

#include "harness/testing/weir_test.h"
#include "loopback/routines/testing/request_buffer.h"

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

WEIR_TEST(sort_doubles, orders_signs_zeros_and_extremes)
{
    double values[] = {1, -1, DBL_MAX, 0, -DBL_MAX, DBL_MIN, -0x1p-1074, 0x1p-1074, -2, 2};
    const double sorted[] = {-DBL_MAX, -2, -1, -0x1p-1074, 0, 0x1p-1074, DBL_MIN, 1, 2, DBL_MAX};
    double spare[10];
    sort_doubles(values, spare, 10);
    WEIR_EXPECT_MEM_EQ(values, sorted, sizeof(sorted));
}

WEIR_TEST(sort_doubles, agrees_with_the_c_library)
{
    uint64_t state = weir_test_seed();
    for (int round = 0; round < 200; round++) {
        const size_t count = next_random(&state) % 700;
        double values[700], expected[700], spare[700];
        for (size_t i = 0; i < count; i++) {
            const int64_t number = (int64_t)next_random(&state) >> (next_random(&state) % 64);
            values[i] = expected[i] = (double)number / (round % 2 == 0 ? 1024 : 1);
        }
        sort_doubles(values, spare, count);
        qsort(expected, count, sizeof(*expected), ascending);
        WEIR_EXPECT_MEM_EQ(values, expected, count * sizeof(*expected));
    }
}
