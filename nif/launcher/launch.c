#include "nif/launcher/launch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nif/launcher/frames.h"
#include "nif/launcher/lines.h"
#include "nif/launcher/worker.h"

#define EXIT_LEFT_BEHIND 1
#define EXIT_ENVIRONMENT 3
/* Everything is told by descriptors; this only bounds the wait. */
#define LOOK_MS 1000

typedef struct launcher {
    int commands_fd;
    int frames_fd;
    int signals_fd;
    bool is_deaf;    /* Nobody is there any more to be told anything. */
    bool is_killing; /* The worker shall end now; its end is still told. */
    launch_commands commands;
    launch_lines lines;
    launch_worker worker;
} launcher;

/* SIGTERM asks for the end of everything. What a terminal sends is meant for the virtual machine,
 * whose end is noticed anyway. */
static int open_signals(void)
{
    sigset_t wanted;
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGCHLD);
    sigaddset(&wanted, SIGTERM);
    (void)signal(SIGCHLD, SIG_DFL); /* Inherited as ignored, it would let the kernel reap. */
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGQUIT, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_SETMASK, &wanted, NULL) != 0) {
        return -1;
    }
    return signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void take_signals(launcher *launcher)
{
    struct signalfd_siginfo info;
    while (read(launcher->signals_fd, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGTERM) {
            launcher->is_deaf = true;
        }
    }
}

static void obey(launcher *launcher, launch_command command)
{
    switch (command.kind) {
    case LAUNCH_CREDIT:
        launcher->is_deaf |= !launch_lines_credit(&launcher->lines, command.number);
        break;
    case LAUNCH_SIGNAL:
        launch_worker_signal(&launcher->worker, (int)command.number);
        break;
    case LAUNCH_KILL:
        launcher->is_killing = true;
        break;
    default:
        launcher->is_deaf = true;
    }
}

static void take_commands(launcher *launcher)
{
    if (!launch_commands_read(&launcher->commands, launcher->commands_fd)) {
        launcher->is_deaf = true;
        return;
    }
    launch_command command = launch_commands_next(&launcher->commands);
    while (command.kind != LAUNCH_NONE && !launcher->is_deaf) {
        obey(launcher, command);
        command = launch_commands_next(&launcher->commands);
    }
}

/* One look at everything. Commands come before lines, so that a flood cannot delay an end of file
 * by more than one bounded turn. */
static void serve_once(launcher *launcher)
{
    struct pollfd fds[] = {
        {.fd = launcher->commands_fd, .events = POLLIN},
        {.fd = launcher->signals_fd, .events = POLLIN},
        {.fd = launcher->lines.fd, .events = POLLIN},
    };
    const int ready = poll(fds, sizeof fds / sizeof fds[0], LOOK_MS);
    if (ready < 0 && errno != EINTR) {
        launcher->is_deaf = true;
        return;
    }
    if (fds[0].revents != 0) {
        take_commands(launcher);
    }
    if (fds[1].revents != 0) {
        take_signals(launcher);
    }
    if (fds[2].revents != 0 && !launcher->is_deaf) {
        launcher->is_deaf |= !launch_lines_pump(&launcher->lines);
    }
    launch_worker_look(&launcher->worker);
}

static void tell_end(launcher *launcher)
{
    if (!launch_lines_finish(&launcher->lines)) {
        return;
    }
    const int status = launcher->worker.status;
    const unsigned char how[2] = {
        WIFSIGNALED(status) ? 's' : 'e',
        (unsigned char)(WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status)),
    };
    (void)launch_frame_send(launcher->frames_fd, LAUNCH_EXITED, how, sizeof how);
}

static int refuse(int frames_fd, const char *doing, int code)
{
    char sentence[160];
    snprintf(sentence, sizeof sentence, "%s: %s; run on Linux 5.4 or newer", doing, strerror(code));
    (void)launch_frame_send(frames_fd, LAUNCH_FAILED, sentence, strlen(sentence));
    return EXIT_ENVIRONMENT;
}

int launch_run(int commands_fd, int frames_fd, uint32_t credit, char *const argv[])
{
    launcher launcher = {.commands_fd = commands_fd, .frames_fd = frames_fd};
    launcher.signals_fd = open_signals();
    if (launcher.signals_fd < 0) {
        return refuse(frames_fd, "cannot watch signals", errno);
    }
    if (!launch_worker_prepare()) {
        return refuse(frames_fd, "cannot become the parent of orphans", errno);
    }
    char sentence[LAUNCH_LINE_BYTES];
    if (!launch_worker_start(&launcher.worker, argv, sentence, sizeof sentence)) {
        (void)launch_frame_send(frames_fd, LAUNCH_FAILED, sentence, strlen(sentence));
        return 0;
    }
    launcher.lines =
        (launch_lines){.fd = launcher.worker.output_fd, .frames_fd = frames_fd, .credit = credit};
    launcher.is_deaf =
        !launch_frame_send_number(frames_fd, LAUNCH_STARTED, (uint32_t)launcher.worker.pid);
    while (!launcher.is_deaf && !launcher.is_killing && !launcher.worker.has_ended) {
        serve_once(&launcher);
    }
    const bool is_clean = launch_worker_end_all(&launcher.worker);
    if (!launcher.is_deaf && launcher.worker.is_reaped) {
        tell_end(&launcher);
    }
    return is_clean ? 0 : EXIT_LEFT_BEHIND;
}
