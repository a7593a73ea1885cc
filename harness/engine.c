#include "harness/engine.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "harness/callers.h"
#include "harness/generator.h"
#include "harness/judge.h"
#include "harness/stop.h"

#define SECOND_NS UINT64_C(1000000000)
#define MS_NS     UINT64_C(1000000)
/* How often the main thread looks whether the run is over. */
#define GLANCE_NS (20 * MS_NS)
/* After the jobs' own deadlines, all ends must have come within this. */
#define DRAIN_NS (30 * SECOND_NS)
/* Slots come back a moment after the replies: the worker gives them back on its own time. */
#define SLOTS_NS (2 * SECOND_NS)
/* A heartbeat comes every half second; a worker that is late with it says its last numbers. */
#define BEAT_NS (900 * MS_NS)
/* Starts that fail one after the other before the run is called off. */
#define FAILED_STARTS_MAX 3

typedef struct engine {
    const weir_run_plan *plan;
    weir_progress *progress;
    weir_run_facts *facts;
    weir_error *error;
    weir_generator *generator;
    weir_ledger *ledger;
    weir_manager *manager;
    weir_pool_id pool;
    weir_callers *callers;
    weir_tally tally;
    weir_resources before;
    char directory[200];
} engine;

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

static uint32_t larger(uint64_t a, uint64_t b)
{
    return (uint32_t)(a > b ? a : b);
}

static weir_status make_manager(engine *run)
{
    const weir_run_plan *plan = run->plan;
    const weir_workload *workload = &plan->workload;
    const weir_manager_options options = {
        .job_capacity = larger(8192, 2 * workload->concurrency),
        .seed = plan->seed,
        .on_event = weir_progress_event,
        .event_context = run->progress,
        .trace_jobs = plan->trace,
    };
    weir_status status = weir_manager_create(&options, &run->manager, run->error);
    if (status != WEIR_OK) {
        return status;
    }
    const char *const command[] = {plan->worker_path, NULL};
    const weir_pool_options pool = {
        .role = "loopback",
        .command = command,
        .worker_count = (uint32_t)workload->workers,
        .arena = workload->arena,
        .policy = workload->policy,
        .deferred_max = larger(1024, workload->concurrency),
        .wake_strategies = plan->wake_strategies,
        .spin_ns = plan->without_spin ? 1 : 0,
        .start_timeout_ns = plan->start_timeout_ns,
        .deaths_max = plan->deaths_max,
    };
    return weir_manager_add_pool(run->manager, &pool, &run->pool, run->error);
}

/* Why no worker came up, as one sentence. */
static weir_status never_ready(engine *run, const char *how)
{
    char trouble[WEIR_TROUBLE_MAX];
    weir_progress_last_trouble(run->progress, trouble, sizeof trouble);
    weir_error_set(
        run->error,
        "the worker %s %s%s%s; it has to be a Weir worker of role loopback, see --worker",
        run->plan->worker_path, how, trouble[0] != '\0' ? ": " : "", trouble);
    return WEIR_REFUSED;
}

/* Waits until all workers serve, with an ear for signals. */
static weir_status await_workers(engine *run)
{
    const uint64_t limit = now_ns() + run->plan->start_timeout_ns + SECOND_NS;
    for (;;) {
        weir_error reason = {{0}};
        const weir_status status =
            weir_manager_await_ready(run->manager, run->pool, now_ns() + GLANCE_NS, &reason);
        if (status == WEIR_OK) {
            return WEIR_OK;
        }
        if (weir_stop_count() > 0) {
            return WEIR_INTERRUPTED;
        }
        if (status != WEIR_TIMEOUT) {
            weir_error_set(run->error, "the worker %s was refused: %.300s", run->plan->worker_path,
                           reason.text);
            return status;
        }
        weir_tally_look(&run->tally, run->manager);
        if (run->tally.restarts >= FAILED_STARTS_MAX) {
            return never_ready(run, "does not stay up");
        }
        if (now_ns() >= limit) {
            return never_ready(run, "was not ready in time");
        }
    }
}

static void show(engine *run, uint64_t start_ns)
{
    weir_ledger_totals totals;
    weir_ledger_read(run->ledger, &totals);
    weir_tally_look(&run->tally, run->manager);
    const weir_progress_numbers numbers = {
        .elapsed_ns = now_ns() - start_ns,
        .ended = totals.closed,
        .not_ok = totals.closed - totals.verified,
        .in_flight = totals.entered > totals.closed ? totals.entered - totals.closed : 0,
        .workers_ready = run->tally.ready,
        .workers = (uint32_t)run->plan->workload.workers,
        .restarts = run->tally.restarts,
    };
    weir_progress_show(run->progress, &numbers);
}

/* Whether nobody is left, nor will come, to do a job. */
static bool is_deserted(engine *run)
{
    weir_tally_look(&run->tally, run->manager);
    run->facts->is_deserted = weir_tally_is_deserted(&run->tally);
    return run->facts->is_deserted;
}

/* Until the jobs are through, the time is up, no worker is left, or a signal comes. */
static void work(engine *run)
{
    const uint64_t start_ns = weir_callers_first_ns(run->callers);
    const uint64_t duration = run->plan->workload.duration_ns;
    uint64_t shown_ns = start_ns;
    while (weir_stop_wait(GLANCE_NS) == 0 && !weir_callers_are_done(run->callers) &&
           (duration == 0 || now_ns() - start_ns < duration) && !is_deserted(run)) {
        if (now_ns() - shown_ns >= WEIR_PROGRESS_PERIOD_NS) {
            shown_ns = now_ns();
            show(run, start_ns);
        }
    }
    weir_callers_stop(run->callers);
}

/* Waits for what is under way, until a second signal. */
static void finish(engine *run)
{
    const uint64_t start_ns = weir_callers_first_ns(run->callers);
    const uint64_t limit = now_ns() + run->plan->workload.deadline_ns + DRAIN_NS;
    while (weir_manager_drain(run->manager, now_ns() + WEIR_PROGRESS_PERIOD_NS / 4) != WEIR_OK ||
           !weir_callers_are_done(run->callers)) {
        if (weir_stop_count() > 1) {
            break;
        }
        if (now_ns() >= limit) {
            weir_ledger_complain(run->ledger,
                                 "the jobs under way did not end within %d s of "
                                 "their deadline",
                                 (int)(DRAIN_NS / SECOND_NS));
            break;
        }
        weir_stop_wait(MS_NS); /* drained at once, but the callers still check */
        show(run, start_ns);
    }
    weir_callers_give_up(run->callers);
    weir_callers_join(run->callers);
}

/* Workers tell their counters with each heartbeat: waits for one from each that is younger than the
 * last reply, so that nothing of the run's end is missing. */
static void await_beats(engine *run)
{
    weir_worker_info workers[WEIR_TALLY_SEATS_MAX];
    const uint64_t last_ns = now_ns();
    while (weir_stop_count() < 2 && now_ns() < last_ns + BEAT_NS) {
        const size_t count = weir_manager_read_workers(run->manager, workers, WEIR_TALLY_SEATS_MAX);
        size_t late = 0;
        for (size_t i = 0; i < count && i < WEIR_TALLY_SEATS_MAX; i++) {
            late += workers[i].state == WEIR_SEAT_READY && workers[i].beat_ns <= last_ns;
        }
        if (late == 0) {
            return;
        }
        weir_stop_wait(GLANCE_NS / 2);
    }
}

static void read_facts(engine *run)
{
    weir_run_facts *facts = run->facts;
    const uint64_t limit = now_ns() + SLOTS_NS;
    facts->elapsed_ns = weir_callers_last_ns(run->callers) - weir_callers_first_ns(run->callers);
    weir_manager_read_stats(run->manager, &facts->stats);
    while (facts->stats.slots_taken != 0 && weir_stop_count() < 2 && now_ns() < limit) {
        weir_stop_wait(MS_NS);
        weir_manager_read_stats(run->manager, &facts->stats);
    }
    await_beats(run);
    weir_tally_look(&run->tally, run->manager);
    facts->workers = weir_tally_sum(&run->tally);
    facts->strategies_seen = run->tally.strategies_seen;
    facts->restarts = run->tally.restarts;
    if (run->tally.ready == 0) {
        weir_progress_last_trouble(run->progress, facts->why_no_worker,
                                   sizeof facts->why_no_worker);
    }
}

/* Takes the manager down and looks what stayed. */
static void take_down(engine *run)
{
    weir_resources after;
    weir_progress_expect_end(run->progress);
    if (weir_stop_count() > 1) {
        weir_stop_unblock();
    }
    if (run->manager != NULL) {
        weir_manager_destroy(run->manager);
    }
    weir_callers_free(run->callers);
    weir_resources_read(&after, run->directory);
    weir_resources_compare(&run->before, &after, run->ledger, &run->facts->left);
}

static weir_status drive(engine *run)
{
    weir_status status = make_manager(run);
    if (status == WEIR_OK) {
        status = await_workers(run);
    }
    if (status != WEIR_OK) {
        return status;
    }
    const weir_callers_setup setup = {.workload = &run->plan->workload,
                                      .generator = run->generator,
                                      .ledger = run->ledger,
                                      .manager = run->manager,
                                      .pool = run->pool,
                                      .routine = run->facts->routine};
    weir_progress_start(run->progress);
    status = weir_callers_start(&setup, &run->callers, run->error);
    if (status != WEIR_OK) {
        return status;
    }
    work(run);
    finish(run);
    read_facts(run);
    return WEIR_OK;
}

/* After a run that took place: everything else is known, judge. */
static void judge(engine *run)
{
    weir_run_facts *facts = run->facts;
    facts->signals = weir_stop_count();
    weir_ledger_audit(run->ledger);
    weir_ledger_read(run->ledger, &facts->totals);
    if (facts->signals > 1) {
        /* The manager was destroyed with jobs under way: they ended after its numbers were read. */
        memcpy(facts->stats.outcomes, facts->totals.outcomes, sizeof facts->stats.outcomes);
    }
    weir_judge(run->plan, facts, run->ledger);
}

weir_status weir_engine_run(const weir_run_plan *plan, weir_progress *progress,
                            weir_run_facts *facts, weir_error *error)
{
    engine *run = calloc(1, sizeof *run);
    if (run == NULL) {
        weir_error_set(error, "no memory for the run; free some");
        return WEIR_NO_MEMORY;
    }
    *run = (engine){.plan = plan, .progress = progress, .facts = facts, .error = error};
    weir_status status = weir_ledger_create(&run->ledger, error);
    if (status == WEIR_OK) {
        status = weir_generator_create(&plan->workload, plan->seed, &run->generator, error);
    }
    if (status == WEIR_OK && weir_stop_count() > 0) {
        status = WEIR_INTERRUPTED;
    }
    if (status == WEIR_OK) {
        weir_runtime_directory(run->directory, sizeof run->directory);
        weir_resources_read(&run->before, run->directory);
        if (run->before.is_blind) {
            weir_error_set(error, "cannot list what this process holds, so nothing could be said "
                                  "of leftovers; mount /proc, or raise the limit on open files");
            status = WEIR_SYSTEM;
        } else {
            status = drive(run);
            take_down(run);
        }
        if (status == WEIR_OK) {
            judge(run);
        }
        weir_ledger_violations(run->ledger, &facts->violations);
    }
    weir_progress_finish(progress);
    weir_generator_free(run->generator);
    weir_ledger_free(run->ledger);
    free(run);
    return status;
}
