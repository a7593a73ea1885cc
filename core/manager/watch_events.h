/**
 * @file
 * What follows from the watcher's events.
 *
 * Threads: the manager's thread. Blocking: never; what a worker prints is read in bounded turns.
 */
#ifndef WEIR_MANAGER_WATCH_EVENTS_H
#define WEIR_MANAGER_WATCH_EVENTS_H

#include "manager/registry.h"

/** Handles the events that are queued. Returns true when the supervisor should look now. */
bool weir_watch_events_handle(weir_manager *manager);

#endif
