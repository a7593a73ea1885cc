/**
 * @file
 * A worker whose jobs sleep, crash, hang and fail as the test asks; see job_worker.h.
 */
#include "manager/testing/job_worker.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "weir/worker.h"

static unsigned number_in(const weir_job *job)
{
    size_t bytes = 0;
    unsigned number = 0;
    const void *request = weir_job_request(job, &bytes);
    if (bytes > 0) {
        memcpy(&number, request, bytes < sizeof number ? bytes : sizeof number);
    }
    return number;
}

static void sleep_ms(unsigned ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&left, &left) != 0) {
    }
}

static weir_status run_echo(weir_job *job, void *context)
{
    (void)context;
    size_t bytes = 0;
    const void *request = weir_job_request(job, &bytes);
    void *reply = NULL;
    const weir_status status = weir_job_reply(job, bytes, &reply);
    if (status == WEIR_OK && bytes > 0) {
        memcpy(reply, request, bytes);
    }
    return status;
}

static weir_status run_sleep(weir_job *job, void *context)
{
    (void)context;
    sleep_ms(number_in(job));
    return WEIR_OK;
}

static weir_status run_signal(weir_job *job, void *context)
{
    (void)context;
    raise((int)number_in(job));
    return WEIR_OK;
}

static weir_status run_exit(weir_job *job, void *context)
{
    (void)job;
    (void)context;
    exit(0);
}

static weir_status run_busy(weir_job *job, void *context)
{
    (void)job;
    (void)context;
    for (volatile unsigned i = 0;; i = i + 1) {
    }
    return WEIR_OK;
}

static weir_status run_reply_bytes(weir_job *job, void *context)
{
    (void)context;
    const unsigned bytes = number_in(job);
    void *reply = NULL;
    const weir_status status = weir_job_reply(job, bytes, &reply);
    for (unsigned i = 0; status == WEIR_OK && i < bytes; i++) {
        ((unsigned char *)reply)[i] = job_worker_byte(bytes, i);
    }
    return status;
}

static weir_status run_fail(weir_job *job, void *context)
{
    (void)context;
    weir_job_fail(job, "the test wants it");
    return WEIR_OK;
}

static weir_status run_progress(weir_job *job, void *context)
{
    (void)context;
    for (unsigned left = number_in(job); left > 0; left--) {
        sleep_ms(1);
        weir_job_progress(job);
    }
    return WEIR_OK;
}

static weir_status run_close_socket(weir_job *job, void *context)
{
    (void)job;
    (void)context;
    for (int fd = 3; fd < 64; fd++) {
        struct stat info;
        if (fstat(fd, &info) == 0 && S_ISSOCK(info.st_mode)) {
            /* The health thread must not end the process over it: it keeps one end that stays
             * silent. */
            int ends[2];
            if (pipe(ends) == 0) {
                dup2(ends[0], fd);
            }
        }
    }
    for (;;) {
        pause();
    }
    return WEIR_OK;
}

static weir_status run_pid(weir_job *job, void *context)
{
    (void)context;
    const unsigned pid = (unsigned)getpid();
    void *reply = NULL;
    const weir_status status = weir_job_reply(job, sizeof pid, &reply);
    if (status == WEIR_OK) {
        memcpy(reply, &pid, sizeof pid);
    }
    return status;
}

typedef struct file_name {
    char text[256];
} file_name;

static file_name file_of(const weir_job *job)
{
    size_t bytes = 0;
    file_name name = {""};
    const void *request = weir_job_request(job, &bytes);
    memcpy(name.text, request, bytes < sizeof name.text - 1 ? bytes : sizeof name.text - 1);
    return name;
}

static void mark(const weir_job *job)
{
    const file_name name = file_of(job);
    const char *path = name.text;
    const int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, "x", 1) != 1) {
        perror(path);
    }
    close(fd);
}

static weir_status run_mark_and_die(weir_job *job, void *context)
{
    (void)context;
    mark(job);
    raise(SIGKILL);
    return WEIR_OK;
}

static weir_status run_mark(weir_job *job, void *context)
{
    (void)context;
    mark(job);
    return WEIR_OK;
}

static weir_status run_hold(weir_job *job, void *context)
{
    (void)context;
    const file_name name = file_of(job);
    const int fd = open(name.text, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd >= 0) {
        if (write(fd, "x", 1) != 1) {
            perror(name.text);
        }
        close(fd);
    }
    while (access(name.text, F_OK) == 0) { /* The process ends with its manager in any case. */
        sleep_ms(1);
    }
    return WEIR_OK;
}

static weir_status run_flood(weir_job *job, void *context)
{
    (void)context;
    for (unsigned left = number_in(job); left > 0; left--) {
        printf("line %u of a flood\n", left);
    }
    fflush(stdout);
    return WEIR_OK;
}

static const weir_worker_routine routines[] = {
    {WEIR_OPCODE_ECHO, run_echo},
    {WEIR_OPCODE_WORLDGEN, run_echo},
    {JOB_SLEEP, run_sleep},
    {JOB_SIGNAL, run_signal},
    {JOB_EXIT, run_exit},
    {JOB_BUSY, run_busy},
    {JOB_REPLY_BYTES, run_reply_bytes},
    {JOB_FAIL, run_fail},
    {JOB_PROGRESS, run_progress},
    {JOB_CLOSE_SOCKET, run_close_socket},
    {JOB_PID, run_pid},
    {JOB_MARK_AND_DIE, run_mark_and_die},
    {JOB_MARK, run_mark},
    {JOB_FLOOD, run_flood},
    {JOB_HOLD, run_hold},
};

static void crash_the_first_time(const char *path)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0) {
        close(fd);
        raise(SIGKILL);
    }
}

int main(int argc, char **argv)
{
    weir_worker_options options = {
        .role = "jobs",
        .routines = routines,
        .routine_count = sizeof routines / sizeof routines[0],
    };
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--role") == 0) {
            options.role = value;
        } else if (strcmp(argv[i], "--without-crc") == 0) {
            options.without_payload_crc = 1;
        } else if (strcmp(argv[i], "--crash-first") == 0) {
            crash_the_first_time(value);
        } else if (strcmp(argv[i], "--strategies") == 0) {
            options.wake_strategies = (unsigned)atoi(value);
        } else if (strcmp(argv[i], "--die") == 0) {
            fprintf(stderr, "these are my last words\n");
            return 7;
        } else if (strcmp(argv[i], "--mute") == 0) {
            for (;;) {
                pause();
            }
        }
    }
    return weir_worker_main(&options, argc, argv);
}
