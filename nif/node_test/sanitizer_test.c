/* In the sanitized preset the library in the node is sanitized too; would we be told? */
#include <stdio.h>
#include <stdlib.h>

#include "nif/node_test/testing/node_host.h"

#if defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_SANITIZED
#endif
#endif

#ifdef IS_SANITIZED
static void expect_report(const char *mistake, const char *report)
{
    node_host node;
    char library[512];
    node_library(library, sizeof library, "weir_nif_planted.so");
    (void)setenv("WEIR_NIF_PLANTED", library, 1);
    node_start(&node);
    node_expect(&node, "main", "weir_planted:load()", "ok");
    node_expect(&node, "main", "weir_planted:overflow(16)", "16");
    node_cast(&node, "main", mistake);
    WEIR_EXPECT_NE(node_await_end(&node), 0);
    WEIR_EXPECT_TRUE(node_take_report(&node, node.text, sizeof node.text));
    WEIR_EXPECT_STR_HAS(node.text, report);
    node_leave(&node, 5);
}

WEIR_TEST(node_sanitizer, tells_of_a_write_behind_the_emulators_block)
{
    expect_report("weir_planted:overflow(17)", "heap-buffer-overflow");
}

WEIR_TEST(node_sanitizer, tells_of_a_sum_that_overflows)
{
    expect_report("weir_planted:add(1)", "signed integer overflow");
}
#endif
