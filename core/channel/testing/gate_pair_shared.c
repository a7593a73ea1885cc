#include "channel/testing/gate_pair_shared.h"

#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

gate_pair *gate_pair_make(void)
{
    gate_pair *pair =
        mmap(NULL, sizeof *pair, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (pair == MAP_FAILED) {
        return NULL;
    }
    for (int i = 0; i < 2; i++) {
        pair->eventfd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (pair->eventfd[i] < 0) {
            gate_pair_free(pair);
            return NULL;
        }
    }
    return pair;
}

void gate_pair_free(gate_pair *pair)
{
    for (int i = 0; i < 2; i++) {
        if (pair->eventfd[i] > 0) {
            close(pair->eventfd[i]);
        }
    }
    munmap(pair, sizeof *pair);
}

static int signal_other(void *context)
{
    const gate_end *end = context;
    return weir_os()->thread_signal((pid_t)weir_load_relaxed_u32(&end->theirs->pid),
                                    (pid_t)weir_load_relaxed_u32(&end->theirs->tid),
                                    WEIR_WAKE_SIGNAL);
}

weir_status gate_end_join(gate_end *end, gate_pair *pair, int side, uint32_t allowed,
                          uint64_t spin_max_ns)
{
    *end = (gate_end){.pair = pair, .mine = &pair->side[side], .theirs = &pair->side[1 - side]};
    weir_waker_init(&end->waker, &end->theirs->parked, &end->mine->bell, &end->mine->refused,
                    pair->eventfd[1 - side], signal_other, end);
    const weir_status status =
        weir_sleeper_init(&end->sleeper, &end->mine->parked, &end->theirs->bell,
                          &end->theirs->refused, pair->eventfd[side], allowed, spin_max_ns);
    weir_store_relaxed_u32(&end->mine->pid, (uint32_t)weir_os()->getpid());
    weir_store_relaxed_u32(&end->mine->tid, (uint32_t)weir_os()->gettid());
    weir_store_release_u32(&end->mine->is_joined, 1);
    return status;
}

weir_status gate_end_meet(const gate_end *end, uint64_t deadline_ns)
{
    while (weir_load_acquire_u32(&end->theirs->is_joined) == 0) {
        if (weir_os()->clock_ns() >= deadline_ns) {
            return WEIR_TIMEOUT;
        }
        weir_os()->yield();
    }
    return WEIR_OK;
}

void gate_end_give(gate_end *end)
{
    weir_store_release_u64(&end->mine->count, weir_load_relaxed_u64(&end->mine->count) + 1);
    (void)weir_gate_wake(&end->waker);
}

bool gate_end_look(void *context)
{
    const gate_end *end = context;
    return weir_load_acquire_u64(&end->theirs->count) > end->seen;
}

weir_status gate_end_take(gate_end *end, uint64_t deadline_ns)
{
    const weir_status status = weir_gate_wait(&end->sleeper, gate_end_look, end, deadline_ns);
    end->seen += status == WEIR_OK;
    return status;
}

/*
 * From some nanoseconds to some microseconds: what a peer that is awake needs to meet each moment
 * between the other side's look and its sleep.
 */
static void pause_a_little(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    const uint64_t random = *state * UINT64_C(2685821657736338717) >> 32;
    const uint64_t turns = random / 4 % (random % 4 == 1 ? 64 : 1024);
    if (random % 4 == 3) {
        for (uint64_t i = 0; i < turns / 8; i++) {
            weir_cpu_relax();
        }
    } else if (random % 4 != 0) {
        for (uint64_t i = 0; i < turns; i++) {
            __asm__ __volatile__("" ::: "memory");
        }
    }
}

weir_status gate_end_storm(gate_end *end, bool is_first, uint64_t rounds, uint64_t patience_ns,
                           uint64_t seed)
{
    uint64_t state = seed | 1;
    gate_side *const common = &end->pair->side[0];
    weir_status status = WEIR_OK;
    for (uint64_t i = 0; i < rounds && status == WEIR_OK; i++) {
        if (is_first) {
            pause_a_little(&state);
            common->plain++;
            gate_end_give(end);
        }
        const uint64_t deadline_ns = weir_deadline_in(patience_ns);
        status = gate_end_take(end, deadline_ns);
        if (weir_os()->clock_ns() >= deadline_ns) {
            status = WEIR_TIMEOUT; /* the last look found it, but it was not woken */
        }
        if (status == WEIR_OK && !is_first) {
            pause_a_little(&state);
            common->plain++;
            gate_end_give(end);
        }
    }
    weir_store_release_u64(&end->mine->parks, end->sleeper.stats.parks);
    return status;
}
