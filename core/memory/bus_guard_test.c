/* Shared memory by name is truncated by a real other process; the arena's owner lives on and knows.
 */
#include "memory/bus_guard.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "harness/testing/weir_test.h"
#include "memory/testing/arena_fixture_shared.h"

static void create(weir_arena *arena)
{
    const weir_arena_config config = fixture_config(WEIR_BACKING_SHM);
    weir_error error = {{0}};
    if (weir_arena_create(&config, 1, arena, &error) != WEIR_OK) {
        weir_test_fail(__FILE__, __LINE__, "no arena: %s", error.text);
    }
}

static void truncate_by_name(void *argument)
{
    const int fd = shm_open(argument, O_RDWR, 0);
    WEIR_EXPECT_NE(fd, -1);
    WEIR_EXPECT_EQ(ftruncate(fd, 0), 0);
}

/* Another process takes the memory away. */
static void truncate_elsewhere(weir_object *object)
{
    const pid_t other = weir_test_fork(truncate_by_name, object->name);
    WEIR_EXPECT_EQ(weir_test_wait(other, weir_test_deadline(10)), 0);
}

/* Reads and, where it may, writes all of an object. Returns the sum of what it read. */
static uint64_t use_all(const weir_arena *arena, bool of_manager, bool writes)
{
    fixture_region regions[FIXTURE_REGIONS];
    fixture_regions(arena, regions);
    uint64_t sum = 0;
    for (int i = 0; i < FIXTURE_REGIONS; i++) {
        volatile uint8_t *bytes = regions[i].begin;
        for (size_t k = 0; regions[i].is_managers == of_manager && k < regions[i].bytes; k++) {
            sum += bytes[k];
            if (writes) {
                bytes[k] = 1;
            }
        }
    }
    return sum;
}

WEIR_TEST(bus_guard, lets_the_manager_survive_a_truncated_worker_object)
{
    weir_arena arena;
    weir_arena other;
    create(&arena);
    create(&other);
    truncate_elsewhere(&arena.worker_object);
    WEIR_EXPECT_FALSE(weir_arena_is_truncated(&arena));
    WEIR_EXPECT_EQ(use_all(&arena, false, false), 0);
    WEIR_EXPECT_TRUE(weir_arena_is_truncated(&arena));
    WEIR_EXPECT_FALSE(weir_arena_is_truncated(&other));
    weir_arena_destroy(&arena);
    weir_arena_destroy(&other);
    WEIR_EXPECT_EQ(fixture_look().mappings, 0);
}

WEIR_TEST(bus_guard, lets_the_manager_survive_a_write_to_its_truncated_object)
{
    weir_arena arena;
    create(&arena);
    truncate_elsewhere(&arena.manager_object);
    use_all(&arena, true, true);
    WEIR_EXPECT_TRUE(weir_arena_is_truncated(&arena));
    weir_arena_destroy(&arena);
}

WEIR_TEST(bus_guard, lets_a_worker_survive_too)
{
    weir_arena manager;
    weir_arena worker;
    weir_error error;
    create(&manager);
    WEIR_EXPECT_STATUS(fixture_attach(&manager, &worker, &error), WEIR_OK);
    truncate_elsewhere(&manager.manager_object);
    use_all(&worker, true, false);
    WEIR_EXPECT_TRUE(weir_arena_is_truncated(&worker));
    weir_arena_destroy(&worker);
    weir_arena_destroy(&manager);
}

WEIR_TEST(bus_guard, starts_anew_with_each_range)
{
    for (int i = 0; i < 3; i++) {
        weir_arena arena;
        create(&arena);
        WEIR_EXPECT_FALSE(weir_arena_is_truncated(&arena));
        truncate_elsewhere(&arena.worker_object);
        use_all(&arena, false, false);
        WEIR_EXPECT_TRUE(weir_arena_is_truncated(&arena));
        weir_arena_destroy(&arena);
    }
}

/* A page of our own behind the end of a file: touching it raises SIGBUS. */
static volatile uint8_t *page_without_file(void)
{
    const int fd = memfd_create("short", MFD_CLOEXEC);
    WEIR_EXPECT_NE(fd, -1);
    volatile uint8_t *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    WEIR_EXPECT_NE(page, MAP_FAILED);
    close(fd);
    return page;
}

static sigjmp_buf back;
static volatile sig_atomic_t foreign_calls;

static void foreign_with_info(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)context;
    foreign_calls += info->si_addr != NULL;
    siglongjmp(back, 1);
}

static void foreign_plain(int signal)
{
    foreign_calls += signal == SIGBUS;
    siglongjmp(back, 1);
}

/* With a handler there before ours, both faults find their own. */
static void expect_chained(const struct sigaction *foreign)
{
    WEIR_EXPECT_EQ(sigaction(SIGBUS, foreign, NULL), 0);
    weir_arena arena;
    create(&arena);
    volatile uint8_t *page = page_without_file();
    truncate_elsewhere(&arena.worker_object);
    for (int i = 1; i <= 2; i++) {
        if (sigsetjmp(back, 1) == 0) {
            (void)*page;
            weir_test_fail(__FILE__, __LINE__, "the page behind the end was readable");
        }
        WEIR_EXPECT_EQ((int)foreign_calls, i);
    }
    WEIR_EXPECT_FALSE(weir_arena_is_truncated(&arena));
    use_all(&arena, false, false);
    WEIR_EXPECT_TRUE(weir_arena_is_truncated(&arena));
    WEIR_EXPECT_EQ((int)foreign_calls, 2);
    munmap((void *)(uintptr_t)page, 4096);
    weir_arena_destroy(&arena);
}

WEIR_TEST(bus_guard, passes_foreign_faults_to_the_handler_before_it)
{
    expect_chained(&(struct sigaction){.sa_sigaction = foreign_with_info, .sa_flags = SA_SIGINFO});
}

WEIR_TEST(bus_guard, passes_foreign_faults_to_a_plain_handler_before_it)
{
    expect_chained(&(struct sigaction){.sa_handler = foreign_plain});
}

enum { TOUCH, SEND, SEND_IGNORED };

static void end_by_bus(void *argument)
{
    const int how = *(const int *)argument;
    signal(SIGBUS, how == SEND_IGNORED ? SIG_IGN : SIG_DFL);
    weir_arena arena;
    create(&arena);
    weir_error error;
    WEIR_EXPECT_STATUS(weir_arena_seal_worker_object(&arena, &error), WEIR_OK);
    if (how == TOUCH) {
        (void)*page_without_file();
    } else {
        kill(getpid(), SIGBUS);
    }
    weir_arena_destroy(&arena);
    _exit(7);
}

WEIR_TEST(bus_guard, keeps_the_default_for_everything_else)
{
    static const int expected[] = {
        [TOUCH] = 128 + SIGBUS, [SEND] = 128 + SIGBUS, [SEND_IGNORED] = 7};
    for (int how = TOUCH; how <= SEND_IGNORED; how++) {
        const pid_t child = weir_test_fork(end_by_bus, &how);
        WEIR_EXPECT_EQ(weir_test_wait(child, weir_test_deadline(10)), expected[how]);
    }
}

WEIR_TEST(bus_guard, says_when_its_table_is_full)
{
    static weir_bus_range *ranges[WEIR_BUS_RANGES_MAX];
    weir_error error = {{0}};
    const size_t bytes = 65536;
    uint8_t *base = (uint8_t *)(uintptr_t)bytes; /* never touched */
    for (size_t i = 0; i < WEIR_BUS_RANGES_MAX; i++) {
        WEIR_EXPECT_STATUS(weir_bus_guard_add(base + i * bytes, bytes, &ranges[i], &error),
                           WEIR_OK);
    }
    weir_bus_range *one_more = NULL;
    WEIR_EXPECT_STATUS(weir_bus_guard_add(base, bytes, &one_more, &error), WEIR_NO_MEMORY);
    WEIR_EXPECT_STR_HAS(error.text, "no more than 1024 memory objects");
    weir_bus_guard_remove(ranges[500]);
    WEIR_EXPECT_STATUS(weir_bus_guard_add(base, bytes, &one_more, &error), WEIR_OK);
    WEIR_EXPECT_EQ(one_more, ranges[500]);
    for (size_t i = 0; i < WEIR_BUS_RANGES_MAX; i++) {
        weir_bus_guard_remove(ranges[i]);
    }
}
