/**
 * Reads maps and scenarios in the MovingAI format (text), for workloads and tests of `pathfind`.
 *
 * Callers: any thread. Blocking: reads a file. Ownership: what a load fills is the caller's and is
 * given back with the matching free; after a failed load there is nothing to free. Limits: files of
 * at most 16 MiB, maps within the limits of pathfind.h. On failure the functions return false and
 * write one sentence with the line number to `why`. Source: N. Sturtevant, "Benchmarks for
 * Grid-Based Pathfinding", IEEE TCIAIG 4(2), 2012, and movingai.com/benchmarks (file formats): '.',
 * 'G' and 'S' can be walked on; '@', 'O', 'T' and 'W' not.
 */
#ifndef LOOPBACK_ROUTINES_MOVINGAI_H
#define LOOPBACK_ROUTINES_MOVINGAI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct movingai_error {
    size_t line; /**< from 1; 0 when the file as a whole is meant */
    char text[160];
} movingai_error;

typedef struct movingai_map {
    uint32_t width;
    uint32_t height;
    uint64_t *passable; /**< in the format of bit_rows.h */
} movingai_map;

typedef struct movingai_scenario {
    uint32_t bucket;
    uint32_t width;
    uint32_t height;
    uint32_t start_x;
    uint32_t start_y;
    uint32_t goal_x;
    uint32_t goal_y;
    double optimal_length;
} movingai_scenario;

typedef struct movingai_scenarios {
    size_t count;
    movingai_scenario *entries;
} movingai_scenarios;

/** `text` need not end with a zero byte. */
bool movingai_parse_map(const char *text, size_t bytes, movingai_map *map, movingai_error *why);
bool movingai_parse_scenarios(const char *text, size_t bytes, movingai_scenarios *scenarios,
                              movingai_error *why);

bool movingai_load_map(const char *path, movingai_map *map, movingai_error *why);
bool movingai_load_scenarios(const char *path, movingai_scenarios *scenarios, movingai_error *why);

void movingai_free_map(movingai_map *map);
void movingai_free_scenarios(movingai_scenarios *scenarios);

#endif
