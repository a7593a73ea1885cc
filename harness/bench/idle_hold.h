/**
 * @file
 * Keeps the processor's cores from halting while parked round trips are measured.
 *
 * Purpose: on a virtual machine the way out of a halted core goes through the hypervisor and takes
 * some 45 us, the same for a futex, a socket and a gate; it drowns what is compared. While the hold
 * lasts, an idle core polls, and a wake costs what the kernel's own path costs. Processes sleep and
 * are woken all the same.
 *
 * Threads: one. Blocking: never. Ownership: the hold is this process's and ends with it.
 *
 * Source: Documentation/power/pm_qos_interface.rst of the kernel (/dev/cpu_dma_latency).
 */
#ifndef WEIR_HARNESS_BENCH_IDLE_HOLD_H
#define WEIR_HARNESS_BENCH_IDLE_HOLD_H

#include "weir/status.h"

/** Begins the hold; without permission it says so on stderr once, and the rows are measured with
 * halting cores. Always WEIR_OK. */
weir_status weir_bench_idle_hold(void *unused, weir_error *error) WEIR_MUST_CHECK;

/** Ends the hold. */
void weir_bench_idle_let_go(void *unused);

#endif
