#include "loopback/jobs.h"

#include <stdbool.h>
#include <string.h>

#include "layout/generated/weir_layout.h"

static const uint16_t opcodes[ROUTINE_COUNT] = {
    [ROUTINE_ECHO] = WEIR_OPCODE_ECHO,         [ROUTINE_CRC] = WEIR_OPCODE_CRC,
    [ROUTINE_SIMULATE] = WEIR_OPCODE_SIMULATE, [ROUTINE_PATHFIND] = WEIR_OPCODE_PATHFIND,
    [ROUTINE_WORLDGEN] = WEIR_OPCODE_WORLDGEN, [ROUTINE_ANALYTICS] = WEIR_OPCODE_ANALYTICS,
};

static weir_status fail(weir_job *job, const routine_result *result)
{
    weir_job_fail(job, result->reason);
    switch (result->code) {
    case ROUTINE_BAD_REQUEST:
        return WEIR_INVALID;
    case ROUTINE_NO_MEMORY:
        return WEIR_NO_MEMORY;
    default:
        return WEIR_OVERSIZE;
    }
}

static weir_status run(routine_id id, weir_job *job, void *context)
{
    const routine *routine = &routine_catalogue[id];
    size_t request_bytes = 0;
    const void *request = weir_job_request(job, &request_bytes);
    const routine_result room = routine->reply_bytes(request, request_bytes);
    if (room.code != ROUTINE_OK) {
        return fail(job, &room);
    }
    void *reply = NULL;
    const weir_status status = weir_job_reply(job, room.bytes, &reply);
    if (status != WEIR_OK) {
        return status;
    }
    const routine_result done = routine->run(context, request, request_bytes, reply, room.bytes);
    if (done.code != ROUTINE_OK) {
        return fail(job, &done);
    }
    weir_job_shrink_reply(job, done.bytes);
    return WEIR_OK;
}

/* The commonest job, without the way through the catalogue. */
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

/* The worker has just checked the payload against this very checksum: it need not be read twice. */
static weir_status run_crc(weir_job *job, void *context)
{
    struct weir_crc_reply answer = {.bytes = 0};
    if (weir_job_request_crc(job, &answer.crc32c) != WEIR_OK) {
        return run(ROUTINE_CRC, job, context);
    }
    size_t bytes = 0;
    (void)weir_job_request(job, &bytes);
    answer.bytes = bytes;
    void *reply = NULL;
    const weir_status status = weir_job_reply(job, sizeof answer, &reply);
    if (status == WEIR_OK) {
        memcpy(reply, &answer, sizeof answer);
    }
    return status;
}

static weir_status run_simulate(weir_job *job, void *context)
{
    return run(ROUTINE_SIMULATE, job, context);
}

static weir_status run_pathfind(weir_job *job, void *context)
{
    return run(ROUTINE_PATHFIND, job, context);
}

static weir_status run_worldgen(weir_job *job, void *context)
{
    return run(ROUTINE_WORLDGEN, job, context);
}

static weir_status run_analytics(weir_job *job, void *context)
{
    return run(ROUTINE_ANALYTICS, job, context);
}

static const weir_routine runners[ROUTINE_COUNT] = {
    [ROUTINE_ECHO] = run_echo,         [ROUTINE_CRC] = run_crc,
    [ROUTINE_SIMULATE] = run_simulate, [ROUTINE_PATHFIND] = run_pathfind,
    [ROUTINE_WORLDGEN] = run_worldgen, [ROUTINE_ANALYTICS] = run_analytics,
};

static weir_status add(loopback_jobs *jobs, const char *name, size_t length, weir_error *error)
{
    for (size_t id = 0; id < ROUTINE_COUNT; id++) {
        const char *known = routine_catalogue[id].name;
        if (strlen(known) != length || memcmp(known, name, length) != 0) {
            continue;
        }
        for (size_t i = 0; i < jobs->count; i++) {
            if (jobs->table[i].opcode == opcodes[id]) {
                weir_error_set(error, "opcode %s stands twice in the list; name it once", known);
                return WEIR_INVALID;
            }
        }
        jobs->table[jobs->count++] =
            (weir_worker_routine){.opcode = opcodes[id], .run = runners[id]};
        return WEIR_OK;
    }
    weir_error_set(error,
                   "there is no opcode \"%.*s\"; choose from echo, crc, simulate, pathfind, "
                   "worldgen and analytics, separated by commas",
                   (int)(length < 40 ? length : 40), name);
    return WEIR_INVALID;
}

weir_status loopback_jobs_choose(loopback_jobs *jobs, const char *list, weir_error *error)
{
    jobs->count = 0;
    if (list == NULL) {
        list = "echo,crc,simulate,pathfind,worldgen,analytics";
    }
    for (;;) {
        const size_t length = strcspn(list, ",");
        const weir_status status = add(jobs, list, length, error);
        if (status != WEIR_OK || list[length] == '\0') {
            return status;
        }
        list += length + 1;
    }
}

void loopback_jobs_free(loopback_jobs *jobs)
{
    routine_memory_free(&jobs->memory);
}
