/* How the manager sleeps on its workers: each way alone, and the fall from one to the next. */
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/testing/allocations.h"
#include "manager/testing/house.h"

static void work_with(uint32_t strategies, bool without_thread)
{
    static house house;
    const weir_manager_options manager = {.without_thread = without_thread};
    house_open(&house, &manager);
    weir_pool_options options = house_pool(2, NULL);
    options.wake_strategies = strategies;
    options.spin_ns = 1;
    const weir_pool_id pool = house_add_ready(&house, &options);
    static house_job jobs[400];
    for (uint32_t i = 0; i < 100; i++) { /* One by one: everybody sleeps in between. */
        house_do(&house, pool, WEIR_OPCODE_ECHO, i * 10, WEIR_OUTCOME_OK);
    }
    for (uint32_t i = 0; i < 400; i++) {
        house_send(&house, pool, &jobs[i], WEIR_OPCODE_ECHO, i);
    }
    house_settle(&house);
    WEIR_EXPECT_EQ(house_stats(&house).outcomes[WEIR_OUTCOME_OK], 500);
    WEIR_EXPECT_GT(house_stats(&house).parks, 0);
    WEIR_EXPECT_EQ(house_stats(&house).restarts, 0);
    house_close(&house);
}

WEIR_TEST(wake, by_futex_alone)
{
    work_with(WEIR_STRATEGY_BIT(WEIR_WAKE_STRATEGY_FUTEX), false);
}

WEIR_TEST(wake, by_eventfd_alone)
{
    work_with(WEIR_STRATEGY_BIT(WEIR_WAKE_STRATEGY_EVENTFD), false);
}

WEIR_TEST(wake, by_signal_alone)
{
    work_with(WEIR_STRATEGY_BIT(WEIR_WAKE_STRATEGY_SIGNAL), false);
}

WEIR_TEST(wake, by_eventfd_without_own_thread)
{
    work_with(WEIR_STRATEGY_BIT(WEIR_WAKE_STRATEGY_EVENTFD), true);
}

WEIR_TEST(wake, by_signal_without_own_thread)
{
    work_with(WEIR_STRATEGY_BIT(WEIR_WAKE_STRATEGY_SIGNAL), true);
}

WEIR_TEST(wake, of_pools_with_different_strategies_under_one_manager)
{
    static house house;
    house_open(&house, NULL);
    weir_pool_id pools[3];
    for (uint32_t i = 0; i < 3; i++) {
        weir_pool_options options = house_pool(1, NULL);
        options.wake_strategies = WEIR_STRATEGY_BIT(WEIR_WAKE_STRATEGY_FUTEX + i);
        pools[i] = house_add_ready(&house, &options);
    }
    for (uint32_t i = 0; i < 150; i++) {
        house_do(&house, pools[i % 3], WEIR_OPCODE_ECHO, i, WEIR_OUTCOME_OK);
    }
    house_close(&house);
}

/* ---- refused by the kernel */

static weir_os_table failing;
static _Atomic int64_t waitv_left;
static _Atomic int64_t epoll_left;
static _Atomic uint64_t refused_waitv;
static _Atomic uint64_t refused_epoll;
static int refusal;

static int waitv_for_a_while(const weir_futex_word *words, unsigned count, uint64_t deadline_ns)
{
    if (atomic_fetch_sub(&waitv_left, 1) > 0) {
        return weir_os_linux()->futex_waitv(words, count, deadline_ns);
    }
    atomic_fetch_add(&refused_waitv, 1);
    errno = refusal;
    return -1;
}

static int poll_for_a_while(struct pollfd *fds, unsigned count, uint64_t deadline_ns,
                            const sigset_t *mask)
{
    if (atomic_fetch_sub(&epoll_left, 1) > 0) {
        return weir_os_linux()->poll_until(fds, count, deadline_ns, mask);
    }
    atomic_fetch_add(&refused_epoll, 1);
    errno = refusal;
    return -1;
}

static void fall(int error, int64_t waitv_calls, int64_t epoll_calls)
{
    refusal = error;
    atomic_store(&waitv_left, waitv_calls);
    atomic_store(&epoll_left, epoll_calls);
    atomic_store(&refused_waitv, 0);
    atomic_store(&refused_epoll, 0);
    failing = *weir_os_linux();
    failing.futex_waitv = waitv_for_a_while;
    failing.poll_until = poll_for_a_while;
    weir_os_replace(&failing);
    work_with(WEIR_STRATEGIES_ALL, false);
    weir_os_replace(NULL);
    WEIR_EXPECT_EQ(refused_waitv, 1); /* Refused once, never tried again. */
}

WEIR_TEST(wake, falls_from_futex_to_epoll_when_the_kernel_has_no_futex_waitv)
{
    fall(ENOSYS, 0, INT64_MAX);
    WEIR_EXPECT_EQ(refused_epoll, 0);
}

WEIR_TEST(wake, falls_from_futex_to_epoll_in_the_middle)
{
    fall(EPERM, 40, INT64_MAX);
    WEIR_EXPECT_EQ(refused_epoll, 0);
}

WEIR_TEST(wake, falls_on_to_the_signal_when_epoll_is_refused_too)
{
    fall(ENOSYS, 10, 20);
    WEIR_EXPECT_EQ(refused_epoll, 1);
}

/* ---- what it costs */

WEIR_TEST(wake, a_job_in_the_steady_state_allocates_nothing)
{
    static house house;
    static house_job jobs[256];
    static weir_job_spec specs[256];
    house_open(&house, NULL);
    const weir_pool_options options = house_pool(1, NULL);
    const weir_pool_id pool = house_add_ready(&house, &options);
    const uint32_t rounds = HOUSE_ROUNDS(400);
    uint64_t before = 0;
    uint64_t allocated = 0;
    for (uint32_t round = 0; round < rounds; round++) {
        if (round == rounds / 20) {
            before = allocations_so_far();
        }
        for (size_t i = 0; i < 256; i++) {
            jobs[i] = house_make(&house, WEIR_OPCODE_ECHO, 64);
            specs[i] = house_spec(&jobs[i]);
            specs[i].deadline_ns = weir_deadline_in(20 * WEIR_NS_PER_SECOND);
        }
        atomic_fetch_add(&house.submitted, 256);
        WEIR_EXPECT_STATUS(weir_submit(house.manager, pool, specs, 256, NULL), WEIR_OK);
        while (atomic_load(&house.ended) < atomic_load(&house.submitted)) {
            weir_os()->yield();
        }
    }
    allocated = allocations_so_far() - before;
    house_settle(&house);
    WEIR_EXPECT_EQ(house_stats(&house).outcomes[WEIR_OUTCOME_OK], (uint64_t)rounds * 256);
    WEIR_EXPECT_EQ(allocated, 0);
    house_close(&house);
}

static uint64_t cpu_ns(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * WEIR_NS_PER_SECOND + (uint64_t)used.tv_nsec;
}

WEIR_TEST(wake, sixteen_idle_workers_cost_the_manager_little)
{
    static house house;
    house_open(&house, NULL);
    weir_pool_options options = house_pool(16, NULL);
    weir_arena_config_default(&options.arena);
    options.arena.ring_capacity = 16;
    options.arena.request_class_count = options.arena.response_class_count = 1;
    (void)house_add_ready(&house, &options);
    const uint64_t before_ns = cpu_ns();
    const uint64_t parks = house_stats(&house).parks;
    weir_os()->sleep_until(weir_deadline_in(2 * WEIR_NS_PER_SECOND));
    printf("16 idle workers: %.3f %% of a core, %llu sleeps in 2 s\n",
           (double)(cpu_ns() - before_ns) / 2e7,
           (unsigned long long)(house_stats(&house).parks - parks));
    WEIR_EXPECT_EQ(weir_manager_read_workers(house.manager, NULL, 0), 16);
    house_close(&house);
}
