/* The MovingAI scenarios: every one states its optimal length, found by somebody else's program. */
#include <stdlib.h>

#include "harness/testing/weir_test.h"
#include "loopback/routines/movingai.h"
#include "loopback/routines/pathfind.h"

#ifdef WEIR_RELEASE_BUILD
#define EVERY 1
#else
#define EVERY 20
#endif

#define DATA            WEIR_SOURCE_DIR "/loopback/data/movingai/"
#define MAX_REPLY_BYTES ((size_t)1 << 20)

static void solve(const movingai_map *map, const movingai_scenario *scenario,
                  pathfind_scratch *scratch, void *request, void *reply)
{
    const size_t bytes = pathfind_request_bytes(map->width, map->height);
    const pathfind_parameters parameters = {
        .width = map->width,
        .height = map->height,
        .start_x = scenario->start_x,
        .start_y = scenario->start_y,
        .goal_x = scenario->goal_x,
        .goal_y = scenario->goal_y,
        .max_points = 16384,
    };
    WEIR_EXPECT_EQ(pathfind_build_request(&parameters, map->passable, request, bytes).code,
                   ROUTINE_OK);
    const routine_result result = pathfind_run(scratch, request, bytes, reply, MAX_REPLY_BYTES);
    WEIR_EXPECT_STR_EQ(result.reason, NULL);
    WEIR_EXPECT_STR_EQ(
        pathfind_verify(request, bytes, reply, result.bytes, scenario->optimal_length), NULL);
}

static void solve_all(const char *map_path, const char *scenarios_path, size_t expected_count)
{
    movingai_map map;
    movingai_scenarios scenarios;
    movingai_error why = {0};
    if (!movingai_load_map(map_path, &map, &why) ||
        !movingai_load_scenarios(scenarios_path, &scenarios, &why)) {
        weir_test_fail(__FILE__, __LINE__, "%s", why.text);
    }
    WEIR_EXPECT_EQ(scenarios.count, expected_count);
    pathfind_scratch scratch = {0};
    void *request = malloc(pathfind_request_bytes(map.width, map.height));
    void *reply = malloc(MAX_REPLY_BYTES);
    WEIR_EXPECT_NOT_NULL(request);
    WEIR_EXPECT_NOT_NULL(reply);
    for (size_t i = 0; i < scenarios.count; i += EVERY) {
        WEIR_EXPECT_EQ(scenarios.entries[i].width, map.width);
        WEIR_EXPECT_EQ(scenarios.entries[i].height, map.height);
        solve(&map, &scenarios.entries[i], &scratch, request, reply);
    }
    free(request);
    free(reply);
    pathfind_scratch_free(&scratch);
    movingai_free_scenarios(&scenarios);
    movingai_free_map(&map);
}

WEIR_TEST(pathfind_scenarios, have_the_stated_length_in_the_arena)
{
    solve_all(DATA "arena.map", DATA "arena.map.scen", 160);
}

WEIR_TEST(pathfind_scenarios, have_the_stated_length_in_the_maze, .timeout = 180)
{
    solve_all(DATA "maze512-32-9.map", DATA "maze512-32-9.map.scen", 4005);
}
