/**
 * @file
 * Inside of the callers: what callers.c and callers_jobs.c share.
 *
 * Threads: fields say who may touch them. Blocking: short locks of one caller.
 */
#ifndef WEIR_HARNESS_CALLERS_INSIDE_H
#define WEIR_HARNESS_CALLERS_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include "harness/callers.h"

#define WEIR_CALLERS_BATCH_MAX 256

typedef struct weir_caller weir_caller;

typedef struct weir_caller_job {
    weir_task task;
    weir_caller *owner;
    struct weir_caller_job *next;
    uint64_t due_ns; /* open loop: when it should have been submitted; else 0 */
    weir_held held;  /* while it waits to be checked */
} weir_caller_job;

struct weir_caller {
    weir_callers *all;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    weir_caller_job *home;     /* under the lock: jobs that are not under way */
    uint32_t at_home;          /* under the lock */
    weir_caller_job *to_check; /* under the lock: replies held for this thread */
    bool is_waiting;           /* under the lock */
    bool is_rejected;          /* under the lock: since the last submission */
    uint32_t job_count;
    weir_caller_job *jobs;
};

struct weir_callers {
    weir_callers_setup setup;
    uint64_t start_ns;
    uint64_t job_limit; /* UINT64_MAX: none */
    uint32_t batch;
    atomic_uint_fast64_t next_number;
    atomic_uint_fast64_t last_ns;
    atomic_bool is_stopping;
    atomic_bool is_given_up;
    atomic_uint running;
    uint32_t count;
    weir_caller caller[WEIR_WORKLOAD_CALLERS_MAX];
};

static inline uint64_t weir_callers_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/** Whether the caller's thread has something to do; needs its lock. */
bool weir_caller_has_work(const weir_caller *me);

/** Checks a list of held replies, gives them back and closes their jobs. */
void weir_caller_check_held(weir_caller *me, weir_caller_job *list);

/** Whether no new jobs are to be submitted. */
bool weir_callers_are_over(const weir_callers *all);

/** Takes up to @p wanted job numbers from @p first. Returns how many; 0 when there are no more or
 * none is due yet, whose time is then in @p due. */
uint32_t weir_callers_claim(weir_callers *all, uint32_t wanted, uint64_t *first, uint64_t *due);

/** Submits the jobs of these numbers; as many are at home. */
void weir_caller_submit(weir_caller *me, uint64_t first, uint32_t count);

#endif
