#include "weir/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const names[WEIR_STATUS_COUNT] = {
    [WEIR_OK] = "ok",
    [WEIR_FULL] = "full",
    [WEIR_EMPTY] = "empty",
    [WEIR_TIMEOUT] = "timeout",
    [WEIR_PEER_DEAD] = "peer_dead",
    [WEIR_INVALID] = "invalid",
    [WEIR_NO_MEMORY] = "no_memory",
    [WEIR_SYSTEM] = "system",
    [WEIR_PROTOCOL] = "protocol",
    [WEIR_CORRUPT] = "corrupt",
    [WEIR_INCOMPATIBLE] = "incompatible",
    [WEIR_UNSUPPORTED] = "unsupported",
    [WEIR_OVERSIZE] = "oversize",
    [WEIR_REFUSED] = "refused",
    [WEIR_NOT_FOUND] = "not_found",
    [WEIR_CLOSED] = "closed",
    [WEIR_INTERRUPTED] = "interrupted",
};

const char *weir_status_name(weir_status status)
{
    if ((unsigned)status >= WEIR_STATUS_COUNT) {
        return "unknown";
    }
    return names[status];
}

void weir_error_set(weir_error *error, const char *format, ...)
{
    if (error == NULL) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
}

weir_status weir_error_system(weir_error *error, int error_number, const char *doing,
                              const char *fix)
{
    char reason[128];
    /* The GNU strerror_r may answer with a constant of its own instead of filling the buffer. */
    const char *text = strerror_r(error_number, reason, sizeof reason);
    if (fix != NULL) {
        weir_error_set(error, "%s: %s; %s", doing, text, fix);
    } else {
        weir_error_set(error, "%s: %s", doing, text);
    }
    return error_number == ENOMEM ? WEIR_NO_MEMORY : WEIR_SYSTEM;
}
