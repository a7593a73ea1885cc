/**
 * `simulate`: Conway's Game of Life on a bounded or toroidal grid, n generations, 64 cells at a
 * time.
 *
 * See routine.h for the calling rules. A request is a weir_simulate_request and the grid in the
 * format of bit_rows.h; the reply is a weir_simulate_reply and, when asked for, the grid. On a
 * bounded grid the cells outside are dead for ever. On a torus of width or height 1 or 2 a cell
 * counts a neighbour once for each of the eight directions that leads to it (a cell can be its own
 * neighbour).
 *
 * Limits: sides 1 to 65535; steps * rows * (words per row + 8) at most SIMULATE_MAX_WORK: a few
 * seconds, whatever the shape (8 words is about what a row costs beside its words). Rows that are
 * empty cost next to nothing, so sparse patterns on large grids are cheap. Codes: ROUTINE_OK,
 * ROUTINE_BAD_REQUEST, ROUTINE_REPLY_TOO_SMALL, ROUTINE_NO_MEMORY.
 */
#ifndef LOOPBACK_ROUTINES_SIMULATE_H
#define LOOPBACK_ROUTINES_SIMULATE_H

#include "loopback/routines/bit_rows.h"
#include "loopback/routines/routine.h"

enum { SIMULATE_BOUNDED = 0, SIMULATE_TORUS = 1 };

/** Flag of request and reply: the reply carries the grid. */
#define SIMULATE_GRID 1u

#define SIMULATE_MAX_WORK     (UINT64_C(1) << 30)
#define SIMULATE_ROW_OVERHEAD 8u

/** What a caller asks for; the grid is given beside it. */
typedef struct simulate_parameters {
    uint32_t width;
    uint32_t height;
    uint32_t steps;
    uint32_t topology;
    uint32_t flags;
} simulate_parameters;

/** Bytes of a request for a grid of this size. */
size_t simulate_request_bytes(uint32_t width, uint32_t height);

/** Writes a request; `cells` may already stand in its place behind the header. Returns its bytes.
 */
routine_result simulate_build_request(const simulate_parameters *parameters, const uint64_t *cells,
                                      void *request, size_t capacity);

routine_result simulate_reply_bytes(const void *request, size_t request_bytes);

routine_result simulate_run(routine_scratch *scratch, const void *request, size_t request_bytes,
                            void *reply, size_t reply_capacity);

/**
 * Checks a reply by computing it again, cell by cell, with code that shares nothing with
 * simulate_run (about 10 ns per cell and generation; allocates). Returns NULL when the reply is
 * right, else a static sentence.
 */
const char *simulate_verify(const void *request, size_t request_bytes, const void *reply,
                            size_t reply_bytes);

#endif
