/* weir_worker_main: handshake, service, exit status. */
#include "weir/worker.h"

#include "worker/handshake.h"
#include "worker/loop.h"

/* What a failed handshake means to whoever started the program. */
static int exit_status_of(weir_status status)
{
    switch (status) {
    case WEIR_INVALID:
        return 2;
    case WEIR_PROTOCOL:
        return 1;
    default:
        return 3;
    }
}

int weir_worker_main(const weir_worker_options *options, int argc, char **argv)
{
    weir_error error = {.text = ""};
    weir_worker_identity identity;
    weir_status status = weir_worker_handshake_prepare(options, argc, argv, &identity, &error);
    if (status != WEIR_OK) {
        weir_worker_say(options, "%s", error.text);
        return exit_status_of(status);
    }
    weir_worker_terms terms;
    status = weir_worker_handshake_run(&identity, &terms, &error);
    if (status != WEIR_OK) {
        weir_worker_say(options, "%s", error.text);
        return exit_status_of(status);
    }
    const int exit_status = weir_worker_serve(options, &terms);
    weir_worker_handshake_close(&terms);
    return exit_status;
}
