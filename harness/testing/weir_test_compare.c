/* The comparisons of weir_test.h: by value whatever the types are, both sides shown. */
#include "harness/testing/weir_test.h"

#include <stdio.h>

static double as_double(weir_test_value value)
{
    switch (value.kind) {
    case WEIR_TEST_INT:
        return (double)value.i;
    case WEIR_TEST_UINT:
        return (double)value.u;
    default:
        return value.d;
    }
}

static bool values_equal(weir_test_value a, weir_test_value b)
{
    if (a.kind == WEIR_TEST_DOUBLE || b.kind == WEIR_TEST_DOUBLE)
        return as_double(a) == as_double(b);
    if (a.kind == WEIR_TEST_POINTER || b.kind == WEIR_TEST_POINTER)
        return a.kind == b.kind ? a.p == b.p : false;
    bool a_negative = a.kind == WEIR_TEST_INT && a.i < 0;
    bool b_negative = b.kind == WEIR_TEST_INT && b.i < 0;
    unsigned long long x = a.kind == WEIR_TEST_INT ? (unsigned long long)a.i : a.u;
    unsigned long long y = b.kind == WEIR_TEST_INT ? (unsigned long long)b.i : b.u;
    return a_negative == b_negative && x == y;
}

static bool value_less(weir_test_value a, weir_test_value b)
{
    if (a.kind == WEIR_TEST_POINTER && b.kind == WEIR_TEST_POINTER)
        return (uintptr_t)a.p < (uintptr_t)b.p;
    if (a.kind == WEIR_TEST_DOUBLE || b.kind == WEIR_TEST_DOUBLE)
        return as_double(a) < as_double(b);
    bool a_negative = a.kind == WEIR_TEST_INT && a.i < 0;
    bool b_negative = b.kind == WEIR_TEST_INT && b.i < 0;
    if (a_negative || b_negative)
        return a_negative && (!b_negative || a.i < b.i);
    unsigned long long x = a.kind == WEIR_TEST_INT ? (unsigned long long)a.i : a.u;
    unsigned long long y = b.kind == WEIR_TEST_INT ? (unsigned long long)b.i : b.u;
    return x < y;
}

static const char *show(weir_test_value value, char *text, size_t size)
{
    switch (value.kind) {
    case WEIR_TEST_INT:
        snprintf(text, size, "%lld", value.i);
        break;
    case WEIR_TEST_UINT:
        snprintf(text, size, "%llu (0x%llx)", value.u, value.u);
        break;
    case WEIR_TEST_DOUBLE:
        snprintf(text, size, "%.17g", value.d);
        break;
    case WEIR_TEST_POINTER:
        snprintf(text, size, "%p", (void *)(uintptr_t)value.p);
        break;
    }
    return text;
}

static bool is_nan(weir_test_value value)
{
    return value.kind == WEIR_TEST_DOUBLE && value.d != value.d;
}

void weir_test_compare(const char *file, int line, const char *a_text, const char *op,
                       const char *b_text, weir_test_value a, weir_test_value b)
{
    bool equal = values_equal(a, b);
    bool less = value_less(a, b);
    bool greater = !equal && !less && !is_nan(a) && !is_nan(b);
    bool holds = false;
    if (strcmp(op, "==") == 0)
        holds = equal;
    else if (strcmp(op, "!=") == 0)
        holds = !equal;
    else if (strcmp(op, "<") == 0)
        holds = less;
    else if (strcmp(op, "<=") == 0)
        holds = less || equal;
    else if (strcmp(op, ">") == 0)
        holds = greater;
    else if (strcmp(op, ">=") == 0)
        holds = greater || equal;
    if (holds)
        return;
    char a_shown[64];
    char b_shown[64];
    weir_test_fail(file, line, "%s %s %s does not hold: left %s, right %s", a_text, op, b_text,
                   show(a, a_shown, sizeof a_shown), show(b, b_shown, sizeof b_shown));
}

void weir_test_compare_strings(const char *file, int line, const char *a_text, const char *b_text,
                               const char *a, const char *b)
{
    if (a == b || (a != NULL && b != NULL && strcmp(a, b) == 0))
        return;
    weir_test_fail(file, line, "%s is \"%s\", expected %s: \"%s\"", a_text, a ? a : "(null)",
                   b_text, b ? b : "(null)");
}

void weir_test_has(const char *file, int line, const char *text_text, const char *text,
                   const char *part)
{
    if (text != NULL && strstr(text, part) != NULL)
        return;
    weir_test_fail(file, line, "%s is \"%s\", expected to contain \"%s\"", text_text,
                   text ? text : "(null)", part);
}

void weir_test_compare_bytes(const char *file, int line, const char *a_text, const char *b_text,
                             const void *a, const void *b, size_t bytes)
{
    const unsigned char *x = a;
    const unsigned char *y = b;
    for (size_t i = 0; i < bytes; i++) {
        if (x[i] != y[i])
            weir_test_fail(file, line, "%s and %s differ at byte %zu of %zu: 0x%02x and 0x%02x",
                           a_text, b_text, i, bytes, x[i], y[i]);
    }
}
