#include "loopback/routines/pathfind.h"

#include <math.h>
#include <stdlib.h>

#include "harness/testing/weir_test.h"
#include "layout/generated/weir_layout.h"
#include "loopback/routines/testing/request_buffer.h"

/** A map from rows of text: '.' is passable, 'S' the start, 'G' the goal. */
static request_buffer drawn_map(const char *const *rows, uint32_t height, uint32_t max_points)
{
    uint64_t cells[64] = {0};
    pathfind_parameters parameters = {
        .width = (uint32_t)strlen(rows[0]), .height = height, .max_points = max_points};
    for (uint32_t y = 0; y < height; y++) {
        for (uint32_t x = 0; x < parameters.width; x++) {
            if (rows[y][x] != '#') {
                bit_rows_set(cells, parameters.width, x, y);
            }
            if (rows[y][x] == 'S') {
                parameters.start_x = x;
                parameters.start_y = y;
            }
            if (rows[y][x] == 'G') {
                parameters.goal_x = x;
                parameters.goal_y = y;
            }
        }
    }
    return pathfind_buffer(&parameters, cells);
}

static struct weir_pathfind_reply solve(const char *const *rows, uint32_t height)
{
    routine_memory memory = {0};
    request_buffer buffer = drawn_map(rows, height, 64);
    run_and_verify(&buffer, &memory);
    struct weir_pathfind_reply reply;
    memcpy(&reply, buffer.reply, sizeof(reply));
    free_buffer(&buffer);
    routine_memory_free(&memory);
    return reply;
}

WEIR_TEST(pathfind, goes_diagonally_where_nothing_is_in_the_way)
{
    const struct weir_pathfind_reply reply =
        solve((const char *const[]){"S...", "....", "...G"}, 3);
    WEIR_EXPECT_EQ(reply.found, 1);
    WEIR_EXPECT_EQ(reply.straight_moves, 1);
    WEIR_EXPECT_EQ(reply.diagonal_moves, 2);
    WEIR_EXPECT_EQ(reply.length, 1 + 2 * sqrt(2));
    WEIR_EXPECT_EQ(reply.points, 4);
}

WEIR_TEST(pathfind, does_not_cut_a_corner)
{
    const struct weir_pathfind_reply reply = solve((const char *const[]){"S#", ".G"}, 2);
    WEIR_EXPECT_EQ(reply.straight_moves, 2);
    WEIR_EXPECT_EQ(reply.diagonal_moves, 0);
}

WEIR_TEST(pathfind, does_not_slip_between_two_blocked_cells)
{
    const struct weir_pathfind_reply reply = solve((const char *const[]){"S#", "#G"}, 2);
    WEIR_EXPECT_EQ(reply.found, 0);
    WEIR_EXPECT_EQ(reply.length, 0.0);
    WEIR_EXPECT_EQ(reply.points, 0);
}

WEIR_TEST(pathfind, leads_around_a_wall)
{
    const struct weir_pathfind_reply reply =
        solve((const char *const[]){".....", ".###.", "S.#.G", ".....", "....."}, 5);
    WEIR_EXPECT_EQ(reply.straight_moves, 2);
    WEIR_EXPECT_EQ(reply.diagonal_moves, 2);
}

WEIR_TEST(pathfind, is_one_cell_long_when_start_is_goal)
{
    routine_memory memory = {0};
    const uint64_t row = 1;
    request_buffer buffer = pathfind_buffer(&(pathfind_parameters){1, 1, 0, 0, 0, 0, 1}, &row);
    run_and_verify(&buffer, &memory);
    const struct weir_pathfind_reply *reply = buffer.reply;
    WEIR_EXPECT_EQ(reply->found, 1);
    WEIR_EXPECT_EQ(reply->path_cells, 1);
    WEIR_EXPECT_EQ(reply->points, 1);
    WEIR_EXPECT_EQ(reply->length, 0.0);
    free_buffer(&buffer);
    routine_memory_free(&memory);
}

WEIR_TEST(pathfind, finds_nothing_from_or_to_a_blocked_cell)
{
    routine_memory memory = {0};
    const uint64_t row = 2; /* of the two cells only the right one is passable */
    for (uint32_t start = 0; start < 2; start++) {
        request_buffer buffer =
            pathfind_buffer(&(pathfind_parameters){2, 1, start, 0, 1 - start, 0, 2}, &row);
        run_and_verify(&buffer, &memory);
        WEIR_EXPECT_EQ(((struct weir_pathfind_reply *)buffer.reply)->found, 0);
        free_buffer(&buffer);
    }
    routine_memory_free(&memory);
}

WEIR_TEST(pathfind, leaves_a_path_out_that_has_more_points_than_asked_for)
{
    routine_memory memory = {0};
    for (uint32_t room = 3; room <= 5; room++) {
        request_buffer buffer = drawn_map((const char *const[]){"S..G"}, 1, room);
        run_and_verify(&buffer, &memory);
        const struct weir_pathfind_reply *reply = buffer.reply;
        WEIR_EXPECT_EQ(reply->path_cells, 4);
        WEIR_EXPECT_EQ(reply->points, room < 4 ? 0 : 4);
        WEIR_EXPECT_EQ(buffer.reply_bytes, sizeof(*reply) + reply->points * 4);
        free_buffer(&buffer);
    }
    routine_memory_free(&memory);
}

static request_buffer random_map(uint64_t *state, uint32_t most_width, uint32_t most_height)
{
    pathfind_parameters parameters = {.width = 1 + (uint32_t)(next_random(state) % most_width),
                                      .height = 1 + (uint32_t)(next_random(state) % most_height)};
    parameters.start_x = (uint32_t)(next_random(state) % parameters.width);
    parameters.start_y = (uint32_t)(next_random(state) % parameters.height);
    parameters.goal_x = (uint32_t)(next_random(state) % parameters.width);
    parameters.goal_y = (uint32_t)(next_random(state) % parameters.height);
    parameters.max_points = parameters.width * parameters.height;
    uint64_t *cells = malloc(bit_rows_bytes(parameters.width, parameters.height));
    WEIR_EXPECT_NOT_NULL(cells);
    const unsigned density = 4 + (unsigned)(next_random(state) % 5);
    bit_rows_fill_random(cells, parameters.width, parameters.height, next_random(state), density);
    bit_rows_set(cells, parameters.width, parameters.start_x, parameters.start_y);
    bit_rows_set(cells, parameters.width, parameters.goal_x, parameters.goal_y);
    request_buffer buffer = pathfind_buffer(&parameters, cells);
    free(cells);
    return buffer;
}

WEIR_TEST(pathfind, is_as_short_as_dijkstra_on_random_maps)
{
    uint64_t state = weir_test_seed();
    routine_memory memory = {0};
    unsigned found = 0;
    for (int round = 0; round < 2000; round++) {
        request_buffer buffer =
            random_map(&state, round % 10 == 0 ? 200 : 24, round % 10 == 1 ? 200 : 24);
        run_and_verify(&buffer, &memory);
        found += ((struct weir_pathfind_reply *)buffer.reply)->found;
        free_buffer(&buffer);
    }
    WEIR_EXPECT_GT(found, 100);
    routine_memory_free(&memory);
}

WEIR_TEST(pathfind, replies_alike_whatever_was_searched_before)
{
    uint64_t state = weir_test_seed();
    routine_memory used = {0};
    for (int round = 0; round < 100; round++) {
        routine_memory fresh = {0};
        request_buffer buffer = random_map(&state, 100, 100);
        run_and_verify(&buffer, &used);
        request_buffer again = bytes_buffer(ROUTINE_PATHFIND, buffer.request, buffer.request_bytes);
        run_and_verify(&again, &fresh);
        WEIR_EXPECT_EQ(again.reply_bytes, buffer.reply_bytes);
        WEIR_EXPECT_MEM_EQ(again.reply, buffer.reply, buffer.reply_bytes);
        free_buffer(&again);
        free_buffer(&buffer);
        routine_memory_free(&fresh);
    }
    routine_memory_free(&used);
}

WEIR_TEST(pathfind, survives_the_end_of_its_search_numbers)
{
    routine_memory memory = {0};
    for (int round = 0; round < 4; round++) {
        request_buffer buffer = drawn_map((const char *const[]){"S.#G", "..#.", "...."}, 3, 64);
        run_and_verify(&buffer, &memory);
        if (round == 0) {
            memory.pathfind.search = UINT32_MAX - 1;
        }
        free_buffer(&buffer);
    }
    WEIR_EXPECT_EQ(memory.pathfind.search, 2);
    routine_memory_free(&memory);
}

/** Demands that verify objects after `spoil` has changed a right reply. */
static void expect_objection(void (*spoil)(struct weir_pathfind_reply *,
                                           struct weir_pathfind_point *),
                             const char *part)
{
    routine_memory memory = {0};
    request_buffer buffer = drawn_map((const char *const[]){"S..", ".#.", "..G"}, 3, 64);
    run_and_verify(&buffer, &memory);
    struct weir_pathfind_reply *reply = buffer.reply;
    spoil(reply, (struct weir_pathfind_point *)(reply + 1));
    WEIR_EXPECT_STR_HAS(pathfind_verify(buffer.request, buffer.request_bytes, buffer.reply,
                                        buffer.reply_bytes, NAN),
                        part);
    free_buffer(&buffer);
    routine_memory_free(&memory);
}

static void move_last_point(struct weir_pathfind_reply *reply, struct weir_pathfind_point *points)
{
    points[reply->points - 1].x = 0;
}

static void walk_through_the_wall(struct weir_pathfind_reply *reply,
                                  struct weir_pathfind_point *points)
{
    (void)reply;
    points[2] = (struct weir_pathfind_point){1, 1};
}

static void miscount(struct weir_pathfind_reply *reply, struct weir_pathfind_point *points)
{
    (void)points;
    reply->length += 1;
}

static void deny(struct weir_pathfind_reply *reply, struct weir_pathfind_point *points)
{
    (void)points;
    *reply = (struct weir_pathfind_reply){.expanded = reply->expanded};
}

static void lengthen(struct weir_pathfind_reply *reply, struct weir_pathfind_point *points)
{
    (void)points;
    reply->straight_moves += 2;
    reply->path_cells += 2;
    reply->length = reply->straight_moves + reply->diagonal_moves * 1.4142135623730951;
    reply->points = reply->path_cells;
}

WEIR_TEST(pathfind, verify_notices_a_spoiled_reply)
{
    expect_objection(move_last_point, "from the start to the goal");
    expect_objection(walk_through_the_wall, "does not allow");
    expect_objection(miscount, "do not agree");
    expect_objection(deny, "wrong length"); /* of the reply: the points are still there */
    expect_objection(lengthen, "wrong length");
}

WEIR_TEST(pathfind, verify_compares_with_the_known_optimum)
{
    routine_memory memory = {0};
    request_buffer buffer = drawn_map((const char *const[]){"S..G"}, 1, 0);
    run_and_verify(&buffer, &memory);
    const void *request = buffer.request, *reply = buffer.reply;
    const size_t bytes = buffer.request_bytes, reply_bytes = buffer.reply_bytes;
    WEIR_EXPECT_STR_EQ(pathfind_verify(request, bytes, reply, reply_bytes, 3.0005), NULL);
    WEIR_EXPECT_STR_HAS(pathfind_verify(request, bytes, reply, reply_bytes, 2.998),
                        "optimal length");
    WEIR_EXPECT_STR_HAS(pathfind_verify(request, bytes, reply, reply_bytes, -1),
                        "whether a path exists");
    free_buffer(&buffer);
    routine_memory_free(&memory);
}

static void expect_bad(struct weir_pathfind_request header, size_t bytes, const char *part)
{
    uint64_t request[16] = {0};
    routine_memory memory = {0};
    memcpy(request, &header, sizeof(header));
    request_buffer buffer = bytes_buffer(ROUTINE_PATHFIND, request, bytes);
    const routine_result result = run_buffer(&buffer, &memory);
    WEIR_EXPECT_EQ(result.code, ROUTINE_BAD_REQUEST);
    WEIR_EXPECT_STR_HAS(result.reason, part);
    free_buffer(&buffer);
    routine_memory_free(&memory);
}

WEIR_TEST(pathfind, refuses_requests_that_break_the_format)
{
    const struct weir_pathfind_request good = {.width = 64, .height = 2};
    struct weir_pathfind_request bad = good;
    expect_bad(bad, sizeof(good) - 1, "shorter than its header");
    expect_bad(bad, sizeof(good) + 8, "does not match");
    expect_bad(bad, sizeof(good) + 17, "does not match");
    bad.height = 0;
    expect_bad(bad, sizeof(good), "1 to 65535");
    bad.height = 65536;
    expect_bad(bad, sizeof(good) + 16, "1 to 65535");
    bad = (struct weir_pathfind_request){.width = 65535, .height = 65535};
    expect_bad(bad, sizeof(good) + 16, "2^22 cells");
    bad = good;
    bad.reserved = 1;
    expect_bad(bad, sizeof(good) + 16, "reserved");
    bad = good;
    bad.goal_x = 64;
    expect_bad(bad, sizeof(good) + 16, "outside the map");
    bad = good;
    bad.start_y = 2;
    expect_bad(bad, sizeof(good) + 16, "outside the map");
    bad = good;
    bad.max_points = UINT32_MAX;
    expect_bad(bad, sizeof(good) + 16, "path points");
    bad = good;
    bad.width = 63;
    uint64_t request[6] = {0};
    request[4] = UINT64_C(1) << 63; /* a cell beyond the width of 63 */
    memcpy(request, &bad, sizeof(bad));
    routine_memory memory = {0};
    request_buffer buffer = bytes_buffer(ROUTINE_PATHFIND, request, sizeof(request));
    WEIR_EXPECT_STR_HAS(run_buffer(&buffer, &memory).reason, "beyond its width");
    free_buffer(&buffer);
    routine_memory_free(&memory);
}

WEIR_TEST(pathfind, refuses_a_reply_buffer_that_is_one_byte_short)
{
    routine_memory memory = {0};
    request_buffer buffer = drawn_map((const char *const[]){"S..G"}, 1, 4);
    const size_t needed = pathfind_reply_bytes(buffer.request, buffer.request_bytes).bytes;
    char *reply = malloc(needed - 1);
    WEIR_EXPECT_NOT_NULL(reply);
    const routine_result result =
        pathfind_run(&memory.pathfind, buffer.request, buffer.request_bytes, reply, needed - 1);
    WEIR_EXPECT_EQ(result.code, ROUTINE_REPLY_TOO_SMALL);
    free(reply);
    free_buffer(&buffer);
    routine_memory_free(&memory);
}
