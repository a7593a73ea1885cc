#include "loopback/routines/testing/request_buffer.h"

#include <stdlib.h>

#include "harness/testing/weir_test.h"

static void *take(size_t bytes)
{
    void *memory = malloc(bytes > 0 ? bytes : 1);
    WEIR_EXPECT_NOT_NULL(memory);
    return memory;
}

static request_buffer room(routine_id routine, size_t bytes)
{
    return (request_buffer){.routine = routine, .request = take(bytes), .request_bytes = bytes};
}

request_buffer simulate_buffer(const simulate_parameters *parameters, const uint64_t *cells)
{
    request_buffer buffer =
        room(ROUTINE_SIMULATE, simulate_request_bytes(parameters->width, parameters->height));
    const routine_result built =
        simulate_build_request(parameters, cells, buffer.request, buffer.request_bytes);
    WEIR_EXPECT_STR_EQ(built.reason, NULL);
    return buffer;
}

request_buffer pathfind_buffer(const pathfind_parameters *parameters, const uint64_t *cells)
{
    request_buffer buffer =
        room(ROUTINE_PATHFIND, pathfind_request_bytes(parameters->width, parameters->height));
    const routine_result built =
        pathfind_build_request(parameters, cells, buffer.request, buffer.request_bytes);
    WEIR_EXPECT_STR_EQ(built.reason, NULL);
    return buffer;
}

request_buffer worldgen_buffer(const worldgen_parameters *parameters)
{
    uint64_t request[32];
    const routine_result built = worldgen_build_request(parameters, request, sizeof(request));
    WEIR_EXPECT_STR_EQ(built.reason, NULL);
    return bytes_buffer(ROUTINE_WORLDGEN, request, built.bytes);
}

request_buffer analytics_buffer(const double *values, uint64_t count, const double *probabilities,
                                uint32_t quantile_count)
{
    request_buffer buffer = room(ROUTINE_ANALYTICS, analytics_request_bytes(count));
    const routine_result built = analytics_build_request(
        values, count, probabilities, quantile_count, buffer.request, buffer.request_bytes);
    WEIR_EXPECT_STR_EQ(built.reason, NULL);
    return buffer;
}

request_buffer bytes_buffer(routine_id routine, const void *request, size_t request_bytes)
{
    request_buffer buffer = room(routine, request_bytes);
    if (request_bytes > 0) {
        memcpy(buffer.request, request, request_bytes);
    }
    return buffer;
}

routine_result run_buffer(request_buffer *buffer, routine_memory *memory)
{
    const routine *routine = &routine_catalogue[buffer->routine];
    routine_result result = routine->reply_bytes(buffer->request, buffer->request_bytes);
    if (result.code != ROUTINE_OK) {
        return result;
    }
    free(buffer->reply);
    buffer->reply_capacity = result.bytes;
    buffer->reply = take(result.bytes);
    result = routine->run(memory, buffer->request, buffer->request_bytes, buffer->reply,
                          buffer->reply_capacity);
    buffer->reply_bytes = result.bytes;
    return result;
}

void run_and_verify(request_buffer *buffer, routine_memory *memory)
{
    const routine_result result = run_buffer(buffer, memory);
    WEIR_EXPECT_STR_EQ(result.reason, NULL);
    WEIR_EXPECT_EQ(result.code, ROUTINE_OK);
    WEIR_EXPECT_STR_EQ(
        routine_catalogue[buffer->routine].verify(buffer->request, buffer->request_bytes,
                                                  buffer->reply, buffer->reply_bytes),
        NULL);
}

void free_buffer(request_buffer *buffer)
{
    free(buffer->request);
    free(buffer->reply);
    *buffer = (request_buffer){0};
}

uint64_t next_random(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}
