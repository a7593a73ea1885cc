/* The oracle of `pathfind`: walks the stated path, and Dijkstra's algorithm cell by cell for the
 * length. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "layout/generated/weir_layout.h"
#include "loopback/routines/pathfind.h"
#include "loopback/routines/pathfind_heap.h"

#define SQRT_2    1.4142135623730951
#define TOLERANCE 1e-3

typedef struct grid {
    struct weir_pathfind_request header;
    const uint64_t *cells;
} grid;

static bool passable(const grid *grid, int64_t x, int64_t y)
{
    return x >= 0 && y >= 0 && x < grid->header.width && y < grid->header.height &&
           bit_rows_get(grid->cells, grid->header.width, (uint32_t)x, (uint32_t)y);
}

static bool legal_step(const grid *grid, int64_t x, int64_t y, int64_t dx, int64_t dy)
{
    return passable(grid, x, y) && passable(grid, x + dx, y + dy) && passable(grid, x + dx, y) &&
           passable(grid, x, y + dy);
}

static double dijkstra(const grid *grid, double *distance, pathfind_heap *heap)
{
    const uint32_t width = grid->header.width;
    const uint32_t goal = grid->header.goal_y * width + grid->header.goal_x;
    const uint32_t start = grid->header.start_y * width + grid->header.start_x;
    if (!passable(grid, grid->header.start_x, grid->header.start_y)) {
        return -1;
    }
    distance[start] = 0;
    if (!pathfind_heap_push(heap, (pathfind_heap_entry){.cost = 0, .cell = start})) {
        return NAN;
    }
    while (heap->count > 0) {
        const pathfind_heap_entry next = pathfind_heap_pop(heap);
        if (next.cell == goal) {
            return next.cost;
        }
        const int64_t x = next.cell % width, y = next.cell / width;
        for (int i = 0; i < 9 && next.cost <= distance[next.cell]; i++) {
            const int dx = i % 3 - 1, dy = i / 3 - 1;
            if ((dx == 0 && dy == 0) || !legal_step(grid, x, y, dx, dy)) {
                continue;
            }
            const uint32_t cell = (uint32_t)((y + dy) * width + x + dx);
            const double cost = next.cost + (dx != 0 && dy != 0 ? SQRT_2 : 1);
            if (cost < distance[cell]) {
                distance[cell] = cost;
                if (!pathfind_heap_push(heap, (pathfind_heap_entry){.cost = cost, .cell = cell})) {
                    return NAN;
                }
            }
        }
    }
    return -1;
}

static bool open_grid(grid *grid, const void *request, size_t request_bytes)
{
    if (pathfind_reply_bytes(request, request_bytes).code != ROUTINE_OK) {
        return false;
    }
    memcpy(&grid->header, request, sizeof(grid->header));
    grid->cells = (const uint64_t *)((const char *)request + sizeof(grid->header));
    return true;
}

double pathfind_plain_length(const void *request, size_t request_bytes)
{
    grid grid;
    if (!open_grid(&grid, request, request_bytes)) {
        return NAN;
    }
    const size_t count = (size_t)grid.header.width * grid.header.height;
    double *distance = malloc(count * sizeof(*distance));
    if (distance == NULL) {
        return NAN;
    }
    for (size_t i = 0; i < count; i++) {
        distance[i] = INFINITY;
    }
    routine_scratch memory = {0};
    pathfind_heap heap = {.memory = &memory};
    const double length = dijkstra(&grid, distance, &heap);
    routine_scratch_free(&memory);
    free(distance);
    return length;
}

static const char *walk(const grid *grid, const struct weir_pathfind_reply *answer,
                        const struct weir_pathfind_point *points)
{
    const struct weir_pathfind_request *header = &grid->header;
    const struct weir_pathfind_point first = points[0], last = points[answer->points - 1];
    if (first.x != header->start_x || first.y != header->start_y || last.x != header->goal_x ||
        last.y != header->goal_y) {
        return "the path does not lead from the start to the goal";
    }
    uint32_t straight = 0, diagonal = 0;
    for (uint32_t i = 1; i < answer->points; i++) {
        const int64_t dx = (int64_t)points[i].x - points[i - 1].x,
                      dy = (int64_t)points[i].y - points[i - 1].y;
        const int64_t squares = dx * dx + dy * dy;
        if (squares < 1 || squares > 2 ||
            !legal_step(grid, points[i - 1].x, points[i - 1].y, dx, dy)) {
            return "the path makes a step that the map does not allow";
        }
        straight += squares == 1;
        diagonal += squares == 2;
    }
    return straight == answer->straight_moves && diagonal == answer->diagonal_moves
               ? NULL
               : "the path has other moves than the reply counts";
}

static const char *check_numbers(const grid *grid, const struct weir_pathfind_reply *answer)
{
    if (answer->reserved != 0 || answer->found > 1) {
        return "the pathfind reply's found or reserved field has a wrong value";
    }
    if (answer->found == 0) {
        return answer->points == 0 && answer->path_cells == 0 && answer->straight_moves == 0 &&
                       answer->diagonal_moves == 0 && answer->length == 0
                   ? NULL
                   : "the pathfind reply found nothing and yet describes a path";
    }
    if (answer->path_cells != answer->straight_moves + answer->diagonal_moves + 1 ||
        answer->length != answer->straight_moves + answer->diagonal_moves * SQRT_2) {
        return "the pathfind reply's length, moves and cells do not agree";
    }
    const bool fits = answer->path_cells <= grid->header.max_points;
    return answer->points == (fits ? answer->path_cells : 0)
               ? NULL
               : "the pathfind reply has a wrong number of points";
}

const char *pathfind_verify(const void *request, size_t request_bytes, const void *reply,
                            size_t reply_bytes, double optimal_length)
{
    grid grid;
    struct weir_pathfind_reply answer;
    if (!open_grid(&grid, request, request_bytes)) {
        return pathfind_reply_bytes(request, request_bytes).reason;
    }
    if (reply_bytes < sizeof(answer)) {
        return "the pathfind reply is shorter than its header";
    }
    memcpy(&answer, reply, sizeof(answer));
    const char *reason = check_numbers(&grid, &answer);
    if (reason != NULL) {
        return reason;
    }
    if (reply_bytes != sizeof(answer) + answer.points * sizeof(struct weir_pathfind_point)) {
        return "the pathfind reply has a wrong length";
    }
    if (answer.points > 0) {
        reason = walk(&grid, &answer,
                      (const struct weir_pathfind_point *)((const char *)reply + sizeof(answer)));
        if (reason != NULL) {
            return reason;
        }
    }
    const double optimal =
        isnan(optimal_length) ? pathfind_plain_length(request, request_bytes) : optimal_length;
    if (isnan(optimal)) {
        return "no memory to check the pathfind reply";
    }
    if ((answer.found == 1) != (optimal >= 0)) {
        return "the pathfind reply is wrong about whether a path exists";
    }
    return answer.found == 0 || fabs(answer.length - optimal) <= TOLERANCE
               ? NULL
               : "the pathfind reply's path has not the optimal length";
}
