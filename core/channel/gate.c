#include "channel/gate.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>

/* Looks between two readings of the clock: enough to make the clock's 25 ns vanish, few enough to
 * end on time. */
#define LOOKS_PER_CLOCK 32

/* One wait in so many spins as long as it may. */
#define WAITS_PER_PROBE 8

static void on_wake_signal(int signal)
{
    (void)signal; /* Its only work is to end a system call. */
}

static weir_status install_handler(void)
{
    struct sigaction current;
    if (weir_os()->signal_action(WEIR_WAKE_SIGNAL, NULL, &current) != 0) {
        return WEIR_SYSTEM;
    }
    if (current.sa_handler != SIG_DFL && current.sa_handler != SIG_IGN) {
        return WEIR_OK;
    }
    struct sigaction action = {.sa_handler = on_wake_signal};
    sigemptyset(&action.sa_mask);
    return weir_os()->signal_action(WEIR_WAKE_SIGNAL, &action, NULL) == 0 ? WEIR_OK : WEIR_SYSTEM;
}

/*
 * A futex sleep needs the signal unblocked; its bell comparison closes the window between look and
 * sleep. The other two have no such comparison: for them the signal stays blocked, hence pending,
 * and the system call itself lets it in.
 */
void weir_gate_apply_mask(uint32_t strategy)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, WEIR_WAKE_SIGNAL);
    const int how = strategy == WEIR_WAKE_STRATEGY_FUTEX ? SIG_UNBLOCK : SIG_BLOCK;
    (void)weir_os()->signal_mask(how, &set, NULL);
}

static uint32_t first_allowed(uint32_t allowed)
{
    for (uint32_t strategy = WEIR_WAKE_STRATEGY_FUTEX; strategy <= WEIR_WAKE_STRATEGY_SIGNAL;
         strategy++) {
        if (allowed & WEIR_STRATEGY_BIT(strategy)) {
            return strategy;
        }
    }
    return WEIR_WAKE_STRATEGY_AWAKE;
}

static void choose(weir_sleeper *sleeper, uint32_t strategy)
{
    if (strategy != sleeper->strategy) {
        sleeper->strategy = strategy;
        weir_store_relaxed_u64(&sleeper->stats.switches, sleeper->stats.switches + 1);
        weir_gate_apply_mask(strategy);
    }
}

weir_status weir_sleeper_init(weir_sleeper *sleeper, uint32_t *parked, const uint32_t *bell,
                              const uint32_t *peer_refused, int eventfd, uint32_t allowed,
                              uint64_t spin_max_ns)
{
    if (eventfd < 0) {
        allowed &= ~WEIR_STRATEGY_BIT(WEIR_WAKE_STRATEGY_EVENTFD);
    }
    const uint32_t strategy = first_allowed(allowed);
    if (strategy == WEIR_WAKE_STRATEGY_AWAKE) {
        return WEIR_INVALID;
    }
    *sleeper = (weir_sleeper){
        .parked = parked,
        .bell = bell,
        .peer_refused = peer_refused,
        .eventfd = eventfd,
        .allowed = allowed,
        .strategy = strategy,
        .spin = {.max_ns = spin_max_ns, .ns = spin_max_ns},
        /* A waker that outlives a sleeper must not take the first sleep of the next one for one it
           has answered. */
        .epoch = weir_load_relaxed_u32(parked) >> WEIR_PARKED_EPOCH_SHIFT,
    };
    const weir_status status = install_handler();
    if (status != WEIR_OK) {
        return status;
    }
    weir_gate_apply_mask(strategy);
    return WEIR_OK;
}

void weir_waker_init(weir_waker *waker, const uint32_t *parked, uint32_t *bell, uint32_t *refused,
                     int eventfd, int (*signal)(void *context), void *signal_context)
{
    *waker = (weir_waker){
        .parked = parked,
        .bell = bell,
        .refused = refused,
        .eventfd = eventfd,
        .signal = signal,
        .signal_context = signal_context,
    };
}

/* The first one of these that the waker can use too; if it refuses them all, the first. */
static uint32_t first_usable(const weir_sleeper *sleeper, uint32_t allowed)
{
    /* Only a hint from the other side: the worst it can do is to choose our slowest strategy. */
    const uint32_t refused = weir_load_relaxed_u32(sleeper->peer_refused);
    const uint32_t usable = first_allowed(allowed & ~refused);
    return usable != WEIR_WAKE_STRATEGY_AWAKE ? usable : first_allowed(allowed);
}

void weir_sleeper_give_up(weir_sleeper *sleeper, uint32_t strategy)
{
    /* The last one left stays: a sleep that fails at once and is timed is still better than none.
     */
    const uint32_t rest = sleeper->allowed & ~WEIR_STRATEGY_BIT(strategy);
    if (first_allowed(rest) != WEIR_WAKE_STRATEGY_AWAKE) {
        sleeper->allowed = rest;
        choose(sleeper, first_usable(sleeper, rest));
    }
}

uint32_t weir_sleeper_usable(const weir_sleeper *sleeper)
{
    return first_usable(sleeper, sleeper->allowed);
}

void weir_sleeper_arm_as(weir_sleeper *sleeper, uint32_t strategy)
{
    choose(sleeper, strategy);
    /* SYNC(gate.bell): everything published before the bell seen here is seen by the look that
     * follows. */
    sleeper->bell_seen = weir_load_acquire_u32(sleeper->bell);
    sleeper->epoch++;
    weir_store_relaxed_u32(sleeper->parked,
                           (sleeper->epoch << WEIR_PARKED_EPOCH_SHIFT) | sleeper->strategy);
    weir_store_relaxed_u64(&sleeper->stats.parks, sleeper->stats.parks + 1);
}

void weir_sleeper_arm(weir_sleeper *sleeper)
{
    weir_sleeper_arm_as(sleeper, weir_sleeper_usable(sleeper));
}

void weir_sleeper_disarm(weir_sleeper *sleeper)
{
    weir_store_relaxed_u32(sleeper->parked, sleeper->epoch << WEIR_PARKED_EPOCH_SHIFT);
}

static int sleep_in_poll(weir_sleeper *sleeper, uint64_t deadline_ns)
{
    sigset_t open_mask;
    if (weir_os()->signal_mask(SIG_BLOCK, NULL, &open_mask) != 0) {
        return -1;
    }
    sigdelset(&open_mask, WEIR_WAKE_SIGNAL);
    struct pollfd readable = {.fd = sleeper->eventfd, .events = POLLIN};
    const int result = weir_os()->poll_until(&readable, 1, deadline_ns, &open_mask);
    /* One that cannot be drained stays readable, and poll would be no sleep any more: its error is
     * the sleep's. EAGAIN, from a peer that was faster, is no refusal. */
    return result > 0 ? weir_os()->eventfd_drain(sleeper->eventfd) : result;
}

static int sleep_in_signal(uint64_t deadline_ns)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, WEIR_WAKE_SIGNAL);
    return weir_os()->signal_wait(&set, deadline_ns);
}

void weir_sleeper_sleep(weir_sleeper *sleeper, uint64_t deadline_ns)
{
    int result = 0;
    switch (sleeper->strategy) {
    case WEIR_WAKE_STRATEGY_FUTEX:
        result = weir_os()->futex_wait(sleeper->bell, sleeper->bell_seen, deadline_ns);
        break;
    case WEIR_WAKE_STRATEGY_EVENTFD:
        result = sleep_in_poll(sleeper, deadline_ns);
        break;
    default:
        result = sleep_in_signal(deadline_ns);
        break;
    }
    const int error = errno;
    if (result < 0 && error != EINTR && error != EAGAIN && error != ETIMEDOUT) {
        weir_sleeper_give_up(sleeper, sleeper->strategy);
    }
}

/* Waits that end within reach pull the budget up, long ones let it fall. */
void weir_spin_adapt(weir_spin *spin, bool was_hit, uint64_t waited_ns)
{
    if (was_hit) {
        const uint64_t wanted = 4 * waited_ns < spin->max_ns ? 4 * waited_ns : spin->max_ns;
        if (waited_ns > spin->ns) { /* A probe has shown what the budget should have been. */
            spin->ns = wanted;
        } else if (wanted > spin->ns) {
            spin->ns += (wanted - spin->ns + 3) / 4;
        } else {
            spin->ns -= (spin->ns - wanted) / 8;
        }
    } else if (waited_ns <= spin->max_ns) {
        spin->ns += (spin->max_ns - spin->ns + 3) / 4;
    } else {
        spin->ns -= (spin->ns + 1) / 2;
    }
}

uint64_t weir_spin_budget(weir_spin *spin)
{
    if (spin->ns < spin->max_ns && ++spin->unprobed >= WAITS_PER_PROBE) {
        spin->unprobed = 0;
        return spin->max_ns;
    }
    return spin->ns;
}

static bool spin_until(weir_sleeper *sleeper, weir_gate_look look, void *context, uint64_t begin_ns)
{
    const uint64_t budget_ns = weir_spin_budget(&sleeper->spin);
    if (budget_ns == 0) {
        return false;
    }
    for (;;) {
        for (int i = 0; i < LOOKS_PER_CLOCK; i++) {
            if (look(context)) {
                return true;
            }
            weir_cpu_relax();
        }
        if (weir_os()->clock_ns() - begin_ns >= budget_ns) {
            return false;
        }
    }
}

weir_status weir_gate_wait(weir_sleeper *sleeper, weir_gate_look look, void *context,
                           uint64_t deadline_ns)
{
    for (int i = 0; i < LOOKS_PER_CLOCK; i++) { /* The common case needs no clock. */
        if (look(context)) {
            return WEIR_OK;
        }
        if (sleeper->spin.max_ns == 0) {
            break;
        }
        weir_cpu_relax();
    }
    const uint64_t begin_ns = weir_os()->clock_ns();
    if (spin_until(sleeper, look, context, begin_ns)) {
        weir_spin_adapt(&sleeper->spin, true, weir_os()->clock_ns() - begin_ns);
        weir_store_relaxed_u64(&sleeper->stats.spin_hits, sleeper->stats.spin_hits + 1);
        return WEIR_OK;
    }
    weir_status status = WEIR_TIMEOUT;
    for (;;) {
        weir_sleeper_arm(sleeper);
        weir_sleeper_fence();
        if (look(context)) {
            status = WEIR_OK;
            break;
        }
        if (weir_os()->clock_ns() >= deadline_ns) {
            break;
        }
        weir_sleeper_sleep(sleeper, deadline_ns);
        /* A wake mostly brings what was waited for; to see it needs neither a new epoch nor the
         * fence. */
        if (look(context)) {
            status = WEIR_OK;
            break;
        }
    }
    weir_sleeper_disarm(sleeper);
    if (sleeper->spin.max_ns > 0) {
        weir_spin_adapt(&sleeper->spin, false, weir_os()->clock_ns() - begin_ns);
    }
    return status;
}

static bool is_refusal(int error)
{
    return error == ENOSYS || error == EPERM || error == EACCES || error == EBADF ||
           error == EINVAL || error == EOPNOTSUPP;
}

void weir_waker_call(weir_waker *waker, uint32_t parked)
{
    waker->answered = parked;
    waker->calls++;
    const uint32_t strategy = parked & ((1u << WEIR_PARKED_EPOCH_SHIFT) - 1);
    /* SYNC(gate.bell): what was published lies before the bump. Only this side writes the bell. */
    weir_store_release_u32(waker->bell, weir_load_relaxed_u32(waker->bell) + 1);
    int result = -1;
    errno = ENOSYS;
    if (strategy == WEIR_WAKE_STRATEGY_FUTEX) {
        result = weir_os()->futex_wake(waker->bell, 1);
    } else if (strategy == WEIR_WAKE_STRATEGY_EVENTFD && waker->eventfd >= 0) {
        result = weir_os()->eventfd_ring(waker->eventfd);
    }
    if (result >= 0) {
        return;
    }
    if (strategy != WEIR_WAKE_STRATEGY_SIGNAL && is_refusal(errno)) {
        weir_store_relaxed_u32(waker->refused,
                               weir_load_relaxed_u32(waker->refused) | WEIR_STRATEGY_BIT(strategy));
    }
    if (waker->signal != NULL) {
        (void)waker->signal(waker->signal_context);
    }
}
