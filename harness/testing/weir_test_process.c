/* Child processes, helper programs and deadlines of weir_test.h. */
#include "harness/testing/weir_test.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

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

/* _exit() passes by the writing of the coverage counts, which would make a child's work invisible.
 */
static void write_coverage(void)
{
#ifdef WEIR_COVERAGE
    extern void __gcov_dump(void); /* libgcov, gcov-tool(1) */
    __gcov_dump();
#endif
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
        write_coverage();
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
