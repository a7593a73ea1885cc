/**
 * @file
 * Turns: whoever comes by keeps the manager going.
 *
 * Purpose: a call that submits takes a turn itself. Results for others are sent to them from that
 * thread. When no caller comes by, the ingestor process does: it serves turns while somebody waits,
 * sleeps for a moment when all is quiet between calls, and parks when nothing was asked for lately.
 *
 *   SERVING   the ingestor is awake and will look again: callers may leave without a word
 *   TICKING   it sleeps for a millisecond at most; a caller that leaves while its job is under way
 *             makes the workers ring (weir_host_park), or wakes the ingestor by a message
 *   PARKED    the workers ring the descriptor, which the emulator polls
 *
 * While callers find their own results at once, nobody waits and the mode stays TICKING: no system
 * call is made for them.
 *
 * Threads: any. Blocking: never.
 *
 * Ordering: a leaving caller adds itself to those who wait, passes a full fence, reads the mode;
 * the ingestor stores TICKING, passes a full fence, reads how many wait. One of them sees the
 * other.
 */
#ifndef WEIR_NIF_TURNS_H
#define WEIR_NIF_TURNS_H

#include "manager_home.h"
#include "nif_common.h"

/** What the thread that calls done is doing: a call of the NIF, or the end of a manager. */
typedef struct weir_nif_round {
    weir_nif_home *home;
    ErlNifEnv *env;               /**< For enif_send; NULL on a thread of our own. */
    weir_nif_job *own;            /**< The single job of this very call. */
    struct weir_nif_batch *batch; /**< The batch of this very call. */
    bool is_own_done;
    ERL_NIF_TERM result; /**< Of own. */
    ERL_NIF_TERM items;  /**< Of batch, a list. */
    uint32_t item_count;
    uint32_t ended;                 /**< Jobs that came to their end in this turn. */
    struct weir_nif_batch *touched; /**< Batches with items to send at the end; each kept. */
    ErlNifEnv *scratch;             /**< For messages; NULL until it is needed. */
    bool is_callback;               /**< env is no process's. */
    void *outer;
} weir_nif_round;

#define WEIR_NIF_TURN_FUNCTIONS(F)                                                                 \
    F(turn, 1, 0)                                                                                  \
    F(turn_long, 1, ERL_NIF_DIRTY_JOB_CPU_BOUND)                                                   \
    F(park, 1, 0)

/** From here to the end, done functions on this thread find @p round. */
void weir_nif_round_begin(weir_nif_home *home, weir_nif_round *round, ErlNifEnv *env);
/** Sends what was collected. */
void weir_nif_round_end(weir_nif_round *round);
/** The running round of this thread, or NULL. */
weir_nif_round *weir_nif_round_now(weir_nif_home *home);
/** The environment to make the next message in. */
ErlNifEnv *weir_nif_round_message(weir_nif_round *round);
/** Sends the message that was made there; the receiver may have died. */
void weir_nif_round_send(weir_nif_round *round, const ErlNifPid *to, ErlNifEnv *env,
                         ERL_NIF_TERM message);

/** The limits of a turn on a normal scheduler, and of one in a dirty call. */
extern const weir_turn_limits weir_nif_short_turn;
extern const weir_turn_limits weir_nif_large_turn;

/** Somebody began or ceased to wait for a message. */
void weir_nif_begin_waiting(weir_nif_home *home);
void weir_nif_cease_waiting(weir_nif_home *home);

/** After beginning to wait: makes sure that somebody will look. */
void weir_nif_make_watched(ErlNifEnv *env, weir_nif_manager *manager);
/** Wakes the ingestor by a message. */
void weir_nif_kick(ErlNifEnv *env, weir_nif_manager *manager);

WEIR_NIF_TURN_FUNCTIONS(WEIR_NIF_DECLARE)

#endif
