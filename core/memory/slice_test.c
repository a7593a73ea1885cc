/* The slices of an arena cover exactly their regions, on both sides. */
#include "memory/slice.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "base/atomic.h"
#include "harness/testing/weir_test.h"
#include "memory/slots.h"
#include "memory/testing/arena_fixture_shared.h"

enum { SLICES = 6, RING = 128 };

/* One arena as manager and worker see it. */
typedef struct sides {
    weir_arena manager;
    weir_arena worker;
} sides;

/* Request and response differ in everything, so that no slice can stand for another. */
static weir_arena_config uneven_config(void)
{
    weir_arena_config config = fixture_config(WEIR_BACKING_MEMFD);
    config.ring_capacity = RING;
    config.request_class_count = 2;
    config.request_class[0] = (weir_size_class){64, 12};
    config.request_class[1] = (weir_size_class){4096, 4};
    config.response_class_count = 1;
    config.response_class[0] = (weir_size_class){192, 40};
    return config;
}

/* Every slice fills whole pages of 4 KiB: nothing lies between its last byte and the guard. */
static weir_arena_config snug_config(void)
{
    weir_arena_config config = fixture_config(WEIR_BACKING_MEMFD);
    config.request_class_count = 1;
    config.request_class[0] = (weir_size_class){64, 1024};
    config.response_class_count = 1;
    config.response_class[0] = (weir_size_class){128, 2048};
    return config;
}

static void open_sides(const weir_arena_config *config, sides *both)
{
    weir_error error = {.text = ""};
    WEIR_EXPECT_STATUS(weir_arena_create(config, 1, &both->manager, &error), WEIR_OK);
    WEIR_EXPECT_STATUS(fixture_attach(&both->manager, &both->worker, &error), WEIR_OK);
}

static void close_sides(sides *both)
{
    weir_arena_destroy(&both->worker);
    weir_arena_destroy(&both->manager);
}

/* Makes an arena and looks at it from both sides. */
static void check_both_sides(weir_arena_config config, void (*check)(const weir_arena *arena))
{
    sides both;
    open_sides(&config, &both);
    check(&both.manager);
    check(&both.worker);
    close_sides(&both);
}

/* A slice as bytes, with the region that it has to cover. */
typedef struct extent {
    enum weir_region kind;
    const weir_object *object;
    const void *at;
    size_t bytes;
} extent;

static void extents_of(const weir_arena *arena, extent extents[SLICES])
{
    const weir_object *a = &arena->manager_object;
    const weir_object *b = &arena->worker_object;
    const extent all[SLICES] = {
        {WEIR_REGION_REQUEST_RING, a, arena->request_ring.at,
         arena->request_ring.count * sizeof *arena->request_ring.at},
        {WEIR_REGION_RESPONSE_RELEASE, a, arena->response_release.at,
         arena->response_release.count * sizeof *arena->response_release.at},
        {WEIR_REGION_REQUEST_PAYLOAD, a, arena->request_payload.at, arena->request_payload.bytes},
        {WEIR_REGION_RESPONSE_RING, b, arena->response_ring.at,
         arena->response_ring.count * sizeof *arena->response_ring.at},
        {WEIR_REGION_REQUEST_RELEASE, b, arena->request_release.at,
         arena->request_release.count * sizeof *arena->request_release.at},
        {WEIR_REGION_RESPONSE_PAYLOAD, b, arena->response_payload.at,
         arena->response_payload.bytes},
    };
    memcpy(extents, all, sizeof all);
}

static void expect_uneven_lengths(const weir_arena *arena)
{
    WEIR_EXPECT_EQ(arena->request_ring.count, RING);
    WEIR_EXPECT_EQ(arena->response_ring.count, RING);
    WEIR_EXPECT_EQ(arena->request_release.count, 16);
    WEIR_EXPECT_EQ(arena->response_release.count, 64);
    WEIR_EXPECT_EQ(arena->request_payload.bytes, 12 * 64 + 4 * 4096);
    WEIR_EXPECT_EQ(arena->response_payload.bytes, 40 * 192);
}

WEIR_TEST(slice, is_as_long_as_the_configuration_asks_on_both_sides)
{
    check_both_sides(uneven_config(), expect_uneven_lengths);
}

static void expect_regions_covered(const weir_arena *arena)
{
    extent extents[SLICES];
    extents_of(arena, extents);
    for (int i = 0; i < SLICES; i++) {
        const struct weir_region_entry *region =
            &arena->manager_header->region[extents[i].kind - 1];
        WEIR_EXPECT_EQ(region->kind, extents[i].kind);
        WEIR_EXPECT_EQ(extents[i].at, extents[i].object->base + region->offset);
        WEIR_EXPECT_EQ(extents[i].bytes, region->bytes);
    }
}

WEIR_TEST(slice, covers_the_region_that_the_header_names)
{
    check_both_sides(uneven_config(), expect_regions_covered);
}

static void expect_envelopes_pass(weir_envelope_slice from, weir_envelope_slice to, uint64_t mark)
{
    weir_store_relaxed_u64(&from.at[0].job_id, mark);
    weir_store_relaxed_u64(&from.at[from.count - 1].job_id, mark + 1);
    WEIR_EXPECT_EQ(weir_load_relaxed_u64(&to.at[0].job_id), mark);
    WEIR_EXPECT_EQ(weir_load_relaxed_u64(&to.at[to.count - 1].job_id), mark + 1);
}

static void expect_releases_pass(weir_release_slice from, weir_release_slice to, uint32_t mark)
{
    weir_store_relaxed_u32(&from.at[0], mark);
    weir_store_relaxed_u32(&from.at[from.count - 1], mark + 1);
    WEIR_EXPECT_EQ(weir_load_relaxed_u32(&to.at[0]), mark);
    WEIR_EXPECT_EQ(weir_load_relaxed_u32(&to.at[to.count - 1]), mark + 1);
}

static void expect_bytes_pass(weir_byte_slice from, weir_byte_slice to, uint8_t mark)
{
    from.at[0] = mark;
    from.at[from.bytes - 1] = (uint8_t)(mark + 1);
    WEIR_EXPECT_EQ(to.at[0], mark);
    WEIR_EXPECT_EQ(to.at[to.bytes - 1], mark + 1);
}

WEIR_TEST(slice, carries_its_first_and_last_element_to_the_other_side)
{
    const weir_arena_config config = uneven_config();
    sides both;
    open_sides(&config, &both);
    const weir_arena *manager = &both.manager;
    const weir_arena *worker = &both.worker;
    expect_envelopes_pass(manager->request_ring, worker->request_ring, 10);
    expect_releases_pass(manager->response_release, worker->response_release, 20);
    expect_bytes_pass(manager->request_payload, worker->request_payload, 30);
    expect_envelopes_pass(worker->response_ring, manager->response_ring, 40);
    expect_releases_pass(worker->request_release, manager->request_release, 50);
    expect_bytes_pass(worker->response_payload, manager->response_payload, 60);
    close_sides(&both);
}

/* The kernel tells: it copies from what is mapped and answers EFAULT for a guard. */
static bool is_readable(const uint8_t *byte)
{
    int ends[2];
    WEIR_EXPECT_EQ(pipe(ends), 0);
    const ssize_t copied = write(ends[1], byte, 1);
    const int reason = copied < 0 ? errno : 0;
    close(ends[0]);
    close(ends[1]);
    WEIR_EXPECT_EQ(reason, copied == 1 ? 0 : EFAULT);
    return copied == 1;
}

/* Expects a guard around every slice; returns how many touch theirs without slack. */
static int count_snug(const weir_arena *arena)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    int snug = 0;
    extent extents[SLICES];
    extents_of(arena, extents);
    for (int i = 0; i < SLICES; i++) {
        const uint8_t *begin = extents[i].at;
        const uint8_t *end = begin + extents[i].bytes;
        const size_t slack = (page - extents[i].bytes % page) % page;
        WEIR_EXPECT_FALSE(is_readable(begin - 1));
        WEIR_EXPECT_TRUE(is_readable(begin));
        WEIR_EXPECT_TRUE(is_readable(end - 1));
        WEIR_EXPECT_EQ(is_readable(end), slack > 0);
        WEIR_EXPECT_FALSE(is_readable(end + slack));
        snug += slack == 0;
    }
    return snug;
}

static void expect_slack_and_guard(const weir_arena *arena)
{
    WEIR_EXPECT_LT(count_snug(arena), SLICES);
}

static void expect_guard_at_once(const weir_arena *arena)
{
    WEIR_EXPECT_EQ(count_snug(arena), SLICES);
}

WEIR_TEST(slice, is_followed_by_slack_and_then_the_guard)
{
    check_both_sides(uneven_config(), expect_slack_and_guard);
}

WEIR_TEST(slice, is_followed_by_the_guard_when_it_fills_its_pages)
{
    if (sysconf(_SC_PAGESIZE) > 4096) {
        WEIR_SKIP("pages are larger than 4 KiB, so the slices of this arena leave slack");
    }
    check_both_sides(snug_config(), expect_guard_at_once);
}

WEIR_TEST(slice, finds_every_slot_of_its_pool_and_ends_with_the_last)
{
    const weir_arena_config config = uneven_config();
    sides both;
    open_sides(&config, &both);
    const weir_byte_slice payload = both.manager.request_payload;
    weir_slot_map map;
    weir_slot_map_init(&map, config.request_class, config.request_class_count);
    const uint8_t *expected = payload.at;
    for (uint32_t slot = 0; slot < map.slot_total; slot++) {
        const uint32_t bytes = weir_slot_map_slot_bytes(&map, slot);
        WEIR_EXPECT_EQ(weir_bytes_at(payload, weir_slot_map_offset(&map, slot), bytes), expected);
        expected += bytes;
    }
    WEIR_EXPECT_EQ(expected, payload.at + payload.bytes);
    WEIR_EXPECT_EQ(weir_bytes_at(payload, payload.bytes, 0), expected);
    close_sides(&both);
}

#ifndef NDEBUG
static uint8_t memory[64];

typedef struct range {
    size_t offset;
    size_t bytes;
} range;

/* The child's exit code says what happened: 0 right address, 1 wrong address. */
static void ask(void *argument)
{
    const range *asked = argument;
    signal(SIGABRT, SIG_DFL); /* Criterion has a handler of its own */
    const weir_byte_slice slice = {.at = memory, .bytes = sizeof memory};
    const uint8_t *volatile got = weir_bytes_at(slice, asked->offset, asked->bytes);
    if (got != memory + asked->offset) {
        _exit(1);
    }
}

static int ask_in_child(range asked)
{
    return weir_test_wait(weir_test_fork(ask, &asked), weir_test_deadline(10));
}
#endif

WEIR_TEST(slice, aborts_when_asked_for_bytes_outside)
{
#ifdef NDEBUG
    WEIR_SKIP("assertions are off in this build");
#else
    const range inside[] = {{0, 64}, {63, 1}, {64, 0}};
    for (size_t i = 0; i < sizeof inside / sizeof inside[0]; i++) {
        WEIR_EXPECT_EQ(ask_in_child(inside[i]), 0);
    }
    const range outside[] = {{64, 1}, {65, 0}, {0, 65}, {63, 2}, {1, SIZE_MAX}, {SIZE_MAX, 1}};
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        WEIR_EXPECT_EQ(ask_in_child(outside[i]), 128 + SIGABRT);
    }
#endif
}
