#include "memory/slots.h"

#include <stdlib.h>

#include "harness/testing/weir_test.h"

enum { CLASSES = 3, TOTAL = 24, CAPACITY = 32 };

static const weir_size_class classes[CLASSES] = {{64, 12}, {192, 8}, {4096, 4}};

/* A pool with the other side's end in the same process. */
typedef struct pair {
    uint32_t entries[CAPACITY];
    uint64_t released;
    weir_slot_map map;
    weir_slot_pool pool;
    weir_release_writer writer;
} pair;

static weir_release_slice entries_of(pair *both)
{
    return (weir_release_slice){.at = both->entries, .count = CAPACITY};
}

static void pair_init(pair *both)
{
    memset(both, 0, sizeof *both);
    weir_slot_map_init(&both->map, classes, CLASSES);
    WEIR_EXPECT_STATUS(
        weir_slot_pool_init(&both->pool, &both->map, entries_of(both), &both->released), WEIR_OK);
    weir_release_writer_init(&both->writer, entries_of(both), &both->released);
}

static weir_slot take(pair *both, uint32_t bytes)
{
    weir_slot slot = {0};
    WEIR_EXPECT_STATUS(weir_slot_pool_take(&both->pool, bytes, &slot), WEIR_OK);
    return slot;
}

static uint32_t free_total(const weir_slot_pool *pool)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < pool->map.class_count; i++) {
        sum += pool->free_count[i];
    }
    return sum;
}

WEIR_TEST(slot_map, lays_classes_one_behind_the_other)
{
    weir_slot_map map;
    weir_slot_map_init(&map, classes, CLASSES);
    WEIR_EXPECT_EQ(map.slot_total, TOTAL);
    WEIR_EXPECT_EQ(weir_slot_map_bytes(&map), 12 * 64 + 8 * 192 + 4 * 4096);
    uint32_t offset = 0;
    for (uint32_t slot = 0; slot < TOTAL; slot++) {
        WEIR_EXPECT_EQ(weir_slot_map_offset(&map, slot), offset);
        WEIR_EXPECT_EQ(offset % 64, 0);
        offset += weir_slot_map_slot_bytes(&map, slot);
    }
    WEIR_EXPECT_EQ(offset, weir_slot_map_bytes(&map));
}

WEIR_TEST(slot_map, finds_a_slot_only_at_its_very_beginning)
{
    weir_slot_map map;
    weir_slot_map_init(&map, classes, CLASSES);
    const uint32_t end = (uint32_t)weir_slot_map_bytes(&map);
    uint32_t begins = 0; /* number of the slot that begins next */
    for (uint32_t offset = 0; offset < end + 8192; offset++) {
        uint32_t found = UINT32_MAX;
        const weir_status status = weir_slot_map_find(&map, offset, 1, &found);
        if (begins < TOTAL && offset == weir_slot_map_offset(&map, begins)) {
            WEIR_EXPECT_STATUS(status, WEIR_OK);
            WEIR_EXPECT_EQ(found, begins);
            begins++;
        } else {
            WEIR_EXPECT_STATUS(status, WEIR_PROTOCOL);
            WEIR_EXPECT_EQ(found, UINT32_MAX);
        }
    }
    WEIR_EXPECT_EQ(begins, TOTAL);
}

WEIR_TEST(slot_map, refuses_a_length_beyond_the_slot)
{
    weir_slot_map map;
    weir_slot_map_init(&map, classes, CLASSES);
    for (uint32_t slot = 0; slot < TOTAL; slot++) {
        uint32_t found;
        const uint32_t offset = weir_slot_map_offset(&map, slot);
        const uint32_t bytes = weir_slot_map_slot_bytes(&map, slot);
        WEIR_EXPECT_STATUS(weir_slot_map_find(&map, offset, 0, &found), WEIR_OK);
        WEIR_EXPECT_STATUS(weir_slot_map_find(&map, offset, bytes, &found), WEIR_OK);
        WEIR_EXPECT_STATUS(weir_slot_map_find(&map, offset, bytes + 1, &found), WEIR_PROTOCOL);
        WEIR_EXPECT_STATUS(weir_slot_map_find(&map, offset, UINT32_MAX, &found), WEIR_PROTOCOL);
    }
    uint32_t found;
    WEIR_EXPECT_STATUS(weir_slot_map_find(&map, UINT32_MAX, 0, &found), WEIR_PROTOCOL);
    WEIR_EXPECT_STATUS(weir_slot_map_find(&map, UINT32_MAX - 63, 64, &found), WEIR_PROTOCOL);
}

WEIR_TEST(slot_pool, takes_the_smallest_class_that_holds_the_bytes)
{
    pair both;
    pair_init(&both);
    WEIR_EXPECT_EQ(take(&both, 0).bytes, 64);
    WEIR_EXPECT_EQ(take(&both, 64).bytes, 64);
    WEIR_EXPECT_EQ(take(&both, 65).bytes, 192);
    WEIR_EXPECT_EQ(take(&both, 193).bytes, 4096);
    weir_slot slot;
    WEIR_EXPECT_STATUS(weir_slot_pool_take(&both.pool, 4096, &slot), WEIR_OK);
    WEIR_EXPECT_STATUS(weir_slot_pool_take(&both.pool, 4097, &slot), WEIR_OVERSIZE);
    WEIR_EXPECT_STATUS(weir_slot_pool_take(&both.pool, UINT32_MAX, &slot), WEIR_OVERSIZE);
    weir_slot_pool_destroy(&both.pool);
}

WEIR_TEST(slot_pool, goes_to_a_larger_class_and_is_then_full)
{
    pair both;
    pair_init(&both);
    static const uint32_t sizes[TOTAL] = {64,  64,  64,  64,  64,   64,   64,   64,
                                          64,  64,  64,  64,  192,  192,  192,  192,
                                          192, 192, 192, 192, 4096, 4096, 4096, 4096};
    for (uint32_t i = 0; i < TOTAL; i++) {
        WEIR_EXPECT_EQ(take(&both, 1).bytes, sizes[i]);
    }
    weir_slot slot;
    WEIR_EXPECT_STATUS(weir_slot_pool_take(&both.pool, 1, &slot), WEIR_FULL);
    WEIR_EXPECT_STATUS(weir_slot_pool_take(&both.pool, 4096, &slot), WEIR_FULL);
    WEIR_EXPECT_STATUS(weir_slot_pool_take(&both.pool, 5000, &slot), WEIR_OVERSIZE);
    weir_slot_pool_destroy(&both.pool);
}

WEIR_TEST(slot_pool, sees_releases_only_once_they_are_published)
{
    pair both;
    pair_init(&both);
    const weir_slot slot = take(&both, 4096);
    weir_release_slot(&both.writer, slot.number);
    WEIR_EXPECT_STATUS(weir_slot_pool_collect(&both.pool), WEIR_OK);
    WEIR_EXPECT_EQ(both.pool.taken_count, 1);
    weir_release_publish(&both.writer);
    WEIR_EXPECT_STATUS(weir_slot_pool_collect(&both.pool), WEIR_OK);
    WEIR_EXPECT_EQ(both.pool.taken_count, 0);
    WEIR_EXPECT_EQ(take(&both, 4096).number, slot.number);
    weir_slot_pool_destroy(&both.pool);
}

WEIR_TEST(slot_pool, leaves_a_slot_alone_that_is_put_back_twice)
{
    pair both;
    pair_init(&both);
    const weir_slot slot = take(&both, 1);
    weir_slot_pool_put_back(&both.pool, slot.number);
    weir_slot_pool_put_back(&both.pool, slot.number);
    weir_slot_pool_put_back(&both.pool, TOTAL);
    WEIR_EXPECT_EQ(both.pool.taken_count, 0);
    WEIR_EXPECT_EQ(free_total(&both.pool), TOTAL);
    weir_slot_pool_destroy(&both.pool);
}

WEIR_TEST(slot_pool, refuses_a_count_that_cannot_be_true)
{
    static const uint64_t counts[] = {3, 33, UINT64_C(1) << 32, UINT64_MAX, UINT64_MAX - 31};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        pair both;
        pair_init(&both);
        both.entries[0] = take(&both, 1).number;
        both.entries[1] = take(&both, 1).number;
        const weir_slot_pool before = both.pool;
        both.released = counts[i]; /* two slots are out */
        WEIR_EXPECT_STATUS(weir_slot_pool_collect(&both.pool), WEIR_PROTOCOL);
        WEIR_EXPECT_MEM_EQ(&both.pool, &before, sizeof before);
        weir_slot_pool_destroy(&both.pool);
    }
}

WEIR_TEST(slot_pool, refuses_a_count_that_runs_backwards)
{
    pair both;
    pair_init(&both);
    for (int i = 0; i < 5; i++) {
        weir_release_slot(&both.writer, take(&both, 1).number);
    }
    weir_release_publish(&both.writer);
    WEIR_EXPECT_STATUS(weir_slot_pool_collect(&both.pool), WEIR_OK);
    take(&both, 1);
    both.released = 4;
    WEIR_EXPECT_STATUS(weir_slot_pool_collect(&both.pool), WEIR_PROTOCOL);
    WEIR_EXPECT_EQ(both.pool.taken_count, 1);
    weir_slot_pool_destroy(&both.pool);
}

WEIR_TEST(slot_pool, refuses_a_number_that_is_not_out)
{
    static const uint32_t forged[] = {5, TOTAL, TOTAL + 1, 0x80000000u, UINT32_MAX};
    for (size_t i = 0; i < sizeof forged / sizeof forged[0]; i++) {
        pair both;
        pair_init(&both);
        for (int k = 0; k < 3; k++) {
            take(&both, 1); /* numbers 0, 1, 2 */
        }
        weir_release_slot(&both.writer, 1);
        weir_release_slot(&both.writer, forged[i]);
        weir_release_slot(&both.writer, 2);
        weir_release_publish(&both.writer);
        WEIR_EXPECT_STATUS(weir_slot_pool_collect(&both.pool), WEIR_PROTOCOL);
        WEIR_EXPECT_EQ(both.pool.is_taken[1], 0);
        WEIR_EXPECT_EQ(both.pool.is_taken[2], 1);
        WEIR_EXPECT_EQ(both.pool.taken_count, 2);
        WEIR_EXPECT_EQ(free_total(&both.pool), TOTAL - 2);
        weir_slot_pool_destroy(&both.pool);
    }
}

WEIR_TEST(slot_pool, refuses_the_same_slot_twice_in_one_batch)
{
    pair both;
    pair_init(&both);
    take(&both, 1);
    take(&both, 1);
    weir_release_slot(&both.writer, 0);
    weir_release_slot(&both.writer, 0);
    weir_release_publish(&both.writer);
    WEIR_EXPECT_STATUS(weir_slot_pool_collect(&both.pool), WEIR_PROTOCOL);
    WEIR_EXPECT_EQ(both.pool.taken_count, 1);
    weir_slot_pool_destroy(&both.pool);
}

static uint64_t next_random(uint64_t *state)
{
    /* xorshift64* (Vigna 2016); the state is never 0. */
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

/* Slots that are out, in no order, as a naive list. */
typedef struct model {
    weir_slot out[TOTAL];
    uint32_t count;
} model;

static weir_slot model_remove(model *slots, uint64_t pick)
{
    const uint32_t i = (uint32_t)(pick % slots->count);
    const weir_slot slot = slots->out[i];
    slots->out[i] = slots->out[--slots->count];
    return slot;
}

static void expect_disjoint(const model *slots, const weir_slot *slot)
{
    for (uint32_t i = 0; i < slots->count; i++) {
        const weir_slot *other = &slots->out[i];
        WEIR_EXPECT_NE(other->number, slot->number);
        WEIR_EXPECT_TRUE(other->offset + other->bytes <= slot->offset ||
                         slot->offset + slot->bytes <= other->offset);
    }
}

/* Slots that are noted or published but not collected still count as taken. */
static void expect_conserved(const pair *both, const model *held, uint32_t in_transit)
{
    WEIR_EXPECT_EQ(both->pool.taken_count, held->count + in_transit);
    WEIR_EXPECT_EQ(free_total(&both->pool), TOTAL - held->count - in_transit);
}

WEIR_TEST(slot_pool, conserves_slots_under_any_order_of_release)
{
    uint64_t state = weir_test_seed() | 1;
    pair both;
    pair_init(&both);
    /* Near the end of the index, so that both counts wrap on the way. */
    both.released = both.pool.collected = both.writer.written = UINT64_MAX - 1000;
    model held = {.count = 0};
    uint32_t noted = 0;
    uint32_t published = 0;
    for (int step = 0; step < 200000; step++) {
        const uint64_t pick = next_random(&state);
        weir_slot slot;
        switch (pick >> 61) {
        case 0:
        case 1:
        case 2: {
            const uint32_t bytes = (uint32_t)(pick % 4097);
            if (weir_slot_pool_take(&both.pool, bytes, &slot) == WEIR_OK) {
                WEIR_EXPECT_GE(slot.bytes, bytes);
                expect_disjoint(&held, &slot);
                held.out[held.count++] = slot;
            } else {
                WEIR_EXPECT_GT(held.count + noted + published, 0);
            }
            break;
        }
        case 3:
        case 4:
            if (held.count > 0) {
                weir_release_slot(&both.writer, model_remove(&held, pick).number);
                noted++;
            }
            break;
        case 5:
            if (held.count > 0) {
                weir_slot_pool_put_back(&both.pool, model_remove(&held, pick).number);
            }
            break;
        case 6:
            weir_release_publish(&both.writer);
            published += noted;
            noted = 0;
            break;
        default:
            WEIR_EXPECT_STATUS(weir_slot_pool_collect(&both.pool), WEIR_OK);
            published = 0;
            break;
        }
        expect_conserved(&both, &held, noted + published);
    }
    weir_slot_pool_destroy(&both.pool);
}

WEIR_TEST(slot_pool, survives_a_ring_of_random_bytes)
{
    uint64_t state = weir_test_seed() | 1;
    for (int round = 0; round < 20000; round++) {
        pair both;
        pair_init(&both);
        const uint32_t out = 1 + (uint32_t)(next_random(&state) % TOTAL);
        for (uint32_t i = 0; i < out; i++) {
            weir_slot slot;
            WEIR_EXPECT_STATUS(weir_slot_pool_take(&both.pool, 1, &slot), WEIR_OK);
        }
        for (int i = 0; i < CAPACITY; i++) {
            both.entries[i] = (uint32_t)(next_random(&state) % (TOTAL + 4));
        }
        both.released = next_random(&state) % (TOTAL + 4);
        const weir_status status = weir_slot_pool_collect(&both.pool);
        WEIR_EXPECT_TRUE(status == WEIR_OK || status == WEIR_PROTOCOL);
        uint32_t marked = 0;
        for (uint32_t i = 0; i < TOTAL; i++) {
            marked += both.pool.is_taken[i];
        }
        WEIR_EXPECT_EQ(marked, both.pool.taken_count);
        WEIR_EXPECT_EQ(free_total(&both.pool), TOTAL - marked);
        weir_slot_pool_destroy(&both.pool);
    }
}

WEIR_TEST(slot_pool, destroys_twice)
{
    pair both;
    pair_init(&both);
    weir_slot_pool_destroy(&both.pool);
    weir_slot_pool_destroy(&both.pool);
    WEIR_EXPECT_NULL(both.pool.free_slots);
}
