#include "loopback/routines/analytics.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "layout/generated/weir_layout.h"
#include "loopback/routines/double_double.h"
#include "loopback/routines/sort_doubles.h"

size_t analytics_request_bytes(uint64_t count)
{
    return sizeof(struct weir_analytics_request) + (size_t)count * sizeof(double);
}

routine_result analytics_build_request(const double *values, uint64_t count,
                                       const double *probabilities, uint32_t quantile_count,
                                       void *request, size_t capacity)
{
    struct weir_analytics_request header = {.count = count, .quantile_count = quantile_count};
    if (count > ANALYTICS_MAX_COUNT || quantile_count > ANALYTICS_MAX_QUANTILES) {
        return routine_bad_request("the analytics request has too many values or quantiles");
    }
    const size_t bytes = analytics_request_bytes(count);
    if (capacity < bytes) {
        return routine_failed(ROUTINE_REPLY_TOO_SMALL, "the buffer is smaller than the request");
    }
    for (uint32_t i = 0; i < quantile_count; i++) {
        header.probabilities[i] = probabilities[i];
    }
    memmove((char *)request + sizeof(header), values, bytes - sizeof(header));
    memcpy(request, &header, sizeof(header));
    return routine_done(bytes);
}

static const char *check_request(const void *request, size_t bytes,
                                 struct weir_analytics_request *header)
{
    if (bytes < sizeof(*header)) {
        return "the analytics request is shorter than its header";
    }
    memcpy(header, request, sizeof(*header));
    if (header->count < 1 || header->count > ANALYTICS_MAX_COUNT) {
        return "the analytics request must have 1 to 2^24 values";
    }
    if (bytes != analytics_request_bytes(header->count)) {
        return "the analytics request's length does not match its count";
    }
    if (header->quantile_count > ANALYTICS_MAX_QUANTILES || header->reserved != 0) {
        return "the analytics request asks for more than 8 quantiles or sets its reserved field";
    }
    for (uint32_t i = 0; i < ANALYTICS_MAX_QUANTILES; i++) {
        const double most = i < header->quantile_count ? 1 : 0;
        if (!(header->probabilities[i] >= 0 && header->probabilities[i] <= most)) {
            return "the analytics probabilities must lie between 0 and 1, unused ones must be 0";
        }
    }
    return NULL;
}

routine_result analytics_reply_bytes(const void *request, size_t request_bytes)
{
    struct weir_analytics_request header;
    const char *reason = check_request(request, request_bytes, &header);
    return reason != NULL ? routine_bad_request(reason)
                          : routine_done(sizeof(struct weir_analytics_reply));
}

/** Copies the values once, so that what is checked is what is used. */
static bool copy_values(double *copy, const void *values, size_t count)
{
    bool usable = true;
    memcpy(copy, values, count * sizeof(*copy));
    for (size_t i = 0; i < count; i++) {
        copy[i] += 0.0;
        usable &= fabs(copy[i]) <= ANALYTICS_MAX_MAGNITUDE; /* false for NAN as well */
    }
    return usable;
}

/** Mean, standard deviation, autocorrelation and extremes, by the steps in the header. */
static void moments(const double *values, size_t count, struct weir_analytics_reply *answer)
{
    double_double sum = {0, 0}, squares = {0, 0}, products = {0, 0}, before = {0, 0};
    answer->minimum = answer->maximum = values[0];
    for (size_t i = 0; i < count; i++) {
        sum = dd_add_double(sum, values[i]);
        answer->minimum = values[i] < answer->minimum ? values[i] : answer->minimum;
        answer->maximum = values[i] > answer->maximum ? values[i] : answer->maximum;
    }
    const double_double mean = dd_divide(sum, (double_double){(double)count, 0});
    for (size_t i = 0; i < count; i++) {
        const double_double deviation = dd_add_double(dd_negate(mean), values[i]);
        squares = dd_add(squares, dd_multiply(deviation, deviation));
        if (i > 0) {
            products = dd_add(products, dd_multiply(before, deviation));
        }
        before = deviation;
    }
    answer->mean = mean.high;
    answer->flags = (count < 2 ? ANALYTICS_NO_DEVIATION : 0) |
                    (squares.high > 0 ? 0 : ANALYTICS_NO_CORRELATION);
    if (count >= 2) {
        answer->standard_deviation =
            dd_root(dd_divide(squares, (double_double){(double)(count - 1), 0}));
    }
    if (squares.high > 0) {
        answer->lag1_autocorrelation = dd_divide(products, squares).high;
    }
}

static double quantile(const double *sorted, size_t count, double probability)
{
    const double place = (double)(count - 1) * probability;
    const double below = floor(place);
    const size_t at = (size_t)below;
    return at + 1 < count ? sorted[at] + (place - below) * (sorted[at + 1] - sorted[at])
                          : sorted[count - 1];
}

routine_result analytics_run(routine_scratch *scratch, const void *request, size_t request_bytes,
                             void *reply, size_t reply_capacity)
{
    struct weir_analytics_request header;
    const char *reason = check_request(request, request_bytes, &header);
    if (reason != NULL) {
        return routine_bad_request(reason);
    }
    struct weir_analytics_reply answer = {.count = header.count,
                                          .quantile_count = header.quantile_count};
    if (reply_capacity < sizeof(answer)) {
        return routine_reply_too_small();
    }
    const size_t count = (size_t)header.count;
    double *values = routine_scratch_reserve(scratch, 2 * count * sizeof(double));
    if (values == NULL) {
        return routine_no_memory();
    }
    if (!copy_values(values, (const char *)request + sizeof(header), count)) {
        return routine_bad_request(
            "an analytics value is not finite or its magnitude exceeds 2^480");
    }
    moments(values, count, &answer);
    if (header.quantile_count > 0) {
        sort_doubles(values, values + count, count);
    }
    for (uint32_t i = 0; i < header.quantile_count; i++) {
        answer.quantiles[i] = quantile(values, count, header.probabilities[i]);
    }
    memcpy(reply, &answer, sizeof(answer));
    return routine_done(sizeof(answer));
}
