/**
 * @file
 * The project's tests: Criterion with its known traps closed.
 *
 * What a test looks like:
 *
 *     WEIR_TEST(ring, rejects_write_when_full)
 *     {
 *         WEIR_EXPECT_EQ(weir_ring_free(&ring), 0);
 *         WEIR_EXPECT_STATUS(weir_ring_publish(&ring, &envelope), WEIR_FULL);
 *     }
 *
 * A failed expectation ends the test. scripts/run-tests starts every test on its own and reports it
 * as passed only when its body ran to the end: an exit(0) inside a body, a child process or a
 * descriptor left behind, or a surviving process after a time-out is a failure. Expectations and
 * cr_assert that fail in a forked child or in a second thread print their message and end the
 * process with WEIR_TEST_CHILD_FAILED or WEIR_TEST_THREAD_FAILED (Criterion itself would hang); a
 * child reports by its exit code, which weir_test_wait() returns.
 *
 * Who may call: test bodies, from the thread that Criterion started, except where noted.
 */
#ifndef WEIR_HARNESS_TESTING_WEIR_TEST_H
#define WEIR_HARNESS_TESTING_WEIR_TEST_H

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#ifndef WEIR_TEST_TIMEOUT_SCALE
/** Factor on every time-out; the build sets it for sanitized presets, which are slower. */
#define WEIR_TEST_TIMEOUT_SCALE 1
#endif

/** Seconds a test may take when it does not say `.timeout = …`. */
#define WEIR_TEST_TIMEOUT 60

/** Exit code of a forked child in which an expectation failed. */
#define WEIR_TEST_CHILD_FAILED 99
/** Exit code of the test process when an expectation failed in a thread other than the test's own.
 */
#define WEIR_TEST_THREAD_FAILED 98
/** What a program ends with when ThreadSanitizer reported something. */
#define WEIR_TEST_TSAN_EXIT 66
/** weir_test_wait(): the child was still running at the deadline; it has been killed and reaped. */
#define WEIR_TEST_WAIT_TIMEOUT (-1)

/** WEIR_TEST(suite, name[, .timeout = seconds …]) { body } */
#define WEIR_TEST(...) WEIR_TEST_DEFINE_(__VA_ARGS__, .sentinel_ = 0)

/* The default .timeout may be given a second time by the caller, which both compilers warn of. */
#define WEIR_TEST_DEFINE_(suite, name, ...)                                                        \
    static void weir_test_body_##suite##_##name(void);                                             \
    _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Woverride-init\"")           \
        Test(suite, name, .timeout = WEIR_TEST_TIMEOUT, __VA_ARGS__)                               \
    {                                                                                              \
        weir_test_run(#suite "/" #name, CR_IDENTIFIER_(suite, name, extra).timeout,                \
                      weir_test_body_##suite##_##name);                                            \
    }                                                                                              \
    _Pragma("GCC diagnostic pop") static void weir_test_body_##suite##_##name(void)

/** Ends the test as skipped; the reason is printed in the totals. */
#define WEIR_SKIP(reason) weir_test_skip(reason)

/** An integer, boolean, floating-point number or pointer of any type, for comparing and showing. */
typedef struct weir_test_value {
    enum { WEIR_TEST_INT, WEIR_TEST_UINT, WEIR_TEST_DOUBLE, WEIR_TEST_POINTER } kind;
    long long i;
    unsigned long long u;
    double d;
    const volatile void *p;
} weir_test_value;

static inline weir_test_value weir_test_from_int(long long i)
{
    return (weir_test_value){.kind = WEIR_TEST_INT, .i = i};
}

static inline weir_test_value weir_test_from_uint(unsigned long long u)
{
    return (weir_test_value){.kind = WEIR_TEST_UINT, .u = u};
}

static inline weir_test_value weir_test_from_double(double d)
{
    return (weir_test_value){.kind = WEIR_TEST_DOUBLE, .d = d};
}

static inline weir_test_value weir_test_from_pointer(const volatile void *p)
{
    return (weir_test_value){.kind = WEIR_TEST_POINTER, .p = p};
}

/* clang-format off */
#define WEIR_TEST_VALUE_(x)                                                                        \
    _Generic((x),                                                                                  \
        _Bool: weir_test_from_uint,                                                                \
        char: weir_test_from_int, signed char: weir_test_from_int, short: weir_test_from_int,      \
        int: weir_test_from_int, long: weir_test_from_int, long long: weir_test_from_int,          \
        unsigned char: weir_test_from_uint, unsigned short: weir_test_from_uint,                   \
        unsigned int: weir_test_from_uint, unsigned long: weir_test_from_uint,                     \
        unsigned long long: weir_test_from_uint,                                                   \
        float: weir_test_from_double, double: weir_test_from_double,                               \
        default: weir_test_from_pointer)(x)
/* clang-format on */

#define WEIR_EXPECT_COMPARE_(a, op, b)                                                             \
    weir_test_compare(__FILE__, __LINE__, #a, #op, #b, WEIR_TEST_VALUE_(a), WEIR_TEST_VALUE_(b))

/** Compare two numbers or pointers by value, whatever their types (-1 and SIZE_MAX differ); show
 * both on failure. */
#define WEIR_EXPECT_EQ(a, b)    WEIR_EXPECT_COMPARE_(a, ==, b)
#define WEIR_EXPECT_NE(a, b)    WEIR_EXPECT_COMPARE_(a, !=, b)
#define WEIR_EXPECT_LT(a, b)    WEIR_EXPECT_COMPARE_(a, <, b)
#define WEIR_EXPECT_LE(a, b)    WEIR_EXPECT_COMPARE_(a, <=, b)
#define WEIR_EXPECT_GT(a, b)    WEIR_EXPECT_COMPARE_(a, >, b)
#define WEIR_EXPECT_GE(a, b)    WEIR_EXPECT_COMPARE_(a, >=, b)
#define WEIR_EXPECT_NULL(a)     WEIR_EXPECT_EQ((const volatile void *)(a), (const volatile void *)0)
#define WEIR_EXPECT_NOT_NULL(a) WEIR_EXPECT_NE((const volatile void *)(a), (const volatile void *)0)

#define WEIR_EXPECT_TRUE(condition)                                                                \
    do {                                                                                           \
        if (!(condition))                                                                          \
            weir_test_fail(__FILE__, __LINE__, "expected to be true: %s", #condition);             \
    } while (0)
#define WEIR_EXPECT_FALSE(condition)                                                               \
    do {                                                                                           \
        if (condition)                                                                             \
            weir_test_fail(__FILE__, __LINE__, "expected to be false: %s", #condition);            \
    } while (0)

/** Compare two strings; NULL equals only NULL. */
#define WEIR_EXPECT_STR_EQ(a, b) weir_test_compare_strings(__FILE__, __LINE__, #a, #b, a, b)
/** The string contains the part. */
#define WEIR_EXPECT_STR_HAS(text, part) weir_test_has(__FILE__, __LINE__, #text, text, part)
/** Compare two byte ranges; shows the first byte that differs. */
#define WEIR_EXPECT_MEM_EQ(a, b, bytes)                                                            \
    weir_test_compare_bytes(__FILE__, __LINE__, #a, #b, a, b, bytes)

/** The expression's weir_status is exactly this one; needs weir/status.h. */
#define WEIR_EXPECT_STATUS(expr, status)                                                           \
    do {                                                                                           \
        weir_status weir_test_got_ = (expr);                                                       \
        if (weir_test_got_ != (status))                                                            \
            weir_test_fail(__FILE__, __LINE__, "%s is %s, expected %s", #expr,                     \
                           weir_status_name(weir_test_got_), weir_status_name(status));            \
    } while (0)

/** Runs one body with its marks and leak checks; called by WEIR_TEST only. */
void weir_test_run(const char *name, double timeout_seconds, void (*body)(void));

/** Fails the test (from any process or thread, see above); does not return. */
_Noreturn void weir_test_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/** Ends the test as skipped; does not return. */
_Noreturn void weir_test_skip(const char *reason);

void weir_test_compare(const char *file, int line, const char *a_text, const char *op,
                       const char *b_text, weir_test_value a, weir_test_value b);
void weir_test_compare_strings(const char *file, int line, const char *a_text, const char *b_text,
                               const char *a, const char *b);
void weir_test_has(const char *file, int line, const char *text_text, const char *text,
                   const char *part);
void weir_test_compare_bytes(const char *file, int line, const char *a_text, const char *b_text,
                             const void *a, const void *b, size_t bytes);

/**
 * The seed that every random choice of the test derives from: WEIR_TEST_SEED when set, else fresh;
 * printed as "seed: N" at the first call, the same for the rest of the test.
 */
uint64_t weir_test_seed(void);

/** The absolute CLOCK_MONOTONIC time, in ns, that many seconds (times WEIR_TEST_TIMEOUT_SCALE) from
 * now. */
uint64_t weir_test_deadline(double seconds);

/**
 * Forks a child that runs body(arg) and ends with exit code 0, or earlier by its own _exit(). It is
 * killed when the thread that forked it ends (PR_SET_PDEATHSIG is tied to the thread), so call it
 * from the test's own thread. The test must wait for it.
 */
pid_t weir_test_fork(void (*body)(void *arg), void *arg);

/**
 * Waits for a child until the deadline. Returns its exit code, 128 + signal number when a signal
 * ended it, or WEIR_TEST_WAIT_TIMEOUT after killing and reaping it.
 */
int weir_test_wait(pid_t pid, uint64_t deadline_ns);

/**
 * The path of a program that was built beside the runner (testing/NAME_program.c is NAME_program),
 * in a buffer that the next call overwrites.
 */
const char *weir_test_program(const char *name);

/** Starts a program that stands beside the runner, without arguments, and demands its exit code. */
void weir_test_expect_program(const char *name, int expected_exit_code);

#endif
