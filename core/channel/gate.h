/**
 * @file
 * The gate: wait for the other side without burning a core and without losing a wake.
 *
 * Purpose: a sleeper spins for a bounded, adaptive time and then parks; a waker pays for a system
 * call only when the sleeper is parked, and only once per sleep. The gate carries no data: the
 * sleeper looks at rings and command words itself.
 *
 * Typical use, sleeper: weir_gate_wait with a function that looks. A thread that sleeps on many
 * gates at once arms them all (weir_sleeper_arm), passes one fence (weir_sleeper_fence), looks
 * everywhere, sleeps, and disarms them. Typical use, waker: publish, then weir_gate_wake.
 *
 * Threads: a sleeper belongs to one thread; a waker to one thread at a time.
 *
 * Blocking: weir_gate_wait returns at the deadline at the latest. Waking never blocks.
 *
 * Ordering:
 *   SYNC(gate.park): the sleeper stores its parked word, passes a full fence, looks; the waker
 * publishes, passes a full fence, loads the parked word. One of the two sees the other's store;
 * acquire and release alone allow neither to (store buffering), and then a wake is lost.
 *   SYNC(gate.bell): the waker bumps the bell with release before the system call; the sleeper
 * loads it with acquire before it looks. A sleeper that has the new bell also sees what was
 * published before it; one that has the old bell is refused by the kernel's own comparison or is
 * woken.
 *
 * The parked word holds an epoch and the strategy with which the sleeper sleeps; 0 in the strategy
 * bits means awake. The waker remembers the last word that it answered, so each epoch costs one
 * system call.
 *
 * Strategies fall back futex -> eventfd -> signal when the kernel refuses one (ENOSYS, EPERM). A
 * waker that may not use the sleeper's strategy sends the wake signal, which ends any of the three
 * sleeps, and says so in its refused word, so that the sleeper chooses another one next time.
 *
 * Source: eventcounts (ck_ec.h); futex(2), eventfd(2), ppoll(2), sigtimedwait(2); SIGURG as wake
 * signal because its default action is to be ignored (signal(7)).
 */
#ifndef WEIR_CHANNEL_GATE_H
#define WEIR_CHANNEL_GATE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/os.h"
#include "layout/generated/weir_layout.h"
#include "weir/status.h"

/** Ends any sleep; harmless to a process that does not know it. */
#define WEIR_WAKE_SIGNAL SIGURG

/** Bit of a strategy in masks of allowed or refused strategies. */
#define WEIR_STRATEGY_BIT(strategy) (1u << (strategy))
#define WEIR_STRATEGIES_ALL                                                                        \
    (WEIR_STRATEGY_BIT(WEIR_WAKE_STRATEGY_FUTEX) | WEIR_STRATEGY_BIT(WEIR_WAKE_STRATEGY_EVENTFD) | \
     WEIR_STRATEGY_BIT(WEIR_WAKE_STRATEGY_SIGNAL))

/** Counters of a sleeper; relaxed 64-bit words, so that the health thread may read them. */
typedef struct weir_sleeper_stats {
    uint64_t parks;
    uint64_t spin_hits;
    uint64_t switches;
} weir_sleeper_stats;

/** How long to spin before parking: follows what waiting was worth lately. */
typedef struct weir_spin {
    uint64_t max_ns;
    uint64_t ns;       /**< Adapts between 0 and max_ns. */
    uint32_t unprobed; /**< Waits with less than the most since the last one with the most. */
} weir_spin;

/**
 * How long to spin this time: what the budget says, but the most at every 8th wait. A sleep is as
 * long as its wake takes, which on some machines is always longer than the most: without a try now
 * and then a budget that has gone down would never come up again.
 */
uint64_t weir_spin_budget(weir_spin *spin);

/** Tells the budget how a wait went: by a hit while spinning, or else by a park, after @p waited_ns
 * in all. */
void weir_spin_adapt(weir_spin *spin, bool was_hit, uint64_t waited_ns);

/** The side that waits. */
typedef struct weir_sleeper {
    uint32_t *parked;             /**< Own shared word. */
    const uint32_t *bell;         /**< The waker's shared word. */
    const uint32_t *peer_refused; /**< Strategies that the waker says it cannot use. */
    int eventfd;                  /**< Shared with the waker; -1 when there is none. */
    uint32_t allowed;             /**< Strategies that this side may still use. */
    uint32_t strategy;            /**< Strategy of the next sleep. */
    uint32_t epoch;
    uint32_t bell_seen;
    weir_spin spin;
    weir_sleeper_stats stats;
} weir_sleeper;

/** The side that wakes. */
typedef struct weir_waker {
    const uint32_t *parked; /**< The sleeper's shared word. */
    uint32_t *bell;         /**< Own shared word. */
    uint32_t *refused;      /**< Own shared word. */
    int eventfd;
    uint32_t answered;            /**< Parked word of the last system call. */
    int (*signal)(void *context); /**< Sends WEIR_WAKE_SIGNAL to the sleeping thread. */
    void *signal_context;
    uint64_t calls; /**< System calls made. */
} weir_waker;

/** Says whether there is something to wake up for. Called in a spin loop: cheap, and no side
 * effects. */
typedef bool (*weir_gate_look)(void *context);

/**
 * Prepares the calling thread to be woken: installs the wake signal's empty handler (without
 * SA_RESTART) if nobody has one, and blocks or unblocks the signal as the strategy needs. @p
 * allowed masks the strategies to choose from, in the order futex, eventfd, signal. Returns
 * WEIR_OK, WEIR_INVALID (nothing allowed) or WEIR_SYSTEM.
 */
weir_status weir_sleeper_init(weir_sleeper *sleeper, uint32_t *parked, const uint32_t *bell,
                              const uint32_t *peer_refused, int eventfd, uint32_t allowed,
                              uint64_t spin_max_ns) WEIR_MUST_CHECK;

void weir_waker_init(weir_waker *waker, const uint32_t *parked, uint32_t *bell, uint32_t *refused,
                     int eventfd, int (*signal)(void *context), void *signal_context);

/**
 * Waits until @p look says yes, the deadline passes, or something else ends the sleep.
 * Returns WEIR_OK (look said yes) or WEIR_TIMEOUT.
 */
weir_status weir_gate_wait(weir_sleeper *sleeper, weir_gate_look look, void *context,
                           uint64_t deadline_ns) WEIR_MUST_CHECK;

/** Takes the bell and stores the parked word; a look is only valid after weir_sleeper_fence. */
void weir_sleeper_arm(weir_sleeper *sleeper);

/** The same with a strategy chosen by a thread that sleeps on many gates and can sleep in one way
 * only. */
void weir_sleeper_arm_as(weir_sleeper *sleeper, uint32_t strategy);

/** The first strategy that this side may use and the waker does not refuse. */
uint32_t weir_sleeper_usable(const weir_sleeper *sleeper);

/** Between arming (one gate or many) and looking. */
static inline void weir_sleeper_fence(void)
{
    /* SYNC(gate.park): store parked, fence, look. */
    weir_fence_full();
}

/**
 * One sleep of an armed sleeper; ends at the deadline, by a wake, by a signal, or for no reason.
 * Switches the strategy when the kernel refuses it.
 */
void weir_sleeper_sleep(weir_sleeper *sleeper, uint64_t deadline_ns);

/**
 * Blocks or unblocks the wake signal for the calling thread as a sleep by @p strategy needs.
 * Sleepers do it by themselves when they change; a thread that sleeps on many gates does it before
 * it looks.
 */
void weir_gate_apply_mask(uint32_t strategy);

/** Back to awake: wakers stop making system calls. */
void weir_sleeper_disarm(weir_sleeper *sleeper);

/** The kernel refused this strategy to the sleeper: never choose it again, take the next one. */
void weir_sleeper_give_up(weir_sleeper *sleeper, uint32_t strategy);

/** The system call of a wake; @p parked is the word that asked for it. */
void weir_waker_call(weir_waker *waker, uint32_t parked);

/**
 * Wakes the sleeper if it is parked; call after publishing. Costs a full fence and a load of a line
 * that rarely changes. Returns true when a system call was made.
 */
static inline bool weir_gate_wake(weir_waker *waker)
{
    /* SYNC(gate.park): publish, fence, load parked. */
    weir_fence_full();
    const uint32_t parked = weir_load_relaxed_u32(waker->parked);
    if ((parked & ((1u << WEIR_PARKED_EPOCH_SHIFT) - 1)) == WEIR_WAKE_STRATEGY_AWAKE ||
        parked == waker->answered) {
        return false;
    }
    weir_waker_call(waker, parked);
    return true;
}

#endif
