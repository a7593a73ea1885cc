/**
 * @file
 * What the status page says of one seat.
 *
 * Threads: the thread that runs the loop. Blocking: the pool's lock, for this one seat.
 *
 * Trust: what comes from the worker's memory is loaded once, bounded where it is a fill level, and
 * otherwise shown as the worker's opinion.
 */
#ifndef WEIR_MANAGER_STATUS_SEAT_H
#define WEIR_MANAGER_STATUS_SEAT_H

#include "layout/generated/weir_layout.h"
#include "manager/registry.h"

/** Fills @p block but for its sequence. */
void weir_status_seat_describe(weir_pool *pool, uint32_t number, struct weir_status_seat *block);

#endif
