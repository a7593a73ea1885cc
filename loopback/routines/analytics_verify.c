/* The oracle of `analytics`: plain two-pass sums in long double and the C library's sort. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "layout/generated/weir_layout.h"
#include "loopback/routines/analytics.h"

/**
 * How far the plain sums may be off, relative to the largest magnitude for the mean and to the
 * spread for the rest. They are rounded at every step, so this grows with the count and with
 * magnitude over spread.
 */
#define TOLERANCE 1e-12L

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static const char *check_moments(const double *values, size_t count,
                                 const struct weir_analytics_reply *answer)
{
    long double sum = 0, squares = 0, products = 0, magnitude = 0;
    for (size_t i = 0; i < count; i++) {
        sum += values[i];
        magnitude = fabsl(values[i]) > magnitude ? fabsl(values[i]) : magnitude;
    }
    const long double mean = sum / (long double)count;
    for (size_t i = 0; i < count; i++) {
        const long double deviation = values[i] - mean;
        squares += deviation * deviation;
        products += i > 0 ? deviation * (values[i - 1] - mean) : 0;
    }
    if (fabsl(answer->mean - mean) > magnitude * TOLERANCE) {
        return "the analytics reply states a wrong mean";
    }
    const long double spread = count > 1 ? sqrtl(squares / (long double)(count - 1)) : 0;
    if (fabsl(answer->standard_deviation - spread) > (magnitude + spread) * TOLERANCE) {
        return "the analytics reply states a wrong standard deviation";
    }
    /* With hardly any spread the plain correlation is noise, and only the second run speaks. */
    if (spread > magnitude * 1e-3L &&
        fabsl(answer->lag1_autocorrelation - products / squares) > 1e-6L) {
        return "the analytics reply states a wrong autocorrelation";
    }
    return NULL;
}

static const char *check_order(double *values, size_t count,
                               const struct weir_analytics_request *header,
                               const struct weir_analytics_reply *answer)
{
    qsort(values, count, sizeof(*values), ascending);
    if (answer->minimum != values[0] || answer->maximum != values[count - 1]) {
        return "the analytics reply states a wrong minimum or maximum";
    }
    for (uint32_t i = 0; i < header->quantile_count; i++) {
        const double place = (double)(count - 1) * header->probabilities[i];
        const size_t at = (size_t)place;
        const double next = at + 1 < count ? values[at + 1] : values[at];
        if (answer->quantiles[i] != values[at] + (place - (double)at) * (next - values[at])) {
            return "the analytics reply states a wrong quantile";
        }
    }
    return NULL;
}

static const char *check_again(const void *request, size_t request_bytes,
                               const struct weir_analytics_reply *answer)
{
    routine_scratch scratch = {0};
    struct weir_analytics_reply again;
    const routine_result result =
        analytics_run(&scratch, request, request_bytes, &again, sizeof(again));
    routine_scratch_free(&scratch);
    if (result.code != ROUTINE_OK) {
        return result.reason;
    }
    return memcmp(&again, answer, sizeof(again)) == 0
               ? NULL
               : "the analytics reply differs from a second run";
}

const char *analytics_verify(const void *request, size_t request_bytes, const void *reply,
                             size_t reply_bytes)
{
    struct weir_analytics_request header;
    struct weir_analytics_reply answer;
    const routine_result expected = analytics_reply_bytes(request, request_bytes);
    if (expected.code != ROUTINE_OK) {
        return expected.reason;
    }
    if (reply_bytes != sizeof(answer)) {
        return "the analytics reply has a wrong length";
    }
    memcpy(&header, request, sizeof(header));
    memcpy(&answer, reply, sizeof(answer));
    const char *reason = check_again(request, request_bytes, &answer);
    const size_t count = (size_t)header.count;
    double *values = reason == NULL ? malloc(count * sizeof(*values)) : NULL;
    if (values == NULL) {
        return reason != NULL ? reason : "no memory to check the analytics reply";
    }
    memcpy(values, (const char *)request + sizeof(header), count * sizeof(*values));
    reason = check_moments(values, count, &answer);
    if (reason == NULL) {
        reason = check_order(values, count, &header, &answer);
    }
    free(values);
    return reason;
}
