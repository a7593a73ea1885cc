/*
 * What is known about famous patterns. "Settles at generation g" means: from g on the population
 * never changes again (only still lifes, oscillators of constant population and gliders are left),
 * and it was another one at g - 1. Sources: M. Gardner, Scientific American, October 1970
 * (R-pentomino); conwaylife.com/wiki/Acorn and conwaylife.com/wiki/Gosper_glider_gun.
 */
#include <stdlib.h>

#include "harness/testing/weir_test.h"
#include "layout/generated/weir_layout.h"
#include "loopback/routines/simulate.h"

/** How many generations a settled pattern is watched. */
#define WATCHED 240

typedef struct universe {
    uint32_t side;
    routine_scratch scratch;
    size_t request_bytes;
    size_t reply_bytes;
    char *request;
    char *reply;
    uint64_t
        *cells; /**< behind the request's header, where the next generation is built in place */
    uint64_t population;
} universe;

static universe open_universe(uint32_t side, uint32_t x, uint32_t y, const char *pattern)
{
    universe life = {.side = side,
                     .request_bytes = simulate_request_bytes(side, side),
                     .reply_bytes =
                         sizeof(struct weir_simulate_reply) + bit_rows_bytes(side, side)};
    life.request = calloc(1, life.request_bytes);
    life.reply = malloc(life.reply_bytes);
    WEIR_EXPECT_NOT_NULL(life.request);
    WEIR_EXPECT_NOT_NULL(life.reply);
    life.cells = (uint64_t *)(life.request + sizeof(struct weir_simulate_request));
    for (uint32_t column = x; *pattern != '\0'; pattern++) {
        if (*pattern == '/') {
            y++;
            column = x;
            continue;
        }
        if (*pattern == 'O') {
            bit_rows_set(life.cells, side, column, y);
        }
        column++;
    }
    return life;
}

static void advance(universe *life, uint32_t steps)
{
    const simulate_parameters parameters = {life->side, life->side, steps, SIMULATE_BOUNDED,
                                            SIMULATE_GRID};
    WEIR_EXPECT_EQ(
        simulate_build_request(&parameters, life->cells, life->request, life->request_bytes).code,
        ROUTINE_OK);
    WEIR_EXPECT_EQ(simulate_run(&life->scratch, life->request, life->request_bytes, life->reply,
                                life->reply_bytes)
                       .code,
                   ROUTINE_OK);
    struct weir_simulate_reply answer;
    memcpy(&answer, life->reply, sizeof(answer));
    life->population = answer.population;
    memcpy(life->cells, life->reply + sizeof(answer), bit_rows_bytes(life->side, life->side));
}

static void close_universe(universe *life)
{
    free(life->request);
    free(life->reply);
    routine_scratch_free(&life->scratch);
}

/** Demands the population at `generation`, another one just before, and no change for a long time
 * after. */
static void expect_to_settle(universe *life, uint32_t generation, uint64_t population)
{
    advance(life, generation - 1);
    WEIR_EXPECT_NE(life->population, population);
    advance(life, 1);
    WEIR_EXPECT_EQ(life->population, population);
}

static void expect_to_stay_settled(universe *life, uint64_t population)
{
    for (int i = 0; i < WATCHED; i++) {
        advance(life, 1);
        WEIR_EXPECT_EQ(life->population, population);
    }
}

/** The rectangle around all live cells. */
static void extent(const universe *life, uint32_t *width, uint32_t *height)
{
    uint32_t left = life->side, right = 0, top = life->side, bottom = 0;
    for (uint32_t y = 0; y < life->side; y++) {
        for (uint32_t x = 0; x < life->side; x++) {
            if (bit_rows_get(life->cells, life->side, x, y)) {
                left = x < left ? x : left;
                right = x > right ? x : right;
                top = y < top ? y : top;
                bottom = y > bottom ? y : bottom;
            }
        }
    }
    *width = right - left + 1;
    *height = bottom - top + 1;
}

WEIR_TEST(simulate_patterns, r_pentomino_settles_at_generation_1103_with_116_cells)
{
    universe life = open_universe(1024, 512, 512, ".OO/OO./.O.");
    expect_to_settle(&life, 1103, 116);
    expect_to_stay_settled(&life, 116);
    close_universe(&life);
}

WEIR_TEST(simulate_patterns, acorn_settles_at_generation_5206_with_633_cells, .timeout = 180)
{
    /* The grid ends beyond the gliders: none reaches a wall while the pattern is watched. */
    universe life = open_universe(2752, 1335, 1380, ".O...../...O.../OO..OOO");
    expect_to_settle(&life, 5206, 633);
    uint32_t width, height;
    extent(&life, &width, &height);
    WEIR_EXPECT_EQ(width, 2325);
    WEIR_EXPECT_EQ(height, 2497);
    expect_to_stay_settled(&life, 633);
    close_universe(&life);
}

/** Whether the gun's own cells (the 36 × 9 corner at (x, y)) are the same in both grids. */
static bool same_gun(const uint64_t *a, const uint64_t *b, uint32_t side, uint32_t x, uint32_t y)
{
    for (uint32_t row = y; row < y + 9; row++) {
        for (uint32_t column = x; column < x + 36; column++) {
            if (bit_rows_get(a, side, column, row) != bit_rows_get(b, side, column, row)) {
                return false;
            }
        }
    }
    return true;
}

WEIR_TEST(simulate_patterns, gosper_gun_repeats_every_30_generations_and_sends_a_glider_each_time)
{
    universe life =
        open_universe(256, 10, 10,
                      "........................O.........../......................O.O.........../"
                      "............OO......OO............OO/...........O...O....OO............OO/"
                      "OO........O.....O...OO............../OO........O...O.OO....O.O.........../"
                      "..........O.....O.......O.........../...........O...O..................../"
                      "............OO......................");
    const size_t bytes = bit_rows_bytes(life.side, life.side);
    uint64_t *first = malloc(bytes);
    WEIR_EXPECT_NOT_NULL(first);
    memcpy(first, life.cells, bytes);
    for (unsigned generation = 1, period = 0; generation <= 300; generation++) {
        advance(&life, 1);
        period = same_gun(first, life.cells, life.side, 10, 10) ? generation % 30 : 1;
        WEIR_EXPECT_EQ(period == 0, generation % 30 == 0);
        if (generation % 30 == 0) {
            WEIR_EXPECT_EQ(life.population, 36 + generation / 30 * 5);
        }
    }
    free(first);
    close_universe(&life);
}
