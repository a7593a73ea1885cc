#include "loopback/routines/catalogue.h"

#include <stddef.h>

#include "harness/testing/weir_test.h"
#include "layout/generated/weir_layout.h"
#include "loopback/routines/testing/request_buffer.h"

WEIR_TEST(catalogue, knows_every_routine_by_its_name)
{
    const char *const names[] = {"echo", "crc", "simulate", "pathfind", "worldgen", "analytics"};
    for (size_t i = 0; i < ROUTINE_COUNT; i++) {
        WEIR_EXPECT_STR_EQ(routine_catalogue[i].name, names[i]);
        WEIR_EXPECT_EQ((const void *)routine_by_name(names[i]),
                       (const void *)&routine_catalogue[i]);
    }
    WEIR_EXPECT_NULL(routine_by_name("echos"));
}

static request_buffer sample(routine_id routine)
{
    const uint64_t cells[3] = {UINT64_MAX >> 1, UINT64_MAX >> 3, UINT64_MAX >> 1};
    const double values[3] = {1.5, -2, 7}, probability = 0.25;
    switch (routine) {
    case ROUTINE_SIMULATE:
        return simulate_buffer(&(simulate_parameters){63, 3, 3, SIMULATE_TORUS, SIMULATE_GRID},
                               cells);
    case ROUTINE_PATHFIND:
        return pathfind_buffer(&(pathfind_parameters){63, 3, 0, 0, 62, 2, 80}, cells);
    case ROUTINE_WORLDGEN:
        return worldgen_buffer(&(worldgen_parameters){7, 5, 2, 0.5, 0.25, 3, 0.1, 2, 0.5});
    case ROUTINE_ANALYTICS:
        return analytics_buffer(values, 3, &probability, 1);
    default:
        return bytes_buffer(routine, values, sizeof(values));
    }
}

/**
 * Requests with flipped bits, wild numbers and wrong lengths: each is answered or refused with a
 * reason, an answer passes verify, and (under AddressSanitizer) not a byte is touched outside
 * request and reply.
 */
WEIR_TEST(catalogue, answers_or_refuses_every_spoiled_request, .timeout = 120)
{
    uint64_t state = weir_test_seed();
    routine_memory memory = {0};
    unsigned answered[ROUTINE_COUNT] = {0}, refused[ROUTINE_COUNT] = {0};
    for (int round = 0; round < 12000; round++) {
        const routine_id routine = (routine_id)(round % ROUTINE_COUNT);
        request_buffer good = sample(routine);
        size_t bytes = good.request_bytes;
        for (uint64_t changes = next_random(&state) % 3; changes > 0; changes--) {
            const size_t at = next_random(&state) % (bytes / 4) * 4;
            uint32_t value = (uint32_t)next_random(&state) >> (next_random(&state) % 32);
            if (routine == ROUTINE_SIMULATE &&
                at == offsetof(struct weir_simulate_request, steps)) {
                /* What lies between only takes time. */
                value = value % 2 == 0 ? UINT32_MAX : value % 100;
            }
            memcpy((char *)good.request + at, &value, sizeof(value));
        }
        bytes = next_random(&state) % 8 == 0 ? next_random(&state) % (bytes + 1) : bytes;
        request_buffer spoiled = bytes_buffer(routine, good.request, bytes);
        const routine_result result = run_buffer(&spoiled, &memory);
        WEIR_EXPECT_EQ(result.code == ROUTINE_OK, result.reason == NULL);
        if (result.code == ROUTINE_OK) {
            WEIR_EXPECT_LE(result.bytes, spoiled.reply_capacity);
            answered[routine]++;
        } else {
            WEIR_EXPECT_EQ(result.code, ROUTINE_BAD_REQUEST);
            refused[routine]++;
        }
        free_buffer(&spoiled);
        free_buffer(&good);
    }
    for (size_t i = 0; i < ROUTINE_COUNT; i++) {
        WEIR_EXPECT_GT(answered[i], 100);
        WEIR_EXPECT_EQ(refused[i] > 100, i > ROUTINE_CRC);
    }
    routine_memory_free(&memory);
}

WEIR_TEST(catalogue, allocates_nothing_when_a_request_of_the_same_size_comes_again)
{
    routine_memory memory = {0};
    for (size_t i = 0; i < ROUTINE_COUNT; i++) {
        request_buffer buffer = sample((routine_id)i);
        run_and_verify(&buffer, &memory);
        const routine_memory before = memory;
        run_and_verify(&buffer, &memory);
        WEIR_EXPECT_EQ(memory.plain.memory, before.plain.memory);
        WEIR_EXPECT_EQ(memory.pathfind.map.memory, before.pathfind.map.memory);
        WEIR_EXPECT_EQ(memory.pathfind.nodes.memory, before.pathfind.nodes.memory);
        WEIR_EXPECT_EQ(memory.pathfind.heap.memory, before.pathfind.heap.memory);
        free_buffer(&buffer);
    }
    routine_memory_free(&memory);
}
