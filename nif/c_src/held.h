/**
 * @file
 * Pinned results: replies that the BEAM reads where the worker wrote them.
 *
 * Purpose: for pools marked trusted a binary can be made over the worker's memory itself. A
 * resource keeps the slot until the binary is collected; the mapping outlives the worker and the
 * manager. At most half of a worker's slots of one size are lent, so that it always has some to
 * answer with; beyond that the caller copies.
 *
 * The worker can change the bytes later, which is why it must be trusted, and why binary_to_term
 * must only see a copy.
 *
 * Threads: hold from within done, the destructor anywhere. Blocking: the destructor takes
 * libweir's lock of that worker, which is held for some stores and at most one wake; the last one
 * of a dead worker also unmaps its memory.
 */
#ifndef WEIR_NIF_HELD_H
#define WEIR_NIF_HELD_H

#include <erl_nif.h>

#include "weir/manager.h"

struct weir_nif_home;
typedef struct weir_nif_held weir_nif_held;

/** Keeps the reply in place; NULL when it has to be copied. The reference is the caller's. */
weir_nif_held *weir_nif_hold(struct weir_nif_home *home, uint32_t pool, const weir_result *result);

/** The binary; takes the caller's reference. */
ERL_NIF_TERM weir_nif_held_term(ErlNifEnv *env, weir_nif_held *held);

void weir_nif_held_free(ErlNifEnv *env, void *resource);

#endif
