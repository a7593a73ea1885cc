/* The socket that workers connect to; declared in handshake.h. */
#include <errno.h>

#include "base/os.h"
#include "manager/handshake.h"

weir_status weir_listener_open(const char *directory, const char *name, weir_listener *listener,
                               weir_error *error)
{
    *listener = (weir_listener){.fd = -1};
    const weir_status status = weir_control_path(directory, name, listener->path, error);
    if (status != WEIR_OK) {
        return status;
    }
    return weir_control_listen(listener->path, &listener->fd, error);
}

weir_status weir_listener_accept(const weir_listener *listener, int *fd, weir_error *error)
{
    *fd = weir_os()->accept(listener->fd);
    if (*fd >= 0) {
        return WEIR_OK;
    }
    if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) {
        return WEIR_EMPTY;
    }
    return weir_error_system(error, errno, "accepting a worker's connection",
                             "raise the limit of open files if it was reached");
}

void weir_listener_close(weir_listener *listener)
{
    if (listener->fd < 0) {
        return;
    }
    weir_os()->unlink(listener->path);
    weir_os()->close(listener->fd);
    listener->fd = -1;
}
