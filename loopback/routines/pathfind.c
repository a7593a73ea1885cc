#include "loopback/routines/pathfind.h"

#include <math.h>
#include <string.h>

#include "layout/generated/weir_layout.h"
#include "loopback/routines/pathfind_heap.h"
#include "loopback/routines/pathfind_map.h"

#define SQRT_2 1.4142135623730951

/** What is known about a cell in the search whose number it carries. */
typedef struct node {
    double distance; /**< from the start: straight + diagonal * sqrt(2) */
    uint32_t straight;
    uint32_t diagonal;
    uint32_t parent;
    uint32_t search;
    uint8_t pending; /**< directions still to be followed */
    uint8_t done;    /**< directions followed already */
} node;

typedef struct search {
    pathfind_map map;
    uint32_t start;
    uint32_t goal;
    node *nodes;
    pathfind_heap heap;
    uint32_t number;
    uint64_t expanded;
} search;

void pathfind_scratch_free(pathfind_scratch *scratch)
{
    routine_scratch_free(&scratch->map);
    routine_scratch_free(&scratch->nodes);
    routine_scratch_free(&scratch->heap);
    scratch->search = 0;
}

size_t pathfind_request_bytes(uint32_t width, uint32_t height)
{
    return sizeof(struct weir_pathfind_request) + bit_rows_bytes(width, height);
}

routine_result pathfind_build_request(const pathfind_parameters *parameters, const uint64_t *cells,
                                      void *request, size_t capacity)
{
    const size_t bytes = pathfind_request_bytes(parameters->width, parameters->height);
    if (capacity < bytes) {
        return routine_failed(ROUTINE_REPLY_TOO_SMALL, "the buffer is smaller than the request");
    }
    const struct weir_pathfind_request header = {
        .width = parameters->width,
        .height = parameters->height,
        .start_x = parameters->start_x,
        .start_y = parameters->start_y,
        .goal_x = parameters->goal_x,
        .goal_y = parameters->goal_y,
        .max_points = parameters->max_points,
    };
    memmove((char *)request + sizeof(header), cells, bytes - sizeof(header));
    memcpy(request, &header, sizeof(header));
    return routine_done(bytes);
}

static const char *check_request(const void *request, size_t bytes,
                                 struct weir_pathfind_request *header)
{
    if (bytes < sizeof(*header)) {
        return "the pathfind request is shorter than its header";
    }
    memcpy(header, request, sizeof(*header));
    if (header->width < 1 || header->width > BIT_ROWS_MAX_SIDE || header->height < 1 ||
        header->height > BIT_ROWS_MAX_SIDE) {
        return "the pathfind map must have 1 to 65535 columns and rows";
    }
    if ((uint64_t)header->width * header->height > PATHFIND_MAX_CELLS) {
        return "the pathfind map has more than 2^22 cells";
    }
    if (header->reserved != 0) {
        return "the pathfind request sets its reserved field";
    }
    if (bytes != pathfind_request_bytes(header->width, header->height)) {
        return "the pathfind request's length does not match its width and height";
    }
    if (header->start_x >= header->width || header->start_y >= header->height ||
        header->goal_x >= header->width || header->goal_y >= header->height) {
        return "the pathfind start or goal lies outside the map";
    }
    if (header->max_points > PATHFIND_MAX_CELLS) {
        return "the pathfind request asks for more path points than a map can have";
    }
    return NULL;
}

static size_t reply_bytes_for(uint32_t points)
{
    return sizeof(struct weir_pathfind_reply) + (size_t)points * sizeof(struct weir_pathfind_point);
}

routine_result pathfind_reply_bytes(const void *request, size_t request_bytes)
{
    struct weir_pathfind_request header;
    const char *reason = check_request(request, request_bytes, &header);
    return reason != NULL ? routine_bad_request(reason)
                          : routine_done(reply_bytes_for(header.max_points));
}

/** Octile distance to the goal: what the rest of the way costs if nothing is blocked. */
static double remaining(const search *search, uint32_t x, uint32_t y)
{
    const uint32_t goal_x = search->map.goal_x, goal_y = search->map.goal_y;
    const uint32_t dx = x > goal_x ? x - goal_x : goal_x - x;
    const uint32_t dy = y > goal_y ? y - goal_y : goal_y - y;
    const uint32_t diagonal = dx < dy ? dx : dy;
    return (double)((dx > dy ? dx : dy) - diagonal) + diagonal * SQRT_2;
}

/**
 * A way to a cell was found: keeps it if it is shorter than what was known. A way of the same
 * length that enters the cell in another direction adds the directions that only this one leads on
 * to.
 */
static bool offer(search *search, uint32_t cell, const node *way)
{
    node *known = &search->nodes[cell];
    const bool seen = known->search == search->number;
    if (seen && known->distance < way->distance) {
        return true;
    }
    if (seen && known->distance == way->distance) {
        const uint8_t more = way->pending & (uint8_t) ~(known->done | known->pending);
        if (more == 0) {
            return true;
        }
        known->pending |= more;
    } else {
        *known = *way;
    }
    const uint32_t x = cell % search->map.width, y = cell / search->map.width;
    const pathfind_heap_entry entry = {.cost = way->distance + remaining(search, x, y),
                                       .cell = cell};
    return pathfind_heap_push(&search->heap, entry);
}

static bool follow(search *search, uint32_t cell, unsigned direction)
{
    const pathfind_map *map = &search->map;
    const node *from = &search->nodes[cell];
    const uint32_t x = cell % map->width, y = cell / map->width;
    const uint32_t steps = pathfind_map_jump(map, x, y, direction);
    if (steps == 0) {
        return true;
    }
    const uint32_t to_x = x + steps * (uint32_t)pathfind_step_x[direction];
    const uint32_t to_y = y + steps * (uint32_t)pathfind_step_y[direction];
    node way = {.straight = from->straight + (direction % 2 == 0 ? steps : 0),
                .diagonal = from->diagonal + (direction % 2 == 1 ? steps : 0),
                .parent = cell,
                .search = search->number,
                .pending = (uint8_t)pathfind_map_onward(map, to_x, to_y, direction)};
    way.distance = way.straight + way.diagonal * SQRT_2;
    return offer(search, to_y * map->width + to_x, &way);
}

typedef enum search_end { SEARCH_FOUND, SEARCH_EXHAUSTED, SEARCH_NO_MEMORY } search_end;

static search_end run_search(search *search)
{
    const node start = {.parent = search->start, .search = search->number, .pending = UINT8_MAX};
    if (!offer(search, search->start, &start)) {
        return SEARCH_NO_MEMORY;
    }
    while (search->heap.count > 0) {
        const uint32_t cell = pathfind_heap_pop(&search->heap).cell;
        node *node = &search->nodes[cell];
        if (cell == search->goal) {
            return SEARCH_FOUND;
        }
        if (node->pending == 0) {
            continue; /* reached again since by a shorter way, and followed from there already */
        }
        const unsigned pending = node->pending;
        node->done |= node->pending;
        node->pending = 0;
        search->expanded++;
        for (unsigned direction = 0; direction < PATHFIND_DIRECTIONS; direction++) {
            if ((pending >> direction & 1) != 0 && !follow(search, cell, direction)) {
                return SEARCH_NO_MEMORY;
            }
        }
    }
    return SEARCH_EXHAUSTED;
}

/** Writes the path from its end, filling the straight lines between jump points. */
static void write_path(const search *search, struct weir_pathfind_point *points, uint32_t count)
{
    const uint32_t width = search->map.width;
    uint32_t cell = search->goal;
    int64_t x = cell % width, y = cell / width;
    for (uint32_t i = count; i-- > 0;) {
        points[i] = (struct weir_pathfind_point){.x = (uint16_t)x, .y = (uint16_t)y};
        if (x == cell % width && y == cell / width) {
            cell = search->nodes[cell].parent;
        }
        const int64_t to_x = cell % width, to_y = cell / width;
        x += (to_x > x) - (to_x < x);
        y += (to_y > y) - (to_y < y);
    }
}

static routine_result write_reply(const search *search, bool found, uint32_t max_points,
                                  char *reply)
{
    struct weir_pathfind_reply answer = {.found = found, .expanded = search->expanded};
    if (found) {
        const node *goal = &search->nodes[search->goal];
        answer.straight_moves = goal->straight;
        answer.diagonal_moves = goal->diagonal;
        answer.length = goal->distance;
        answer.path_cells = goal->straight + goal->diagonal + 1;
        answer.points = answer.path_cells <= max_points ? answer.path_cells : 0;
        write_path(search, (struct weir_pathfind_point *)(reply + sizeof(answer)), answer.points);
    }
    memcpy(reply, &answer, sizeof(answer));
    return routine_done(reply_bytes_for(answer.points));
}

static bool reserve(search *search, pathfind_scratch *scratch)
{
    const size_t cells = (size_t)search->map.width * search->map.height;
    search->heap = (pathfind_heap){.memory = &scratch->heap};
    search->nodes = routine_scratch_reserve(&scratch->nodes, cells * sizeof(node));
    if (scratch->search == UINT32_MAX && search->nodes != NULL) {
        /* The numbers have run out: only now the marks of four billion searches are wiped. */
        memset(scratch->nodes.memory, 0, scratch->nodes.bytes);
        scratch->search = 0;
    }
    search->number = ++scratch->search;
    return search->nodes != NULL;
}

routine_result pathfind_run(pathfind_scratch *scratch, const void *request, size_t request_bytes,
                            void *reply, size_t reply_capacity)
{
    struct weir_pathfind_request header;
    const char *reason = check_request(request, request_bytes, &header);
    if (reason != NULL) {
        return routine_bad_request(reason);
    }
    if (reply_capacity < reply_bytes_for(header.max_points)) {
        return routine_reply_too_small();
    }
    search search = {.map = {.width = header.width,
                             .height = header.height,
                             .goal_x = header.goal_x,
                             .goal_y = header.goal_y},
                     .start = header.start_y * header.width + header.start_x,
                     .goal = header.goal_y * header.width + header.goal_x};
    void *memory =
        routine_scratch_reserve(&scratch->map, pathfind_map_bytes(header.width, header.height));
    if (memory == NULL || !reserve(&search, scratch)) {
        return routine_no_memory();
    }
    if (!pathfind_map_load(&search.map, memory, (const char *)request + sizeof(header))) {
        return routine_bad_request("the pathfind map has cells beyond its width");
    }
    search_end end = SEARCH_EXHAUSTED;
    if (pathfind_map_passable(&search.map, header.start_x, header.start_y) &&
        pathfind_map_passable(&search.map, header.goal_x, header.goal_y)) {
        end = run_search(&search);
    }
    if (end == SEARCH_NO_MEMORY) {
        return routine_no_memory();
    }
    return write_reply(&search, end == SEARCH_FOUND, header.max_points, reply);
}
