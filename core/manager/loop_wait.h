/**
 * @file
 * How the manager's loop sleeps on all its workers at once; see loop.h.
 *
 * Threads: the loop's.
 */
#ifndef WEIR_MANAGER_LOOP_WAIT_H
#define WEIR_MANAGER_LOOP_WAIT_H

#include "manager/registry.h"

/** Spins, then parks, until there may be something to do or the deadline passes. */
void weir_loop_wait(weir_manager *manager, uint64_t deadline_ns);

#endif
