/**
 * `analytics`: count, mean, standard deviation, lag-1 autocorrelation, extremes and quantiles of
 * doubles.
 *
 * See routine.h for the calling rules. A request is a weir_analytics_request and the values; the
 * reply a weir_analytics_reply.
 *
 * The algorithm, exactly, so that any language gets the same bits (names from double_double.h;
 * every sum runs over i = 0, 1, … in this order; x[i] is the value plus 0.0, which turns -0.0 into
 * 0.0):
 *   1. sum  = (0, 0); sum = dd_add_double(sum, x[i])
 *   2. mean = dd_divide(sum, (n, 0)); the reply has mean.high
 *   3. d[i] = dd_add_double(-mean, x[i])
 *   4. squares = sum of dd_multiply(d[i], d[i]) by dd_add
 *   5. if n >= 2: standard_deviation = dd_root(dd_divide(squares, (n - 1, 0)))
 *   6. products = sum over i = 1 … n-1 of dd_multiply(d[i - 1], d[i]) by dd_add;
 *      if squares.high > 0: lag1_autocorrelation = dd_divide(products, squares).high
 *   7. quantile of p over the ascending values s: h = (n - 1) * p, j = floor(h), in doubles;
 *      s[j] + (h - j) * (s[j + 1] - s[j]), or s[j] when j = n - 1   (type 7, Hyndman and Fan 1996;
 * R's default) The autocorrelation is NIST's: sum of (x[i] - mean)(x[i+1] - mean) over sum of (x[i]
 * - mean)^2.
 *
 * Limits: 1 to ANALYTICS_MAX_COUNT values, each finite and of magnitude at most 2^480 (squares must
 * not overflow). Time is linear in the count. Memory: two copies of the values, kept in the
 * scratch. Codes: ROUTINE_OK, ROUTINE_BAD_REQUEST, ROUTINE_REPLY_TOO_SMALL, ROUTINE_NO_MEMORY.
 */
#ifndef LOOPBACK_ROUTINES_ANALYTICS_H
#define LOOPBACK_ROUTINES_ANALYTICS_H

#include "loopback/routines/routine.h"

#define ANALYTICS_MAX_COUNT     (UINT64_C(1) << 24)
#define ANALYTICS_MAX_QUANTILES 8u
/** 2^480 */
#define ANALYTICS_MAX_MAGNITUDE 0x1p480

/** Flags of the reply. */
#define ANALYTICS_NO_DEVIATION   1u
#define ANALYTICS_NO_CORRELATION 2u

/** Bytes of a request with this many values. */
size_t analytics_request_bytes(uint64_t count);

/** Writes a request; `values` may already stand in their place behind the header. Returns its
 * bytes. */
routine_result analytics_build_request(const double *values, uint64_t count,
                                       const double *probabilities, uint32_t quantile_count,
                                       void *request, size_t capacity);

routine_result analytics_reply_bytes(const void *request, size_t request_bytes);

routine_result analytics_run(routine_scratch *scratch, const void *request, size_t request_bytes,
                             void *reply, size_t reply_capacity);

/**
 * Checks a reply in two ways: against a second run, bit by bit, and against plain two-pass sums in
 * long double and the C library's sort (allocates). Returns NULL when the reply is right, else a
 * static sentence.
 */
const char *analytics_verify(const void *request, size_t request_bytes, const void *reply,
                             size_t reply_bytes);

#endif
