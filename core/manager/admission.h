/**
 * @file
 * Admission: the handshakes of connecting workers and what follows from a successful one.
 *
 * Purpose: accept connections, step their handshakes, find the waiting incarnation by its token,
 * seal its memory at READY and put it to work.
 *
 * Threads: the manager's thread. Blocking: never.
 */
#ifndef WEIR_MANAGER_ADMISSION_H
#define WEIR_MANAGER_ADMISSION_H

#include "manager/registry.h"

/** Most handshakes under way at once; more connections wait in the socket's queue. */
#define WEIR_HANDSHAKES_MAX 64

/** Takes new connections. */
void weir_admission_accept(weir_manager *manager, uint64_t now_ns);

/** Steps all handshakes; a worker that is READY serves from here on. Returns the earliest deadline
 * among those that go on. */
uint64_t weir_admission_step(weir_manager *manager, uint64_t now_ns);

/** Refuses all that are under way. */
void weir_admission_close(weir_manager *manager);

#endif
