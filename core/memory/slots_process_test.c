/* Two real processes exchange slots through an arena; every payload is checked where it lies. */
#include <string.h>

#include "base/crc.h"
#include "base/os.h"
#include "harness/testing/weir_test.h"
#include "memory/slots.h"
#include "memory/testing/arena_fixture_shared.h"

enum { EXCHANGES = 30000, HELD_MAX = 16 };

/* What the owner puts into a ring entry; the ring itself belongs to the layer above. */
typedef struct note {
    uint32_t offset;
    uint32_t bytes;
    uint32_t crc;
    uint32_t unused;
} note;

static uint64_t next_random(uint64_t *state)
{
    /* xorshift64* (Vigna 2016); the state is never 0. */
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

static void write_note(weir_arena *arena, uint64_t index, note value)
{
    uint64_t words[2];
    memcpy(words, &value, sizeof words);
    uint64_t *ring = (uint64_t *)arena->request_ring.at;
    weir_copy_words_out(ring + index % arena->request_ring.count * 2, words, 2);
    weir_store_release_u64(&arena->manager_control->request_published, index + 1);
}

static note read_note(const weir_arena *arena, uint64_t index)
{
    uint64_t words[2];
    const uint64_t *ring = (const uint64_t *)arena->request_ring.at;
    weir_copy_words_in(words, ring + index % arena->request_ring.count * 2, 2);
    note value;
    memcpy(&value, words, sizeof value);
    return value;
}

typedef struct held_slot {
    uint32_t number;
    note said;
} held_slot;

/* Keeps some slots for a while and gives them back in random order; checks contents on receipt and
 * before release. */
static void read_and_release(weir_arena *arena, uint64_t *state)
{
    weir_slot_map map;
    weir_slot_map_init(&map, arena->config.request_class, arena->config.request_class_count);
    weir_release_writer writer;
    weir_release_writer_init(&writer, arena->request_release,
                             &arena->worker_control->request_released);
    held_slot held[HELD_MAX];
    uint32_t count = 0;
    uint64_t consumed = 0;
    while (consumed < EXCHANGES || count > 0) {
        if (consumed < weir_load_acquire_u64(&arena->manager_control->request_published) &&
            count < HELD_MAX) {
            held_slot *next = &held[count++];
            next->said = read_note(arena, consumed++);
            WEIR_EXPECT_STATUS(
                weir_slot_map_find(&map, next->said.offset, next->said.bytes, &next->number),
                WEIR_OK);
            WEIR_EXPECT_EQ(
                weir_crc32c(arena->request_payload.at + next->said.offset, next->said.bytes),
                next->said.crc);
        } else if (count == 0) {
            weir_os()->yield();
            continue;
        }
        if (count == HELD_MAX || next_random(state) % 3 == 0 || consumed == EXCHANGES) {
            const uint32_t i = (uint32_t)(next_random(state) % count);
            WEIR_EXPECT_EQ(
                weir_crc32c(arena->request_payload.at + held[i].said.offset, held[i].said.bytes),
                held[i].said.crc);
            weir_release_slot(&writer, held[i].number);
            held[i] = held[--count];
            if (next_random(state) % 2 == 0 || count == 0 || count == HELD_MAX - 1) {
                weir_release_publish(&writer);
            }
        }
    }
    weir_release_publish(&writer);
}

static void run_reader(void *argument)
{
    const weir_arena *manager = argument;
    weir_arena arena;
    weir_error error;
    WEIR_EXPECT_STATUS(fixture_attach(manager, &arena, &error), WEIR_OK);
    uint64_t state = weir_test_seed() * 2 + 1;
    read_and_release(&arena, &state);
    weir_arena_destroy(&arena);
}

/* Fills a slot with random bytes and says where; false when the pool is empty for now. */
static bool send_one(weir_arena *arena, weir_slot_pool *pool, uint64_t index, uint64_t *state)
{
    const uint32_t bytes = (uint32_t)(next_random(state) % 4096) + 1;
    weir_slot slot;
    const weir_status status = weir_slot_pool_take(pool, next_random(state) % 2 ? bytes : 1, &slot);
    if (status != WEIR_OK) {
        WEIR_EXPECT_STATUS(status, WEIR_FULL);
        return false;
    }
    const uint32_t used = bytes < slot.bytes ? bytes : slot.bytes;
    for (uint32_t i = 0; i < used; i++) {
        arena->request_payload.at[slot.offset + i] = (uint8_t)(next_random(state) >> 56);
    }
    write_note(arena, index,
               (note){.offset = slot.offset,
                      .bytes = used,
                      .crc = weir_crc32c(arena->request_payload.at + slot.offset, used)});
    return true;
}

static void exchange(uint32_t backing)
{
    uint64_t state = weir_test_seed() | 1;
    const weir_arena_config config = fixture_config(backing);
    weir_arena arena;
    weir_error error;
    WEIR_EXPECT_STATUS(weir_arena_create(&config, 1, &arena, &error), WEIR_OK);
    weir_slot_map map;
    weir_slot_pool pool;
    weir_slot_map_init(&map, config.request_class, config.request_class_count);
    WEIR_EXPECT_STATUS(weir_slot_pool_init(&pool, &map, arena.request_release,
                                           &arena.worker_control->request_released),
                       WEIR_OK);
    const pid_t reader = weir_test_fork(run_reader, &arena);
    const uint64_t deadline = weir_test_deadline(50);
    for (uint64_t index = 0; index < EXCHANGES && weir_os()->clock_ns() < deadline;) {
        if (send_one(&arena, &pool, index, &state)) {
            index++;
            continue;
        }
        WEIR_EXPECT_STATUS(weir_slot_pool_collect(&pool), WEIR_OK);
        weir_os()->yield();
    }
    WEIR_EXPECT_EQ(weir_test_wait(reader, deadline), 0);
    WEIR_EXPECT_STATUS(weir_slot_pool_collect(&pool), WEIR_OK);
    WEIR_EXPECT_EQ(pool.taken_count, 0);
    WEIR_EXPECT_EQ(arena.manager_control->request_published, EXCHANGES);
    weir_slot_pool_destroy(&pool);
    weir_arena_destroy(&arena);
}

WEIR_TEST(slots_process, exchange_whole_payloads_through_a_memfd)
{
    exchange(WEIR_BACKING_MEMFD);
}

WEIR_TEST(slots_process, exchange_whole_payloads_through_shm)
{
    exchange(WEIR_BACKING_SHM);
}
