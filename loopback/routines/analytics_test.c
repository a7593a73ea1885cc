#include "loopback/routines/analytics.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "harness/testing/weir_test.h"
#include "layout/generated/weir_layout.h"
#include "loopback/routines/testing/request_buffer.h"

static struct weir_analytics_reply analyse(const double *values, uint64_t count,
                                           const double *probabilities, uint32_t quantile_count)
{
    routine_memory memory = {0};
    request_buffer buffer = analytics_buffer(values, count, probabilities, quantile_count);
    run_and_verify(&buffer, &memory);
    struct weir_analytics_reply reply;
    memcpy(&reply, buffer.reply, sizeof(reply));
    free_buffer(&buffer);
    routine_memory_free(&memory);
    return reply;
}

/* R: x <- c(3, 1, 4, 1, 5, 9, 2, 6); quantile(x, c(0, .1, .25, .5, .9, 1), type = 7) */
WEIR_TEST(analytics, gives_the_quantiles_of_type_7)
{
    const double values[] = {3, 1, 4, 1, 5, 9, 2, 6};
    const double probabilities[] = {0, 0.1, 0.25, 0.5, 0.9, 1};
    const double expected[] = {1, 1, 1.75, 3.5, 6.9, 9};
    const struct weir_analytics_reply reply = analyse(values, 8, probabilities, 6);
    for (size_t i = 0; i < 6; i++) {
        WEIR_EXPECT_LE(fabs(reply.quantiles[i] - expected[i]), 1e-15 * expected[i]);
    }
    WEIR_EXPECT_EQ(reply.quantiles[6], 0.0);
    WEIR_EXPECT_EQ(reply.mean, 3.875);
    WEIR_EXPECT_EQ(reply.minimum, 1.0);
    WEIR_EXPECT_EQ(reply.maximum, 9.0);
}

WEIR_TEST(analytics, says_what_is_undefined_for_one_value)
{
    const double value = 42.5, probability = 0.5;
    const struct weir_analytics_reply reply = analyse(&value, 1, &probability, 1);
    WEIR_EXPECT_EQ(reply.flags, ANALYTICS_NO_DEVIATION | ANALYTICS_NO_CORRELATION);
    WEIR_EXPECT_EQ(reply.mean, 42.5);
    WEIR_EXPECT_EQ(reply.standard_deviation, 0.0);
    WEIR_EXPECT_EQ(reply.quantiles[0], 42.5);
}

WEIR_TEST(analytics, says_that_equal_values_have_no_correlation)
{
    const double values[] = {0.1, 0.1, 0.1};
    const struct weir_analytics_reply reply = analyse(values, 3, NULL, 0);
    WEIR_EXPECT_EQ(reply.mean, 0.1);
    WEIR_EXPECT_LE(reply.standard_deviation, 1e-32);
}

WEIR_TEST(analytics, does_not_lose_small_values_beside_large_ones)
{
    const double values[] = {0x1p480, 1, -0x1p480, 1};
    WEIR_EXPECT_EQ(analyse(values, 4, NULL, 0).mean, 0.5);
}

WEIR_TEST(analytics, takes_negative_zero_for_zero)
{
    const double values[] = {-0.0, 0.0, -0.0}, probability = 0.5;
    const struct weir_analytics_reply reply = analyse(values, 3, &probability, 1);
    WEIR_EXPECT_FALSE(signbit(reply.minimum));
    WEIR_EXPECT_FALSE(signbit(reply.quantiles[0]));
    WEIR_EXPECT_FALSE(signbit(reply.mean));
}

WEIR_TEST(analytics, agrees_with_plain_sums_on_random_values)
{
    uint64_t state = weir_test_seed();
    routine_memory memory = {0};
    for (int round = 0; round < 200; round++) {
        double values[500], probabilities[8];
        const uint64_t count = 1 + next_random(&state) % 500;
        const double offset = round % 3 == 0 ? 1e6 : 0;
        for (uint64_t i = 0; i < count; i++) {
            values[i] = offset + (double)(int64_t)next_random(&state) * 0x1p-50;
        }
        for (size_t i = 0; i < 8; i++) {
            probabilities[i] = (double)(next_random(&state) >> 11) * 0x1p-53;
        }
        request_buffer buffer =
            analytics_buffer(values, count, probabilities, (uint32_t)(next_random(&state) % 9));
        run_and_verify(&buffer, &memory);
        free_buffer(&buffer);
    }
    routine_memory_free(&memory);
}

WEIR_TEST(analytics, verify_notices_the_lowest_bit_of_each_number)
{
    const double values[] = {3, 1, 4, 1, 5, 9, 2, 6}, probability = 0.3;
    routine_memory memory = {0};
    request_buffer buffer = analytics_buffer(values, 8, &probability, 1);
    run_and_verify(&buffer, &memory);
    for (size_t word = 0; word < sizeof(struct weir_analytics_reply) / 8; word++) {
        ((uint64_t *)buffer.reply)[word] ^= 1;
        WEIR_EXPECT_NOT_NULL(analytics_verify(buffer.request, buffer.request_bytes, buffer.reply,
                                              buffer.reply_bytes));
        ((uint64_t *)buffer.reply)[word] ^= 1;
    }
    free_buffer(&buffer);
    routine_memory_free(&memory);
}

static void expect_bad(const struct weir_analytics_request *header, const double *values,
                       uint64_t count, size_t bytes, const char *part)
{
    unsigned char request[256] = {0};
    routine_memory memory = {0};
    memcpy(request, header, sizeof(*header));
    memcpy(request + sizeof(*header), values, count * sizeof(*values));
    request_buffer buffer = bytes_buffer(ROUTINE_ANALYTICS, request, bytes);
    const routine_result result = run_buffer(&buffer, &memory);
    WEIR_EXPECT_EQ(result.code, ROUTINE_BAD_REQUEST);
    WEIR_EXPECT_STR_HAS(result.reason, part);
    free_buffer(&buffer);
    routine_memory_free(&memory);
}

WEIR_TEST(analytics, refuses_values_that_are_not_finite_or_too_large)
{
    const double bad[] = {NAN, INFINITY, -INFINITY, DBL_MAX, -0x1.0000000000001p480};
    const struct weir_analytics_request header = {.count = 2};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const double values[2] = {1, bad[i]};
        expect_bad(&header, values, 2, sizeof(header) + sizeof(values), "not finite");
    }
}

WEIR_TEST(analytics, refuses_requests_that_break_the_format)
{
    const double values[2] = {1, 2};
    const struct weir_analytics_request good = {.count = 2, .quantile_count = 1};
    const size_t bytes = sizeof(good) + sizeof(values);
    struct weir_analytics_request bad = good;
    expect_bad(&bad, values, 2, sizeof(good) - 1, "shorter than its header");
    expect_bad(&bad, values, 2, bytes - 8, "does not match");
    expect_bad(&bad, values, 2, bytes + 1, "does not match");
    bad.count = 0;
    expect_bad(&bad, values, 2, sizeof(good), "1 to 2^24");
    bad.count = (UINT64_C(1) << 61) + 2; /* times eight, it wraps around to two values */
    expect_bad(&bad, values, 2, bytes, "1 to 2^24");
    bad = good;
    bad.quantile_count = 9;
    expect_bad(&bad, values, 2, bytes, "more than 8 quantiles");
    bad = good;
    bad.reserved = 1;
    expect_bad(&bad, values, 2, bytes, "reserved");
    bad = good;
    bad.probabilities[0] = 1.0000000000000002;
    expect_bad(&bad, values, 2, bytes, "between 0 and 1");
    bad.probabilities[0] = NAN;
    expect_bad(&bad, values, 2, bytes, "between 0 and 1");
    bad = good;
    bad.probabilities[1] = 0.5;
    expect_bad(&bad, values, 2, bytes, "unused ones");
}

WEIR_TEST(analytics, refuses_a_reply_buffer_that_is_one_byte_short)
{
    const double value = 1;
    routine_memory memory = {0};
    request_buffer buffer = analytics_buffer(&value, 1, NULL, 0);
    char reply[sizeof(struct weir_analytics_reply)];
    WEIR_EXPECT_EQ(
        analytics_run(&memory.plain, buffer.request, buffer.request_bytes, reply, sizeof(reply) - 1)
            .code,
        ROUTINE_REPLY_TOO_SMALL);
    free_buffer(&buffer);
    routine_memory_free(&memory);
}
