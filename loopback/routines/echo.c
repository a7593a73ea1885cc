#include "loopback/routines/echo.h"

#include <string.h>

routine_result echo_reply_bytes(const void *request, size_t request_bytes)
{
    (void)request;
    return routine_done(request_bytes);
}

routine_result echo_run(const void *request, size_t request_bytes, void *reply,
                        size_t reply_capacity)
{
    if (reply_capacity < request_bytes) {
        return routine_reply_too_small();
    }
    if (request_bytes > 0) {
        memcpy(reply, request, request_bytes);
    }
    return routine_done(request_bytes);
}

const char *echo_verify(const void *request, size_t request_bytes, const void *reply,
                        size_t reply_bytes)
{
    if (reply_bytes != request_bytes) {
        return "the echo has another length than the request";
    }
    if (request_bytes > 0 && memcmp(request, reply, request_bytes) != 0) {
        return "the echo differs from the request";
    }
    return NULL;
}
