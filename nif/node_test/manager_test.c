/* A manager in a node, with real workers. */
#include "nif/node_test/testing/node_footprint.h"
#include "nif/node_test/testing/node_host.h"

WEIR_TEST(node_manager, runs_jobs_and_leaves_nothing)
{
    node_host node;
    node_start(&node);
    const node_footprint before = node_footprint_read(&node);
    node_run(&node, "caller", "{ok, M} = weir_instance:start(pool, #{worker_count => 2})");
    node_expect(&node, "caller", "weir_instance:await_ready(pool, 2)", "ok");
    node_run(&node, "caller", "{ok, C} = caller_open(M)");
    node_expect(&node, "caller", "weir_jobs:run(C, 1, <<\"a job\">>)", "{ok,<<\"a job\">>}");
    node_expect(&node, "caller", "weir_jobs:many(C, 500, 64)", "500");
    node_expect(&node, "caller", "weir_jobs:many(C, 20, 300000)", "20");
    node_expect(&node, "caller", "weir_jobs:run(C, 4711, <<>>)", "{unsupported,nil}");
    node_expect(&node, "caller", "maps:get(submitted, stats(M))", "522");
    const node_footprint during = node_footprint_read(&node);
    WEIR_EXPECT_GT(during.descriptors, before.descriptors);
    WEIR_EXPECT_GT(during.mappings, before.mappings);
    WEIR_EXPECT_GT(during.threads, before.threads);
    WEIR_EXPECT_EQ(during.processes, before.processes + 2);
    WEIR_EXPECT_GT(during.files, before.files);
    node_expect(&node, "caller", "weir_instance:close(pool)", "normal");
    node_expect(&node, "caller", "job_run(C, t, 0, 1, <<>>, infinity, 0)",
                "{error,closed,<<\"the manager is closed; start its instance again\">>}");
    node_forget(&node, "caller", "C");
    node_forget(&node, "caller", "M");
    node_footprint_await(&node, &before);
    node_stop(&node);
}
