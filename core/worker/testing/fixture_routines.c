#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/testing/allocations.h"
#include "worker/testing/fixture.h"

static weir_status reply_with(weir_job *job, const void *bytes, size_t count)
{
    void *reply = NULL;
    const weir_status status = weir_job_reply(job, count, &reply);
    if (status == WEIR_OK && count > 0) {
        memcpy(reply, bytes, count);
    }
    return status;
}

static uint32_t number_in(const weir_job *job)
{
    size_t bytes = 0;
    uint32_t number = 0;
    const void *request = weir_job_request(job, &bytes);
    memcpy(&number, request, bytes < sizeof number ? bytes : sizeof number);
    return number;
}

static weir_status run_echo(weir_job *job, void *context)
{
    (void)context;
    size_t bytes = 0;
    const void *request = weir_job_request(job, &bytes);
    return reply_with(job, request, bytes);
}

static weir_status run_fail(weir_job *job, void *context)
{
    (void)context;
    weir_job_fail(job, "the test wants it");
    return WEIR_OK;
}

static weir_status run_status(weir_job *job, void *context)
{
    (void)context;
    return (weir_status)number_in(job);
}

static weir_status run_crc(weir_job *job, void *context)
{
    (void)context;
    uint32_t answer[2] = {0, 0};
    answer[0] = (uint32_t)weir_job_request_crc(job, &answer[1]);
    return reply_with(job, answer, sizeof answer);
}

static weir_status run_kill(weir_job *job, void *context)
{
    (void)job;
    (void)context;
    raise(SIGKILL);
    return WEIR_OK;
}

static weir_status run_stuck(weir_job *job, void *context)
{
    (void)job;
    (void)context;
    for (;;) {
        pause();
    }
    return WEIR_OK;
}

static weir_status run_sleep(weir_job *job, void *context)
{
    (void)context;
    const uint64_t end_ns = weir_deadline_in(number_in(job) * WEIR_NS_PER_MS);
    while (weir_os()->clock_ns() < end_ns) {
    }
    return WEIR_OK;
}

static weir_status run_reply_bytes(weir_job *job, void *context)
{
    (void)context;
    const uint32_t bytes = number_in(job);
    void *reply = NULL;
    const weir_status status = weir_job_reply(job, bytes, &reply);
    if (status == WEIR_OK) {
        memset(reply, 0, bytes);
    }
    return status;
}

static weir_status run_reply_twice(weir_job *job, void *context)
{
    (void)context;
    void *first = NULL;
    void *second = NULL;
    weir_status status = weir_job_reply(job, sizeof(uint32_t), &first);
    if (status != WEIR_OK) {
        return status;
    }
    const uint32_t again = (uint32_t)weir_job_reply(job, 8, &second);
    memcpy(first, &again, sizeof again);
    return WEIR_OK;
}

static weir_status run_shrink(weir_job *job, void *context)
{
    (void)context;
    void *reply = NULL;
    const weir_status status = weir_job_reply(job, 4096, &reply);
    if (status == WEIR_OK) {
        memset(reply, 'x', 4096);
        weir_job_shrink_reply(job, number_in(job));
        weir_job_shrink_reply(job, 5000); /* a reply grows by nothing */
    }
    return status;
}

static weir_status run_progress(weir_job *job, void *context)
{
    (void)context;
    for (int i = 0; i < 10; i++) {
        weir_job_progress(job);
    }
    return WEIR_OK;
}

static weir_status run_allocations(weir_job *job, void *context)
{
    (void)context;
    const uint64_t count = allocations_so_far();
    return reply_with(job, &count, sizeof count);
}

const weir_worker_routine fixture_routines[] = {
    {WEIR_OPCODE_ECHO, run_echo},
    {TEST_FAIL, run_fail},
    {TEST_STATUS, run_status},
    {TEST_CRC, run_crc},
    {TEST_KILL, run_kill},
    {TEST_STUCK, run_stuck},
    {TEST_SLEEP, run_sleep},
    {TEST_REPLY_BYTES, run_reply_bytes},
    {TEST_REPLY_TWICE, run_reply_twice},
    {TEST_SHRINK, run_shrink},
    {TEST_PROGRESS, run_progress},
    {TEST_ALLOCATIONS, run_allocations},
};
const size_t fixture_routine_count = sizeof fixture_routines / sizeof fixture_routines[0];
