#include "nif/launcher/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PIPE_BYTES 65536
#define END_NS     2000000000LL
#define PAUSE_NS   2000000L

bool launch_worker_prepare(void)
{
    return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0;
}

_Noreturn static void fail_child(int told_fd, int code)
{
    /* The parent reads the code instead of the end of file that a successful exec makes. */
    const ssize_t wrote = write(told_fd, &code, sizeof code);
    _exit(wrote == sizeof code ? 127 : 126);
}

_Noreturn static void become_worker(char *const argv[], pid_t launcher, int output_fd, int told_fd)
{
    (void)setpgid(0, 0);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) {
        fail_child(told_fd, errno);
    }
    if (getppid() != launcher) {
        _exit(126); /* The launcher died before the kernel was asked to tell of it. */
    }
    const int null_fd = open("/dev/null", O_RDONLY);
    if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 || dup2(output_fd, STDOUT_FILENO) < 0 ||
        dup2(output_fd, STDERR_FILENO) < 0) {
        fail_child(told_fd, errno);
    }
    if (null_fd > STDERR_FILENO) {
        (void)close(null_fd);
    }
    for (int number = 1; number < NSIG; number++) {
        (void)signal(number, SIG_DFL); /* Some cannot be set, which is how they are wanted. */
    }
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    execv(argv[0], argv);
    fail_child(told_fd, errno);
}

static const char *remedy(int code)
{
    switch (code) {
    case ENOENT:
        return "build it or name another one";
    case EACCES:
        return "name the program's file, or chmod +x it";
    case ENOEXEC:
        return "it is no program; a script needs a first line like #!/bin/sh";
    case EAGAIN:
        return "raise the limit on processes (ulimit -u)";
    case EMFILE:
    case ENFILE:
        return "raise the limit on open files (ulimit -n)";
    default:
        return "free memory or check the program";
    }
}

static bool explain(char *sentence, size_t bytes, const char *path, int code)
{
    snprintf(sentence, bytes, "cannot start the worker %.200s: %s; %s", path, strerror(code),
             remedy(code));
    return false;
}

/* Waits for exec to succeed (end of file) or fail (its error). */
static int read_told(int fd)
{
    int code = 0;
    ssize_t got;
    do {
        got = read(fd, &code, sizeof code);
    } while (got < 0 && errno == EINTR);
    return got == sizeof code ? code : 0;
}

static void close_both(const int ends[2])
{
    (void)close(ends[0]);
    (void)close(ends[1]);
}

bool launch_worker_start(launch_worker *worker, char *const argv[], char *sentence, size_t bytes)
{
    int output[2];
    int told[2];
    *worker = (launch_worker){.output_fd = -1};
    if (pipe2(output, O_CLOEXEC) != 0) {
        return explain(sentence, bytes, argv[0], errno);
    }
    if (pipe2(told, O_CLOEXEC) != 0) {
        const int code = errno;
        close_both(output);
        return explain(sentence, bytes, argv[0], code);
    }
    (void)fcntl(output[0], F_SETPIPE_SZ, PIPE_BYTES);
    /* The worker's end blocks like any standard output; only ours may not. */
    (void)fcntl(output[0], F_SETFL, O_NONBLOCK);
    const pid_t launcher = getpid();
    const pid_t pid = fork();
    if (pid < 0) {
        const int code = errno;
        close_both(output);
        close_both(told);
        return explain(sentence, bytes, argv[0], code);
    }
    if (pid == 0) {
        become_worker(argv, launcher, output[1], told[1]);
    }
    (void)setpgid(pid, pid); /* Both sides do it, so that whoever is first, it is done. */
    (void)close(output[1]);
    (void)close(told[1]);
    worker->pid = pid;
    worker->output_fd = output[0];
    const int code = read_told(told[0]);
    (void)close(told[0]);
    if (code == 0) {
        return true;
    }
    (void)launch_worker_end_all(worker);
    (void)close(worker->output_fd);
    worker->output_fd = -1;
    return explain(sentence, bytes, argv[0], code);
}

void launch_worker_look(launch_worker *worker)
{
    while (!worker->has_ended) {
        siginfo_t info = {0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) {
            return;
        }
        if (info.si_pid == worker->pid) {
            /* Unreaped, it keeps the number of its group from being given to another. */
            worker->has_ended = true;
        } else {
            (void)waitpid(info.si_pid, NULL, WNOHANG);
        }
    }
}

void launch_worker_signal(const launch_worker *worker, int number)
{
    if (worker->pid > 0 && !worker->is_reaped && number > 0 && number < NSIG) {
        (void)kill(worker->pid, number);
    }
}

static void kill_children(void)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return;
    }
    char digits[24];
    while (fscanf(file, "%23s", digits) == 1) {
        const long pid = strtol(digits, NULL, 10);
        if (pid > 1) {
            (void)kill((pid_t)pid, SIGKILL);
        }
    }
    (void)fclose(file);
}

/* Returns whether no child is left. */
static bool reap_all(launch_worker *worker)
{
    for (;;) {
        int status = 0;
        const pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid > 0) {
            if (pid == worker->pid) {
                worker->has_ended = worker->is_reaped = true;
                worker->status = status;
            }
        } else if (pid == 0 || errno != EINTR) {
            return pid < 0;
        }
    }
}

static long long now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000000000LL + now.tv_nsec;
}

bool launch_worker_end_all(launch_worker *worker)
{
    if (worker->pid > 0 && !worker->is_reaped) {
        /* All of the group at once: none of it can fork between two looks at our children. */
        (void)kill(-worker->pid, SIGKILL);
        (void)kill(worker->pid, SIGKILL);
    }
    const long long deadline = now_ns() + END_NS;
    for (;;) {
        kill_children();
        if (reap_all(worker)) {
            return true;
        }
        if (now_ns() > deadline) {
            return false;
        }
        const struct timespec pause = {.tv_nsec = PAUSE_NS};
        (void)nanosleep(&pause, NULL);
    }
}
