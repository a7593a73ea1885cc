/* The node is killed while it works. */
#include "nif/node_test/testing/node_footprint.h"
#include "nif/node_test/testing/node_host.h"

WEIR_TEST(node_kill, ends_busy_workers_and_the_next_node_sweeps)
{
    node_host node;
    pid_t workers[8];
    node_start(&node);
    node_run(&node, "caller", "{ok, M} = weir_instance:start(pool, #{worker_count => 2})");
    node_expect(&node, "caller", "weir_instance:await_ready(pool, 2)", "ok");
    node_run(&node, "caller", "{ok, C} = caller_open(M), [weir_jobs:long(C), weir_jobs:long(C)]");
    node_await(&node, "caller", "length([busy || #{busy_since_ns := B} <- workers(M), B > 0])",
               "2");
    WEIR_EXPECT_EQ(node_programs(&node, "weir-loopback", workers, 8), 2);
    node_kill(&node);
    node_await_gone(&node, 2);
    WEIR_EXPECT_GT(node_files(&node), 0);

    node_start_again(&node);
    node_run(&node, "caller", "{ok, M} = weir_instance:start(pool, #{})");
    node_expect(&node, "caller", "weir_instance:await_ready(pool, 1)", "ok");
    node_run(&node, "caller", "{ok, C} = caller_open(M)");
    node_expect(&node, "caller", "weir_jobs:many(C, 100, 64)", "100");
    node_expect(&node, "caller", "weir_instance:close(pool)", "normal");
    WEIR_EXPECT_EQ(node_files(&node), 0);
    node_stop(&node);
}
