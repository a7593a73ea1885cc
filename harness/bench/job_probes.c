/* The jobs of the whole-job rows: filled in place, ended in place, every reply checked. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/atomic.h"
#include "base/crc.h"
#include "base/os.h"
#include "harness/bench/bench_message.h"
#include "harness/bench/job_bench.h"
#include "layout/generated/weir_layout.h"

#define ECHO_COUNT UINT64_C(8192)
#define ECHO_WINDOW                                                                                \
    256 /* Jobs in flight: half a ring, so that neither side waits for the other.                  \
         */
#define CRC_COUNT     4
#define PAYLOAD_BYTES (1u << 20)

/* What a job of the window knows about itself. */
typedef struct echo_job {
    struct echo_run *run;
    uint64_t index;
} echo_job;

typedef struct echo_run {
    uint64_t ended;
    uint64_t wrong;
    uint64_t latency_ns;
    weir_outcome_code bad_outcome;
    echo_job jobs[ECHO_WINDOW];
    echo_job *unused[ECHO_WINDOW]; /* Several workers end jobs in any order. */
    unsigned unused_count;
} echo_run;

static void fill_echo(void *context, void *payload, size_t bytes)
{
    (void)bytes;
    const echo_job *job = context;
    weir_bench_message_write(payload, job->index);
}

static void end_echo(void *context, const weir_result *result)
{
    echo_job *job = context;
    echo_run *run = job->run;
    run->unused[run->unused_count++] = job;
    run->ended++;
    run->latency_ns += result->ended_ns - result->submitted_ns;
    if (result->outcome != WEIR_OUTCOME_OK || result->payload_bytes != sizeof(weir_bench_message) ||
        weir_bench_message_read(result->payload) != weir_bench_message_sum(job->index, 1)) {
        run->wrong++;
        run->bad_outcome = result->outcome;
    }
}

static weir_status submit_batch(weir_job_bench *bench, echo_run *run, weir_job_spec *specs)
{
    for (unsigned i = 0; i < WEIR_BENCH_BATCH; i++) {
        echo_job *job = run->unused[--run->unused_count];
        job->index = bench->serial++ & UINT32_MAX >> 1;
        specs[i].context = job;
    }
    return weir_submit(bench->manager, bench->pool, specs, WEIR_BENCH_BATCH, NULL);
}

/* A deadline that has passed looks once and does not sleep. */
static void look(weir_job_bench *bench)
{
    const uint64_t deadline_ns = bench->is_patient ? weir_deadline_in(WEIR_NS_PER_SECOND) : 0;
    if (weir_manager_poll(bench->manager, deadline_ns) != WEIR_OK) {
        weir_cpu_relax();
    }
}

weir_status weir_job_bench_echo(weir_job_bench *bench, uint64_t count, weir_error *error)
{
    static echo_run run;
    run = (echo_run){0};
    for (; run.unused_count < ECHO_WINDOW; run.unused_count++) {
        run.jobs[run.unused_count].run = &run;
        run.unused[run.unused_count] = &run.jobs[run.unused_count];
    }
    weir_job_spec specs[WEIR_BENCH_BATCH];
    for (unsigned i = 0; i < WEIR_BENCH_BATCH; i++) {
        specs[i] = (weir_job_spec){.opcode = WEIR_OPCODE_ECHO,
                                   .payload_bytes = sizeof(weir_bench_message),
                                   .fill = fill_echo,
                                   .done = end_echo};
    }
    for (uint64_t submitted = 0; run.ended < count;) {
        if (submitted < count && run.unused_count >= WEIR_BENCH_BATCH) {
            const weir_status status = submit_batch(bench, &run, specs);
            if (status != WEIR_OK) {
                weir_error_set(error, "the manager took no job: %s", weir_status_name(status));
                return status;
            }
            submitted += WEIR_BENCH_BATCH;
            continue;
        }
        look(bench);
    }
    bench->latency_ns = run.latency_ns;
    if (run.wrong > 0) {
        weir_error_set(error,
                       "%" PRIu64 " of %" PRIu64
                       " echo jobs came back wrong (the last with outcome code %u)",
                       run.wrong, count, run.bad_outcome);
        return WEIR_CORRUPT;
    }
    return WEIR_OK;
}

/* Involuntary context switches of a process's first thread, which does the jobs. */
static uint64_t switches_of(int32_t pid)
{
    char path[64];
    char line[128];
    uint64_t switches = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "nonvoluntary_ctxt_switches: %" SCNu64, &switches) == 1) {
            break;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return switches;
}

static uint64_t all_switches(const weir_job_bench *bench)
{
    return weir_pair_switches() + switches_of(bench->workers[0]);
}

weir_status weir_job_bench_echo_probe(void *context, weir_sample *sample, weir_error *error)
{
    weir_job_bench *bench = context;
    weir_pair_watch(bench->pair, "the echo job", WEIR_PAIR_LIMIT_SECONDS);
    /* The worker may be parked; the first batch is not what the row is about. */
    weir_status status = weir_job_bench_echo(bench, WEIR_BENCH_BATCH, error);
    const uint64_t switches = all_switches(bench);
    const uint64_t begin_ns = weir_os()->clock_ns();
    if (status == WEIR_OK) {
        status = weir_job_bench_echo(bench, ECHO_COUNT, error);
    }
    sample->ns = (double)(weir_os()->clock_ns() - begin_ns) / (double)ECHO_COUNT;
    sample->switches = all_switches(bench) - switches;
    weir_pair_watch(bench->pair, "", 0);
    return status;
}

/* One crc job. */
typedef struct crc_job {
    unsigned char filler;
    bool has_ended;
    weir_outcome_code outcome;
    struct weir_crc_reply reply;
    uint64_t begin_ns;
    uint64_t end_ns;
} crc_job;

static void fill_crc(void *context, void *payload, size_t bytes)
{
    crc_job *job = context;
    memset(payload, job->filler, bytes);
    job->begin_ns = weir_os()->clock_ns();
}

static void end_crc(void *context, const weir_result *result)
{
    crc_job *job = context;
    job->end_ns = weir_os()->clock_ns();
    job->has_ended = true;
    job->outcome = result->outcome;
    if (result->payload_bytes == sizeof job->reply) {
        memcpy(&job->reply, result->payload, sizeof job->reply);
    }
}

static bool is_right(const crc_job *job)
{
    static unsigned char copy[PAYLOAD_BYTES];
    memset(copy, job->filler, sizeof copy);
    return job->outcome == WEIR_OUTCOME_OK && job->reply.bytes == PAYLOAD_BYTES &&
           job->reply.crc32c == weir_crc32c(copy, sizeof copy);
}

static weir_status run_crc_job(weir_job_bench *bench, crc_job *job, weir_error *error)
{
    const weir_job_spec spec = {.opcode = WEIR_OPCODE_CRC,
                                .payload_bytes = PAYLOAD_BYTES,
                                .fill = fill_crc,
                                .done = end_crc,
                                .context = job};
    *job = (crc_job){.filler = (unsigned char)(bench->serial++ * 31 + 7)};
    const weir_status status = weir_submit(bench->manager, bench->pool, &spec, 1, NULL);
    if (status != WEIR_OK) {
        weir_error_set(error, "the manager took no job: %s", weir_status_name(status));
        return status;
    }
    while (!job->has_ended) {
        look(bench);
    }
    return WEIR_OK;
}

weir_status weir_job_bench_crc_probe(void *context, weir_sample *sample, weir_error *error)
{
    weir_job_bench *bench = context;
    crc_job jobs[CRC_COUNT];
    weir_pair_watch(bench->pair, "the crc job", WEIR_PAIR_LIMIT_SECONDS);
    /* As above: wakes the worker. */
    weir_status status = weir_job_bench_echo(bench, WEIR_BENCH_BATCH, error);
    const uint64_t switches = all_switches(bench);
    uint64_t spent_ns = 0;
    for (unsigned i = 0; status == WEIR_OK && i < CRC_COUNT; i++) {
        status = run_crc_job(bench, &jobs[i], error);
        spent_ns += jobs[i].end_ns - jobs[i].begin_ns;
    }
    sample->ns = (double)spent_ns / CRC_COUNT;
    sample->switches = all_switches(bench) - switches;
    weir_pair_watch(bench->pair, "", 0);
    for (unsigned i = 0; status == WEIR_OK && i < CRC_COUNT; i++) {
        if (!is_right(&jobs[i])) {
            weir_error_set(error, "a crc job came back wrong (outcome code %u)", jobs[i].outcome);
            status = WEIR_CORRUPT;
        }
    }
    return status;
}
