/* Running over either end of any region ends the process, on both sides; everything inside is
 * usable. */
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "harness/testing/weir_test.h"
#include "memory/testing/arena_fixture_shared.h"

/* What a child is to do, and how far it came: in memory that it shares with the test. */
typedef struct attempt {
    uint32_t backing;
    bool as_worker;
    int region;
    bool in_front; /* touch the byte before the region instead of the one behind it */
    bool writes;
    volatile int reached; /* 1: all inside was fine; 2: the access outside went through */
} attempt;

static void touch_all(const fixture_region *region, bool writes)
{
    volatile uint8_t *bytes = region->begin;
    uint8_t sum = 0;
    for (size_t i = 0; i < region->bytes; i++) {
        if (writes) {
            bytes[i] = (uint8_t)i;
        }
        sum = (uint8_t)(sum + bytes[i]);
    }
    (void)sum;
}

static void run_attempt(void *argument)
{
    attempt *what = argument;
    signal(SIGSEGV, SIG_DFL); /* a sanitizer would turn it into an exit code */
    const weir_arena_config config = fixture_config(what->backing);
    weir_arena arena;
    weir_arena worker;
    weir_error error;
    WEIR_EXPECT_STATUS(weir_arena_create(&config, 1, &arena, &error), WEIR_OK);
    WEIR_EXPECT_STATUS(fixture_attach(&arena, &worker, &error), WEIR_OK);
    WEIR_EXPECT_STATUS(weir_arena_seal_worker_object(&arena, &error), WEIR_OK);
    fixture_region regions[FIXTURE_REGIONS];
    fixture_regions(what->as_worker ? &worker : &arena, regions);
    const fixture_region *region = &regions[what->region];
    const bool is_own = region->is_managers != what->as_worker;
    touch_all(region, is_own);
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    volatile uint8_t *outside = what->in_front
                                    ? region->begin - 1
                                    : region->begin + (region->bytes + page - 1) / page * page;
    what->reached = 1;
    if (what->writes) {
        *outside = 1;
    } else {
        what->reached += *outside & 0;
    }
    what->reached = 2;
}

static void expect_guarded(uint32_t backing, bool as_worker)
{
    attempt *what =
        mmap(NULL, sizeof *what, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    WEIR_EXPECT_NE(what, MAP_FAILED);
    for (int i = 0; i < FIXTURE_REGIONS * 4; i++) {
        *what = (attempt){.backing = backing,
                          .as_worker = as_worker,
                          .region = i / 4,
                          .in_front = i % 2 != 0,
                          .writes = i / 2 % 2 != 0};
        const int ended = weir_test_wait(weir_test_fork(run_attempt, what), weir_test_deadline(10));
        WEIR_EXPECT_EQ(what->reached, 1);
        WEIR_EXPECT_EQ(ended, 128 + SIGSEGV);
    }
    munmap(what, sizeof *what);
}

WEIR_TEST(arena_guard, stops_the_manager_at_every_end)
{
    expect_guarded(WEIR_BACKING_MEMFD, false);
}

WEIR_TEST(arena_guard, stops_the_worker_at_every_end)
{
    expect_guarded(WEIR_BACKING_MEMFD, true);
}

WEIR_TEST(arena_guard, stops_the_worker_at_every_end_of_shm)
{
    /* Children that die here leave no names: they had unlinked them before. */
    expect_guarded(WEIR_BACKING_SHM, true);
    WEIR_EXPECT_EQ(fixture_look().names, 0);
}

/* Writes to the other side's object die as well. */
static void write_foreign(void *argument)
{
    attempt *what = argument;
    signal(SIGSEGV, SIG_DFL);
    const weir_arena_config config = fixture_config(what->backing);
    weir_arena arena;
    weir_arena worker;
    weir_error error;
    WEIR_EXPECT_STATUS(weir_arena_create(&config, 1, &arena, &error), WEIR_OK);
    WEIR_EXPECT_STATUS(fixture_attach(&arena, &worker, &error), WEIR_OK);
    WEIR_EXPECT_STATUS(weir_arena_seal_worker_object(&arena, &error), WEIR_OK);
    fixture_region regions[FIXTURE_REGIONS];
    fixture_regions(what->as_worker ? &worker : &arena, regions);
    what->reached = 1;
    *(volatile uint8_t *)regions[what->region].begin = 1;
    what->reached = 2;
}

WEIR_TEST(arena_guard, stops_a_write_into_the_other_sides_regions)
{
    attempt *what =
        mmap(NULL, sizeof *what, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    WEIR_EXPECT_NE(what, MAP_FAILED);
    for (int i = 0; i < FIXTURE_REGIONS; i++) {
        for (uint32_t backing = 0; backing <= WEIR_BACKING_MAX; backing++) {
            *what = (attempt){.backing = backing, .as_worker = i < 5, .region = i};
            const pid_t child = weir_test_fork(write_foreign, what);
            WEIR_EXPECT_EQ(weir_test_wait(child, weir_test_deadline(10)), 128 + SIGSEGV);
            WEIR_EXPECT_EQ(what->reached, 1);
        }
    }
    munmap(what, sizeof *what);
}
