/**
 * The map that `pathfind` searches: a private, padded copy of the request's grid, as it is and
 * transposed, and jumps along its rows, columns and diagonals, 64 cells at a time.
 *
 * Movement is octile without corner cutting: a diagonal step needs both cells beside it passable.
 *
 * Callers: one thread per map. Blocking: never. Ownership: the map points into scratch memory of
 * its caller. Source: D. Harabor, A. Grastien, "Online Graph Pruning for Pathfinding on Grid Maps",
 * AAAI 2011, and "Improving Jump Point Search", ICAPS 2014 (scanning by blocks); the rules without
 * corner cutting follow from the same argument and are explained in pathfind_map.c.
 */
#ifndef LOOPBACK_ROUTINES_PATHFIND_MAP_H
#define LOOPBACK_ROUTINES_PATHFIND_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Directions, clockwise from north; even ones are straight. A set of them is a bit mask. */
enum {
    PATHFIND_NORTH,
    PATHFIND_NORTH_EAST,
    PATHFIND_EAST,
    PATHFIND_SOUTH_EAST,
    PATHFIND_SOUTH,
    PATHFIND_SOUTH_WEST,
    PATHFIND_WEST,
    PATHFIND_NORTH_WEST,
    PATHFIND_DIRECTIONS,
};

extern const int pathfind_step_x[PATHFIND_DIRECTIONS];
extern const int pathfind_step_y[PATHFIND_DIRECTIONS];

/** Bits along lines: the grid's rows, or its columns. Around them lies a border of blocked words
 * and lines. */
typedef struct pathfind_lines {
    uint64_t *bits;
    size_t stride; /**< words per line, border included */
} pathfind_lines;

typedef struct pathfind_map {
    uint32_t width;
    uint32_t height;
    uint32_t goal_x;
    uint32_t goal_y;
    pathfind_lines rows;
    pathfind_lines columns;
} pathfind_map;

/** Bytes of memory that a map of this size needs. */
size_t pathfind_map_bytes(uint32_t width, uint32_t height);

/**
 * Fills a map whose width, height and goal are set from `cells` (rows as in bit_rows.h). `memory`
 * has pathfind_map_bytes() bytes, 8-byte aligned. Returns false when cells beyond the width are
 * set.
 */
bool pathfind_map_load(pathfind_map *map, void *memory, const void *cells);

/** Whether a cell is passable; x and y may lie one outside the grid, where nothing is. */
static inline bool pathfind_map_passable(const pathfind_map *map, int64_t x, int64_t y)
{
    const uint64_t *row = map->rows.bits + (size_t)(y + 1) * map->rows.stride;
    return (row[(size_t)(x + 64) / 64] >> ((size_t)(x + 64) % 64) & 1) != 0;
}

/**
 * Goes from (x, y) in `direction` to the next jump point: the goal, or a cell where an optimal path
 * may turn. Returns the number of steps, 0 when there is none.
 */
uint32_t pathfind_map_jump(const pathfind_map *map, uint32_t x, uint32_t y, unsigned direction);

/** The directions (a bit mask) in which an optimal path may leave a cell that it entered in
 * `direction`. */
unsigned pathfind_map_onward(const pathfind_map *map, uint32_t x, uint32_t y, unsigned direction);

#endif
