#include "loopback/routines/worldgen.h"

#include <math.h>
#include <stdlib.h>

#include "harness/testing/weir_test.h"
#include "layout/generated/weir_layout.h"
#include "loopback/routines/crc.h"
#include "loopback/routines/perlin.h"
#include "loopback/routines/testing/request_buffer.h"

static const worldgen_parameters golden = {.width = 97,
                                           .height = 61,
                                           .octaves = 6,
                                           .origin_x = -12.75,
                                           .origin_y = 1000.3,
                                           .z = 0.1,
                                           .spacing = 0.037,
                                           .lacunarity = 2.03,
                                           .gain = 0.47};

WEIR_TEST(worldgen, noise_has_the_reference_value)
{
    WEIR_EXPECT_EQ(perlin_noise(3.14, 42, 7), 0.13691995878400012);
}

WEIR_TEST(worldgen, noise_is_zero_at_whole_coordinates_and_repeats_after_256)
{
    uint64_t state = weir_test_seed();
    for (int round = 0; round < 1000; round++) {
        const double x = (double)(next_random(&state) % 2000) - 1000;
        const double y = (double)(next_random(&state) % 2000) - 1000;
        const double z = (double)(next_random(&state) % 2000) - 1000;
        WEIR_EXPECT_EQ(perlin_noise(x, y, z), 0.0);
        const double value = perlin_noise(x + 0.25, y + 0.5, z + 0.125);
        WEIR_EXPECT_EQ(perlin_noise(x + 256.25, y - 255.5, z + 512.125), value);
        WEIR_EXPECT_LE(fabs(value), 1.1);
    }
}

WEIR_TEST(worldgen, noise_stays_defined_at_the_largest_coordinates)
{
    const double far = PERLIN_MAX_COORDINATE;
    WEIR_EXPECT_EQ(perlin_noise(far, -far, far), 0.0);
    WEIR_EXPECT_LE(fabs(perlin_noise(0.5 - far, far - 0.5, 0.5)), 1.1);
}

/* The sum and the extremes were computed by a transcription of the formula to Python. */
WEIR_TEST(worldgen, gives_the_golden_height_map_bit_by_bit)
{
    routine_memory memory = {0};
    request_buffer buffer = worldgen_buffer(&golden);
    run_and_verify(&buffer, &memory);
    const struct weir_worldgen_reply *reply = buffer.reply;
    struct weir_crc_reply crc;
    WEIR_EXPECT_EQ(crc_run(reply + 1, buffer.reply_bytes - sizeof(*reply), &crc, sizeof(crc)).code,
                   ROUTINE_OK);
    WEIR_EXPECT_EQ(crc.crc32c, 0x0d40724bu);
    WEIR_EXPECT_EQ(reply->lowest, -0x1.aa0984bba461ap-1);
    WEIR_EXPECT_EQ(reply->highest, 0x1.8a23940638445p-1);
    free_buffer(&buffer);
}

WEIR_TEST(worldgen, verify_agrees_on_random_maps)
{
    uint64_t state = weir_test_seed();
    routine_memory memory = {0};
    for (int round = 0; round < 50; round++) {
        const worldgen_parameters parameters = {
            .width = 1 + (uint32_t)(next_random(&state) % 40),
            .height = 1 + (uint32_t)(next_random(&state) % 40),
            .octaves = 1 + (uint32_t)(next_random(&state) % 8),
            .origin_x = (double)(int64_t)next_random(&state) * 0x1p-48,
            .origin_y = (double)(int64_t)next_random(&state) * 0x1p-48,
            .z = (double)(int64_t)next_random(&state) * 0x1p-48,
            .spacing = (double)next_random(&state) * 0x1p-64,
            .lacunarity = (double)next_random(&state) * 0x1p-62,
            .gain = (double)(int64_t)next_random(&state) * 0x1p-62,
        };
        request_buffer buffer = worldgen_buffer(&parameters);
        run_and_verify(&buffer, &memory);
        free_buffer(&buffer);
    }
}

WEIR_TEST(worldgen, verify_notices_the_lowest_bit_of_a_height_and_wrong_extremes)
{
    routine_memory memory = {0};
    request_buffer buffer = worldgen_buffer(&golden);
    run_and_verify(&buffer, &memory);
    struct weir_worldgen_reply *reply = buffer.reply;
    ((uint64_t *)(reply + 1))[1234] ^= 1;
    WEIR_EXPECT_STR_HAS(
        worldgen_verify(buffer.request, buffer.request_bytes, reply, buffer.reply_bytes),
        "wrong height");
    ((uint64_t *)(reply + 1))[1234] ^= 1;
    reply->lowest -= 1;
    WEIR_EXPECT_STR_HAS(
        worldgen_verify(buffer.request, buffer.request_bytes, reply, buffer.reply_bytes), "lowest");
    free_buffer(&buffer);
}

static void expect_bad(worldgen_parameters parameters, const char *part)
{
    routine_memory memory = {0};
    request_buffer buffer = worldgen_buffer(&parameters);
    const routine_result result = run_buffer(&buffer, &memory);
    WEIR_EXPECT_EQ(result.code, ROUTINE_BAD_REQUEST);
    WEIR_EXPECT_STR_HAS(result.reason, part);
    free_buffer(&buffer);
}

#define EXPECT_BAD(field, value, part)                                                             \
    do {                                                                                           \
        worldgen_parameters bad = golden;                                                          \
        bad.field = value;                                                                         \
        expect_bad(bad, part);                                                                     \
    } while (0)

WEIR_TEST(worldgen, refuses_requests_that_break_the_format)
{
    EXPECT_BAD(width, 0, "1 to 65535");
    EXPECT_BAD(height, 65536, "1 to 65535");
    EXPECT_BAD(height, 65535, "2^22 samples");
    EXPECT_BAD(octaves, 0, "octaves");
    EXPECT_BAD(octaves, 17, "octaves");
    EXPECT_BAD(gain, 17, "gain");
    EXPECT_BAD(gain, (double)NAN, "gain");
    EXPECT_BAD(lacunarity, (double)-INFINITY, "lacunarity");
    EXPECT_BAD(spacing, -0.5, "negative");
    EXPECT_BAD(spacing, (double)NAN, "spacing");
    EXPECT_BAD(spacing, (double)INFINITY, "2^30");
    EXPECT_BAD(origin_x, 2e9, "2^30");
    EXPECT_BAD(origin_y, (double)NAN, "2^30");
    EXPECT_BAD(z, (double)-INFINITY, "2^30");
    worldgen_parameters far = golden; /* the sixth octave multiplies by 16^5 */
    far.lacunarity = 16;
    far.origin_y = 1025;
    expect_bad(far, "2^30");
    routine_memory memory = {0};
    char request[65] = {0};
    request_buffer buffer = bytes_buffer(ROUTINE_WORLDGEN, request, sizeof(request));
    WEIR_EXPECT_STR_HAS(run_buffer(&buffer, &memory).reason, "wrong length");
    free_buffer(&buffer);
}

WEIR_TEST(worldgen, refuses_a_reply_buffer_that_is_one_byte_short)
{
    request_buffer buffer = worldgen_buffer(&golden);
    const size_t needed = worldgen_reply_bytes(buffer.request, buffer.request_bytes).bytes;
    WEIR_EXPECT_EQ(needed, sizeof(struct weir_worldgen_reply) + 97 * 61 * sizeof(double));
    char *reply = malloc(needed - 1);
    WEIR_EXPECT_NOT_NULL(reply);
    WEIR_EXPECT_EQ(worldgen_run(buffer.request, buffer.request_bytes, reply, needed - 1).code,
                   ROUTINE_REPLY_TOO_SMALL);
    free(reply);
    free_buffer(&buffer);
}
