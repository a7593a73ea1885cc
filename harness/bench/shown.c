#include "harness/bench/shown.h"

#include <stdio.h>
#include <time.h>

#include "base/os.h"
#include "harness/bench/job_bench.h"

#define IDLE_WORKERS  16
#define IDLE_NS       (2 * WEIR_NS_PER_SECOND)
#define SETTLE_NS     (WEIR_NS_PER_SECOND / 2)
#define IDLE_PERCENT  1.0
#define WARM_UP_JOBS  UINT64_C(2048)
#define MEASURED_JOBS UINT64_C(32768)

static uint64_t processor_ns(void)
{
    struct timespec spent;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
    return (uint64_t)spent.tv_sec * WEIR_NS_PER_SECOND + (uint64_t)spent.tv_nsec;
}

static weir_job_bench bench_of(const weir_pair *pair, const weir_pair_cores *cores,
                               const char *worker_path, uint32_t workers)
{
    return (weir_job_bench){
        .pair = pair,
        .cores = *cores,
        .worker_path = worker_path != NULL ? worker_path : weir_job_bench_worker_path(),
        .worker_count = workers,
        .is_patient = true,
    };
}

static void rest(weir_job_bench *bench, uint64_t ns)
{
    const uint64_t end_ns = weir_deadline_in(ns);
    while (weir_os()->clock_ns() < end_ns) {
        (void)!weir_manager_poll(bench->manager, end_ns);
    }
}

weir_status weir_bench_show_idle(const weir_pair *pair, const weir_pair_cores *cores,
                                 const char *worker_path, weir_bench_report *report,
                                 weir_error *error)
{
    weir_job_bench bench = bench_of(pair, cores, worker_path, IDLE_WORKERS);
    const weir_status status = weir_job_bench_begin(&bench, error);
    if (status != WEIR_OK) {
        return status;
    }
    rest(&bench, SETTLE_NS);
    const uint64_t begin_ns = weir_os()->clock_ns();
    const uint64_t spent_ns = processor_ns();
    rest(&bench, IDLE_NS);
    const double percent =
        100.0 * (double)(processor_ns() - spent_ns) / (double)(weir_os()->clock_ns() - begin_ns);
    weir_job_bench_end(&bench);
    weir_bench_report_show(report, "idle-manager", percent, IDLE_PERCENT,
                           "idle manager with %d idle workers: %.3f %% of a core (at most %g %%)",
                           IDLE_WORKERS, percent, IDLE_PERCENT);
    return WEIR_OK;
}

static weir_status show_with(weir_job_bench *bench, weir_bench_report *report, weir_error *error)
{
    weir_status status = weir_job_bench_begin(bench, error);
    if (status != WEIR_OK) {
        return status;
    }
    weir_pair_watch(bench->pair, "the echo job", WEIR_PAIR_LIMIT_SECONDS);
    status = weir_job_bench_echo(bench, WARM_UP_JOBS, error);
    const uint64_t spent_ns = processor_ns();
    if (status == WEIR_OK) {
        status = weir_job_bench_echo(bench, MEASURED_JOBS, error);
    }
    const double ns = (double)(processor_ns() - spent_ns) / (double)MEASURED_JOBS;
    weir_pair_watch(bench->pair, "", 0);
    weir_job_bench_end(bench);
    if (status == WEIR_OK) {
        char name[32];
        (void)snprintf(name, sizeof name, "manager-cpu-%u", bench->worker_count);
        weir_bench_report_show(report, name, ns, -1,
                               "manager's processor time per echo job with %2u workers: %.0f ns",
                               bench->worker_count, ns);
    }
    return status;
}

weir_status weir_bench_show_cpu_per_job(const weir_pair *pair, const weir_pair_cores *cores,
                                        const char *worker_path, weir_bench_report *report,
                                        weir_error *error)
{
    static const uint32_t counts[] = {1, 4, 16};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        weir_job_bench bench = bench_of(pair, cores, worker_path, counts[i]);
        const weir_status status = show_with(&bench, report, error);
        if (status != WEIR_OK) {
            return status;
        }
    }
    return WEIR_OK;
}
