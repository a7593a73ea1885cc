#include "harness/resources.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/testing/weir_test.h"

static weir_resources before;
static weir_resources after;
static weir_resources_left left;
static weir_violations violations;

static void compare(void)
{
    weir_ledger *ledger = NULL;
    WEIR_EXPECT_STATUS(weir_ledger_create(&ledger, NULL), WEIR_OK);
    weir_resources_compare(&before, &after, ledger, &left);
    weir_ledger_violations(ledger, &violations);
    weir_ledger_free(ledger);
}

WEIR_TEST(resources, nothing_left_is_no_complaint)
{
    weir_resources_read(&before, "/tmp");
    weir_resources_read(&after, "/tmp");
    compare();
    WEIR_EXPECT_GE(before.count, 3); /* the standard streams */
    WEIR_EXPECT_EQ(violations.found, 0);
}

WEIR_TEST(resources, a_leaked_descriptor_is_named)
{
    weir_resources_read(&before, NULL);
    const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    weir_resources_read(&after, NULL);
    close(fd);
    compare();
    WEIR_EXPECT_EQ(violations.found, 1);
    WEIR_EXPECT_EQ(left.count[WEIR_RESOURCE_DESCRIPTOR], 1);
    WEIR_EXPECT_STR_HAS(violations.text[0], "a descriptor was left behind: ");
    WEIR_EXPECT_STR_HAS(violations.text[0], " -> /dev/null");
}

WEIR_TEST(resources, a_leaked_mapping_is_named)
{
    weir_resources_read(&before, NULL);
    const int fd = memfd_create("weir-leak", MFD_CLOEXEC);
    void *memory = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    weir_resources_read(&after, NULL);
    WEIR_EXPECT_TRUE(memory != MAP_FAILED);
    munmap(memory, 4096);
    compare();
    WEIR_EXPECT_EQ(violations.found, 1);
    WEIR_EXPECT_EQ(left.count[WEIR_RESOURCE_MAPPING], 1);
    WEIR_EXPECT_STR_HAS(violations.text[0], "/memfd:weir-leak");
}

static void wait_for_end(void *unused)
{
    (void)unused;
    pause();
}

WEIR_TEST(resources, a_child_still_running_is_named)
{
    weir_resources_read(&before, NULL);
    const pid_t pid = weir_test_fork(wait_for_end, NULL);
    weir_resources_read(&after, NULL);
    kill(pid, SIGKILL);
    weir_test_wait(pid, weir_test_deadline(10));
    compare();
    char expected[32];
    snprintf(expected, sizeof expected, "left behind: %d ", (int)pid);
    WEIR_EXPECT_EQ(left.count[WEIR_RESOURCE_PROCESS], 1);
    WEIR_EXPECT_STR_HAS(violations.text[0], expected);
}

WEIR_TEST(resources, files_count_when_they_carry_this_process_id)
{
    char directory[] = "/tmp/weir-resources-XXXXXX";
    char mine[64];
    char other[64];
    WEIR_EXPECT_NOT_NULL(mkdtemp(directory));
    snprintf(mine, sizeof mine, "%s/manager-%d", directory, (int)getpid());
    snprintf(other, sizeof other, "%s/manager-%d0", directory, (int)getpid());
    weir_resources_read(&before, directory);
    WEIR_EXPECT_EQ(mkdir(mine, 0700), 0);
    WEIR_EXPECT_EQ(mkdir(other, 0700), 0);
    weir_resources_read(&after, directory);
    rmdir(mine);
    rmdir(other);
    rmdir(directory);
    compare();
    WEIR_EXPECT_EQ(violations.found, 1);
    WEIR_EXPECT_EQ(left.count[WEIR_RESOURCE_FILE], 1);
    WEIR_EXPECT_STR_HAS(violations.text[0], mine);
}

WEIR_TEST(resources, what_cannot_be_listed_is_a_complaint)
{
    struct rlimit limit;
    weir_resources_read(&before, NULL);
    WEIR_EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    const rlim_t usual = limit.rlim_cur;
    limit.rlim_cur = 0;
    WEIR_EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    weir_resources_read(&after, NULL);
    limit.rlim_cur = usual;
    WEIR_EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    compare();
    WEIR_EXPECT_EQ(violations.found, 1);
    WEIR_EXPECT_STR_HAS(violations.text[0], "what was left behind is unknown");
}

WEIR_TEST(resources, too_many_to_compare_is_a_complaint)
{
    weir_resources_read(&before, NULL);
    weir_resources_read(&after, NULL);
    after.overflow = true;
    compare();
    WEIR_EXPECT_EQ(violations.found, 1);
}
