/* The wrapper around Criterion; its promises are told in weir_test.h, its other half is
 * scripts/run-tests. */
#include "harness/testing/weir_test.h"

#include <criterion/hooks.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FDS_MAX = 4096 };

typedef struct fd_set_copy {
    bool open[FDS_MAX];
} fd_set_copy;

static pid_t test_pid;
static const char *test_name = "(outside a test)";
static bool own_marks;

/* One line per event, appended whole to the file that WEIR_TEST_MARKS names. */
static void mark(const char *event, const char *detail)
{
    const char *path = getenv("WEIR_TEST_MARKS");
    if (path == NULL)
        return;
    char line[1024];
    int length = snprintf(line, sizeof line, "%s %s %s\n", event, test_name, detail);
    if (length < 0)
        return;
    if ((size_t)length >= sizeof line) {
        length = (int)sizeof line - 1;
        line[length - 1] = '\n';
    }
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0 || write(fd, line, (size_t)length) != length)
        fprintf(stderr, "weir_test: cannot write %s: %s\n", path, strerror(errno));
    if (fd >= 0)
        close(fd);
}

static bool in_test_thread(void)
{
    return getpid() == test_pid && (pid_t)syscall(SYS_gettid) == test_pid;
}

/* A failed assertion outside the test's own thread would wait for ever on Criterion's socket. */
static void forbid_elsewhere(const char *file, int line, const char *message)
{
    if (in_test_thread())
        return;
    bool child = getpid() != test_pid;
    fprintf(stderr, "%s:%d: in a %s of %s: %s\n", file, line, child ? "child" : "thread", test_name,
            message);
    fflush(NULL);
    _exit(child ? WEIR_TEST_CHILD_FAILED : WEIR_TEST_THREAD_FAILED);
}

/* Stands before Criterion's function of this name, so that a plain cr_assert in a child is caught
 * as well. */
void criterion_send_assert(struct criterion_assert_stats *stats)
{
    if (!stats->passed)
        forbid_elsewhere(stats->file, (int)stats->line, stats->message ? stats->message : "failed");
    void (*real)(struct criterion_assert_stats *);
    *(void **)&real = dlsym(RTLD_NEXT, "criterion_send_assert");
    real(stats);
}

void weir_test_fail(const char *file, int line, const char *format, ...)
{
    char message[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    struct criterion_assert_stats stats = {
        .message = message, .passed = false, .line = (unsigned)line, .file = file};
    criterion_send_assert(&stats);
    criterion_abort_test();
    abort(); /* criterion_abort_test does not return */
}

void weir_test_skip(const char *reason)
{
    forbid_elsewhere("WEIR_SKIP", 0, reason);
    mark("skip", reason);
    criterion_skip_test("%s", reason);
}

static void read_open_fds(fd_set_copy *fds)
{
    memset(fds, 0, sizeof *fds);
    DIR *directory = opendir("/proc/self/fd");
    if (directory == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        int fd = atoi(entry->d_name);
        if (entry->d_name[0] != '.' && fd < FDS_MAX && fd != dirfd(directory))
            fds->open[fd] = true;
    }
    closedir(directory);
}

static void expect_no_new_fds(const fd_set_copy *before)
{
    static fd_set_copy after;
    char list[1024] = "";
    size_t used = 0;
    read_open_fds(&after);
    for (int fd = 0; fd < FDS_MAX; fd++) {
        if (before->open[fd] || !after.open[fd])
            continue;
        char path[64];
        char target[256] = "?";
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(path, target, sizeof target - 1);
        if (length >= 0)
            target[length] = '\0';
        int added = snprintf(list + used, sizeof list - used, " %d (%s)", fd, target);
        used += (size_t)added < sizeof list - used ? (size_t)added : sizeof list - used - 1;
    }
    if (used > 0)
        weir_test_fail(test_name, 0, "descriptors left open by the body:%s", list);
}

static void expect_no_children(void)
{
    int status;
    pid_t pid = waitpid(-1, &status, WNOHANG);
    if (pid < 0 && errno == ECHILD)
        return;
    weir_test_fail(test_name, 0, "%s",
                   pid > 0 ? "a child that ended was never waited for"
                           : "a child process is still running");
}

void weir_test_run(const char *name, void (*body)(void))
{
    static fd_set_copy before;
    char seconds[64];
    double timeout = criterion_current_test ? criterion_current_test->data->timeout : 0;
    test_pid = getpid();
    test_name = name;
    snprintf(seconds, sizeof seconds, "%.1f", timeout * WEIR_TEST_TIMEOUT_SCALE);
    mark("start", seconds);
    read_open_fds(&before);
    body();
    if (getpid() != test_pid) {
        fprintf(stderr, "%s: a forked child returned from the body; end it with _exit()\n", name);
        _exit(WEIR_TEST_CHILD_FAILED);
    }
    expect_no_children();
    expect_no_new_fds(&before);
    mark("done", "");
}

static bool values_equal(weir_test_value a, weir_test_value b)
{
    if (a.kind == WEIR_TEST_DOUBLE || b.kind == WEIR_TEST_DOUBLE) {
        double x = a.kind == WEIR_TEST_DOUBLE ? a.d
                   : a.kind == WEIR_TEST_INT  ? (double)a.i
                                              : (double)a.u;
        double y = b.kind == WEIR_TEST_DOUBLE ? b.d
                   : b.kind == WEIR_TEST_INT  ? (double)b.i
                                              : (double)b.u;
        return x == y;
    }
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
    if (a.kind == WEIR_TEST_DOUBLE || b.kind == WEIR_TEST_DOUBLE) {
        double x = a.kind == WEIR_TEST_DOUBLE ? a.d
                   : a.kind == WEIR_TEST_INT  ? (double)a.i
                                              : (double)a.u;
        double y = b.kind == WEIR_TEST_DOUBLE ? b.d
                   : b.kind == WEIR_TEST_INT  ? (double)b.i
                                              : (double)b.u;
        return x < y;
    }
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

uint64_t weir_test_seed(void)
{
    static uint64_t seed;
    static bool known;
    if (known)
        return seed;
    const char *text = getenv("WEIR_TEST_SEED");
    if (text != NULL && *text != '\0')
        seed = strtoull(text, NULL, 0);
    else if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        weir_test_fail(__FILE__, __LINE__, "getrandom: %s", strerror(errno));
    known = true;
    fprintf(stderr, "seed: %" PRIu64 "\n", seed);
    return seed;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t weir_test_deadline(double seconds)
{
    return now_ns() + (uint64_t)(seconds * WEIR_TEST_TIMEOUT_SCALE * 1e9);
}

/* What every child does first: die with the test, even if the test died before this line. */
static void tie_to_parent(pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(WEIR_TEST_CHILD_FAILED);
}

pid_t weir_test_fork(void (*body)(void *arg), void *arg)
{
    pid_t parent = getpid();
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        weir_test_fail(__FILE__, __LINE__, "fork: %s", strerror(errno));
    if (pid == 0) {
        tie_to_parent(parent);
        body(arg);
        fflush(NULL);
        _exit(0);
    }
    return pid;
}

int weir_test_wait(pid_t pid, uint64_t deadline_ns)
{
    bool late = false;
    int status = 0;
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0)
        weir_test_fail(__FILE__, __LINE__, "pidfd_open(%d): %s", (int)pid, strerror(errno));
    for (;;) {
        uint64_t now = now_ns();
        uint64_t left_ms = now < deadline_ns ? (deadline_ns - now + 999999u) / 1000000u : 0;
        struct pollfd wanted = {.fd = pidfd, .events = POLLIN};
        int ready = poll(&wanted, 1, left_ms > INT_MAX ? INT_MAX : (int)left_ms);
        if (ready > 0)
            break;
        if (ready == 0 && now_ns() >= deadline_ns) {
            late = true;
            kill(pid, SIGKILL);
            break;
        }
    }
    close(pidfd);
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            weir_test_fail(__FILE__, __LINE__, "waitpid(%d): %s", (int)pid, strerror(errno));
    }
    if (late)
        return WEIR_TEST_WAIT_TIMEOUT;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

const char *weir_test_program(const char *name)
{
    static char path[PATH_MAX + 256];
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length < 0)
        weir_test_fail(__FILE__, __LINE__, "readlink /proc/self/exe: %s", strerror(errno));
    self[length] = '\0';
    char *slash = strrchr(self, '/');
    snprintf(path, sizeof path, "%.*s/%s", (int)(slash - self), self, name);
    return path;
}

static void exec_program(void *path)
{
    execl(path, (char *)path, (char *)NULL);
    fprintf(stderr, "cannot start %s: %s\n", (char *)path, strerror(errno));
    _exit(127);
}

void weir_test_expect_program(const char *name, int expected_exit_code)
{
    char path[PATH_MAX + 256];
    snprintf(path, sizeof path, "%s", weir_test_program(name));
    pid_t pid = weir_test_fork(exec_program, path);
    int code = weir_test_wait(pid, weir_test_deadline(3600));
    if (code != expected_exit_code)
        weir_test_fail(__FILE__, __LINE__, "%s ended with %d, expected %d", name, code,
                       expected_exit_code);
}

/* Runs in the runner before the first test: scale the time-outs, and keep marks of our own if
 * nobody else does. */
ReportHook(PRE_ALL)(struct criterion_test_set *set)
{
    static char path[] = "/tmp/weir-test-marks-XXXXXX";
    FOREACH_SET (struct criterion_suite_set *suite, set->suites) {
        FOREACH_SET (struct criterion_test *test, suite->tests)
            test->data->timeout *= WEIR_TEST_TIMEOUT_SCALE;
    }
    if (getenv("WEIR_TEST_MARKS") == NULL) {
        int fd = mkstemp(path);
        if (fd >= 0) {
            close(fd);
            setenv("WEIR_TEST_MARKS", path, 1);
            own_marks = true;
        }
    }
}

static size_t count_marks(const char *path, const char *event)
{
    size_t count = 0;
    char line[1024];
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, event, strlen(event)) == 0)
            count++;
    }
    fclose(file);
    return count;
}

/* A runner started by hand, without scripts/run-tests, still demands the completed marks. */
ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
    if (!own_marks)
        return;
    const char *path = getenv("WEIR_TEST_MARKS");
    size_t done = count_marks(path, "done ");
    unlink(path);
    size_t run = stats->tests_passed + stats->tests_failed + stats->tests_skipped;
    if (stats->tests_passed != done || run == 0) {
        fprintf(stderr, "weir_test: %zu tests run, %zu passed, but %zu bodies ran to their end\n",
                run, stats->tests_passed, done);
        fflush(NULL);
        _exit(1);
    }
}
