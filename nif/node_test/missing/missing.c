/* Stands for the embedded-node tests where they cannot be built. */
#include "harness/testing/weir_test.h"

WEIR_TEST(node, runs_where_erlang_is_installed)
{
    WEIR_SKIP("erlang-dev or elixir is missing: install them with scripts/setup");
}
