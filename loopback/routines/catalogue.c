#include "loopback/routines/catalogue.h"

#include <math.h>
#include <string.h>

#include "loopback/routines/analytics.h"
#include "loopback/routines/crc.h"
#include "loopback/routines/echo.h"
#include "loopback/routines/simulate.h"
#include "loopback/routines/worldgen.h"

static routine_result run_echo(routine_memory *memory, const void *request, size_t request_bytes,
                               void *reply, size_t reply_capacity)
{
    (void)memory;
    return echo_run(request, request_bytes, reply, reply_capacity);
}

static routine_result run_crc(routine_memory *memory, const void *request, size_t request_bytes,
                              void *reply, size_t reply_capacity)
{
    (void)memory;
    return crc_run(request, request_bytes, reply, reply_capacity);
}

static routine_result run_simulate(routine_memory *memory, const void *request,
                                   size_t request_bytes, void *reply, size_t reply_capacity)
{
    return simulate_run(&memory->plain, request, request_bytes, reply, reply_capacity);
}

static routine_result run_pathfind(routine_memory *memory, const void *request,
                                   size_t request_bytes, void *reply, size_t reply_capacity)
{
    return pathfind_run(&memory->pathfind, request, request_bytes, reply, reply_capacity);
}

static routine_result run_worldgen(routine_memory *memory, const void *request,
                                   size_t request_bytes, void *reply, size_t reply_capacity)
{
    (void)memory;
    return worldgen_run(request, request_bytes, reply, reply_capacity);
}

static routine_result run_analytics(routine_memory *memory, const void *request,
                                    size_t request_bytes, void *reply, size_t reply_capacity)
{
    return analytics_run(&memory->plain, request, request_bytes, reply, reply_capacity);
}

static const char *verify_pathfind(const void *request, size_t request_bytes, const void *reply,
                                   size_t reply_bytes)
{
    return pathfind_verify(request, request_bytes, reply, reply_bytes, NAN);
}

const routine routine_catalogue[ROUTINE_COUNT] = {
    [ROUTINE_ECHO] = {"echo", echo_reply_bytes, run_echo, echo_verify},
    [ROUTINE_CRC] = {"crc", crc_reply_bytes, run_crc, crc_verify},
    [ROUTINE_SIMULATE] = {"simulate", simulate_reply_bytes, run_simulate, simulate_verify},
    [ROUTINE_PATHFIND] = {"pathfind", pathfind_reply_bytes, run_pathfind, verify_pathfind},
    [ROUTINE_WORLDGEN] = {"worldgen", worldgen_reply_bytes, run_worldgen, worldgen_verify},
    [ROUTINE_ANALYTICS] = {"analytics", analytics_reply_bytes, run_analytics, analytics_verify},
};

const routine *routine_by_name(const char *name)
{
    for (size_t i = 0; i < ROUTINE_COUNT; i++) {
        if (strcmp(routine_catalogue[i].name, name) == 0) {
            return &routine_catalogue[i];
        }
    }
    return NULL;
}

void routine_memory_free(routine_memory *memory)
{
    routine_scratch_free(&memory->plain);
    pathfind_scratch_free(&memory->pathfind);
}
