/*
 * A kernel that starts to refuse a way of sleeping or waking while somebody sleeps.
 *
 * A child process holds both ends of an arena, in two mappings: the waker in its main thread, the
 * sleeper in a second one. While it sleeps, a seccomp filter for all threads (TSYNC) takes a way
 * away, from either side alone or from both: futexes by their address (each side has the bell at
 * its own), writing by its descriptor (each side has its own number), and waiting in ppoll by its
 * signal mask (only the sleeper gives one). To refuse all futexes would abort glibc.
 */
#include <errno.h>
#include <pthread.h>
#include <seccomp.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "channel/gate.h"
#include "channel/ring.h"
#include "harness/testing/weir_test.h"
#include "memory/arena.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

enum { BEFORE = 20, AFTER = 60, MESSAGES = BEFORE + AFTER };
enum { EXIT_NOT_PERMITTED = 77 };

#define PATIENCE_NS (20 * WEIR_NS_PER_SECOND)

/* Whom a way is taken away from. */
enum { NOBODY = 0, WAKER = 1, SLEEPER = 2, BOTH = 3 };

typedef struct refusal {
    int error;
    unsigned futex_from;
    unsigned eventfd_from;
} refusal;

typedef struct scene {
    refusal what;
    weir_arena manager;
    weir_arena worker;
    int manager_eventfd;
    int worker_eventfd;
    weir_ring_producer requests;
    weir_waker waker;
    /* the sleeping thread's */
    weir_ring_consumer taken;
    weir_sleeper sleeper;
    uint32_t tid;
} scene;

/* ---- the filter ---- */

static int refuse_futex(scene *here, scmp_filter_ctx filter, const weir_arena *arena)
{
    const weir_object *object = &arena->manager_object; /* A, where the worker's bell is */
    return seccomp_rule_add(filter, SCMP_ACT_ERRNO((uint32_t)here->what.error), SCMP_SYS(futex), 1,
                            SCMP_A0(SCMP_CMP_MASKED_EQ, ~(uint64_t)(object->reserved_bytes - 1),
                                    (uint64_t)(uintptr_t)object->base));
}

static int fill_filter(scene *here, scmp_filter_ctx filter)
{
    const uint32_t refused = SCMP_ACT_ERRNO((uint32_t)here->what.error);
    int bad = 0;
    if (here->what.futex_from & WAKER) {
        bad |= refuse_futex(here, filter, &here->manager);
    }
    if (here->what.futex_from & SLEEPER) {
        bad |= refuse_futex(here, filter, &here->worker);
    }
    if (here->what.futex_from == BOTH) {
        bad |= seccomp_rule_add(filter, refused, SYS_futex_waitv, 0);
    }
    if (here->what.eventfd_from & WAKER) {
        bad |= seccomp_rule_add(filter, refused, SCMP_SYS(write), 1,
                                SCMP_A0(SCMP_CMP_EQ, (uint64_t)here->manager_eventfd, 0));
    }
    if (here->what.eventfd_from & SLEEPER) {
        bad |= seccomp_rule_add(filter, refused, SCMP_SYS(ppoll), 1, SCMP_A3(SCMP_CMP_NE, 0, 0));
    }
    return bad;
}

static void install_filter(scene *here)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (filter == NULL || seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1) != 0) {
        _exit(EXIT_NOT_PERMITTED);
    }
    WEIR_EXPECT_EQ(fill_filter(here, filter), 0);
    const int error = seccomp_load(filter);
    seccomp_release(filter);
    if (error != 0) {
        fprintf(stderr, "seccomp_load: %s\n", strerror(-error));
        _exit(EXIT_NOT_PERMITTED);
    }
}

/* The filter refuses what it shall and nothing else, as seen by the calls themselves. */
static void expect_filter(const scene *here)
{
    const uint32_t *words[2] = {&here->manager.manager_control->request_bell,
                                &here->worker.manager_control->request_bell};
    for (unsigned side = 0; side < 2; side++) {
        const uint32_t value = weir_load_relaxed_u32(words[side]);
        const int result = weir_os()->futex_wait(words[side], value + 1, WEIR_NEVER);
        const int error = errno;
        WEIR_EXPECT_EQ(result, -1);
        WEIR_EXPECT_EQ(error, here->what.futex_from & (1u << side) ? here->what.error : EAGAIN);
    }
    if (here->what.futex_from == BOTH) {
        const weir_futex_word word = {words[0], weir_load_relaxed_u32(words[0]) + 1, false};
        WEIR_EXPECT_EQ(weir_os()->futex_waitv(&word, 1, WEIR_NEVER), -1);
        WEIR_EXPECT_EQ(errno, here->what.error);
    }
}

/* ---- the two threads ---- */

static bool see_envelope(void *context)
{
    return weir_ring_ready(context);
}

static void *sleep_and_take(void *argument)
{
    scene *here = argument;
    struct weir_manager_control *control = here->worker.manager_control;
    WEIR_EXPECT_STATUS(weir_sleeper_init(&here->sleeper,
                                         &here->worker.worker_control->worker_parked,
                                         &control->request_bell, &control->manager_refused,
                                         here->worker_eventfd, WEIR_STRATEGIES_ALL, 0),
                       WEIR_OK);
    weir_store_release_u32(&here->tid, (uint32_t)weir_os()->gettid());
    for (uint64_t number = 0; number < MESSAGES; number++) {
        WEIR_EXPECT_STATUS(weir_gate_wait(&here->sleeper, see_envelope, &here->taken,
                                          weir_deadline_in(PATIENCE_NS)),
                           WEIR_OK);
        struct weir_envelope copy;
        WEIR_EXPECT_STATUS(weir_ring_take(&here->taken, &copy), WEIR_OK);
        WEIR_EXPECT_EQ(copy.job_id, number);
        weir_ring_consumed(&here->taken);
    }
    return NULL;
}

static int signal_sleeper(void *context)
{
    scene *here = context;
    return weir_os()->thread_signal(weir_os()->getpid(), (pid_t)weir_load_acquire_u32(&here->tid),
                                    WEIR_WAKE_SIGNAL);
}

static uint32_t parked_strategy(const scene *here)
{
    return weir_load_relaxed_u32(&here->manager.worker_control->worker_parked) &
           ((1u << WEIR_PARKED_EPOCH_SHIFT) - 1);
}

/* Returns with the sleeper parked, and by all appearances in its system call. */
static void wait_until_asleep(const scene *here)
{
    const uint64_t deadline_ns = weir_deadline_in(PATIENCE_NS);
    const uint64_t published =
        weir_load_relaxed_u64(&here->manager.manager_control->request_published);
    while (weir_load_acquire_u64(&here->manager.worker_control->request_consumed) != published ||
           parked_strategy(here) == WEIR_WAKE_STRATEGY_AWAKE) {
        WEIR_EXPECT_LT(weir_os()->clock_ns(), deadline_ns);
        weir_os()->yield();
    }
    (void)weir_os()->sleep_until(weir_deadline_in(2 * WEIR_NS_PER_MS));
}

static void send_one(scene *here, uint64_t number)
{
    WEIR_EXPECT_STATUS(weir_ring_room(&here->requests, 1), WEIR_OK);
    struct weir_envelope envelope = {.magic = WEIR_ENVELOPE_MAGIC, .job_id = number};
    weir_envelope_seal(&envelope, weir_ring_next_index(&here->requests));
    weir_ring_stage(&here->requests, &envelope);
    weir_ring_publish(&here->requests);
    (void)weir_gate_wake(&here->waker);
}

static void set_up(scene *here)
{
    weir_arena_config config;
    weir_error error;
    memset(&config, 0, sizeof config);
    config.backing = WEIR_BACKING_MEMFD;
    config.ring_capacity = 128;
    config.request_class_count = config.response_class_count = 1;
    config.request_class[0] = config.response_class[0] = (weir_size_class){64, 4};
    WEIR_EXPECT_STATUS(weir_arena_create(&config, 1, &here->manager, &error), WEIR_OK);
    struct weir_welcome welcome;
    memset(&welcome, 0, sizeof welcome);
    welcome.generation = 1;
    welcome.layout_major = WEIR_LAYOUT_MAJOR;
    welcome.layout_minor = WEIR_LAYOUT_MINOR;
    welcome.backing = WEIR_BACKING_MEMFD;
    welcome.manager_bytes = here->manager.manager_object.bytes;
    welcome.worker_bytes = here->manager.worker_object.bytes;
    WEIR_EXPECT_STATUS(weir_arena_attach(&welcome, dup(here->manager.manager_object.fd),
                                         dup(here->manager.worker_object.fd), &here->worker,
                                         &error),
                       WEIR_OK);
    here->manager_eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    here->worker_eventfd = dup(here->manager_eventfd);
    struct weir_manager_control *own = here->manager.manager_control;
    weir_ring_producer_init(&here->requests, here->manager.request_ring, &own->request_published,
                            &here->manager.worker_control->request_consumed, 0);
    weir_ring_consumer_init(&here->taken, here->worker.request_ring,
                            &here->worker.worker_control->request_consumed, 0);
    weir_waker_init(&here->waker, &here->manager.worker_control->worker_parked, &own->request_bell,
                    &own->manager_refused, here->manager_eventfd, signal_sleeper, here);
}

static void expect_end(const scene *here)
{
    const uint32_t refused = weir_load_relaxed_u32(&here->manager.manager_control->manager_refused);
    const uint32_t futex_bit =
        here->what.futex_from & WAKER ? WEIR_STRATEGY_BIT(WEIR_WAKE_STRATEGY_FUTEX) : 0u;
    /* An eventfd that the sleeper gives up first is never tried by the waker. */
    const uint32_t eventfd_bit =
        here->what.eventfd_from == WAKER ? WEIR_STRATEGY_BIT(WEIR_WAKE_STRATEGY_EVENTFD) : 0u;
    const uint32_t may_have =
        here->what.eventfd_from == BOTH ? WEIR_STRATEGY_BIT(WEIR_WAKE_STRATEGY_EVENTFD) : 0u;
    WEIR_EXPECT_EQ(refused & ~may_have, futex_bit | eventfd_bit);
    const bool is_by_signal = here->what.eventfd_from != NOBODY;
    WEIR_EXPECT_EQ(here->sleeper.strategy,
                   is_by_signal ? WEIR_WAKE_STRATEGY_SIGNAL : WEIR_WAKE_STRATEGY_EVENTFD);
    WEIR_EXPECT_EQ(here->sleeper.stats.switches, is_by_signal ? 2 : 1);
    WEIR_EXPECT_LE(here->waker.calls, here->sleeper.stats.parks);
    WEIR_EXPECT_EQ(weir_load_relaxed_u64(&here->manager.worker_control->request_consumed),
                   MESSAGES);
    WEIR_EXPECT_FALSE(weir_ring_ready(&here->taken));
}

static void play(void *argument)
{
    static scene here;
    here.what = *(const refusal *)argument;
    set_up(&here);
    pthread_t sleeper;
    WEIR_EXPECT_EQ(pthread_create(&sleeper, NULL, sleep_and_take, &here), 0);
    for (uint64_t number = 0; number < BEFORE; number++) {
        wait_until_asleep(&here);
        send_one(&here, number);
    }
    wait_until_asleep(&here);
    WEIR_EXPECT_EQ(parked_strategy(&here), WEIR_WAKE_STRATEGY_FUTEX);
    install_filter(&here);
    expect_filter(&here);
    for (uint64_t number = BEFORE; number < MESSAGES; number++) {
        /* The first ones each meet a sleeper; the others also one that is about to sleep or to
         * switch. */
        if (number < BEFORE + 10 || number % 3 == 0) {
            wait_until_asleep(&here);
        }
        send_one(&here, number);
    }
    WEIR_EXPECT_EQ(pthread_join(sleeper, NULL), 0);
    expect_end(&here);
    weir_arena_destroy(&here.worker);
    weir_arena_destroy(&here.manager);
}

static void run_all(int error, unsigned eventfd_from)
{
    for (unsigned futex_from = WAKER; futex_from <= BOTH; futex_from++) {
        refusal what = {.error = error, .futex_from = futex_from, .eventfd_from = eventfd_from};
        const int code = weir_test_wait(weir_test_fork(play, &what), weir_test_deadline(100));
        if (code == EXIT_NOT_PERMITTED) {
            WEIR_SKIP("this environment does not permit seccomp filters with TSYNC");
        }
        if (code != 0) {
            weir_test_fail(__FILE__, __LINE__,
                           "futex refused to %u, eventfd to %u (1 waker, 2 sleeper), with %s: the "
                           "child ended with %d",
                           futex_from, eventfd_from, strerror(error), code);
        }
    }
}

WEIR_TEST(gate_refusal, moves_on_to_eventfd_when_futexes_are_unknown, .timeout = 300)
{
    run_all(ENOSYS, NOBODY);
}

WEIR_TEST(gate_refusal, moves_on_to_eventfd_when_futexes_are_forbidden, .timeout = 300)
{
    run_all(EPERM, NOBODY);
}

WEIR_TEST(gate_refusal, moves_on_to_the_signal_when_ringing_is_refused_too, .timeout = 300)
{
    run_all(ENOSYS, WAKER);
    run_all(EPERM, WAKER);
}

WEIR_TEST(gate_refusal, moves_on_to_the_signal_when_polling_is_refused_too, .timeout = 300)
{
    run_all(ENOSYS, SLEEPER);
    run_all(EPERM, SLEEPER);
}

WEIR_TEST(gate_refusal, moves_on_to_the_signal_when_both_sides_lose_both, .timeout = 300)
{
    run_all(ENOSYS, BOTH);
    run_all(EPERM, BOTH);
}
