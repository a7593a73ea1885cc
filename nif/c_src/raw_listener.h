/**
 * @file
 * The manager's end of a handshake, without a manager.
 *
 * Purpose: listen, accept, and take one worker through HELLO, WELCOME and READY for an arena that
 * was made with arena_create. A scheduler is never blocked: a call that finds nothing selects and
 * says :pending.
 *
 * Typical use: listener_open; listener_accept until it gives a connection; handshake_step until it
 * gives the worker's names; arena_seal; keep the handshake as the sign that the worker lives;
 * handshake_close.
 *
 * Threads: any; one lock each. A handshake locks its arena inside its own lock, never the other way
 * round.
 *
 * Ownership: closed by their function, by the death of their owner, or with the last term. A
 * listener unlinks its socket then.
 */
#ifndef WEIR_NIF_RAW_LISTENER_H
#define WEIR_NIF_RAW_LISTENER_H

#include "manager/handshake.h"
#include "nif_common.h"
#include "raw_arena.h"

#define WEIR_NIF_LISTENER_FUNCTIONS(F)                                                             \
    F(listener_open, 2, 0)                                                                         \
    F(listener_accept, 4, 0)                                                                       \
    F(listener_close, 1, 0)                                                                        \
    F(handshake_step, 1, ERL_NIF_DIRTY_JOB_CPU_BOUND)                                              \
    F(handshake_alive, 1, 0)                                                                       \
    F(handshake_close, 1, 0)

typedef struct weir_nif_listener {
    weir_nif_owned owned;
    weir_listener listener; /**< Its fd is -1 when closed. */
    bool was_selected;
} weir_nif_listener;

typedef struct weir_nif_handshake {
    weir_nif_owned owned;
    bool is_open;
    weir_handshake handshake; /**< Closes its descriptor itself, so the poll set has another one. */
    int watch_fd;             /**< A duplicate for the poll set. */
    bool was_selected;
    weir_handshake_terms terms;
    int request_eventfd;
    int response_eventfd;
    uint8_t token[WEIR_TOKEN_BYTES];
    bool token_used;
    char role[32];
    char correlation[48];
    weir_nif_arena *arena; /**< Kept alive. */
} weir_nif_handshake;

void weir_nif_listener_free(ErlNifEnv *env, void *resource);
void weir_nif_listener_down(ErlNifEnv *env, void *resource, ErlNifPid *pid, ErlNifMonitor *monitor);
void weir_nif_handshake_free(ErlNifEnv *env, void *resource);
void weir_nif_handshake_down(ErlNifEnv *env, void *resource, ErlNifPid *pid,
                             ErlNifMonitor *monitor);

WEIR_NIF_LISTENER_FUNCTIONS(WEIR_NIF_DECLARE)

#endif
