/* The sockets of control.h: their paths, the listening and the connecting end. */
#include "channel/control.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/os.h"

#define BACKLOG  128 /* Connections that may wait; a manager has far fewer workers starting. */
#define RETRY_NS (2 * WEIR_NS_PER_MS)

_Static_assert(sizeof(((struct sockaddr_un *)0)->sun_path) == WEIR_CONTROL_PATH_BYTES,
               "the limit of unix(7)");

static weir_status too_long(size_t length, const char *path, weir_error *error)
{
    weir_error_set(error,
                   "the socket path \"%.120s%s\" has %zu bytes and a socket's path has at most %d; "
                   "use a shorter directory, for example one in /tmp or /run",
                   path, length > 120 ? "..." : "", length, WEIR_CONTROL_PATH_BYTES - 1);
    return WEIR_INVALID;
}

weir_status weir_control_path(const char *directory, const char *name,
                              char path[WEIR_CONTROL_PATH_BYTES], weir_error *error)
{
    char whole[4096];
    const int length = snprintf(whole, sizeof whole, "%s/%s", directory, name);
    if (length < 0 || length >= WEIR_CONTROL_PATH_BYTES) {
        return too_long(length < 0 ? 0 : (size_t)length, whole, error);
    }
    memcpy(path, whole, (size_t)length + 1);
    return WEIR_OK;
}

static weir_status make_address(const char *path, struct sockaddr_un *address, weir_error *error)
{
    const size_t length = strlen(path);
    if (length == 0) {
        weir_error_set(error, "the socket path is empty; name the manager's socket");
        return WEIR_INVALID;
    }
    if (length >= sizeof address->sun_path) {
        return too_long(length, path, error);
    }
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address->sun_path, path, length);
    return WEIR_OK;
}

static weir_status open_socket(int *fd, weir_error *error)
{
    *fd = weir_os()->socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd < 0) {
        return weir_error_system(error, errno, "opening a control socket",
                                 "raise the limit of open files if it was reached");
    }
    return WEIR_OK;
}

/* A failure whose sentence names the path. */
static weir_status failed(int error_number, const char *doing, const char *path, const char *fix,
                          weir_error *error)
{
    char text[WEIR_CONTROL_PATH_BYTES + 64];
    snprintf(text, sizeof text, "%s %s", doing, path);
    return weir_error_system(error, error_number, text, fix);
}

weir_status weir_control_listen(const char *path, int *fd, weir_error *error)
{
    struct sockaddr_un address;
    *fd = -1;
    weir_status status = make_address(path, &address, error);
    if (status != WEIR_OK) {
        return status;
    }
    int opened;
    status = open_socket(&opened, error);
    if (status != WEIR_OK) {
        return status;
    }
    if (weir_os()->bind(opened, (const struct sockaddr *)&address, sizeof address) != 0) {
        status = failed(errno, "binding the control socket", path,
                        errno == EADDRINUSE ? "remove it if no manager is running there"
                                            : "check that the directory exists and is yours",
                        error);
        weir_os()->close(opened);
        return status;
    }
    if (weir_os()->listen(opened, BACKLOG) != 0) {
        status = failed(errno, "listening at", path, NULL, error);
        weir_os()->close(opened);
        weir_os()->unlink(path);
        return status;
    }
    *fd = opened;
    return WEIR_OK;
}

/* Connects; a full queue is asked again until the deadline, since connect(2) cannot be polled for
 * it. */
static weir_status try_connect(int fd, const struct sockaddr_un *address, uint64_t deadline_ns,
                               weir_error *error)
{
    for (;;) {
        if (weir_os()->connect(fd, (const struct sockaddr *)address, sizeof *address) == 0) {
            return WEIR_OK;
        }
        if (errno == ECONNREFUSED || errno == ENOENT) {
            weir_error_set(error,
                           "nobody listens at %s; start the manager first, or name its socket",
                           address->sun_path);
            return WEIR_NOT_FOUND;
        }
        if (errno != EAGAIN && errno != EINTR) {
            return failed(errno, "connecting to", address->sun_path,
                          "a worker must run as its manager's user", error);
        }
        const uint64_t now = weir_os()->clock_ns();
        if (now >= deadline_ns) {
            weir_error_set(error,
                           "the manager at %s did not take the connection in time; "
                           "see whether it is running or stopped",
                           address->sun_path);
            return WEIR_TIMEOUT;
        }
        const uint64_t left = deadline_ns - now;
        weir_os()->sleep_until(now + (left < RETRY_NS ? left : RETRY_NS));
    }
}

weir_status weir_control_connect(const char *path, uint64_t deadline_ns, int *fd, weir_error *error)
{
    struct sockaddr_un address;
    *fd = -1;
    weir_status status = make_address(path, &address, error);
    if (status != WEIR_OK) {
        return status;
    }
    int opened;
    status = open_socket(&opened, error);
    if (status != WEIR_OK) {
        return status;
    }
    status = try_connect(opened, &address, deadline_ns, error);
    if (status != WEIR_OK) {
        weir_os()->close(opened);
        return status;
    }
    *fd = opened;
    return WEIR_OK;
}
