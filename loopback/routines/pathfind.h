/**
 * `pathfind`: a shortest path on an octile grid (steps of cost 1 and sqrt(2), no corner cutting),
 * by A* over jump points. The same request always gives the same reply, byte for byte.
 *
 * See routine.h for the calling rules. A request is a weir_pathfind_request and the passable cells
 * in the format of bit_rows.h; the reply is a weir_pathfind_reply and, when asked for and when it
 * fits, the path. The reply may be shorter than pathfind_reply_bytes() says, which is an upper
 * bound here.
 *
 * No path, or an end on a blocked cell, is a normal reply with `found` = 0.
 *
 * Limits: sides 1 to 65535, at most PATHFIND_MAX_CELLS cells. Memory is kept in a pathfind_scratch:
 * 32 bytes per cell of the largest map, touched only where a search came by (cells carry the number
 * of the search that wrote them, so nothing is cleared in between), and a heap that grows as
 * needed. Codes: ROUTINE_OK, ROUTINE_BAD_REQUEST, ROUTINE_REPLY_TOO_SMALL, ROUTINE_NO_MEMORY.
 */
#ifndef LOOPBACK_ROUTINES_PATHFIND_H
#define LOOPBACK_ROUTINES_PATHFIND_H

#include "loopback/routines/bit_rows.h"
#include "loopback/routines/routine.h"

#define PATHFIND_MAX_CELLS (UINT64_C(1) << 22)

/** Memory of one searching thread. Starts as `{0}`. */
typedef struct pathfind_scratch {
    routine_scratch map;
    routine_scratch nodes;
    routine_scratch heap;
    uint32_t search; /**< number of the latest search */
} pathfind_scratch;

void pathfind_scratch_free(pathfind_scratch *scratch);

/** What a caller asks for; the passable cells are given beside it. */
typedef struct pathfind_parameters {
    uint32_t width;
    uint32_t height;
    uint32_t start_x;
    uint32_t start_y;
    uint32_t goal_x;
    uint32_t goal_y;
    uint32_t max_points;
} pathfind_parameters;

/** Bytes of a request for a map of this size. */
size_t pathfind_request_bytes(uint32_t width, uint32_t height);

/** Writes a request; `cells` may already stand in its place behind the header. Returns its bytes.
 */
routine_result pathfind_build_request(const pathfind_parameters *parameters, const uint64_t *cells,
                                      void *request, size_t capacity);

routine_result pathfind_reply_bytes(const void *request, size_t request_bytes);

routine_result pathfind_run(pathfind_scratch *scratch, const void *request, size_t request_bytes,
                            void *reply, size_t reply_capacity);

/**
 * Checks a reply with code that shares nothing with pathfind_run: the numbers agree with each
 * other, the path (if there is one) is a legal walk from start to goal of the stated length, and
 * the length is the optimal one. `optimal_length` is that length when the caller knows it (compared
 * to 1e-3), negative for "no path exists", or NAN: then it is computed by pathfind_plain_length
 * (slow). Returns NULL when the reply is right, else a static sentence.
 */
const char *pathfind_verify(const void *request, size_t request_bytes, const void *reply,
                            size_t reply_bytes, double optimal_length);

/** The optimal length by Dijkstra's algorithm, cell by cell; negative: no path; NAN: bad request,
 * no memory. */
double pathfind_plain_length(const void *request, size_t request_bytes);

#endif
