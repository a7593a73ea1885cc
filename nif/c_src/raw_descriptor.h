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
    F(descriptor_close, 1, 0)                                                                      \
    F(descriptor_is_open, 1, 0)

typedef struct weir_nif_descriptor {
    weir_nif_head head;
    ErlNifMutex *lock; /**< Guards what follows. */
    int fd;            /**< -1 when closed. */
    bool
        was_selected; /**< The emulator's poll set knows it: only the stop callback may close it. */
    ErlNifPid owner;
    ErlNifMonitor monitor;
} weir_nif_descriptor;

/** A resource that owns @p fd from now on (it is closed if this fails), itself owned by the calling
 * process. Returns the term, or a refusal when there is no memory. */
ERL_NIF_TERM weir_nif_descriptor_adopt(ErlNifEnv *env, int fd, weir_nif_descriptor **made);

/** Locks the descriptor for use; false (and not locked) when it is closed. */
bool weir_nif_descriptor_hold(weir_nif_descriptor *descriptor, int *fd);
void weir_nif_descriptor_let_go(weir_nif_descriptor *descriptor);

/** Closes it, now or as soon as the poll set lets go of it. Returns false when it was closed
 * before. */
bool weir_nif_descriptor_close_now(ErlNifEnv *env, weir_nif_descriptor *descriptor);

void weir_nif_descriptor_free(ErlNifEnv *env, void *resource);
void weir_nif_descriptor_stop(ErlNifEnv *env, void *resource, ErlNifEvent event, int is_direct);
void weir_nif_descriptor_down(ErlNifEnv *env, void *resource, ErlNifPid *pid,
                              ErlNifMonitor *monitor);

WEIR_NIF_DESCRIPTOR_FUNCTIONS(WEIR_NIF_DECLARE)

#endif
