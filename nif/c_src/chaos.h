/**
 * @file
 * Wakes that are left out on purpose, for Weir.Chaos.
 *
 * Purpose: show that a lost wake costs time and nothing else, because a timed look at the ring
 * backs every wake. The library puts a futex_wake of its own into libweir's table of system calls
 * when it is loaded, before anything else of libweir runs; while the toggle is off it costs one
 * load.
 *
 * Threads: any. Blocking: never.
 */
#ifndef WEIR_NIF_CHAOS_H
#define WEIR_NIF_CHAOS_H

#include "nif_common.h"

#define WEIR_NIF_CHAOS_FUNCTIONS(F)                                                                \
    F(drop_wakes, 1, 0)                                                                            \
    F(dropped_wakes, 0, 0)

/** Called once per loaded library, before it is used. */
void weir_nif_chaos_install(void);

WEIR_NIF_CHAOS_FUNCTIONS(WEIR_NIF_DECLARE)

#endif
