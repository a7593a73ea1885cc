#include "loopback/routines/simulate.h"

#include <stdlib.h>

#include "harness/testing/weir_test.h"
#include "layout/generated/weir_layout.h"
#include "loopback/routines/testing/request_buffer.h"

WEIR_TEST(simulate, agrees_with_a_cell_by_cell_simulation_on_random_grids)
{
    uint64_t state = weir_test_seed();
    routine_memory memory = {0};
    for (int round = 0; round < 300; round++) {
        const simulate_parameters parameters = {
            .width = 1 + (uint32_t)(next_random(&state) % 200),
            .height = 1 + (uint32_t)(next_random(&state) % 40),
            .steps = (uint32_t)(next_random(&state) % 12),
            .topology = (uint32_t)(next_random(&state) % 2),
            .flags = (uint32_t)(next_random(&state) % 2),
        };
        uint64_t cells[4 * 40];
        const unsigned density = (unsigned)(next_random(&state) % 8);
        bit_rows_fill_random(cells, parameters.width, parameters.height, next_random(&state),
                             density);
        request_buffer buffer = simulate_buffer(&parameters, cells);
        run_and_verify(&buffer, &memory);
        free_buffer(&buffer);
    }
    routine_memory_free(&memory);
}

WEIR_TEST(simulate, agrees_with_a_cell_by_cell_simulation_at_every_width_around_a_word)
{
    routine_memory memory = {0};
    for (uint32_t width = 1; width <= 130; width++) {
        for (uint32_t height = 1; height <= 4; height++) {
            for (uint32_t topology = SIMULATE_BOUNDED; topology <= SIMULATE_TORUS; topology++) {
                uint64_t cells[3 * 4];
                bit_rows_fill_random(cells, width, height, width * 8 + height, 4);
                request_buffer buffer = simulate_buffer(
                    &(simulate_parameters){width, height, 5, topology, SIMULATE_GRID}, cells);
                run_and_verify(&buffer, &memory);
                free_buffer(&buffer);
            }
        }
    }
    routine_memory_free(&memory);
}

/* A few cells on a wide grid: most words are skipped, and the skipping must not lose or leave
 * cells. */
WEIR_TEST(simulate, agrees_with_a_cell_by_cell_simulation_on_sparse_grids)
{
    uint64_t state = weir_test_seed();
    routine_memory memory = {0};
    for (int round = 0; round < 60; round++) {
        const uint32_t width = 300 + (uint32_t)(next_random(&state) % 100), height = 30;
        uint64_t cells[7 * 30] = {0};
        for (int i = 0; i < 40; i++) {
            const uint32_t x = (uint32_t)(next_random(&state) % 12),
                           y = (uint32_t)(next_random(&state) % 12);
            const uint32_t corner = round % 3 == 0 ? 0 : round % 3 == 1 ? width - 12 : 100;
            bit_rows_set(cells, width, corner + x, y);
        }
        request_buffer buffer = simulate_buffer(
            &(simulate_parameters){width, height, 40, (uint32_t)round / 3 % 2, SIMULATE_GRID},
            cells);
        run_and_verify(&buffer, &memory);
        free_buffer(&buffer);
    }
    routine_memory_free(&memory);
}

WEIR_TEST(simulate, sends_a_glider_around_the_torus)
{
    routine_memory memory = {0};
    const uint32_t side = 67;
    uint64_t cells[2 * 67] = {0};
    const uint32_t glider[5][2] = {{1, 0}, {2, 1}, {0, 2}, {1, 2}, {2, 2}};
    for (size_t i = 0; i < 5; i++) {
        bit_rows_set(cells, side, glider[i][0], glider[i][1]);
    }
    request_buffer buffer = simulate_buffer(
        &(simulate_parameters){side, side, 4 * side, SIMULATE_TORUS, SIMULATE_GRID}, cells);
    run_and_verify(&buffer, &memory);
    WEIR_EXPECT_MEM_EQ((char *)buffer.reply + sizeof(struct weir_simulate_reply), cells,
                       sizeof(cells));
    free_buffer(&buffer);
    routine_memory_free(&memory);
}

WEIR_TEST(simulate, leaves_the_grid_out_when_it_is_not_asked_for)
{
    routine_memory memory = {0};
    const uint64_t row = 7;
    request_buffer buffer =
        simulate_buffer(&(simulate_parameters){8, 1, 0, SIMULATE_BOUNDED, 0}, &row);
    run_and_verify(&buffer, &memory);
    WEIR_EXPECT_EQ(buffer.reply_bytes, sizeof(struct weir_simulate_reply));
    WEIR_EXPECT_EQ(((struct weir_simulate_reply *)buffer.reply)->population, 3);
    free_buffer(&buffer);
    routine_memory_free(&memory);
}

WEIR_TEST(simulate, verify_notices_a_flipped_cell_and_a_wrong_population)
{
    routine_memory memory = {0};
    const uint64_t rows[3] = {0, 7, 0};
    request_buffer buffer =
        simulate_buffer(&(simulate_parameters){8, 3, 1, SIMULATE_BOUNDED, SIMULATE_GRID}, rows);
    run_and_verify(&buffer, &memory);
    struct weir_simulate_reply *reply = buffer.reply;
    reply->population++;
    WEIR_EXPECT_STR_HAS(
        simulate_verify(buffer.request, buffer.request_bytes, reply, buffer.reply_bytes),
        "population");
    reply->population--;
    ((uint64_t *)(reply + 1))[0] ^= 1;
    WEIR_EXPECT_STR_HAS(
        simulate_verify(buffer.request, buffer.request_bytes, reply, buffer.reply_bytes),
        "wrong cell");
    free_buffer(&buffer);
    routine_memory_free(&memory);
}

static void expect_bad(struct weir_simulate_request header, size_t bytes, const char *part)
{
    uint64_t request[8] = {0};
    routine_memory memory = {0};
    memcpy(request, &header, sizeof(header));
    request_buffer buffer = bytes_buffer(ROUTINE_SIMULATE, request, bytes);
    const routine_result result = run_buffer(&buffer, &memory);
    WEIR_EXPECT_EQ(result.code, ROUTINE_BAD_REQUEST);
    WEIR_EXPECT_STR_HAS(result.reason, part);
    free_buffer(&buffer);
    routine_memory_free(&memory);
}

WEIR_TEST(simulate, refuses_requests_that_break_the_format)
{
    const struct weir_simulate_request good = {.width = 64, .height = 2};
    struct weir_simulate_request bad = good;
    expect_bad(bad, sizeof(good) - 1, "shorter than its header");
    expect_bad(bad, sizeof(good) + 8, "does not match");
    expect_bad(bad, sizeof(good) + 24, "does not match");
    bad.width = 0;
    expect_bad(bad, sizeof(good), "1 to 65535");
    bad.width = UINT32_MAX;
    expect_bad(bad, sizeof(good), "1 to 65535");
    bad = good;
    bad.topology = 2;
    expect_bad(bad, sizeof(good) + 16, "topology");
    bad = good;
    bad.flags = 2;
    expect_bad(bad, sizeof(good) + 16, "unknown flags");
    bad = good;
    bad.reserved = 1;
    expect_bad(bad, sizeof(good) + 16, "reserved");
    bad = good;
    bad.steps = UINT32_MAX;
    expect_bad(bad, sizeof(good) + 16, "too many steps");
}

WEIR_TEST(simulate, refuses_cells_beyond_the_width)
{
    routine_memory memory = {0};
    const uint64_t row = 1u << 5;
    request_buffer buffer =
        simulate_buffer(&(simulate_parameters){5, 1, 1, SIMULATE_BOUNDED, 0}, &row);
    const routine_result result = run_buffer(&buffer, &memory);
    WEIR_EXPECT_EQ(result.code, ROUTINE_BAD_REQUEST);
    WEIR_EXPECT_STR_HAS(result.reason, "beyond its width");
    free_buffer(&buffer);
    routine_memory_free(&memory);
}

WEIR_TEST(simulate, refuses_a_reply_buffer_that_is_one_byte_short)
{
    routine_memory memory = {0};
    const uint64_t row = 7;
    request_buffer buffer =
        simulate_buffer(&(simulate_parameters){8, 1, 1, SIMULATE_BOUNDED, SIMULATE_GRID}, &row);
    const size_t needed = simulate_reply_bytes(buffer.request, buffer.request_bytes).bytes;
    char *reply = malloc(needed - 1);
    WEIR_EXPECT_NOT_NULL(reply);
    const routine_result result =
        simulate_run(&memory.plain, buffer.request, buffer.request_bytes, reply, needed - 1);
    WEIR_EXPECT_EQ(result.code, ROUTINE_REPLY_TOO_SMALL);
    free(reply);
    free_buffer(&buffer);
    routine_memory_free(&memory);
}
