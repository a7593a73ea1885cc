/**
 * `worldgen`: a height map, the sum of octaves of Perlin's improved noise.
 *
 * height(column, row) = sum over octave o = 0 … octaves-1, in this order, of
 *     amplitude_o * noise(x * frequency_o, y * frequency_o, z * frequency_o)
 * with x = origin_x + column * spacing, y = origin_y + row * spacing, amplitude and frequency
 * starting at 1 and multiplied by gain and lacunarity after each octave. All in doubles, in exactly
 * this order, so that every build and every language gets the same bits.
 *
 * See routine.h for the calling rules. A request is a weir_worldgen_request; the reply a
 * weir_worldgen_reply and the heights. No scratch memory is needed. Limits: sides 1 to 65535, at
 * most WORLDGEN_MAX_SAMPLES samples, 1 to 16 octaves; every parameter finite, spacing 0 or more,
 * |lacunarity| and |gain| at most 16; no coordinate beyond 2^30 in any octave. Codes: ROUTINE_OK,
 * ROUTINE_BAD_REQUEST, ROUTINE_REPLY_TOO_SMALL.
 */
#ifndef LOOPBACK_ROUTINES_WORLDGEN_H
#define LOOPBACK_ROUTINES_WORLDGEN_H

#include "loopback/routines/routine.h"

#define WORLDGEN_MAX_SAMPLES (UINT64_C(1) << 22)
#define WORLDGEN_MAX_OCTAVES 16u

typedef struct worldgen_parameters {
    uint32_t width;
    uint32_t height;
    uint32_t octaves;
    double origin_x;
    double origin_y;
    double z;
    double spacing;
    double lacunarity;
    double gain;
} worldgen_parameters;

/** Writes a request. Returns its bytes. */
routine_result worldgen_build_request(const worldgen_parameters *parameters, void *request,
                                      size_t capacity);

routine_result worldgen_reply_bytes(const void *request, size_t request_bytes);

routine_result worldgen_run(const void *request, size_t request_bytes, void *reply,
                            size_t reply_capacity);

/**
 * Checks a reply bit by bit by computing every height again from the formula above (as slow as
 * worldgen_run). Returns NULL when the reply is right, else a static sentence.
 */
const char *worldgen_verify(const void *request, size_t request_bytes, const void *reply,
                            size_t reply_bytes);

#endif
