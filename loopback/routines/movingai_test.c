#include "loopback/routines/movingai.h"

#include "harness/testing/weir_test.h"
#include "loopback/routines/bit_rows.h"
#include "loopback/routines/testing/request_buffer.h"

static bool parse_map(const char *text, movingai_map *map, movingai_error *why)
{
    return movingai_parse_map(text, strlen(text), map, why);
}

static void expect_bad_map(const char *text, size_t line, const char *part)
{
    movingai_map map;
    movingai_error why = {0};
    WEIR_EXPECT_FALSE(parse_map(text, &map, &why));
    WEIR_EXPECT_NULL(map.passable);
    WEIR_EXPECT_EQ(why.line, line);
    WEIR_EXPECT_STR_HAS(why.text, part);
}

static void expect_bad_scenarios(const char *text, size_t line, const char *part)
{
    movingai_scenarios scenarios;
    movingai_error why = {0};
    WEIR_EXPECT_FALSE(movingai_parse_scenarios(text, strlen(text), &scenarios, &why));
    WEIR_EXPECT_NULL(scenarios.entries);
    WEIR_EXPECT_EQ(why.line, line);
    WEIR_EXPECT_STR_HAS(why.text, part);
}

WEIR_TEST(movingai, tells_passable_terrain_from_blocked)
{
    movingai_map map;
    movingai_error why = {0};
    WEIR_EXPECT_TRUE(parse_map("type octile\nheight 2\nwidth 4\nmap\n.GS@\nOTW.\n", &map, &why));
    WEIR_EXPECT_EQ(map.width, 4);
    WEIR_EXPECT_EQ(map.height, 2);
    WEIR_EXPECT_EQ(map.passable[0], 7);
    WEIR_EXPECT_EQ(map.passable[1], 8);
    movingai_free_map(&map);
}

WEIR_TEST(movingai, reads_lines_that_end_in_carriage_returns_or_not_at_all)
{
    movingai_map map;
    movingai_error why = {0};
    WEIR_EXPECT_TRUE(parse_map("type octile\r\nheight 1\r\nwidth 2\r\nmap\r\n.@", &map, &why));
    WEIR_EXPECT_EQ(map.passable[0], 1);
    movingai_free_map(&map);
}

WEIR_TEST(movingai, names_the_line_of_a_broken_map)
{
    expect_bad_map("", 0, "type octile");
    expect_bad_map("type hex\n", 1, "line 1: expected 'type octile'");
    expect_bad_map("type octile\nwidth 2\n", 2, "expected 'height '");
    expect_bad_map("type octile\nheight 0\n", 2, "1 to 65535");
    expect_bad_map("type octile\nheight 2\nwidth 65536\n", 3, "1 to 65535");
    expect_bad_map("type octile\nheight 2\nwidth 99999999999\n", 3, "1 to 65535");
    expect_bad_map("type octile\nheight 65535\nwidth 65535\nmap\n", 3, "2^22 cells");
    expect_bad_map("type octile\nheight 1\nwidth 1\nmop\n.\n", 4, "expected 'map'");
    expect_bad_map("type octile\nheight 2\nwidth 2\nmap\n..\n.\n", 6, "has 1 cells");
    expect_bad_map("type octile\nheight 2\nwidth 2\nmap\n..\n.x\n", 6,
                   "column 2 holds the unknown terrain 0x78");
    expect_bad_map("type octile\nheight 2\nwidth 2\nmap\n..\n", 5, "ends after 1 of 2 rows");
    expect_bad_map("type octile\nheight 1\nwidth 2\nmap\n..\n..\n", 6, "behind the last row");
}

WEIR_TEST(movingai, reads_scenarios)
{
    const char *text = "version 1\n0\tmaps/a "
                       "b.map\t49\t40\t1\t11\t48\t39\t12.5\n\n7\tx\t2\t2\t0\t0\t1\t1\t1.41421356";
    movingai_scenarios scenarios;
    movingai_error why = {0};
    WEIR_EXPECT_TRUE(movingai_parse_scenarios(text, strlen(text), &scenarios, &why));
    WEIR_EXPECT_EQ(scenarios.count, 2);
    WEIR_EXPECT_EQ(scenarios.entries[0].width, 49);
    WEIR_EXPECT_EQ(scenarios.entries[0].height, 40);
    WEIR_EXPECT_EQ(scenarios.entries[0].start_x, 1);
    WEIR_EXPECT_EQ(scenarios.entries[0].start_y, 11);
    WEIR_EXPECT_EQ(scenarios.entries[0].goal_x, 48);
    WEIR_EXPECT_EQ(scenarios.entries[0].goal_y, 39);
    WEIR_EXPECT_EQ(scenarios.entries[0].optimal_length, 12.5);
    WEIR_EXPECT_EQ(scenarios.entries[1].bucket, 7);
    WEIR_EXPECT_EQ(scenarios.entries[1].optimal_length, 1.41421356);
    movingai_free_scenarios(&scenarios);
}

WEIR_TEST(movingai, names_the_line_of_a_broken_scenario)
{
    expect_bad_scenarios("", 0, "version 1");
    expect_bad_scenarios("version 2\n", 1, "version 1");
    expect_bad_scenarios("version 1\n0\tx\t2\t2\t0\t0\t1\t1\n", 2, "line 2: not a scenario");
    expect_bad_scenarios("version 1\n0\tx\t2\t2\t0\t0\t1\t2\t1\n", 2, "inside the map");
    expect_bad_scenarios("version 1\n0\tx\t2\t2\t-1\t0\t1\t1\t1\n", 2, "not a scenario");
    expect_bad_scenarios("version 1\n0\tx\t2\t2\t0\t0\t1\t1\tnan\n", 2, "not a scenario");
    expect_bad_scenarios("version 1\n0\tx\t2\t2\t0\t0\t1\t1\t-1\n", 2, "not a scenario");
    expect_bad_scenarios("version 1\n0\tx\t2\t2\t0\t0\t1\t1\t1 \n", 2, "not a scenario");
}

WEIR_TEST(movingai, names_a_file_that_cannot_be_opened)
{
    movingai_map map;
    movingai_error why = {0};
    WEIR_EXPECT_FALSE(movingai_load_map(WEIR_SOURCE_DIR "/loopback/data/missing.map", &map, &why));
    WEIR_EXPECT_EQ(why.line, 0);
    WEIR_EXPECT_STR_HAS(why.text, "cannot open");
    WEIR_EXPECT_STR_HAS(why.text, "No such file");
}

/* Spoiled text may still parse; what counts is that it never reads outside and never half-succeeds.
 */
WEIR_TEST(movingai, survives_spoiled_text)
{
    static const char good_map[] = "type octile\nheight 2\nwidth 4\nmap\n.GS@\nOTW.\n";
    static const char good_scenarios[] = "version 1\n0\tx\t2\t2\t0\t0\t1\t1\t1.41421356\n";
    uint64_t state = weir_test_seed();
    for (int round = 0; round < 20000; round++) {
        char text[64];
        const bool use_map = round % 2 == 0;
        const size_t whole = use_map ? sizeof(good_map) - 1 : sizeof(good_scenarios) - 1;
        const size_t bytes = next_random(&state) % (whole + 1);
        memcpy(text, use_map ? good_map : good_scenarios, whole);
        text[next_random(&state) % whole] = (char)next_random(&state);
        movingai_map map;
        movingai_scenarios scenarios;
        movingai_error why = {0};
        if (use_map) {
            const bool parsed = movingai_parse_map(text, bytes, &map, &why);
            WEIR_EXPECT_EQ(parsed, map.passable != NULL);
            WEIR_EXPECT_EQ(parsed, why.text[0] == '\0');
            movingai_free_map(&map);
        } else {
            const bool parsed = movingai_parse_scenarios(text, bytes, &scenarios, &why);
            WEIR_EXPECT_EQ(parsed, scenarios.entries != NULL);
            WEIR_EXPECT_EQ(parsed, why.text[0] == '\0');
            movingai_free_scenarios(&scenarios);
        }
    }
}
