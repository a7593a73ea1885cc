/**
 * @file
 * One incarnation's memory with its rings, payload slots and gate, seen from either side.
 *
 * Purpose: the low level under the manager, for tests and for those who build something else on it.
 * The manager's side makes the arena and passes two descriptors; the worker's or peer's side
 * attaches with them. Both then publish envelopes in one direction and drain them in the other,
 * write payload slots of their own and read the other side's.
 *
 * Trust: everything read from the other side is checked as libweir checks it. The first breach is
 * remembered; nothing more is drained after it.
 *
 * Threads: any; one lock per arena. Blocking: none; arena_create touches every page, on a dirty
 * scheduler.
 *
 * Ownership: memory and duplicates of the descriptors are the resource's. They go when it is
 * closed, when its owner process ends, or when the last term is collected.
 *
 * Units: bytes; a batch is at most WEIR_NIF_JOBS_MAX envelopes, a copy at most WEIR_NIF_BYTES_MAX
 * bytes.
 */
#ifndef WEIR_NIF_RAW_ARENA_H
#define WEIR_NIF_RAW_ARENA_H

#include "channel/envelope.h"
#include "channel/gate.h"
#include "channel/ring.h"
#include "memory/arena.h"
#include "memory/slots.h"
#include "nif_common.h"

#define WEIR_NIF_ARENA_FUNCTIONS(F)                                                                \
    F(arena_create, 2, ERL_NIF_DIRTY_JOB_IO_BOUND)                                                 \
    F(arena_welcome, 1, 0)                                                                         \
    F(arena_descriptors, 1, 0)                                                                     \
    F(arena_attach, 3, 0)                                                                          \
    F(arena_seal, 1, 0)                                                                            \
    F(arena_wake_with, 3, 0)                                                                       \
    F(arena_info, 1, 0)                                                                            \
    F(arena_close, 1, ERL_NIF_DIRTY_JOB_IO_BOUND)                                                  \
    F(ring_publish, 2, 0)                                                                          \
    F(ring_drain, 2, 0)                                                                            \
    F(ring_park, 1, 0)                                                                             \
    F(slot_take, 2, 0)                                                                             \
    F(slot_write, 4, 0)                                                                            \
    F(slot_put_back, 2, 0)                                                                         \
    F(slot_read, 3, 0)                                                                             \
    F(slot_release, 2, 0)

typedef enum weir_nif_side {
    WEIR_NIF_SIDE_MANAGER = 0,
    WEIR_NIF_SIDE_WORKER,
    WEIR_NIF_SIDE_PEER /**< As the worker's; a peer link has no worker's loop behind it. */
} weir_nif_side;

typedef struct weir_nif_arena {
    weir_nif_owned owned;
    bool is_open;
    weir_nif_side side;
    weir_arena arena;
    weir_envelope_terms terms;
    weir_ring_producer out;
    weir_ring_consumer in;
    weir_slot_pool pool; /**< Own slots. */
    uint8_t *is_ours;    /**< By own slot number: taken and not published. */
    weir_byte_slice out_bytes;
    weir_slot_map peer_map;
    uint8_t *is_held; /**< By the other side's slot number: drained and not released. */
    weir_byte_slice in_bytes;
    weir_release_writer releases;
    enum weir_error_code
        fault; /**< The other side broke the protocol; nothing of it is believed. */
    weir_sleeper sleeper;
    weir_waker waker;
    int sleep_fd; /**< -1 until arena_wake_with. */
    int wake_fd;
    bool is_parked;
    bool was_selected;
} weir_nif_arena;

/** The arena behind a term, locked and open; otherwise false and @p refusal is what to return. */
bool weir_nif_arena_hold(ErlNifEnv *env, ERL_NIF_TERM term, weir_nif_arena **arena,
                         ERL_NIF_TERM *refusal);
void weir_nif_arena_let_go(weir_nif_arena *arena);

/** Joins rings, slots and gate to the memory. */
weir_status weir_nif_arena_join(weir_nif_arena *arena, weir_error *error) WEIR_MUST_CHECK;
/** Frees the private lists; safe twice. */
void weir_nif_arena_part(weir_nif_arena *arena);
/** Awake again, if it was parked. */
void weir_nif_arena_unpark(weir_nif_arena *arena);
/** Notes the first breach; {:error, :protocol, sentence}. */
ERL_NIF_TERM weir_nif_arena_fault(ErlNifEnv *env, weir_nif_arena *arena,
                                  enum weir_error_code reason);

void weir_nif_arena_free(ErlNifEnv *env, void *resource);
void weir_nif_arena_down(ErlNifEnv *env, void *resource, ErlNifPid *pid, ErlNifMonitor *monitor);

WEIR_NIF_ARENA_FUNCTIONS(WEIR_NIF_DECLARE)

#endif
