#include "harness/stop.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>

static unsigned taken;

static sigset_t both(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    return set;
}

void weir_stop_block(void)
{
    const sigset_t set = both();
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

unsigned weir_stop_wait(uint64_t nanoseconds)
{
    const sigset_t set = both();
    const struct timespec limit = {.tv_sec = (time_t)(nanoseconds / 1000000000),
                                   .tv_nsec = (long)(nanoseconds % 1000000000)};
    if (sigtimedwait(&set, NULL, &limit) > 0) {
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
    const sigset_t set = both();
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
