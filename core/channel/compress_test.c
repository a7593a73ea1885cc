#include "channel/compress.h"

#include <stdlib.h>

#include "harness/testing/weir_test.h"

static const uint32_t algorithms[] = {WEIR_ENVELOPE_FLAG_LZ4, WEIR_ENVELOPE_FLAG_ZSTD};
static const size_t sizes[] = {2, 3, 15, 64, 100, 255, 256, 4096, 65535, 65536, 131073, 1048576};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static uint64_t next_random(uint64_t *state)
{
    /* splitmix64, Steele et al. 2014 */
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Text-like: few different bytes and repeats, so that it packs well. */
static uint8_t *compressible(size_t bytes, uint64_t seed)
{
    uint8_t *data = malloc(bytes);
    WEIR_EXPECT_NOT_NULL(data);
    for (size_t i = 0; i < bytes; i++) {
        data[i] = (uint8_t)("a ring of slots "[(i + (next_random(&seed) % 64 == 0)) % 16]);
    }
    return data;
}

static uint8_t *noise(size_t bytes, uint64_t seed)
{
    uint8_t *data = malloc(bytes);
    WEIR_EXPECT_NOT_NULL(data);
    for (size_t i = 0; i < bytes; i++) {
        data[i] = (uint8_t)next_random(&seed);
    }
    return data;
}

static weir_packer make_packer(void)
{
    weir_packer packer;
    WEIR_EXPECT_STATUS(weir_packer_init(&packer, WEIR_CAPABILITY_LZ4 | WEIR_CAPABILITY_ZSTD),
                       WEIR_OK);
    return packer;
}

WEIR_TEST(compress, gives_back_what_it_packed_at_every_size)
{
    weir_packer packer = make_packer();
    const uint64_t seed = weir_test_seed();
    for (size_t a = 0; a < COUNT(algorithms); a++) {
        for (size_t s = 0; s < COUNT(sizes); s++) {
            const size_t bytes = sizes[s];
            uint8_t *data = compressible(bytes, seed + s);
            uint8_t *packed = malloc(bytes);
            uint8_t *back = malloc(bytes); /* exactly as long as allowed: ASan sees one byte more */
            size_t packed_bytes = 0;
            const weir_status status =
                weir_pack(&packer, algorithms[a], data, bytes, packed, bytes, &packed_bytes);
            if (bytes >= 256) {
                WEIR_EXPECT_STATUS(status, WEIR_OK);
            }
            if (status == WEIR_OK) {
                WEIR_EXPECT_LT(packed_bytes, bytes);
                WEIR_EXPECT_STATUS(
                    weir_unpack(&packer, algorithms[a], packed, packed_bytes, back, bytes),
                    WEIR_OK);
                WEIR_EXPECT_MEM_EQ(back, data, bytes);
            }
            free(data);
            free(packed);
            free(back);
        }
    }
    weir_packer_destroy(&packer);
}

WEIR_TEST(compress, says_full_when_it_would_not_shrink)
{
    weir_packer packer = make_packer();
    for (size_t a = 0; a < COUNT(algorithms); a++) {
        for (size_t s = 0; s < COUNT(sizes); s++) {
            uint8_t *data = noise(sizes[s], weir_test_seed() + s);
            uint8_t *packed = malloc(2 * sizes[s]);
            size_t packed_bytes = 0;
            WEIR_EXPECT_STATUS(weir_pack(&packer, algorithms[a], data, sizes[s], packed,
                                         2 * sizes[s], &packed_bytes),
                               WEIR_FULL);
            free(data);
            free(packed);
        }
    }
    weir_packer_destroy(&packer);
}

WEIR_TEST(compress, writes_no_more_than_its_capacity)
{
    weir_packer packer = make_packer();
    const size_t bytes = 65536;
    uint8_t *data = compressible(bytes, weir_test_seed());
    for (size_t a = 0; a < COUNT(algorithms); a++) {
        uint8_t *whole = malloc(bytes);
        size_t needed = 0;
        WEIR_EXPECT_STATUS(weir_pack(&packer, algorithms[a], data, bytes, whole, bytes, &needed),
                           WEIR_OK);
        uint8_t *small = malloc(needed / 2);
        size_t packed = 0;
        WEIR_EXPECT_STATUS(
            weir_pack(&packer, algorithms[a], data, bytes, small, needed / 2, &packed), WEIR_FULL);
        WEIR_EXPECT_STATUS(weir_pack(&packer, algorithms[a], data, bytes, small, 0, &packed),
                           WEIR_FULL);
        free(small);
        free(whole);
    }
    free(data);
    weir_packer_destroy(&packer);
}

WEIR_TEST(compress, stops_a_bomb_at_the_stated_length)
{
    weir_packer packer = make_packer();
    const size_t bytes = 16 << 20;
    uint8_t *zeros = calloc(1, bytes);
    uint8_t *packed = malloc(bytes);
    for (size_t a = 0; a < COUNT(algorithms); a++) {
        size_t packed_bytes = 0;
        WEIR_EXPECT_STATUS(
            weir_pack(&packer, algorithms[a], zeros, bytes, packed, bytes, &packed_bytes), WEIR_OK);
        for (size_t stated = 1; stated < bytes; stated *= 16) {
            uint8_t *to = malloc(stated);
            WEIR_EXPECT_STATUS(
                weir_unpack(&packer, algorithms[a], packed, packed_bytes, to, stated),
                WEIR_CORRUPT);
            free(to);
        }
        uint8_t *longer = malloc(bytes + 1);
        WEIR_EXPECT_STATUS(
            weir_unpack(&packer, algorithms[a], packed, packed_bytes, longer, bytes + 1),
            WEIR_CORRUPT);
        free(longer);
    }
    free(zeros);
    free(packed);
    weir_packer_destroy(&packer);
}

WEIR_TEST(compress, rejects_every_truncation)
{
    weir_packer packer = make_packer();
    const size_t bytes = 4096;
    uint8_t *data = compressible(bytes, weir_test_seed());
    uint8_t *packed = malloc(bytes);
    uint8_t *back = malloc(bytes);
    for (size_t a = 0; a < COUNT(algorithms); a++) {
        size_t packed_bytes = 0;
        WEIR_EXPECT_STATUS(
            weir_pack(&packer, algorithms[a], data, bytes, packed, bytes, &packed_bytes), WEIR_OK);
        for (size_t kept = 0; kept < packed_bytes; kept++) {
            uint8_t *cut = malloc(kept + 1);
            memcpy(cut, packed, kept);
            WEIR_EXPECT_STATUS(weir_unpack(&packer, algorithms[a], cut, kept, back, bytes),
                               WEIR_CORRUPT);
            free(cut);
        }
    }
    free(data);
    free(packed);
    free(back);
    weir_packer_destroy(&packer);
}

WEIR_TEST(compress, rejects_a_second_frame_and_a_skippable_one)
{
    weir_packer packer = make_packer();
    uint8_t *data = compressible(1024, weir_test_seed());
    uint8_t packed[4096];
    uint8_t back[1024];
    size_t first = 0;
    WEIR_EXPECT_STATUS(
        weir_pack(&packer, WEIR_ENVELOPE_FLAG_ZSTD, data, 512, packed, sizeof packed, &first),
        WEIR_OK);
    memcpy(packed + first, packed, first);
    WEIR_EXPECT_STATUS(
        weir_unpack(&packer, WEIR_ENVELOPE_FLAG_ZSTD, packed, 2 * first, back, sizeof back),
        WEIR_CORRUPT);
    const uint8_t skippable[] = {0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4};
    WEIR_EXPECT_STATUS(
        weir_unpack(&packer, WEIR_ENVELOPE_FLAG_ZSTD, skippable, sizeof skippable, back, 0),
        WEIR_CORRUPT);
    free(data);
    weir_packer_destroy(&packer);
}

/* What comes out of damaged bytes may be anything, but of the stated length only; ASan watches the
 * bounds. */
WEIR_TEST(compress, survives_garbage_and_flipped_bits)
{
    weir_packer packer = make_packer();
    uint64_t state = weir_test_seed();
    const size_t bytes = 1024;
    uint8_t *data = compressible(bytes, state);
    uint8_t packed[1024];
    size_t rejected = 0;
    for (size_t round = 0; round < 20000; round++) {
        const uint32_t algorithm = algorithms[round % 2];
        size_t length = 0;
        if (round % 4 < 2) {
            WEIR_EXPECT_STATUS(
                weir_pack(&packer, algorithm, data, bytes, packed, sizeof packed, &length),
                WEIR_OK);
            packed[next_random(&state) % length] ^= (uint8_t)(1u << next_random(&state) % 8);
        } else {
            length = 1 + next_random(&state) % 64;
            for (size_t i = 0; i < length; i++) {
                packed[i] = (uint8_t)next_random(&state);
            }
        }
        uint8_t *exact = malloc(length);
        uint8_t *back = malloc(bytes);
        memcpy(exact, packed, length);
        const weir_status status = weir_unpack(&packer, algorithm, exact, length, back, bytes);
        WEIR_EXPECT_TRUE(status == WEIR_OK || status == WEIR_CORRUPT);
        rejected += status == WEIR_CORRUPT;
        free(exact);
        free(back);
    }
    WEIR_EXPECT_GT(rejected, 10000);
    free(data);
    weir_packer_destroy(&packer);
}

WEIR_TEST(compress, refuses_an_algorithm_that_was_not_agreed)
{
    weir_packer packer;
    WEIR_EXPECT_STATUS(weir_packer_init(&packer, WEIR_CAPABILITY_LZ4), WEIR_OK);
    uint8_t bytes[256] = {0};
    uint8_t to[256];
    size_t packed = 0;
    WEIR_EXPECT_STATUS(
        weir_pack(&packer, WEIR_ENVELOPE_FLAG_ZSTD, bytes, sizeof bytes, to, sizeof to, &packed),
        WEIR_UNSUPPORTED);
    WEIR_EXPECT_STATUS(
        weir_unpack(&packer, WEIR_ENVELOPE_FLAG_ZSTD, bytes, sizeof bytes, to, sizeof to),
        WEIR_UNSUPPORTED);
    WEIR_EXPECT_STATUS(
        weir_pack(&packer, WEIR_PACKING_FLAGS, bytes, sizeof bytes, to, sizeof to, &packed),
        WEIR_UNSUPPORTED);
    weir_packer_destroy(&packer);
    weir_packer_destroy(&packer);
}
