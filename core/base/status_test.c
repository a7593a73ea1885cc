#include "weir/status.h"

#include <errno.h>

#include "harness/testing/weir_test.h"

WEIR_TEST(status, has_a_name_of_its_own_for_each_value)
{
    for (int i = 0; i < WEIR_STATUS_COUNT; i++) {
        const char *name = weir_status_name((weir_status)i);
        WEIR_EXPECT_NOT_NULL(name);
        WEIR_EXPECT_NE(strcmp(name, "unknown"), 0);
        for (int k = 0; k < i; k++) {
            WEIR_EXPECT_NE(strcmp(name, weir_status_name((weir_status)k)), 0);
        }
    }
    WEIR_EXPECT_STR_EQ(weir_status_name(WEIR_FULL), "full");
    WEIR_EXPECT_STR_EQ(weir_status_name(WEIR_STATUS_COUNT), "unknown");
}

WEIR_TEST(status, error_is_optional)
{
    weir_error_set(NULL, "%d", 1);
    WEIR_EXPECT_STATUS(weir_error_system(NULL, EACCES, "cannot open", NULL), WEIR_SYSTEM);
}

WEIR_TEST(status, error_cuts_a_text_that_does_not_fit)
{
    weir_error error;
    memset(&error, 'x', sizeof error);
    weir_error_set(&error, "%0600d", 7);
    WEIR_EXPECT_EQ(strlen(error.text), sizeof error.text - 1);
}

WEIR_TEST(status, error_of_the_system_names_the_call_the_reason_and_the_fix)
{
    weir_error error;
    WEIR_EXPECT_STATUS(weir_error_system(&error, EACCES, "cannot open x", "use chmod"),
                       WEIR_SYSTEM);
    WEIR_EXPECT_STR_EQ(error.text, "cannot open x: Permission denied; use chmod");
    WEIR_EXPECT_STATUS(weir_error_system(&error, ENOMEM, "cannot map", NULL), WEIR_NO_MEMORY);
    WEIR_EXPECT_STR_EQ(error.text, "cannot map: Cannot allocate memory");
}
