/* The counter that tests above use to show that a job allocates nothing: it must notice each way to
 * allocate, or they would show nothing. */
#include "base/testing/allocations.h"

#include <stdlib.h>

#include "harness/testing/weir_test.h"

/* Through volatile, so that the compiler cannot leave an unused allocation out. */
static void *volatile block;

WEIR_TEST(allocations, counts_each_way_to_allocate)
{
    (void)allocations_so_far();
    uint64_t before = allocations_so_far();
    block = malloc(100);
    WEIR_EXPECT_EQ(allocations_so_far() - before, 1);
    before = allocations_so_far();
    block = realloc(block, 100000);
    WEIR_EXPECT_EQ(allocations_so_far() - before, 1);
    free(block);
    before = allocations_so_far();
    block = calloc(10, 10);
    WEIR_EXPECT_EQ(allocations_so_far() - before, 1);
    free(block);
}

WEIR_TEST(allocations, does_not_count_what_is_given_back)
{
    block = malloc(100);
    const uint64_t before = allocations_so_far();
    free(block);
    WEIR_EXPECT_EQ(allocations_so_far() - before, 0);
}
