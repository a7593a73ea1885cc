#include "memory/testing/slots_pair_shared.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { EXCHANGES = 20000, CAPACITY = 16, PAYLOAD_BYTES = 64 * 12 + 256 * 4 };

/* Everything that the two ends share lies in one mapping. */
typedef struct shared {
    uint64_t published; /* slots handed to the reader */
    uint32_t handed[CAPACITY];
    uint64_t released;
    uint32_t entries[CAPACITY];
    uint8_t payload[PAYLOAD_BYTES];
} shared;

typedef struct reader {
    shared *memory;
    weir_slot_map map;
    void (*publish)(weir_release_writer *writer);
    int torn;
} reader;

static weir_release_slice entries_of(shared *memory)
{
    return (weir_release_slice){.at = memory->entries, .count = CAPACITY};
}

static void map_init(weir_slot_map *map)
{
    static const weir_size_class classes[] = {{64, 12}, {256, 4}};
    weir_slot_map_init(map, classes, 2);
}

/* The whole slot carries one value, so a slot that was reused too early shows two. */
static bool is_whole(const uint8_t *bytes, uint32_t count)
{
    return memcmp(bytes, bytes + 1, count - 1) == 0;
}

static void *read_slots(void *argument)
{
    reader *me = argument;
    weir_release_writer writer;
    weir_release_writer_init(&writer, entries_of(me->memory), &me->memory->released);
    for (uint64_t consumed = 0; consumed < EXCHANGES;) {
        const uint64_t published = weir_load_acquire_u64(&me->memory->published);
        if (published == consumed) {
            sched_yield();
            continue;
        }
        for (; consumed < published; consumed++) {
            const uint32_t slot = weir_load_relaxed_u32(&me->memory->handed[consumed % CAPACITY]);
            const uint8_t *payload = me->memory->payload + weir_slot_map_offset(&me->map, slot);
            me->torn += !is_whole(payload, weir_slot_map_slot_bytes(&me->map, slot));
            weir_release_slot(&writer, slot);
        }
        me->publish(&writer);
    }
    return NULL;
}

/* Fills and hands over one slot; 0 when none is free yet. */
static int hand_over(shared *memory, weir_slot_pool *pool, uint64_t number)
{
    weir_slot slot;
    if (weir_slot_pool_take(pool, number % 2 == 0 ? 64 : 200, &slot) != WEIR_OK) {
        return 0;
    }
    memset(memory->payload + slot.offset, (int)(number % 251), slot.bytes);
    weir_store_relaxed_u32(&memory->handed[number % CAPACITY], slot.number);
    weir_store_release_u64(&memory->published, number + 1);
    return 1;
}

static int write_slots(shared *memory, weir_slot_pool *pool)
{
    for (uint64_t number = 0; number < EXCHANGES;) {
        if (hand_over(memory, pool, number)) {
            number++;
            continue;
        }
        if (weir_slot_pool_collect(pool) != WEIR_OK) {
            fprintf(stderr, "the reader's releases make no sense\n");
            return 1;
        }
        sched_yield();
    }
    return 0;
}

int slots_pair_run(void (*publish)(weir_release_writer *writer))
{
    shared *memory =
        mmap(NULL, sizeof *memory, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        perror("mmap");
        return 2;
    }
    reader other = {.memory = memory, .publish = publish};
    map_init(&other.map);
    weir_slot_pool pool;
    pthread_t thread;
    if (weir_slot_pool_init(&pool, &other.map, entries_of(memory), &memory->released) != WEIR_OK ||
        pthread_create(&thread, NULL, read_slots, &other) != 0) {
        return 2;
    }
    const int bad = write_slots(memory, &pool);
    pthread_join(thread, NULL);
    weir_slot_pool_destroy(&pool);
    munmap(memory, sizeof *memory);
    if (other.torn != 0) {
        fprintf(stderr, "%d payloads were torn\n", other.torn);
    }
    return bad != 0 || other.torn != 0;
}
