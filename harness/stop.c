#include "harness/stop.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

static unsigned taken;
static bool ends_on_hangup;

/* What stops a run. A hangup that was ignored before, as by nohup, stays ignored. */
static sigset_t stoppers(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    if (ends_on_hangup) {
        sigaddset(&set, SIGHUP);
    }
    return set;
}

void weir_stop_block(void)
{
    struct sigaction hangup;
    ends_on_hangup = sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN;
    sigset_t set = stoppers();
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

unsigned weir_stop_wait(uint64_t nanoseconds)
{
    sigset_t set = stoppers();
    const struct timespec limit = {.tv_sec = (time_t)(nanoseconds / 1000000000),
                                   .tv_nsec = (long)(nanoseconds % 1000000000)};
    sigaddset(&set, SIGPIPE);
    const int number = sigtimedwait(&set, NULL, &limit);
    if (number == SIGPIPE) {
        /* Each further line brings another: nobody's impatience. */
        taken = taken > 0 ? taken : 1;
    } else if (number > 0) {
        taken++;
    }
    return taken;
}

unsigned weir_stop_count(void)
{
    return weir_stop_wait(0);
}

void weir_stop_unblock(void)
{
    const sigset_t set = stoppers();
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
