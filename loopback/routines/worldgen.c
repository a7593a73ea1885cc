#include "loopback/routines/worldgen.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "layout/generated/weir_layout.h"
#include "loopback/routines/perlin.h"

#define MAX_FACTOR 16.0

routine_result worldgen_build_request(const worldgen_parameters *parameters, void *request,
                                      size_t capacity)
{
    const struct weir_worldgen_request header = {
        .width = parameters->width,
        .height = parameters->height,
        .octaves = parameters->octaves,
        .origin_x = parameters->origin_x,
        .origin_y = parameters->origin_y,
        .z = parameters->z,
        .spacing = parameters->spacing,
        .lacunarity = parameters->lacunarity,
        .gain = parameters->gain,
    };
    if (capacity < sizeof(header)) {
        return routine_failed(ROUTINE_REPLY_TOO_SMALL, "the buffer is smaller than the request");
    }
    memcpy(request, &header, sizeof(header));
    return routine_done(sizeof(header));
}

/** Whether every coordinate of every octave stays where noise is defined; false for NAN too. */
static bool coordinates_in_range(const struct weir_worldgen_request *header)
{
    const double x = fabs(header->origin_x) + header->width * header->spacing;
    const double y = fabs(header->origin_y) + header->height * header->spacing;
    double frequency = 1;
    for (uint32_t octave = 0; octave < header->octaves; octave++) {
        if (!(x * frequency <= PERLIN_MAX_COORDINATE) ||
            !(y * frequency <= PERLIN_MAX_COORDINATE) ||
            !(fabs(header->z) * frequency <= PERLIN_MAX_COORDINATE)) {
            return false;
        }
        frequency *= fabs(header->lacunarity);
    }
    return true;
}

static const char *check_request(const void *request, size_t bytes,
                                 struct weir_worldgen_request *header)
{
    if (bytes != sizeof(*header)) {
        return "the worldgen request has a wrong length";
    }
    memcpy(header, request, sizeof(*header));
    if (header->width < 1 || header->width > 65535 || header->height < 1 ||
        header->height > 65535 || (uint64_t)header->width * header->height > WORLDGEN_MAX_SAMPLES) {
        return "the worldgen map must have 1 to 65535 columns and rows and at most 2^22 samples";
    }
    if (header->octaves < 1 || header->octaves > WORLDGEN_MAX_OCTAVES) {
        return "the worldgen request must ask for 1 to 16 octaves";
    }
    if (header->reserved != 0) {
        return "the worldgen request sets its reserved field";
    }
    if (!(fabs(header->lacunarity) <= MAX_FACTOR) || !(fabs(header->gain) <= MAX_FACTOR)) {
        return "the worldgen lacunarity and gain must lie between -16 and 16";
    }
    if (!(header->spacing >= 0) || !coordinates_in_range(header)) {
        return "the worldgen spacing must not be negative, and no coordinate may pass 2^30 in any "
               "octave";
    }
    return NULL;
}

static size_t reply_bytes_for(const struct weir_worldgen_request *header)
{
    return sizeof(struct weir_worldgen_reply) +
           (size_t)header->width * header->height * sizeof(double);
}

routine_result worldgen_reply_bytes(const void *request, size_t request_bytes)
{
    struct weir_worldgen_request header;
    const char *reason = check_request(request, request_bytes, &header);
    return reason != NULL ? routine_bad_request(reason) : routine_done(reply_bytes_for(&header));
}

static double height_at(const struct weir_worldgen_request *header, uint32_t column, uint32_t row)
{
    const double x = header->origin_x + column * header->spacing;
    const double y = header->origin_y + row * header->spacing;
    double height = 0, amplitude = 1, frequency = 1;
    for (uint32_t octave = 0; octave < header->octaves; octave++) {
        height += amplitude * perlin_noise(x * frequency, y * frequency, header->z * frequency);
        amplitude *= header->gain;
        frequency *= header->lacunarity;
    }
    return height;
}

routine_result worldgen_run(const void *request, size_t request_bytes, void *reply,
                            size_t reply_capacity)
{
    struct weir_worldgen_request header;
    const char *reason = check_request(request, request_bytes, &header);
    if (reason != NULL) {
        return routine_bad_request(reason);
    }
    if (reply_capacity < reply_bytes_for(&header)) {
        return routine_reply_too_small();
    }
    struct weir_worldgen_reply answer = {
        .width = header.width, .height = header.height, .lowest = INFINITY, .highest = -INFINITY};
    double *heights = (double *)((char *)reply + sizeof(answer));
    for (uint32_t row = 0; row < header.height; row++) {
        for (uint32_t column = 0; column < header.width; column++) {
            const double height = height_at(&header, column, row);
            heights[(size_t)row * header.width + column] = height;
            answer.lowest = height < answer.lowest ? height : answer.lowest;
            answer.highest = height > answer.highest ? height : answer.highest;
        }
    }
    memcpy(reply, &answer, sizeof(answer));
    return routine_done(reply_bytes_for(&header));
}

const char *worldgen_verify(const void *request, size_t request_bytes, const void *reply,
                            size_t reply_bytes)
{
    struct weir_worldgen_request header;
    struct weir_worldgen_reply answer;
    const char *reason = check_request(request, request_bytes, &header);
    if (reason != NULL) {
        return reason;
    }
    if (reply_bytes != reply_bytes_for(&header)) {
        return "the worldgen reply has a wrong length";
    }
    memcpy(&answer, reply, sizeof(answer));
    if (answer.width != header.width || answer.height != header.height) {
        return "the worldgen reply's size does not repeat the request's";
    }
    double lowest = INFINITY, highest = -INFINITY;
    for (size_t i = 0; i < (size_t)header.width * header.height; i++) {
        double stated;
        memcpy(&stated, (const char *)reply + sizeof(answer) + i * sizeof(stated), sizeof(stated));
        const double height =
            height_at(&header, (uint32_t)(i % header.width), (uint32_t)(i / header.width));
        if (memcmp(&stated, &height, sizeof(height)) != 0) {
            return "the worldgen reply has a wrong height";
        }
        lowest = fmin(lowest, height);
        highest = fmax(highest, height);
    }
    return answer.lowest == lowest && answer.highest == highest
               ? NULL
               : "the worldgen reply's lowest or highest is wrong";
}
