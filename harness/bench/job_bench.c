#include "harness/bench/job_bench.h"

#include <dirent.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/os.h"
#include "layout/generated/weir_layout.h"

#define START_NS (10 * WEIR_NS_PER_SECOND)
/* The worker of a crc job looks on while a mebibyte is written and summed: long enough for that,
 * so that no wake is in the number. */
#define WORKER_SPIN_NS (2 * WEIR_NS_PER_MS)

const char *weir_job_bench_worker_path(void)
{
    static char path[PATH_MAX + 16];
    ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - 1);
    length = length < 0 ? 0 : length;
    path[length] = '\0';
    char *slash = strrchr(path, '/');
    (void)strcpy(slash != NULL ? slash + 1 : path, "weir-loopback");
    return path;
}

/* All threads: the loop that does the jobs and the one that reports health. */
static void pin_process(int32_t pid, int core)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *tasks = opendir(path);
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    const struct dirent *entry;
    while (tasks != NULL && (entry = readdir(tasks)) != NULL) {
        const long tid = strtol(entry->d_name, NULL, 10);
        if (tid > 0) {
            (void)sched_setaffinity((pid_t)tid, sizeof set, &set);
        }
    }
    if (tasks != NULL) {
        (void)closedir(tasks);
    }
}

static void find_workers(weir_job_bench *bench)
{
    weir_worker_info workers[WEIR_JOB_BENCH_WORKERS_MAX];
    const size_t count =
        weir_manager_read_workers(bench->manager, workers, WEIR_JOB_BENCH_WORKERS_MAX);
    for (size_t i = 0; i < count && i < bench->worker_count; i++) {
        bench->workers[i] = workers[i].pid;
        pin_process(workers[i].pid, bench->cores.peer);
    }
}

weir_status weir_job_bench_begin(void *context, weir_error *error)
{
    weir_job_bench *bench = context;
    if (bench->worker_count == 0) {
        bench->worker_count = 1;
    }
    const weir_manager_options manager = {.without_thread = true, .seed = 1};
    const char *const command[] = {bench->worker_path, NULL};
    const weir_pool_options pool = {
        .role = "loopback",
        .command = command,
        .worker_count = bench->worker_count,
        .spin_ns = bench->worker_count == 1 ? WORKER_SPIN_NS : 0,
        .policy = WEIR_ROOM_REJECT,
    };
    weir_status status = weir_manager_create(&manager, &bench->manager, error);
    if (status == WEIR_OK) {
        status = weir_manager_add_pool(bench->manager, &pool, &bench->pool, error);
    }
    if (status == WEIR_OK) {
        status = weir_manager_await_ready(bench->manager, bench->pool, weir_deadline_in(START_NS),
                                          error);
    }
    if (status != WEIR_OK) {
        weir_job_bench_end(bench);
        return status;
    }
    find_workers(bench);
    return WEIR_OK;
}

void weir_job_bench_end(void *context)
{
    weir_job_bench *bench = context;
    if (bench->manager != NULL) {
        weir_manager_destroy(bench->manager);
        bench->manager = NULL;
    }
    memset(bench->workers, 0, sizeof bench->workers);
}
