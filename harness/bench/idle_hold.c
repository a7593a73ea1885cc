#include "harness/bench/idle_hold.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int hold_fd = -1;

weir_status weir_bench_idle_hold(void *unused, weir_error *error)
{
    static bool has_complained;
    const int32_t no_latency_us = 0;
    (void)unused;
    (void)error;
    hold_fd = open("/dev/cpu_dma_latency", O_WRONLY | O_CLOEXEC);
    if (hold_fd >= 0 &&
        write(hold_fd, &no_latency_us, sizeof no_latency_us) == (ssize_t)sizeof no_latency_us) {
        return WEIR_OK;
    }
    if (!has_complained) {
        has_complained = true;
        fprintf(
            stderr,
            "weir bench: the cores cannot be kept from halting (/dev/cpu_dma_latency: %s), so the "
            "parked rows mostly show how long a halted core takes to wake; run it as root\n",
            strerror(errno));
    }
    weir_bench_idle_let_go(NULL);
    return WEIR_OK;
}

void weir_bench_idle_let_go(void *unused)
{
    (void)unused;
    if (hold_fd >= 0) {
        (void)close(hold_fd);
        hold_fd = -1;
    }
}
