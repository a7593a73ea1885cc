/**
 * @file
 * What libweir tells the instance: events and orders, as messages to the owner process.
 *
 * {:weir_event, kind, pool, seat, generation, pid, time_ns, text} and
 * {:weir_start, pool_id, seat, generation, socket, token, correlation}.
 *
 * Threads: whichever takes the turn. Blocking: never. Without an owner there is nobody to tell.
 */
#ifndef WEIR_NIF_EVENTS_H
#define WEIR_NIF_EVENTS_H

#include "weir/host.h"

/** For weir_manager_options.on_event; the context is the home. */
void weir_nif_tell_event(void *context, const weir_event *event);
/** For weir_host.start; the context is the home. */
void weir_nif_tell_order(void *context, const weir_start_order *order);

#endif
