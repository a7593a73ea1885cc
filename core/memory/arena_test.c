#include "memory/arena.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/os.h"
#include "harness/testing/weir_test.h"
#include "memory/testing/arena_fixture_shared.h"

static void create(weir_arena *arena, uint32_t backing)
{
    const weir_arena_config config = fixture_config(backing);
    weir_error error = {{0}};
    if (weir_arena_create(&config, 7, arena, &error) != WEIR_OK) {
        weir_test_fail(__FILE__, __LINE__, "no arena: %s", error.text);
    }
}

static void attach(const weir_arena *manager, weir_arena *worker)
{
    weir_error error = {{0}};
    if (fixture_attach(manager, worker, &error) != WEIR_OK) {
        weir_test_fail(__FILE__, __LINE__, "not attached: %s", error.text);
    }
}

static void expect_same(fixture_holdings after, fixture_holdings before)
{
    WEIR_EXPECT_EQ(after.descriptors, before.descriptors);
    WEIR_EXPECT_EQ(after.mappings, before.mappings);
    WEIR_EXPECT_EQ(after.forbidden_bytes, before.forbidden_bytes);
    WEIR_EXPECT_EQ(after.names, before.names);
}

/* Each side sees in every region what the other wrote there. */
static void expect_shared_both_ways(uint32_t backing)
{
    weir_arena manager;
    weir_arena worker;
    create(&manager, backing);
    attach(&manager, &worker);
    fixture_region ours[FIXTURE_REGIONS];
    fixture_region theirs[FIXTURE_REGIONS];
    fixture_regions(&manager, ours);
    fixture_regions(&worker, theirs);
    for (int i = 0; i < FIXTURE_REGIONS; i++) {
        uint8_t *writer = ours[i].is_managers ? ours[i].begin : theirs[i].begin;
        const uint8_t *reader = ours[i].is_managers ? theirs[i].begin : ours[i].begin;
        writer[0] = (uint8_t)(i + 1);
        writer[ours[i].bytes - 1] = (uint8_t)(i + 101);
        WEIR_EXPECT_EQ(reader[0], i + 1);
        WEIR_EXPECT_EQ(reader[ours[i].bytes - 1], i + 101);
        WEIR_EXPECT_EQ(ours[i].bytes, theirs[i].bytes);
    }
    WEIR_EXPECT_MEM_EQ(&manager.config, &worker.config, sizeof manager.config);
    weir_arena_destroy(&worker);
    weir_arena_destroy(&manager);
}

WEIR_TEST(arena, shares_every_region_through_a_memfd)
{
    expect_shared_both_ways(WEIR_BACKING_MEMFD);
}

WEIR_TEST(arena, shares_every_region_through_shm)
{
    expect_shared_both_ways(WEIR_BACKING_SHM);
}

WEIR_TEST(arena, carries_the_seals_of_each_phase)
{
    weir_arena arena;
    weir_error error;
    create(&arena, WEIR_BACKING_MEMFD);
    const int all = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
    WEIR_EXPECT_EQ(fcntl(arena.manager_object.fd, F_GET_SEALS) & all, all);
    WEIR_EXPECT_EQ(fcntl(arena.worker_object.fd, F_GET_SEALS) & all, F_SEAL_SHRINK | F_SEAL_GROW);
    WEIR_EXPECT_STATUS(weir_arena_seal_worker_object(&arena, &error), WEIR_OK);
    WEIR_EXPECT_EQ(fcntl(arena.worker_object.fd, F_GET_SEALS) & all, all);
    WEIR_EXPECT_EQ(fcntl(arena.manager_object.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    WEIR_EXPECT_EQ(fcntl(arena.worker_object.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    weir_arena_destroy(&arena);
}

WEIR_TEST(arena, reports_a_worker_that_closed_the_seals_itself)
{
    weir_arena arena;
    weir_error error = {{0}};
    create(&arena, WEIR_BACKING_MEMFD);
    WEIR_EXPECT_EQ(fcntl(arena.worker_object.fd, F_ADD_SEALS, F_SEAL_SEAL), 0);
    WEIR_EXPECT_STATUS(weir_arena_seal_worker_object(&arena, &error), WEIR_PROTOCOL);
    WEIR_EXPECT_STR_HAS(error.text, "the other side has sealed it itself");
    weir_arena_destroy(&arena);
}

WEIR_TEST(arena, keeps_the_mapping_without_the_descriptors)
{
    weir_arena arena;
    weir_error error;
    create(&arena, WEIR_BACKING_MEMFD);
    WEIR_EXPECT_STATUS(weir_arena_seal_worker_object(&arena, &error), WEIR_OK);
    weir_arena_close_descriptors(&arena);
    weir_arena_close_descriptors(&arena);
    WEIR_EXPECT_EQ(arena.manager_object.fd, -1);
    WEIR_EXPECT_EQ(arena.manager_header->magic, WEIR_MANAGER_MAGIC);
    WEIR_EXPECT_EQ(arena.worker_header->magic, 0);
    weir_arena_destroy(&arena);
}

WEIR_TEST(arena, lies_in_a_range_aligned_to_its_own_size)
{
    weir_arena arena;
    create(&arena, WEIR_BACKING_MEMFD);
    const weir_object *objects[] = {&arena.manager_object, &arena.worker_object};
    for (int i = 0; i < 2; i++) {
        const size_t range = objects[i]->reserved_bytes;
        WEIR_EXPECT_EQ(range & (range - 1), 0);
        WEIR_EXPECT_EQ((uintptr_t)objects[i]->base % range, 0);
        WEIR_EXPECT_GE(range, objects[i]->bytes + WEIR_REGION_ALIGN_BYTES);
    }
    fixture_region regions[FIXTURE_REGIONS];
    fixture_regions(&arena, regions);
    for (int i = 0; i < FIXTURE_REGIONS; i++) {
        WEIR_EXPECT_EQ((uintptr_t)regions[i].begin % WEIR_REGION_ALIGN_BYTES, 0);
    }
    weir_arena_destroy(&arena);
}

WEIR_TEST(arena, has_all_pages_of_its_regions_and_none_of_the_gaps)
{
    weir_arena arena;
    create(&arena, WEIR_BACKING_MEMFD);
    fixture_region regions[FIXTURE_REGIONS];
    fixture_regions(&arena, regions);
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t wanted = 0;
    for (int i = 0; i < FIXTURE_REGIONS; i++) {
        wanted += regions[i].is_managers ? (regions[i].bytes + page - 1) / page * page : 0;
    }
    struct stat found;
    WEIR_EXPECT_EQ(fstat(arena.manager_object.fd, &found), 0);
    WEIR_EXPECT_EQ((size_t)found.st_blocks * 512, wanted);
    weir_arena_destroy(&arena);
}

static void expect_all_returned(uint32_t backing)
{
    /* The first shm arena installs the SIGBUS guard, which stays. */
    weir_arena warm_up;
    create(&warm_up, backing);
    weir_arena_destroy(&warm_up);
    const fixture_holdings before = fixture_look();
    weir_arena manager;
    weir_arena worker;
    weir_error error;
    create(&manager, backing);
    attach(&manager, &worker);
    WEIR_EXPECT_GT(fixture_look().mappings, before.mappings);
    WEIR_EXPECT_EQ(fixture_look().names - before.names, backing == WEIR_BACKING_SHM ? 2 : 0);
    WEIR_EXPECT_STATUS(weir_arena_seal_worker_object(&manager, &error), WEIR_OK);
    WEIR_EXPECT_EQ(fixture_look().names, before.names);
    WEIR_EXPECT_STR_EQ(manager.manager_object.name, "");
    WEIR_EXPECT_STR_EQ(manager.worker_object.name, "");
    weir_arena_destroy(&worker);
    weir_arena_destroy(&manager);
    weir_arena_destroy(&manager);
    expect_same(fixture_look(), before);
}

WEIR_TEST(arena, gives_everything_back_and_may_be_destroyed_twice)
{
    expect_all_returned(WEIR_BACKING_MEMFD);
}

WEIR_TEST(arena, gives_everything_back_of_shm)
{
    expect_all_returned(WEIR_BACKING_SHM);
}

WEIR_TEST(arena, unlinks_its_names_when_destroyed_before_ready)
{
    const fixture_holdings before = fixture_look();
    weir_arena arena;
    create(&arena, WEIR_BACKING_SHM);
    WEIR_EXPECT_EQ(fixture_look().names, before.names + 2);
    weir_arena_destroy(&arena);
    WEIR_EXPECT_EQ(fixture_look().names, before.names);
}

WEIR_TEST(arena, destroys_a_zeroed_one_without_closing_descriptor_zero)
{
    weir_arena arena;
    memset(&arena, 0, sizeof arena);
    const bool had_stdin = fcntl(0, F_GETFD) != -1;
    weir_arena_destroy(&arena);
    WEIR_EXPECT_EQ(fcntl(0, F_GETFD) != -1, had_stdin);
}

WEIR_TEST(arena, refuses_generation_zero_and_a_bad_configuration)
{
    weir_arena arena;
    weir_error error = {{0}};
    weir_arena_config config = fixture_config(WEIR_BACKING_MEMFD);
    WEIR_EXPECT_STATUS(weir_arena_create(&config, 0, &arena, &error), WEIR_INVALID);
    WEIR_EXPECT_STR_HAS(error.text, "generation is 0");
    config.ring_capacity = 48;
    WEIR_EXPECT_STATUS(weir_arena_create(&config, 1, &arena, &error), WEIR_INVALID);
    WEIR_EXPECT_STR_HAS(error.text, "ring_capacity is 48");
}

static long huge_page(void)
{
    return 2 * (long)WEIR_REGION_ALIGN_BYTES;
}

WEIR_TEST(arena, refuses_pages_larger_than_its_guards)
{
    weir_os_table table = *weir_os_linux();
    table.page_bytes = huge_page;
    weir_os_replace(&table);
    weir_arena arena;
    weir_error error = {{0}};
    const weir_arena_config config = fixture_config(WEIR_BACKING_MEMFD);
    const weir_status status = weir_arena_create(&config, 1, &arena, &error);
    weir_os_replace(NULL);
    WEIR_EXPECT_STATUS(status, WEIR_SYSTEM);
    WEIR_EXPECT_STR_HAS(error.text, "pages of 131072 bytes");
}

/* A child that reads one byte of each object, which it must not have. */
static void read_inherited(void *argument)
{
    const uint8_t *address = argument;
    signal(SIGSEGV, SIG_DFL);
    _exit(*(const volatile uint8_t *)address == 0xEE ? 1 : 2);
}

static void expect_no_mapping_in_a_child(uint32_t backing)
{
    weir_arena manager;
    weir_arena worker;
    weir_error error;
    create(&manager, backing);
    attach(&manager, &worker);
    WEIR_EXPECT_STATUS(weir_arena_seal_worker_object(&manager, &error), WEIR_OK);
    const weir_arena *sides[] = {&manager, &worker};
    for (int side = 0; side < 2; side++) {
        fixture_region regions[FIXTURE_REGIONS];
        fixture_regions(sides[side], regions);
        for (int i = 0; i < FIXTURE_REGIONS; i++) {
            const pid_t child = weir_test_fork(read_inherited, regions[i].begin);
            WEIR_EXPECT_EQ(weir_test_wait(child, weir_test_deadline(10)), 128 + SIGSEGV);
        }
    }
    weir_arena_destroy(&worker);
    weir_arena_destroy(&manager);
}

WEIR_TEST(arena, leaves_a_forked_child_without_any_mapping)
{
    expect_no_mapping_in_a_child(WEIR_BACKING_MEMFD);
}

WEIR_TEST(arena, leaves_a_forked_child_without_any_mapping_of_shm)
{
    expect_no_mapping_in_a_child(WEIR_BACKING_SHM);
}

/* The child puts something of its own where the parent's arena lies, and destroys its copy of the
 * handle. */
static void destroy_inherited(void *argument)
{
    weir_arena *arena = argument;
    uint8_t *own = mmap(arena->manager_object.base, 4096, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    WEIR_EXPECT_EQ(own, arena->manager_object.base);
    own[0] = 42;
    const int fd = arena->manager_object.fd;
    weir_arena_destroy(arena);
    WEIR_EXPECT_EQ(own[0], 42);
    WEIR_EXPECT_EQ(fcntl(fd, F_GETFD), -1);
}

WEIR_TEST(arena, of_the_parent_survives_the_destruction_in_a_forked_child)
{
    weir_arena manager;
    create(&manager, WEIR_BACKING_SHM);
    const int names = fixture_look().names;
    const pid_t child = weir_test_fork(destroy_inherited, &manager);
    WEIR_EXPECT_EQ(weir_test_wait(child, weir_test_deadline(10)), 0);
    WEIR_EXPECT_EQ(fixture_look().names, names);
    WEIR_EXPECT_EQ(manager.manager_header->magic, WEIR_MANAGER_MAGIC);
    weir_arena worker;
    attach(&manager, &worker);
    weir_arena_destroy(&worker);
    weir_arena_destroy(&manager);
}
