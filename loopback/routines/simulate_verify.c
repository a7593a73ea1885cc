/* The oracle of `simulate`: the rules of Life, one byte per cell, counted neighbour by neighbour.
 */
#include <stdlib.h>
#include <string.h>

#include "layout/generated/weir_layout.h"
#include "loopback/routines/simulate.h"

static unsigned alive(const unsigned char *cells, const struct weir_simulate_request *grid,
                      int64_t x, int64_t y)
{
    const int64_t width = grid->width, height = grid->height;
    if (grid->topology == SIMULATE_TORUS) {
        x = (x + width) % width;
        y = (y + height) % height;
    } else if (x < 0 || y < 0 || x >= width || y >= height) {
        return 0;
    }
    return cells[y * width + x];
}

static void naive_step(const unsigned char *now, unsigned char *next,
                       const struct weir_simulate_request *grid)
{
    for (int64_t y = 0; y < grid->height; y++) {
        for (int64_t x = 0; x < grid->width; x++) {
            unsigned neighbours = 0;
            for (int64_t dy = -1; dy <= 1; dy++) {
                for (int64_t dx = -1; dx <= 1; dx++) {
                    neighbours += (dx != 0 || dy != 0) ? alive(now, grid, x + dx, y + dy) : 0;
                }
            }
            const size_t at = (size_t)(y * grid->width + x);
            next[at] = neighbours == 3 || (neighbours == 2 && now[at]);
        }
    }
}

static const char *compare(const unsigned char *cells, const struct weir_simulate_request *grid,
                           const struct weir_simulate_reply *answer, const uint64_t *answer_cells)
{
    uint64_t population = 0;
    for (uint32_t y = 0; y < grid->height; y++) {
        for (uint32_t x = 0; x < grid->width; x++) {
            const unsigned char cell = cells[(size_t)y * grid->width + x];
            population += cell;
            if (answer_cells != NULL && bit_rows_get(answer_cells, grid->width, x, y) != cell) {
                return "the simulate reply has a wrong cell";
            }
        }
    }
    return answer->population == population ? NULL : "the simulate reply states a wrong population";
}

const char *simulate_verify(const void *request, size_t request_bytes, const void *reply,
                            size_t reply_bytes)
{
    const routine_result expected = simulate_reply_bytes(request, request_bytes);
    if (expected.code != ROUTINE_OK) {
        return expected.reason;
    }
    if (reply_bytes != expected.bytes) {
        return "the simulate reply has a wrong length";
    }
    struct weir_simulate_request grid;
    struct weir_simulate_reply answer;
    memcpy(&grid, request, sizeof(grid));
    memcpy(&answer, reply, sizeof(answer));
    if (answer.width != grid.width || answer.height != grid.height || answer.steps != grid.steps ||
        answer.topology != grid.topology || answer.flags != grid.flags || answer.reserved != 0) {
        return "the simulate reply's header does not repeat the request's";
    }
    const size_t count = (size_t)grid.width * grid.height;
    unsigned char *now = calloc(2, count);
    if (now == NULL) {
        return "no memory to check the simulate reply";
    }
    const uint64_t *cells = (const uint64_t *)((const char *)request + sizeof(grid));
    for (size_t i = 0; i < count; i++) {
        now[i] =
            bit_rows_get(cells, grid.width, (uint32_t)(i % grid.width), (uint32_t)(i / grid.width));
    }
    for (uint32_t i = 0; i < grid.steps; i++) {
        unsigned char *even = now, *odd = now + count;
        naive_step(i % 2 == 0 ? even : odd, i % 2 == 0 ? odd : even, &grid);
    }
    const uint64_t *answer_cells = (grid.flags & SIMULATE_GRID) != 0
                                       ? (const uint64_t *)((const char *)reply + sizeof(answer))
                                       : NULL;
    const char *reason =
        compare(grid.steps % 2 == 0 ? now : now + count, &grid, &answer, answer_cells);
    free(now);
    return reason;
}
