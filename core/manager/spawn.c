#include "manager/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/os.h"
#include "manager/registry.h"

#define PIPE_BYTES 65536

weir_status weir_spawn_check(const char *path, weir_error *error)
{
    struct stat info;
    if (weir_os()->lstat(path, &info) != 0) {
        weir_error_set(error, "there is no worker program at %s; build it or name another one",
                       path);
        return WEIR_NOT_FOUND;
    }
    if (S_ISDIR(info.st_mode) || weir_os()->access(path, X_OK) != 0) {
        weir_error_set(
            error, "%s is not an executable program; name the worker's file or chmod +x it", path);
        return WEIR_NOT_FOUND;
    }
    return WEIR_OK;
}

static bool is_ours(const char *variable)
{
    return strncmp(variable, "WEIR_SOCKET=", 12) == 0 ||
           strncmp(variable, "WEIR_TOKEN=", 11) == 0 ||
           strncmp(variable, "WEIR_CORRELATION=", 17) == 0;
}

/* The parent's environment with our three variables in place of any inherited ones. */
static char **build_environment(char *socket, char *token, char *correlation)
{
    size_t count = 0;
    while (environ[count] != NULL) {
        count++;
    }
    char **built = calloc(count + 4, sizeof *built);
    if (built == NULL) {
        return NULL;
    }
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        if (!is_ours(environ[i])) {
            built[used++] = environ[i];
        }
    }
    built[used++] = socket;
    built[used++] = token;
    built[used++] = correlation;
    return built;
}

static int prepare(posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes,
                   int output_fd)
{
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    int code = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    code = code != 0 ? code : posix_spawn_file_actions_adddup2(actions, output_fd, STDOUT_FILENO);
    code = code != 0 ? code : posix_spawn_file_actions_adddup2(actions, output_fd, STDERR_FILENO);
    code = code != 0 ? code : posix_spawnattr_setsigmask(attributes, &none);
    code = code != 0 ? code : posix_spawnattr_setsigdefault(attributes, &all);
    code = code != 0 ? code : posix_spawnattr_setpgroup(attributes, 0);
    return code != 0 ? code
                     : posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK |
                                                                POSIX_SPAWN_SETSIGDEF |
                                                                POSIX_SPAWN_SETPGROUP);
}

static int start(weir_incarnation *incarnation, char **environment, int output_fd)
{
    const char *const *command = incarnation->pool->options.command;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    int code = prepare(&actions, &attributes, output_fd);
    if (code == 0) {
        code = weir_os()->spawn(&incarnation->pid, command[0], &actions, &attributes,
                                (char *const *)(uintptr_t)command, environment);
    }
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return code;
}

static void close_eventfd(int *fd)
{
    if (*fd >= 0) {
        (void)weir_os()->close(*fd);
        *fd = -1;
    }
}

/* A process without a pidfd could never be reaped. This life is over before it began: what it no
 * longer needs may make room for the one descriptor. */
static int open_pidfd_of_killed(weir_incarnation *incarnation)
{
    incarnation->is_token_used = true; /* No handshake may hand out what is closed now. */
    incarnation->waker.eventfd = incarnation->sleeper.eventfd = -1;
    close_eventfd(&incarnation->request_eventfd);
    close_eventfd(&incarnation->response_eventfd);
    weir_arena_close_descriptors(&incarnation->arena);
    return weir_os()->pidfd_open(incarnation->pid);
}

static weir_status open_pidfd(weir_incarnation *incarnation, weir_error *error)
{
    const int pidfd = weir_os()->pidfd_open(incarnation->pid);
    if (pidfd < 0) {
        const int code = errno;
        /* Still our unreaped child, so the number is its own; without a pidfd nothing else about it
         * is safe. */
        (void)weir_os()->thread_signal(incarnation->pid, incarnation->pid, SIGKILL);
        incarnation->pidfd = open_pidfd_of_killed(incarnation);
        return weir_error_system(error, code, "cannot get a pidfd for a worker",
                                 "raise the limit on open files (ulimit -n); Linux 5.3 is needed");
    }
    incarnation->pidfd = pidfd;
    return WEIR_OK;
}

static weir_status spawn_into(weir_incarnation *incarnation, const char *socket_path, int output_fd,
                              weir_error *error)
{
    char socket[160];
    char token[WEIR_TOKEN_TEXT_BYTES + 16];
    char correlation[80];
    char digits[WEIR_TOKEN_TEXT_BYTES];
    weir_token_write(incarnation->token, digits);
    snprintf(socket, sizeof socket, "WEIR_SOCKET=%s", socket_path);
    snprintf(token, sizeof token, "WEIR_TOKEN=%s", digits);
    snprintf(correlation, sizeof correlation, "WEIR_CORRELATION=%s", incarnation->correlation);
    char **environment = build_environment(socket, token, correlation);
    if (environment == NULL) {
        weir_error_set(error, "no memory for a worker's environment; free some and start again");
        return WEIR_NO_MEMORY;
    }
    const int code = start(incarnation, environment, output_fd);
    free(environment);
    if (code != 0) {
        incarnation->pid = 0;
        char doing[160];
        snprintf(doing, sizeof doing, "cannot start the worker %.100s",
                 incarnation->pool->options.command[0]);
        return weir_error_system(error, code, doing,
                                 "check the path and the limit on processes (ulimit -u)");
    }
    return open_pidfd(incarnation, error);
}

weir_status weir_spawn(weir_incarnation *incarnation, const char *socket_path, weir_error *error)
{
    weir_status status = weir_spawn_check(incarnation->pool->options.command[0], error);
    if (status != WEIR_OK) {
        return status;
    }
    int ends[2];
    if (weir_os()->pipe(ends, O_CLOEXEC) != 0) {
        return weir_error_system(error, errno, "cannot make a pipe for a worker's output",
                                 "raise the limit on open files (ulimit -n)");
    }
    (void)weir_os()->set_pipe_bytes(ends[0], PIPE_BYTES);
    /* The worker's end blocks like any standard output; only ours may not. */
    (void)weir_os()->set_nonblocking(ends[0]);
    status = spawn_into(incarnation, socket_path, ends[1], error);
    (void)weir_os()->close(ends[1]);
    weir_output_init(&incarnation->output, ends[0]);
    return status;
}
