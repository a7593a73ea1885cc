/**
 * Sums and products of doubles with twice the digits: a number is high + low, |low| at most half a
 * unit in the last place of high.
 *
 * Pure functions; any thread. Only +, -, * , / and sqrt of IEEE doubles in the order written (no
 * fused multiply-add, no contraction), so that every language with IEEE doubles can give the same
 * bits. Sources: D. Knuth, TAOCP 2, 4.2.2 (two_sum); T. J. Dekker, "A floating-point technique for
 * extending the available precision", Numerische Mathematik 18, 1971 (quick_two_sum, split,
 * two_product); X. Li et al., "Design, Implementation and Testing of Extended and Mixed Precision
 * BLAS", ACM TOMS 28(2), 2002 (the rest).
 */
#ifndef LOOPBACK_ROUTINES_DOUBLE_DOUBLE_H
#define LOOPBACK_ROUTINES_DOUBLE_DOUBLE_H

#include <math.h>

typedef struct double_double {
    double high;
    double low;
} double_double;

/** a + b exactly. */
static inline double_double dd_two_sum(double a, double b)
{
    const double sum = a + b;
    const double b_part = sum - a;
    return (double_double){sum, (a - (sum - b_part)) + (b - b_part)};
}

/** a + b exactly when |a| >= |b| or a is 0. */
static inline double_double dd_quick_two_sum(double a, double b)
{
    const double sum = a + b;
    return (double_double){sum, b - (sum - a)};
}

/** Splits a double into two halves of at most 26 bits; |a| below 2^996. */
static inline double_double dd_split(double a)
{
    const double scaled = 134217729.0 * a; /* 2^27 + 1 */
    const double high = scaled - (scaled - a);
    return (double_double){high, a - high};
}

/** a * b exactly, unless the low part falls below the smallest normal double. */
static inline double_double dd_two_product(double a, double b)
{
    const double product = a * b;
    const double_double x = dd_split(a), y = dd_split(b);
    const double low =
        ((x.high * y.high - product) + x.high * y.low + x.low * y.high) + x.low * y.low;
    return (double_double){product, low};
}

static inline double_double dd_add(double_double a, double_double b)
{
    double_double high = dd_two_sum(a.high, b.high);
    const double_double low = dd_two_sum(a.low, b.low);
    high = dd_quick_two_sum(high.high, high.low + low.high);
    return dd_quick_two_sum(high.high, high.low + low.low);
}

static inline double_double dd_add_double(double_double a, double b)
{
    const double_double sum = dd_two_sum(a.high, b);
    return dd_quick_two_sum(sum.high, sum.low + a.low);
}

static inline double_double dd_negate(double_double a)
{
    return (double_double){-a.high, -a.low};
}

static inline double_double dd_multiply(double_double a, double_double b)
{
    const double_double product = dd_two_product(a.high, b.high);
    return dd_quick_two_sum(product.high, product.low + (a.high * b.low + a.low * b.high));
}

static inline double_double dd_multiply_double(double_double a, double b)
{
    const double_double product = dd_two_product(a.high, b);
    return dd_quick_two_sum(product.high, product.low + a.low * b);
}

/** Long division with three digits, each a double. */
static inline double_double dd_divide(double_double a, double_double b)
{
    const double first = a.high / b.high;
    double_double rest = dd_add(a, dd_negate(dd_multiply_double(b, first)));
    const double second = rest.high / b.high;
    rest = dd_add(rest, dd_negate(dd_multiply_double(b, second)));
    const double third = rest.high / b.high;
    return dd_add_double(dd_quick_two_sum(first, second), third);
}

/** The square root of a number >= 0 as one double: the root of the high part and one Newton step.
 */
static inline double dd_root(double_double a)
{
    const double root = sqrt(a.high);
    if (root == 0) {
        return 0;
    }
    const double_double rest = dd_add(a, dd_negate(dd_two_product(root, root)));
    return root + rest.high / (2 * root);
}

#endif
