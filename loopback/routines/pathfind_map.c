/*
 * Why these cells are jump points when corners may not be cut. Among paths of equal length the
 * search keeps those that go diagonally first.
 *
 * - Entering (x, y) eastwards: the cell north of it is worth a turn only if the cell north-west of
 * it is blocked. If that were free, the step before could have gone there, and reached the north
 * cell by a diagonal (shorter) and the north-east cell by a diagonal first (equally long). With the
 * north-west cell blocked, north and north-east are new ground. The other straight directions are
 * the same turned around.
 * - Entering (x, y) north-eastwards: both cells beside the step are free, so everything behind and
 * beside is reached at most equally far without (x, y). What remains is north, north-east and east.
 * So a diagonal stops only where a straight jump to the north or to the east would find something.
 */
#include "loopback/routines/pathfind_map.h"

#include <string.h>

#include "loopback/routines/bit_rows.h"

const int pathfind_step_x[PATHFIND_DIRECTIONS] = {0, 1, 1, 1, 0, -1, -1, -1};
const int pathfind_step_y[PATHFIND_DIRECTIONS] = {-1, -1, 0, 1, 1, 1, 0, -1};

static size_t lines_words(uint32_t length, uint32_t count)
{
    return (bit_rows_words(length) + 2) * ((size_t)count + 2);
}

size_t pathfind_map_bytes(uint32_t width, uint32_t height)
{
    return (lines_words(width, height) + lines_words(height, width)) * sizeof(uint64_t);
}

/** Turns a block of 64 × 64 bits around its diagonal, by swapping ever smaller quarters. */
static void transpose_block(uint64_t block[64])
{
    uint64_t mask = UINT64_C(0x00000000ffffffff);
    for (unsigned half = 32; half != 0; half /= 2, mask ^= mask << half) {
        for (unsigned i = 0; i < 64; i = ((i | half) + 1) & ~half) {
            const uint64_t swap = (block[i] >> half ^ block[i | half]) & mask;
            block[i] ^= swap << half;
            block[i | half] ^= swap;
        }
    }
}

static void fill_columns(pathfind_map *map)
{
    for (uint32_t y = 0; y < map->height; y += 64) {
        const uint32_t rows = map->height - y < 64 ? map->height - y : 64;
        for (uint32_t x = 0; x < map->width; x += 64) {
            const uint32_t columns = map->width - x < 64 ? map->width - x : 64;
            uint64_t block[64] = {0};
            for (uint32_t i = 0; i < rows; i++) {
                block[i] = map->rows.bits[(y + i + 1) * map->rows.stride + x / 64 + 1];
            }
            transpose_block(block);
            for (uint32_t i = 0; i < columns; i++) {
                map->columns.bits[(x + i + 1) * map->columns.stride + y / 64 + 1] = block[i];
            }
        }
    }
}

bool pathfind_map_load(pathfind_map *map, void *memory, const void *cells)
{
    const size_t words = bit_rows_words(map->width);
    const uint64_t tail = bit_rows_tail_mask(map->width);
    memset(memory, 0, pathfind_map_bytes(map->width, map->height));
    map->rows = (pathfind_lines){.bits = memory, .stride = words + 2};
    map->columns = (pathfind_lines){.bits = map->rows.bits + lines_words(map->width, map->height),
                                    .stride = bit_rows_words(map->height) + 2};
    for (uint32_t y = 0; y < map->height; y++) {
        uint64_t *row = map->rows.bits + (y + 1) * map->rows.stride + 1;
        memcpy(row, (const char *)cells + y * words * sizeof(uint64_t), words * sizeof(uint64_t));
        if ((row[words - 1] & ~tail) != 0) {
            return false;
        }
    }
    fill_columns(map);
    return true;
}

/**
 * Along a line, upwards from bit `from`: the first cell that is blocked, a jump point, or the goal.
 * Blocked borders end every search. `goal` is the goal's bit when it lies on this line, else 0 (a
 * border bit).
 */
static uint32_t scan_up(const pathfind_lines *lines, size_t line, size_t from, size_t goal)
{
    const uint64_t *here = lines->bits + line * lines->stride;
    const uint64_t *before = here - lines->stride, *after = here + lines->stride;
    uint64_t ahead = from % 64 == 63 ? 0 : ~UINT64_C(0) << (from % 64 + 1);
    for (size_t w = from / 64;; w++, ahead = ~UINT64_C(0)) {
        const uint64_t opens = (before[w] & ~(before[w] << 1 | before[w - 1] >> 63)) |
                               (after[w] & ~(after[w] << 1 | after[w - 1] >> 63));
        const uint64_t goal_bit = goal / 64 == w ? UINT64_C(1) << (goal % 64) : 0;
        const uint64_t stops = (~here[w] | opens | goal_bit) & ahead;
        if (stops != 0) {
            const unsigned bit = (unsigned)__builtin_ctzll(stops);
            return (here[w] >> bit & 1) ? (uint32_t)(w * 64 + bit - from) : 0;
        }
    }
}

/** The same downwards. */
static uint32_t scan_down(const pathfind_lines *lines, size_t line, size_t from, size_t goal)
{
    const uint64_t *here = lines->bits + line * lines->stride;
    const uint64_t *before = here - lines->stride, *after = here + lines->stride;
    uint64_t ahead = (UINT64_C(1) << (from % 64)) - 1;
    size_t w = from / 64;
    if (ahead == 0) {
        w--;
        ahead = ~UINT64_C(0);
    }
    for (;; w--, ahead = ~UINT64_C(0)) {
        if (w == 0) {
            return 0; /* the border word has nothing behind it, and nothing passable in it */
        }
        const uint64_t opens = (before[w] & ~(before[w] >> 1 | before[w + 1] << 63)) |
                               (after[w] & ~(after[w] >> 1 | after[w + 1] << 63));
        const uint64_t goal_bit = goal / 64 == w ? UINT64_C(1) << (goal % 64) : 0;
        const uint64_t stops = (~here[w] | opens | goal_bit) & ahead;
        if (stops != 0) {
            const unsigned bit = 63 - (unsigned)__builtin_clzll(stops);
            return (here[w] >> bit & 1) ? (uint32_t)(from - (w * 64 + bit)) : 0;
        }
    }
}

static uint32_t jump_straight(const pathfind_map *map, uint32_t x, uint32_t y, unsigned direction)
{
    const size_t goal_on_row = y == map->goal_y ? (size_t)map->goal_x + 64 : 0;
    const size_t goal_on_column = x == map->goal_x ? (size_t)map->goal_y + 64 : 0;
    switch (direction) {
    case PATHFIND_EAST:
        return scan_up(&map->rows, (size_t)y + 1, (size_t)x + 64, goal_on_row);
    case PATHFIND_WEST:
        return scan_down(&map->rows, (size_t)y + 1, (size_t)x + 64, goal_on_row);
    case PATHFIND_SOUTH:
        return scan_up(&map->columns, (size_t)x + 1, (size_t)y + 64, goal_on_column);
    default:
        return scan_down(&map->columns, (size_t)x + 1, (size_t)y + 64, goal_on_column);
    }
}

uint32_t pathfind_map_jump(const pathfind_map *map, uint32_t x, uint32_t y, unsigned direction)
{
    if (direction % 2 == 0) {
        return jump_straight(map, x, y, direction);
    }
    const int dx = pathfind_step_x[direction], dy = pathfind_step_y[direction];
    const unsigned across = dx > 0 ? PATHFIND_EAST : PATHFIND_WEST;
    const unsigned along = dy > 0 ? PATHFIND_SOUTH : PATHFIND_NORTH;
    int64_t at_x = x, at_y = y;
    for (uint32_t steps = 1;; steps++) {
        if (!pathfind_map_passable(map, at_x + dx, at_y) ||
            !pathfind_map_passable(map, at_x, at_y + dy) ||
            !pathfind_map_passable(map, at_x + dx, at_y + dy)) {
            return 0;
        }
        at_x += dx;
        at_y += dy;
        if ((at_x == map->goal_x && at_y == map->goal_y) ||
            jump_straight(map, (uint32_t)at_x, (uint32_t)at_y, across) != 0 ||
            jump_straight(map, (uint32_t)at_x, (uint32_t)at_y, along) != 0) {
            return steps;
        }
    }
}

unsigned pathfind_map_onward(const pathfind_map *map, uint32_t x, uint32_t y, unsigned direction)
{
    const unsigned left = (direction + 7) % 8, right = (direction + 1) % 8;
    unsigned onward = 1u << direction;
    if (direction % 2 == 1) {
        return onward | 1u << left | 1u << right;
    }
    const int64_t back_x = (int64_t)x - pathfind_step_x[direction];
    const int64_t back_y = (int64_t)y - pathfind_step_y[direction];
    for (unsigned turn = 0; turn < 2; turn++) {
        const unsigned side = (direction + (turn == 0 ? 6 : 2)) % 8;
        const int dx = pathfind_step_x[side], dy = pathfind_step_y[side];
        if (pathfind_map_passable(map, (int64_t)x + dx, (int64_t)y + dy) &&
            !pathfind_map_passable(map, back_x + dx, back_y + dy)) {
            onward |= 1u << side | 1u << (turn == 0 ? left : right);
        }
    }
    return onward;
}
