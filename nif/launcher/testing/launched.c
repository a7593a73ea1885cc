#include "nif/launcher/testing/launched.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "harness/testing/weir_test.h"

#define WAIT_SECONDS 30

typedef struct start_arguments {
    const char *program;
    const char *first;
    const char *second;
    const char *credit;
    int commands_fd;
    int frames_fd;
} start_arguments;

static void become_launcher(void *context)
{
    start_arguments *arguments = context;
    char *argv[] = {"weir-launch",
                    "--credit",
                    (char *)(uintptr_t)arguments->credit,
                    (char *)(uintptr_t)arguments->program,
                    (char *)(uintptr_t)arguments->first,
                    (char *)(uintptr_t)arguments->second,
                    NULL};
    char **from = argv;
    if (arguments->credit == NULL) {
        argv[2] = argv[0];
        from = argv + 2;
    }
    if (dup2(arguments->commands_fd, STDIN_FILENO) >= 0 &&
        dup2(arguments->frames_fd, STDOUT_FILENO) >= 0) {
        execv(weir_test_program("weir-launch"), from);
    }
    _exit(125);
}

static launched start(const char *credit, const char *program, const char *first,
                      const char *second)
{
    int commands[2];
    int frames[2];
    WEIR_EXPECT_EQ(pipe2(commands, O_CLOEXEC), 0);
    WEIR_EXPECT_EQ(pipe2(frames, O_CLOEXEC), 0);
    start_arguments arguments = {program, first, second, credit, commands[0], frames[1]};
    const pid_t pid = weir_test_fork(become_launcher, &arguments);
    (void)close(commands[0]);
    (void)close(frames[1]);
    return (launched){.pid = pid, .commands_fd = commands[1], .frames_fd = frames[0]};
}

launched launched_start(const char *program, const char *first, const char *second)
{
    return start(NULL, program, first, second);
}

launched launched_start_with_credit(const char *credit, const char *program, const char *first,
                                    const char *second)
{
    return start(credit, program, first, second);
}

launched launched_script(const char *script, pid_t *worker)
{
    launched it = launched_start("/bin/sh", "-c", script);
    launched_expect(&it, LAUNCH_STARTED);
    WEIR_EXPECT_EQ(it.bytes, 4);
    *worker = (pid_t)launched_number(&it);
    WEIR_EXPECT_GT(*worker, 1);
    return it;
}

/* Returns whether all bytes came; false at the end of file. */
static bool read_all(int fd, void *bytes, size_t count)
{
    unsigned char *next = bytes;
    while (count > 0) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        WEIR_EXPECT_EQ(poll(&ready, 1, WAIT_SECONDS * 1000 * WEIR_TEST_TIMEOUT_SCALE), 1);
        const ssize_t got = read(fd, next, count);
        if (got <= 0) {
            return false;
        }
        next += got;
        count -= (size_t)got;
    }
    return true;
}

int launched_next(launched *it)
{
    unsigned char head[3];
    if (!read_all(it->frames_fd, head, sizeof head)) {
        return 0;
    }
    it->bytes = ((uint32_t)head[0] << 8 | head[1]) - 1;
    WEIR_EXPECT_LT(it->bytes, sizeof it->body);
    WEIR_EXPECT_TRUE(read_all(it->frames_fd, it->body, it->bytes));
    it->body[it->bytes] = '\0';
    return head[2];
}

void launched_expect(launched *it, enum launch_frame kind)
{
    const int got = launched_next(it);
    if (got != (int)kind) {
        weir_test_fail(__FILE__, __LINE__, "frame '%c' (%s) instead of '%c'", got == 0 ? '0' : got,
                       got == 0 ? "end of file" : it->body, (int)kind);
    }
}

uint32_t launched_number(const launched *it)
{
    uint32_t number = 0;
    for (uint32_t i = 0; i < it->bytes && i < 4; i++) {
        number = number << 8 | (unsigned char)it->body[i];
    }
    return number;
}

void launched_send(launched *it, const void *bytes, size_t count)
{
    WEIR_EXPECT_EQ(write(it->commands_fd, bytes, count), (ssize_t)count);
}

void launched_credit(launched *it, uint32_t lines)
{
    const unsigned char frame[] = {
        0, 5, 'C', lines >> 24 & 0xff, lines >> 16 & 0xff, lines >> 8 & 0xff, lines & 0xff};
    launched_send(it, frame, sizeof frame);
}

void launched_signal(launched *it, int number)
{
    const unsigned char frame[] = {0, 2, 'S', (unsigned char)number};
    launched_send(it, frame, sizeof frame);
}

void launched_kill(launched *it)
{
    const unsigned char frame[] = {0, 1, 'K'};
    launched_send(it, frame, sizeof frame);
}

void launched_hang_up(launched *it)
{
    (void)close(it->commands_fd);
    it->commands_fd = -1;
}

int launched_end(launched *it)
{
    const int code = weir_test_wait(it->pid, weir_test_deadline(WAIT_SECONDS));
    if (it->commands_fd >= 0) {
        launched_hang_up(it);
    }
    (void)close(it->frames_fd);
    return code;
}

char launched_state(pid_t pid)
{
    char path[64];
    char text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return 'Z';
    }
    const ssize_t got = read(fd, text, sizeof text - 1);
    (void)close(fd);
    text[got > 0 ? got : 0] = '\0';
    const char *end = strrchr(text, ')');
    return end == NULL || end[1] == '\0' ? 'Z' : end[2];
}

void launched_await_state(pid_t pid, char state)
{
    const uint64_t deadline = weir_test_deadline(WAIT_SECONDS);
    while (launched_state(pid) != state) {
        if (weir_test_deadline(0) > deadline) {
            weir_test_fail(__FILE__, __LINE__, "pid %d is in state %c, not %c", (int)pid,
                           launched_state(pid), state);
        }
        const struct timespec pause = {.tv_nsec = 2000000};
        (void)nanosleep(&pause, NULL);
    }
}
