#include "manager/loop_wait.h"

#include <errno.h>
#include <sys/eventfd.h>

#include "base/atomic.h"

#define LOOKS_PER_CLOCK 16
#define EVENTS_PER_WAIT 32

/* One word is the loop's own. */
#define FUTEX_WORKERS_MAX (WEIR_FUTEX_WORDS_MAX - 1)

/* Calls @p visit for every incarnation that may answer. */
static void for_each_live(weir_manager *manager, void (*visit)(weir_incarnation *, void *),
                          void *context)
{
    const uint32_t count = weir_load_acquire_u32(&manager->pool_count);
    for (uint32_t p = 0; p < count; p++) {
        weir_pool *pool = manager->pools[p];
        for (uint32_t s = 0; s < pool->seat_count; s++) {
            weir_incarnation *now = pool->seats[s].now;
            if (now != NULL && now->ready_ns != 0 && !now->is_gone) {
                visit(now, context);
            }
        }
    }
}

/* A worker publishes its replies first and the slots that it read afterwards. */
static bool has_released(const weir_incarnation *incarnation)
{
    const uint64_t *released = &incarnation->arena.worker_control->request_released;
    return weir_load_relaxed_u64(released) != incarnation->released_seen;
}

static bool has_answer(weir_manager *manager)
{
    const uint32_t count = weir_load_acquire_u32(&manager->pool_count);
    for (uint32_t p = 0; p < count; p++) {
        weir_pool *pool = manager->pools[p];
        /* SYNC(loop.room): see weir_pool_want_room. */
        const bool wants_room = weir_load_relaxed_u32(&pool->wants_room) != 0;
        for (uint32_t s = 0; s < pool->seat_count; s++) {
            weir_incarnation *now = pool->seats[s].now;
            if (now != NULL && now->ready_ns != 0 && !weir_incarnation_is_distrusted(now) &&
                (weir_ring_ready(&now->responses) || (wants_room && has_released(now)))) {
                return true;
            }
        }
    }
    return false;
}

static bool has_work(weir_manager *manager)
{
    /* SYNC(loop.bell): see weir_manager_ring. */
    return has_answer(manager) || weir_load_acquire_u32(&manager->bell) != manager->bell_handled ||
           weir_watcher_has_events(&manager->watcher);
}

static bool spin(weir_manager *manager, uint64_t begin_ns)
{
    while (manager->spin.ns > 0) {
        for (int i = 0; i < LOOKS_PER_CLOCK; i++) {
            if (has_work(manager)) {
                return true;
            }
            weir_cpu_relax();
        }
        if (weir_os()->clock_ns() - begin_ns >= manager->spin.ns) {
            return false;
        }
    }
    return false;
}

/* ---- which way to sleep */

typedef struct survey {
    uint32_t strategy; /**< The lowest that serves every worker. */
    uint32_t count;
} survey;

static void survey_one(weir_incarnation *incarnation, void *context)
{
    survey *all = context;
    const uint32_t usable = weir_sleeper_usable(&incarnation->sleeper);
    all->strategy = usable > all->strategy ? usable : all->strategy;
    all->count++;
}

static uint32_t choose_strategy(weir_manager *manager)
{
    survey all = {.strategy = manager->strategy, .count = 0};
    for_each_live(manager, survey_one, &all);
    if (all.strategy == WEIR_WAKE_STRATEGY_FUTEX && all.count > FUTEX_WORKERS_MAX) {
        return WEIR_WAKE_STRATEGY_EVENTFD;
    }
    return all.strategy;
}

/* The kernel refused one way: the next one from now on, for all workers. */
static void give_up(weir_manager *manager, uint32_t strategy)
{
    if (strategy < WEIR_WAKE_STRATEGY_SIGNAL) {
        manager->strategy = strategy + 1;
    }
}

/* ---- the three ways */

typedef struct word_list {
    weir_futex_word words[WEIR_FUTEX_WORDS_MAX];
    uint32_t count;
} word_list;

static void add_word(weir_incarnation *incarnation, void *context)
{
    word_list *list = context;
    list->words[list->count++] = (weir_futex_word){
        .address = incarnation->sleeper.bell,
        .expected = incarnation->sleeper.bell_seen,
    };
}

static int sleep_in_futex(weir_manager *manager, uint64_t deadline_ns)
{
    word_list list;
    list.count = 0;
    list.words[list.count++] = (weir_futex_word){
        .address = &manager->bell,
        .expected = manager->bell_handled,
        .is_private = true,
    };
    for_each_live(manager, add_word, &list);
    return weir_os()->futex_waitv(list.words, list.count, deadline_ns);
}

static void watch_eventfd(weir_incarnation *incarnation, void *context)
{
    weir_manager *manager = context;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = incarnation->response_eventfd};
    if (!incarnation->is_watched) { /* A failure leaves the timed look, and the next try. */
        incarnation->is_watched = weir_os()->epoll_ctl(manager->wait_epoll_fd, EPOLL_CTL_ADD,
                                                       incarnation->response_eventfd, &event) == 0;
    }
}

bool weir_loop_open_epoll(weir_manager *manager)
{
    if (manager->wait_epoll_fd >= 0) {
        return true;
    }
    const int epoll_fd = weir_os()->epoll_create();
    struct epoll_event event = {.events = EPOLLIN, .data.fd = manager->wait_eventfd};
    if (epoll_fd < 0 ||
        weir_os()->epoll_ctl(epoll_fd, EPOLL_CTL_ADD, manager->wait_eventfd, &event) != 0) {
        if (epoll_fd >= 0) {
            (void)weir_os()->close(epoll_fd);
        }
        return false;
    }
    manager->wait_epoll_fd = epoll_fd;
    return true;
}

/* An eventfd that can be polled and not drained would stay readable for ever: then this way of
 * sleeping is no good. */
static int drain_eventfds(weir_manager *manager)
{
    struct epoll_event events[EVENTS_PER_WAIT];
    const int count = weir_os()->epoll_wait(manager->wait_epoll_fd, events, EVENTS_PER_WAIT, 0);
    for (int i = 0; i < count; i++) {
        if (weir_os()->eventfd_drain(events[i].data.fd) != 0 && errno != EAGAIN) {
            return -1;
        }
    }
    return 0;
}

static int sleep_in_epoll(weir_manager *manager, uint64_t deadline_ns)
{
    if (!weir_loop_open_epoll(manager)) {
        return -1;
    }
    for_each_live(manager, watch_eventfd, manager);
    sigset_t open_mask;
    (void)weir_os()->signal_mask(SIG_BLOCK, NULL, &open_mask);
    sigdelset(&open_mask, WEIR_WAKE_SIGNAL);
    struct pollfd readable = {.fd = manager->wait_epoll_fd, .events = POLLIN};
    const int result = weir_os()->poll_until(&readable, 1, deadline_ns, &open_mask);
    return result > 0 ? drain_eventfds(manager) : result;
}

static int sleep_in_signal(uint64_t deadline_ns)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, WEIR_WAKE_SIGNAL);
    return weir_os()->signal_wait(&set, deadline_ns);
}

static void sleep_once(weir_manager *manager, uint32_t strategy, uint64_t deadline_ns)
{
    int result;
    if (strategy == WEIR_WAKE_STRATEGY_FUTEX) {
        result = sleep_in_futex(manager, deadline_ns);
    } else if (strategy == WEIR_WAKE_STRATEGY_EVENTFD) {
        result = sleep_in_epoll(manager, deadline_ns);
    } else {
        result = sleep_in_signal(deadline_ns);
    }
    const int error = errno;
    /* EFAULT is one worker's memory taken away under the word, no refusal. */
    if (result < 0 && error != EINTR && error != EAGAIN && error != ETIMEDOUT && error != EFAULT) {
        give_up(manager, strategy);
    }
}

/* ---- park */

static void arm(weir_incarnation *incarnation, void *context)
{
    weir_sleeper_arm_as(&incarnation->sleeper, *(const uint32_t *)context);
}

static void disarm(weir_incarnation *incarnation, void *context)
{
    (void)context;
    weir_sleeper_disarm(&incarnation->sleeper);
}

uint64_t weir_loop_next_deadline(weir_manager *manager, uint64_t deadline_ns)
{
    const uint32_t count = weir_load_acquire_u32(&manager->pool_count);
    for (uint32_t p = 0; p < count; p++) {
        const uint64_t job_ns = weir_load_relaxed_u64(&manager->pools[p]->next_deadline_ns);
        deadline_ns = job_ns < deadline_ns ? job_ns : deadline_ns;
    }
    return weir_status_page_next(&manager->status, deadline_ns);
}

/* From here on workers and other threads of this program wake the loop. */
static void announce_sleep(weir_manager *manager, uint32_t strategy, uint64_t deadline_ns)
{
    for_each_live(manager, arm, &strategy);
    weir_store_relaxed_u32(&manager->parked_strategy, strategy);
    weir_store_relaxed_u64(&manager->sleep_until_ns, deadline_ns);
    weir_sleeper_fence(); /* SYNC(gate.park), SYNC(loop.bell), SYNC(loop.deadline): stored above,
                             looked at below. */
}

static void take_back_sleep(weir_manager *manager)
{
    weir_store_relaxed_u32(&manager->parked_strategy, WEIR_WAKE_STRATEGY_AWAKE);
    weir_store_relaxed_u64(&manager->sleep_until_ns, 0);
    for_each_live(manager, disarm, NULL);
}

static void park(weir_manager *manager, uint64_t deadline_ns)
{
    weir_manager_adopt_thread(manager); /* Without own thread, whoever polls may change. */
    uint32_t strategy = choose_strategy(manager);
    /* A new worker's gate has left the mask as a futex wants it, and another thread may have polled
     * before. */
    weir_gate_apply_mask(strategy);
    announce_sleep(manager, strategy, deadline_ns);
    if (!has_work(manager)) {
        const uint64_t until_ns = weir_loop_next_deadline(manager, deadline_ns);
        if (weir_os()->clock_ns() < until_ns) {
            (void)weir_fetch_add_relaxed_u64(&manager->parks, 1);
            sleep_once(manager, strategy, until_ns);
        }
    }
    take_back_sleep(manager);
}

weir_status weir_loop_park_hosted(weir_manager *manager)
{
    if (!weir_loop_open_epoll(manager)) {
        return WEIR_SYSTEM;
    }
    for_each_live(manager, watch_eventfd, manager);
    announce_sleep(manager, WEIR_WAKE_STRATEGY_EVENTFD, manager->next_step_ns);
    if (has_work(manager) || manager->is_supervision_due) {
        take_back_sleep(manager);
        return WEIR_FULL;
    }
    (void)weir_fetch_add_relaxed_u64(&manager->parks, 1);
    return WEIR_OK;
}

void weir_loop_unpark_hosted(weir_manager *manager)
{
    take_back_sleep(manager);
    if (manager->wait_epoll_fd >= 0) {
        (void)drain_eventfds(manager);
    }
}

/* The loop spins as long as the most patient of its pools asks for. */
static void follow_pools(weir_manager *manager)
{
    uint64_t longest_ns = 0;
    const uint32_t count = weir_load_acquire_u32(&manager->pool_count);
    for (uint32_t p = 0; p < count; p++) {
        const uint64_t asked_ns = manager->pools[p]->options.spin_ns;
        longest_ns = asked_ns > longest_ns && asked_ns != 1 ? asked_ns : longest_ns;
    }
    if (longest_ns != manager->spin.max_ns) {
        manager->spin = (weir_spin){.max_ns = longest_ns, .ns = longest_ns};
    }
}

void weir_loop_wait(weir_manager *manager, uint64_t deadline_ns)
{
    follow_pools(manager);
    if (manager->next_step_ns < deadline_ns) {
        deadline_ns = manager->next_step_ns;
    }
    const uint64_t begin_ns = weir_os()->clock_ns();
    if (spin(manager, begin_ns)) {
        weir_spin_adapt(&manager->spin, true, weir_os()->clock_ns() - begin_ns);
        (void)weir_fetch_add_relaxed_u64(&manager->spin_hits, 1);
        return;
    }
    park(manager, deadline_ns);
    weir_spin_adapt(&manager->spin, false, weir_os()->clock_ns() - begin_ns);
}
