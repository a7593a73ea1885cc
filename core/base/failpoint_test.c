#include "base/failpoint.h"

#include "harness/testing/weir_test.h"

#ifdef WEIR_FAILPOINTS
#include <fiu-control.h>
#include <fiu.h>
#include <signal.h>
#endif

WEIR_TEST(failpoint, names_are_a_part_and_a_step_and_occur_once)
{
    WEIR_EXPECT_GT(WEIR_FAILPOINT_COUNT, 20);
    for (size_t i = 0; i < WEIR_FAILPOINT_COUNT; i++) {
        const char *name = weir_failpoint_name(i);
        const char *dot = strchr(name, '.');
        WEIR_EXPECT_NOT_NULL(dot);
        WEIR_EXPECT_EQ(strspn(name, "abcdefghijklmnopqrstuvwxyz_."), strlen(name));
        WEIR_EXPECT_TRUE(dot != name && dot[1] != '\0' && strchr(dot + 1, '.') == NULL);
        for (size_t k = 0; k < i; k++) {
            WEIR_EXPECT_NE(strcmp(name, weir_failpoint_name(k)), 0);
        }
    }
    WEIR_EXPECT_NULL(weir_failpoint_name(WEIR_FAILPOINT_COUNT));
    WEIR_EXPECT_STR_EQ(weir_failpoint_name(WEIR_FAILPOINT_dispatch_before_publish),
                       "dispatch.before_publish");
}

#ifdef WEIR_FAILPOINTS
static const char *fired;

static void note(const char *name)
{
    fired = name;
}

WEIR_TEST(failpoint, fires_only_where_it_was_enabled)
{
    fiu_init(0);
    weir_failpoint_set_handler(note);
    WEIR_FAILPOINT(worker_after_begun);
    WEIR_EXPECT_NULL(fired);
    WEIR_EXPECT_EQ(fiu_enable("worker.after_begun", 1, NULL, FIU_ONETIME), 0);
    WEIR_FAILPOINT(worker_before_execute);
    WEIR_EXPECT_NULL(fired);
    WEIR_FAILPOINT(worker_after_begun);
    WEIR_EXPECT_STR_EQ(fired, "worker.after_begun");
}

static void reach(void *unused)
{
    (void)unused;
    fiu_init(0);
    fiu_enable("worker.after_begun", 1, NULL, FIU_ONETIME);
    WEIR_FAILPOINT(worker_after_begun);
}

WEIR_TEST(failpoint, ends_the_process_when_nobody_handles_it)
{
    const pid_t child = weir_test_fork(reach, NULL);
    WEIR_EXPECT_EQ(weir_test_wait(child, weir_test_deadline(10)), 128 + SIGKILL);
}
#else
#define TEXT_OF(code)  TEXT_OF_(code)
#define TEXT_OF_(code) #code

WEIR_TEST(failpoint, is_no_code_in_this_build)
{
    WEIR_EXPECT_STR_EQ(TEXT_OF(WEIR_FAILPOINT(worker_after_begun)), "((void)0)");
}
#endif
