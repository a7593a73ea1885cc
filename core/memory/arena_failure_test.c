/* Every system call of an arena's life fails once; nothing is left behind and the sentence says
 * what happened. */
#include <errno.h>
#include <sys/mman.h>

#include "base/os.h"
#include "harness/testing/weir_test.h"
#include "memory/testing/arena_fixture_shared.h"

static struct {
    int countdown; /* the call at which it reaches 0 fails; negative: none */
    int reason;
    bool did_fail;
    const char *call; /* which one failed */
} plan;

static bool fails(const char *call)
{
    if (plan.countdown <= 0 || --plan.countdown > 0) {
        return false;
    }
    plan.did_fail = true;
    plan.call = call;
    errno = plan.reason;
    return true;
}

static int failing_memfd_create(const char *name, unsigned flags)
{
    return fails("memfd_create") ? -1 : weir_os_linux()->memfd_create(name, flags);
}

static int failing_shm_open(const char *name, int flags, mode_t mode)
{
    return fails("shm_open") ? -1 : weir_os_linux()->shm_open(name, flags, mode);
}

static int failing_fallocate(int fd, int mode, off_t offset, off_t bytes)
{
    return fails("fallocate") ? -1 : weir_os_linux()->fallocate(fd, mode, offset, bytes);
}

static int failing_ftruncate(int fd, off_t bytes)
{
    return fails("ftruncate") ? -1 : weir_os_linux()->ftruncate(fd, bytes);
}

static int failing_add_seals(int fd, int seals)
{
    return fails("add_seals") ? -1 : weir_os_linux()->add_seals(fd, seals);
}

static int failing_get_seals(int fd)
{
    return fails("get_seals") ? -1 : weir_os_linux()->get_seals(fd);
}

static void *failing_mmap(void *address, size_t bytes, int protection, int flags, int fd,
                          off_t offset)
{
    return fails("mmap") ? MAP_FAILED
                         : weir_os_linux()->mmap(address, bytes, protection, flags, fd, offset);
}

static int failing_munmap(void *address, size_t bytes)
{
    return fails("munmap") ? -1 : weir_os_linux()->munmap(address, bytes);
}

static int failing_madvise(void *address, size_t bytes, int advice)
{
    return fails("madvise") ? -1 : weir_os_linux()->madvise(address, bytes, advice);
}

static int failing_fstat(int fd, struct stat *out)
{
    return fails("fstat") ? -1 : weir_os_linux()->fstat(fd, out);
}

static int failing_signal_action(int signal, const struct sigaction *action, struct sigaction *old)
{
    return fails("signal_action") ? -1 : weir_os_linux()->signal_action(signal, action, old);
}

static int failing_random_bytes(void *to, size_t bytes)
{
    return fails("random_bytes") ? -1 : weir_os_linux()->random_bytes(to, bytes);
}

static void use_failing_table(void)
{
    static weir_os_table table;
    table = *weir_os_linux();
    table.memfd_create = failing_memfd_create;
    table.shm_open = failing_shm_open;
    table.fallocate = failing_fallocate;
    table.ftruncate = failing_ftruncate;
    table.add_seals = failing_add_seals;
    table.get_seals = failing_get_seals;
    table.mmap = failing_mmap;
    table.munmap = failing_munmap;
    table.madvise = failing_madvise;
    table.fstat = failing_fstat;
    table.signal_action = failing_signal_action;
    table.random_bytes = failing_random_bytes;
    weir_os_replace(&table);
}

static void expect_same(fixture_holdings after, fixture_holdings before)
{
    WEIR_EXPECT_EQ(after.descriptors, before.descriptors);
    WEIR_EXPECT_EQ(after.mappings, before.mappings);
    WEIR_EXPECT_EQ(after.forbidden_bytes, before.forbidden_bytes);
    WEIR_EXPECT_EQ(after.names, before.names);
}

/* One life of an arena on both sides; how it went, and the first sentence. */
static weir_status live(uint32_t backing, weir_error *error)
{
    const weir_arena_config config = fixture_config(backing);
    weir_arena manager;
    weir_arena worker;
    weir_status status = weir_arena_create(&config, 1, &manager, error);
    if (status != WEIR_OK) {
        return status;
    }
    status = fixture_attach(&manager, &worker, error);
    if (status == WEIR_OK) {
        status = weir_arena_seal_worker_object(&manager, error);
        plan.countdown = -1; /* giving back is not what fails here */
        weir_arena_destroy(&worker);
    }
    plan.countdown = -1;
    weir_arena_destroy(&manager);
    return status;
}

/* SQLite's way: fail the n-th call for every n, until a run has injected nothing. */
static int fail_each_call(uint32_t backing, int reason)
{
    use_failing_table();
    int n = 0;
    do {
        n++;
        const fixture_holdings before = fixture_look();
        weir_error error = {{0}};
        plan.countdown = n;
        plan.reason = reason;
        plan.did_fail = false;
        plan.call = "none";
        const weir_status status = live(backing, &error);
        if (plan.did_fail && status != WEIR_NO_MEMORY && status != WEIR_SYSTEM &&
            status != WEIR_PROTOCOL) {
            weir_test_fail(__FILE__, __LINE__, "failing %s (call %d) gave %s", plan.call, n,
                           weir_status_name(status));
        }
        WEIR_EXPECT_EQ(error.text[0] != '\0', plan.did_fail);
        WEIR_EXPECT_EQ(status == WEIR_OK, !plan.did_fail);
        expect_same(fixture_look(), before);
    } while (plan.did_fail);
    weir_os_replace(NULL);
    return n - 1;
}

WEIR_TEST(arena_failure, of_any_call_leaves_nothing_behind)
{
    /* 2 objects x (memfd, size, range) + 11 regions x (allocate, 2 maps) + seals and marks: at
     * least these. */
    WEIR_EXPECT_GE(fail_each_call(WEIR_BACKING_MEMFD, ENOMEM), 50);
}

WEIR_TEST(arena_failure, of_any_call_leaves_nothing_behind_of_shm)
{
    WEIR_EXPECT_GE(fail_each_call(WEIR_BACKING_SHM, EACCES), 50);
}

static int no_room(int fd, int mode, off_t offset, off_t bytes)
{
    (void)fd, (void)mode, (void)offset, (void)bytes;
    errno = ENOSPC;
    return -1;
}

WEIR_TEST(arena_failure, for_want_of_memory_names_the_size_and_the_fix)
{
    weir_os_table table = *weir_os_linux();
    table.fallocate = no_room;
    weir_os_replace(&table);
    weir_arena_config config;
    weir_arena_config_default(&config);
    weir_arena arena;
    weir_error error = {{0}};
    const weir_status status = weir_arena_create(&config, 1, &arena, &error);
    weir_os_replace(NULL);
    WEIR_EXPECT_STATUS(status, WEIR_NO_MEMORY);
    WEIR_EXPECT_STR_HAS(error.text, "no memory for an arena: cannot allocate all of an object of");
    WEIR_EXPECT_STR_HAS(error.text, "(3.4 MiB): No space left on device");
    WEIR_EXPECT_STR_HAS(error.text, "configure fewer or smaller size classes");
}

static int old_memfd_create(const char *name, unsigned flags)
{
    if ((flags & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING)) != 0) {
        errno = EINVAL;
        return -1;
    }
    return weir_os_linux()->memfd_create(name, flags);
}

WEIR_TEST(arena_failure, of_a_flag_that_an_old_kernel_does_not_know_is_none)
{
    weir_os_table table = *weir_os_linux();
    table.memfd_create = old_memfd_create;
    weir_os_replace(&table);
    const weir_arena_config config = fixture_config(WEIR_BACKING_MEMFD);
    weir_arena arena;
    weir_error error = {{0}};
    const weir_status status = weir_arena_create(&config, 1, &arena, &error);
    weir_arena_destroy(&arena);
    weir_os_replace(NULL);
    WEIR_EXPECT_STATUS(status, WEIR_OK);
}

static int ignored_seals(int fd, int seals)
{
    (void)fd, (void)seals;
    return 0;
}

WEIR_TEST(arena_failure, of_seals_that_do_not_hold_is_noticed)
{
    weir_os_table table = *weir_os_linux();
    table.add_seals = ignored_seals;
    weir_os_replace(&table);
    const weir_arena_config config = fixture_config(WEIR_BACKING_MEMFD);
    weir_arena arena;
    weir_error error = {{0}};
    const weir_status status = weir_arena_create(&config, 1, &arena, &error);
    weir_os_replace(NULL);
    WEIR_EXPECT_STATUS(status, WEIR_SYSTEM);
    WEIR_EXPECT_STR_HAS(error.text, "cannot seal a memory object");
}
