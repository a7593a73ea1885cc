/* weir_worker_main: handshake, service, exit status. */
#include "weir/worker.h"

#include <signal.h>

#include "base/os.h"
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

/*
 * From READY on the manager may send jobs, so a SIGTERM that comes before the health thread can
 * take it waits for that thread instead of killing the worker.
 */
static void hold_termination(sigset_t *before)
{
    sigset_t termination;
    sigemptyset(&termination);
    sigaddset(&termination, SIGTERM);
    (void)weir_os()->signal_mask(SIG_BLOCK, &termination, before);
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
    sigset_t before;
    hold_termination(&before);
    weir_worker_terms terms;
    status = weir_worker_handshake_run(&identity, &terms, &error);
    int exit_status = exit_status_of(status);
    if (status == WEIR_OK) {
        exit_status = weir_worker_serve(options, &terms);
        weir_worker_handshake_close(&terms);
    } else {
        weir_worker_say(options, "%s", error.text);
    }
    (void)weir_os()->signal_mask(SIG_SETMASK, &before, NULL);
    return exit_status;
}
