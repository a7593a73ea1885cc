#include "harness/bench/allocations.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/os.h"
#include "harness/bench/job_bench.h"

#define WARM_UP_JOBS  UINT64_C(4096)
#define COUNTED_JOBS  UINT64_C(32768)
#define VARIABLES_MAX 512
#define LOOK_NS       (2 * WEIR_NS_PER_MS)

/* A sanitizer brings its own allocator and does not stand another before it. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

bool weir_allocations_is_inner(void)
{
    return getenv(WEIR_ALLOCATIONS_VARIABLE) != NULL;
}

/* ---- the second instance */

static weir_allocations *map_file(int fd)
{
    void *file = mmap(NULL, sizeof(weir_allocations), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return file == MAP_FAILED ? NULL : file;
}

static bool calls_of(const weir_allocations *file, int32_t pid, uint64_t *calls)
{
    for (unsigned i = 0; i < WEIR_ALLOCATIONS_PROCESSES; i++) {
        if (weir_load_relaxed_u64(&file->processes[i].pid) == (uint64_t)pid) {
            *calls = weir_load_relaxed_u64(&file->processes[i].calls);
            return true;
        }
    }
    return false;
}

static weir_status count_jobs(weir_job_bench *bench, weir_allocations *file, weir_error *error)
{
    uint64_t manager[2] = {0};
    uint64_t worker[2] = {0};
    const uint64_t jobs[2] = {WARM_UP_JOBS, COUNTED_JOBS};
    for (unsigned i = 0; i < 2; i++) {
        const weir_status status = weir_job_bench_echo(bench, jobs[i], error);
        if (status != WEIR_OK) {
            return status;
        }
        /* Both have allocated at their start: a count of 0 would mean that nothing is counted. */
        if (!calls_of(file, getpid(), &manager[i]) ||
            !calls_of(file, bench->workers[0], &worker[i]) || manager[i] == 0 || worker[i] == 0) {
            weir_error_set(error, "weir-allocations.so does not count in manager and worker; a "
                                  "worker that is linked statically cannot be counted");
            return WEIR_UNSUPPORTED;
        }
    }
    file->jobs = COUNTED_JOBS;
    file->manager_calls = manager[1] - manager[0];
    file->worker_calls = worker[1] - worker[0];
    weir_store_release_u32(&file->is_done, 1);
    return WEIR_OK;
}

weir_status weir_allocations_count(const char *worker_path, weir_error *error)
{
    static const weir_pair no_pair;
    /* Nothing is timed, so the one core that is inherited does for both. */
    const int core = sched_getcpu();
    weir_job_bench bench = {
        .pair = &no_pair,
        .cores = {.lead = core, .peer = core},
        .is_patient = true,
        .worker_path = worker_path != NULL ? worker_path : weir_job_bench_worker_path(),
    };
    FILE *stream = fopen(getenv(WEIR_ALLOCATIONS_VARIABLE), "r+");
    weir_allocations *file = stream != NULL ? map_file(fileno(stream)) : NULL;
    if (stream != NULL) {
        (void)fclose(stream);
    }
    if (file == NULL) {
        return weir_error_system(error, errno, "opening the file of the counters", NULL);
    }
    weir_status status = weir_job_bench_begin(&bench, error);
    if (status == WEIR_OK) {
        status = count_jobs(&bench, file, error);
    }
    weir_job_bench_end(&bench);
    (void)munmap(file, sizeof *file);
    return status;
}

/* ---- the first one */

static void path_beside(const char *name, char path[PATH_MAX])
{
    (void)snprintf(path, PATH_MAX, "%s", weir_job_bench_worker_path());
    char *slash = strrchr(path, '/');
    const size_t head = slash != NULL ? (size_t)(slash + 1 - path) : 0;
    (void)snprintf(path + head, PATH_MAX - head, "%s", name);
}

static weir_status spawn_inner(const char *file_path, const char *worker_path, pid_t *pid,
                               weir_error *error)
{
    char program[PATH_MAX];
    char library[PATH_MAX];
    char preload[PATH_MAX + 16];
    char variable[PATH_MAX + 32];
    path_beside("weir", program);
    path_beside("weir-allocations.so", library);
    if (access(program, X_OK) != 0 || access(library, R_OK) != 0) {
        weir_error_set(error, "%.200s or %.200s is missing; build all of the preset", program,
                       library);
        return WEIR_NOT_FOUND;
    }
    (void)snprintf(preload, sizeof preload, "LD_PRELOAD=%s", library);
    (void)snprintf(variable, sizeof variable, "%s=%s", WEIR_ALLOCATIONS_VARIABLE, file_path);
    char *variables[VARIABLES_MAX + 3] = {preload, variable};
    size_t count = 2;
    for (char **at = environ; *at != NULL && count < VARIABLES_MAX + 2; at++) {
        if (strncmp(*at, "LD_PRELOAD=", 11) != 0) {
            variables[count++] = *at;
        }
    }
    const char *arguments[] = {
        program,       "bench",    "--only",
        "allocations", "--worker", worker_path != NULL ? worker_path : weir_job_bench_worker_path(),
        NULL};
    const int reason =
        posix_spawn(pid, program, NULL, NULL, (char *const *)(uintptr_t)arguments, variables);
    return reason == 0 ? WEIR_OK
                       : weir_error_system(error, reason, "starting weir once more", NULL);
}

/* Kills it when it takes too long. Returns true when it ended well. */
static bool await_inner(pid_t pid)
{
    const uint64_t deadline_ns = weir_deadline_in(WEIR_PAIR_LIMIT_SECONDS * WEIR_NS_PER_SECOND);
    int status = 0;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (weir_os()->clock_ns() >= deadline_ns) {
            (void)kill(pid, SIGKILL);
            (void)waitpid(pid, &status, 0);
            return false;
        }
        (void)weir_os()->sleep_until(weir_deadline_in(LOOK_NS));
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static weir_status run_inner(const char *file_path, const char *worker_path, weir_error *error)
{
    pid_t pid = 0;
    const weir_status status = spawn_inner(file_path, worker_path, &pid, error);
    if (status == WEIR_OK && !await_inner(pid)) {
        weir_error_set(error, "counting allocations failed; the sentence above says why");
        return WEIR_CORRUPT;
    }
    return status;
}

static void show(const weir_allocations *file, weir_bench_report *report)
{
    const double manager = (double)file->manager_calls / (double)file->jobs;
    const double worker = (double)file->worker_calls / (double)file->jobs;
    weir_bench_report_show(report, "allocations-manager", manager, 0,
                           "heap allocations per job, manager: %g (%" PRIu64 " in %" PRIu64
                           " jobs; at most 0)",
                           manager, file->manager_calls, file->jobs);
    weir_bench_report_show(report, "allocations-worker", worker, 0,
                           "heap allocations per job, worker: %g (%" PRIu64 " in %" PRIu64
                           " jobs; at most 0)",
                           worker, file->worker_calls, file->jobs);
}

weir_status weir_bench_show_allocations(const char *worker_path, weir_bench_report *report,
                                        weir_error *error)
{
    if (IS_SANITIZED) {
        weir_bench_report_show(report, "allocations", -1, -1,
                               "heap allocations are not counted in a sanitized build");
        return WEIR_OK;
    }
    char path[] = "/tmp/weir-allocations-XXXXXX";
    const int fd = mkstemp(path);
    if (fd < 0 || ftruncate(fd, sizeof(weir_allocations)) != 0) {
        return weir_error_system(error, errno, "making a file for counters in /tmp", NULL);
    }
    weir_allocations *file = map_file(fd);
    (void)close(fd);
    if (file == NULL) {
        const int reason = errno;
        (void)unlink(path);
        return weir_error_system(error, reason, "mapping a file for counters", NULL);
    }
    weir_status status = run_inner(path, worker_path, error);
    (void)unlink(path);
    if (status == WEIR_OK && weir_load_acquire_u32(&file->is_done) == 0) {
        weir_error_set(error, "the second instance counted nothing; this is a bug");
        status = WEIR_CORRUPT;
    }
    if (status == WEIR_OK) {
        show(file, report);
    }
    (void)munmap(file, sizeof *file);
    return status;
}
