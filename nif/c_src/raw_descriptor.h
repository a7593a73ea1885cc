/**
 * @file
 * File descriptors as resources.
 *
 * Purpose: a descriptor that Elixir holds is closed exactly once: by descriptor_close, by the death
 * of the process that owns it, or when the last term that names it is collected. Its number never
 * leaves the NIF, so nobody can close or reuse it behind the resource's back.
 *
 * Threads: any; a lock per descriptor keeps it open while a call uses it. The calls made under the
 * lock never wait.
 */
#ifndef WEIR_NIF_RAW_DESCRIPTOR_H
#define WEIR_NIF_RAW_DESCRIPTOR_H

#include "nif_common.h"

#define WEIR_NIF_DESCRIPTOR_FUNCTIONS(F)                                                           \
    F(eventfd_create, 0, 0)                                                                        \
    F(eventfd_ring, 1, 0)                                                                          \
    F(eventfd_drain, 1, 0)                                                                         \
    F(descriptor_select, 1, 0)                                                                     \
    F(descriptor_close, 1, 0)                                                                      \
    F(descriptor_is_open, 1, 0)

/** What may be done with a descriptor. */
typedef enum weir_nif_descriptor_use {
    WEIR_NIF_DESCRIPTOR_PLAIN = 0, /**< Nothing but to be held, passed on, selected. */
    WEIR_NIF_DESCRIPTOR_EVENTFD,
    WEIR_NIF_DESCRIPTOR_SENDER,  /**< A manager's end of a passing pair. */
    WEIR_NIF_DESCRIPTOR_RECEIVER /**< A worker's or peer's end. */
} weir_nif_descriptor_use;

typedef struct weir_nif_descriptor {
    weir_nif_owned owned;
    int fd; /**< -1 when closed. */
    weir_nif_descriptor_use use;
    bool
        was_selected; /**< The emulator's poll set knows it: only the stop callback may close it. */
} weir_nif_descriptor;

/** A resource that owns @p fd from now on (it is closed if this fails), itself owned by the calling
 * process. Returns {:ok, term}, or a refusal when there is no memory; @p term may be NULL. */
ERL_NIF_TERM weir_nif_descriptor_adopt(ErlNifEnv *env, int fd, weir_nif_descriptor_use use,
                                       ERL_NIF_TERM *term);

/** The descriptor behind a term, for uses that the mask 1 << use names; false for anything else. */
bool weir_nif_descriptor_get(ErlNifEnv *env, ERL_NIF_TERM term, unsigned uses,
                             weir_nif_descriptor **descriptor);

/** Locks the descriptor for use; false (and not locked) when it is closed. */
bool weir_nif_descriptor_hold(weir_nif_descriptor *descriptor, int *fd);
void weir_nif_descriptor_let_go(weir_nif_descriptor *descriptor);
/** {:error, :closed, sentence} */
ERL_NIF_TERM weir_nif_descriptor_is_closed(ErlNifEnv *env);

void weir_nif_descriptor_free(ErlNifEnv *env, void *resource);
void weir_nif_descriptor_down(ErlNifEnv *env, void *resource, ErlNifPid *pid,
                              ErlNifMonitor *monitor);

WEIR_NIF_DESCRIPTOR_FUNCTIONS(WEIR_NIF_DECLARE)

#endif
