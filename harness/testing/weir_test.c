/* The wrapper around Criterion; its promises are told in weir_test.h, its other half is
 * scripts/run-tests. */
#include "harness/testing/weir_test.h"

#include <criterion/hooks.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
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

void weir_test_run(const char *name, double timeout_seconds, void (*body)(void))
{
    static fd_set_copy before;
    char seconds[64];
    test_pid = getpid();
    test_name = name;
    snprintf(seconds, sizeof seconds, "%.1f", timeout_seconds * WEIR_TEST_TIMEOUT_SCALE);
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
    if (path == NULL)
        return;
    size_t started = count_marks(path, "start ");
    size_t done = count_marks(path, "done ");
    unlink(path);
    if (stats->tests_passed != done || started == 0) {
        fprintf(stderr, "weir_test: %zu bodies started, %zu tests passed, %zu bodies ended\n",
                started, stats->tests_passed, done);
        fflush(NULL);
        _exit(1);
    }
}
