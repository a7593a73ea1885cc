#include "harness/callers.h"

#include <inttypes.h>
#include <stdlib.h>

#include "harness/callers_inside.h"

#define SECOND_NS UINT64_C(1000000000)
/* Open loop: jobs that may be under way before the callers themselves become the queue. */
#define OPEN_LOOP_JOBS 4096
/* After a rejection a caller waits a little, as a sensible one does. */
#define REJECTED_PAUSE_NS 200000

static struct timespec to_timespec(uint64_t nanoseconds)
{
    return (struct timespec){.tv_sec = (time_t)(nanoseconds / SECOND_NS),
                             .tv_nsec = (long)(nanoseconds % SECOND_NS)};
}

/* ---- the thread ---- */

/* Waits until there is work, or until @p until_ns when not 0. Takes what is to be checked and says
 * how many jobs are at home. */
static uint32_t wait_for_work(weir_caller *me, uint64_t until_ns, weir_caller_job **to_check)
{
    pthread_mutex_lock(&me->lock);
    const bool is_timed = until_ns != 0;
    while ((is_timed || !weir_caller_has_work(me)) && me->to_check == NULL &&
           !atomic_load_explicit(&me->all->is_given_up, memory_order_relaxed) &&
           !(weir_callers_are_over(me->all) && me->at_home == me->job_count)) {
        /* Stops and the like are flags without a signal: look at them now and then. */
        const uint64_t glance = weir_callers_now_ns() + 20000000;
        const struct timespec limit =
            to_timespec(is_timed && until_ns < glance ? until_ns : glance);
        me->is_waiting = true;
        pthread_cond_timedwait(&me->changed, &me->lock, &limit);
        me->is_waiting = false;
        if ((is_timed && weir_callers_now_ns() >= until_ns) || weir_callers_are_over(me->all)) {
            break;
        }
    }
    *to_check = me->to_check;
    me->to_check = NULL;
    const uint32_t at_home = me->at_home;
    pthread_mutex_unlock(&me->lock);
    return at_home;
}

static void pause_after_rejection(weir_caller *me)
{
    pthread_mutex_lock(&me->lock);
    const bool is_rejected = me->is_rejected;
    pthread_mutex_unlock(&me->lock);
    if (is_rejected) {
        const struct timespec pause = to_timespec(REJECTED_PAUSE_NS);
        nanosleep(&pause, NULL);
    }
}

static void *run_caller(void *argument)
{
    weir_caller *me = argument;
    weir_callers *all = me->all;
    uint64_t until_ns = 0;
    for (;;) {
        weir_caller_job *to_check = NULL;
        const uint32_t at_home = wait_for_work(me, until_ns, &to_check);
        weir_caller_check_held(me, to_check);
        if (atomic_load_explicit(&all->is_given_up, memory_order_relaxed) ||
            (weir_callers_are_over(all) && at_home == me->job_count)) {
            break;
        }
        uint64_t first = 0;
        until_ns = 0;
        if (weir_callers_are_over(all) || at_home == 0) {
            continue;
        }
        const uint32_t wanted = at_home < all->batch ? at_home : all->batch;
        const uint32_t count = weir_callers_claim(all, wanted, &first, &until_ns);
        if (count > 0) {
            weir_caller_submit(me, first, count);
            pause_after_rejection(me);
        }
    }
    atomic_fetch_sub_explicit(&all->running, 1, memory_order_release);
    return NULL;
}

/* ---- all of them ---- */

static bool prepare_caller(weir_caller *me, weir_callers *all, uint32_t job_count)
{
    pthread_condattr_t attributes;
    me->all = all;
    me->job_count = job_count;
    me->jobs = calloc(job_count, sizeof *me->jobs);
    pthread_mutex_init(&me->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&me->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    for (uint32_t i = 0; me->jobs != NULL && i < job_count; i++) {
        me->jobs[i].owner = me;
        me->jobs[i].next = me->home;
        me->home = &me->jobs[i];
        me->at_home++;
    }
    return me->jobs != NULL;
}

static weir_status prepare_all(weir_callers *all, weir_error *error)
{
    const weir_workload *workload = all->setup.workload;
    uint64_t jobs = workload->rate != 0 ? OPEN_LOOP_JOBS : workload->concurrency;
    uint64_t callers = workload->callers < jobs ? workload->callers : jobs;
    for (uint64_t i = 0; i < callers; i++) {
        const uint64_t share = jobs / callers + (i < jobs % callers);
        all->count++;
        if (!prepare_caller(&all->caller[i], all, (uint32_t)share)) {
            weir_error_set(error, "no memory for %" PRIu64 " jobs; lower --concurrency", jobs);
            return WEIR_NO_MEMORY;
        }
    }
    const uint32_t share = all->caller[callers - 1].job_count;
    all->batch = workload->batch < share ? (uint32_t)workload->batch : share;
    all->job_limit = workload->jobs != 0 ? workload->jobs : UINT64_MAX;
    return WEIR_OK;
}

weir_status weir_callers_start(const weir_callers_setup *setup, weir_callers **callers,
                               weir_error *error)
{
    weir_callers *all = calloc(1, sizeof *all);
    if (all == NULL) {
        weir_error_set(error, "no memory for the callers; free some");
        return WEIR_NO_MEMORY;
    }
    all->setup = *setup;
    weir_status status = prepare_all(all, error);
    all->start_ns = weir_callers_now_ns();
    atomic_store_explicit(&all->last_ns, all->start_ns, memory_order_relaxed);
    uint32_t started = 0;
    while (status == WEIR_OK && started < all->count) {
        atomic_fetch_add_explicit(&all->running, 1, memory_order_relaxed);
        const int reason =
            pthread_create(&all->caller[started].thread, NULL, run_caller, &all->caller[started]);
        if (reason != 0) {
            atomic_fetch_sub_explicit(&all->running, 1, memory_order_relaxed);
            status = weir_error_system(error, reason, "cannot start a caller thread",
                                       "use fewer callers in the workload");
            break;
        }
        started++;
    }
    if (status != WEIR_OK && started > 0) {
        /* Those that run go on alone; their jobs must end before anything is taken away. */
        all->count = started;
        status = WEIR_OK;
    }
    if (status != WEIR_OK) {
        weir_callers_free(all);
        return status;
    }
    *callers = all;
    return WEIR_OK;
}

bool weir_callers_are_done(weir_callers *callers)
{
    return atomic_load_explicit(&callers->running, memory_order_acquire) == 0;
}

void weir_callers_stop(weir_callers *callers)
{
    atomic_store_explicit(&callers->is_stopping, true, memory_order_relaxed);
}

void weir_callers_give_up(weir_callers *callers)
{
    atomic_store_explicit(&callers->is_given_up, true, memory_order_relaxed);
}

void weir_callers_join(weir_callers *callers)
{
    for (uint32_t i = 0; i < callers->count; i++) {
        pthread_join(callers->caller[i].thread, NULL);
        /* Given up: what came in for checking between the last look and the end. */
        weir_caller_check_held(&callers->caller[i], callers->caller[i].to_check);
        callers->caller[i].to_check = NULL;
    }
}

void weir_callers_free(weir_callers *callers)
{
    if (callers == NULL) {
        return;
    }
    for (uint32_t i = 0; i < WEIR_WORKLOAD_CALLERS_MAX; i++) {
        if (callers->caller[i].all != NULL) {
            pthread_cond_destroy(&callers->caller[i].changed);
            pthread_mutex_destroy(&callers->caller[i].lock);
            free(callers->caller[i].jobs);
        }
    }
    free(callers);
}

uint64_t weir_callers_first_ns(const weir_callers *callers)
{
    return callers->start_ns;
}

uint64_t weir_callers_last_ns(const weir_callers *callers)
{
    return atomic_load_explicit(&callers->last_ns, memory_order_relaxed);
}
