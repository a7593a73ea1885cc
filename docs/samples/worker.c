#include "docs/samples/worker.h"

#include <string.h>
#include <unistd.h>

#include "docs/samples/scene.h"
#include "weir/worker.h"
#include "worker/loop.h"

static weir_status run_echo(weir_job *job, void *context)
{
    (void)context;
    size_t bytes = 0;
    const void *request = weir_job_request(job, &bytes);
    void *reply = NULL;
    const weir_status status = weir_job_reply(job, bytes, &reply);
    if (status == WEIR_OK && bytes > 0) {
        memcpy(reply, request, bytes);
    }
    return status;
}

static weir_status run_hang(weir_job *job, void *context)
{
    (void)job;
    (void)context;
    for (;;) {
        pause();
    }
    return WEIR_OK;
}

static weir_status run_lie(weir_job *job, void *context)
{
    (void)context;
    weir_worker *worker = job->worker;
    struct weir_envelope lie = {
        .magic = WEIR_ENVELOPE_MAGIC,
        .version = worker->envelope_terms.version,
        .opcode = job->request.opcode,
        .status = WEIR_REPLY_STATUS_OK,
        .generation = worker->envelope_terms.generation + 1,
        .job_id = job->request.job_id,
    };
    weir_envelope_seal(&lie, weir_ring_next_index(&worker->responses));
    weir_ring_stage(&worker->responses, &lie);
    return WEIR_OK;
}

static weir_status run_fail(weir_job *job, void *context)
{
    (void)context;
    weir_job_fail(job, "the map has no way out");
    return WEIR_INVALID;
}

static weir_status run_nap(weir_job *job, void *context)
{
    (void)job;
    (void)context;
    nap_ms(50);
    return WEIR_OK;
}

int serve(int argc, char **argv)
{
    static const weir_worker_routine routines[] = {
        {WEIR_OPCODE_ECHO, run_echo}, {OPCODE_HANG, run_hang}, {OPCODE_LIE, run_lie},
        {OPCODE_FAIL, run_fail},      {OPCODE_NAP, run_nap},
    };
    const weir_worker_options options = {
        .role = "samples",
        .routines = routines,
        .routine_count = sizeof routines / sizeof routines[0],
    };
    return weir_worker_main(&options, argc, argv);
}
