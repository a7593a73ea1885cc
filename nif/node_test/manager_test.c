/* A manager in a node, with real workers. */
#include <signal.h>
#include <stdio.h>

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

/* A node whose process "caller" has a manager M with workers, and a caller C. */
static void start_with_workers(node_host *node, const char *options, unsigned workers)
{
    char expression[256];
    node_start(node);
    (void)snprintf(expression, sizeof expression, "{ok, M} = weir_instance:start(pool, %s)",
                   options);
    node_run(node, "caller", expression);
    (void)snprintf(expression, sizeof expression, "weir_instance:await_ready(pool, %u)", workers);
    node_expect(node, "caller", expression, "ok");
    node_run(node, "caller", "{ok, C} = caller_open(M)");
}

WEIR_TEST(node_manager, runs_batches)
{
    node_host node;
    start_with_workers(&node, "#{worker_count => 2, policy => defer}", 2);
    node_expect(&node, "caller", "weir_jobs:batch(C, 1, 1)", "1");
    node_expect(&node, "caller", "weir_jobs:batch(C, 1000, 64)", "1000");
    node_expect(&node, "caller", "weir_jobs:batch(C, 50, 20000)", "50");
    node_run(&node, "caller", "erlang:garbage_collect()");
    node_await(&node, "main", "maps:get(batch, resources())", "0");
    node_expect(&node, "caller", "weir_instance:close(pool)", "normal");
    node_stop(&node);
}

WEIR_TEST(node_manager, ends_jobs_by_time_and_by_order)
{
    node_host node;
    start_with_workers(&node, "#{}", 1);
    node_run(&node, "caller", "Busy = weir_jobs:long(C)");
    node_expect(&node, "caller", "weir_jobs:run(C, 1, <<>>, 50000000)", "{timeout,nil}");
    node_expect(&node, "caller", "job_run(C, mine, 0, 1, <<>>, infinity, 4)", "pending");
    node_expect(&node, "caller", "job_cancel(C, mine)", "ok");
    node_expect(&node, "caller", "weir_jobs:await(mine)", "{cancelled,nil}");
    node_expect(&node, "caller", "job_cancel(C, mine)", "not_found");
    node_expect(&node, "caller", "{job_cancel(C, Busy), weir_jobs:await(Busy)}",
                "{ok,{cancelled,nil}}");
    node_expect(&node, "caller", "receive Any -> Any after 20 -> silence end", "silence");
    node_expect(&node, "caller", "weir_instance:close(pool)", "normal");
    node_stop(&node);
}

WEIR_TEST(node_manager, reloads_its_workers_and_drains)
{
    node_host node;
    start_with_workers(&node, "#{worker_count => 2}", 2);
    node_expect(&node, "caller", "reload(M, 0)", "ok");
    node_expect(&node, "caller", "weir_jobs:many(C, 200, 64)", "200");
    node_expect(&node, "caller", "weir_instance:await_ready(pool, 4)", "ok");
    node_await(&node, "caller",
               "length([r || {reloaded, _, _, _} <- weir_instance:events(pool)]) > 0", "true");
    node_expect(&node, "caller", "weir_jobs:many(C, 200, 64)", "200");
    node_expect(&node, "caller", "drain_begin(M)", "ok");
    node_await(&node, "caller", "is_drained(M)", "true");
    node_run(&node, "caller", "false = ok =:= weir_jobs:echo(C, 64)");
    node_expect(&node, "caller", "weir_instance:close(pool)", "normal");
    node_stop(&node);
}

#ifdef WEIR_RELEASE_BUILD
#define DEATHS 20
#define JOBS   "5000"
#else
#define DEATHS 6
#define JOBS   "200"
#endif

/* Callers die with jobs in flight, and from time to time a worker does. */
WEIR_TEST(node_manager, holds_the_same_after_many_deaths, .timeout = 180)
{
    node_host node;
    pid_t workers[4];
    char expression[128];
    start_with_workers(&node, "#{worker_count => 2, stable_ns => 1}", 2);
    node_expect(&node, "caller", "weir_jobs:many(C, 100, 64)", "100");
    const node_footprint before = node_footprint_read(&node);
    unsigned killed = 0;
    for (unsigned i = 0; i < DEATHS; i++) {
        node_run(&node, "mortal", "{ok, C} = caller_open(weir_instance:manager(pool))");
        node_expect(&node, "mortal", "weir_jobs:many(C, " JOBS ", 64)", JOBS);
        node_run(&node, "mortal",
                 "[job_run(C, T, 0, 1, <<1>>, infinity, 4) || T <- lists:seq(1, 50)], ok");
        if (i % 3 == 0) {
            WEIR_EXPECT_EQ(node_programs(&node, "weir-loopback", workers, 4), 2);
            WEIR_EXPECT_EQ(kill(workers[0], SIGKILL), 0);
            killed++;
        }
        node_kill_process(&node, "mortal");
        (void)snprintf(expression, sizeof expression, "weir_instance:await_ready(pool, %u)",
                       2 + killed);
        node_expect(&node, "caller", expression, "ok");
    }
    node_await(&node, "caller", "maps:get(in_flight, stats(M))", "0");
    node_await(&node, "main", "lists:sum(maps:values(resources()))", "2"); /* M and C */
    node_footprint_await(&node, &before);
    node_expect(&node, "caller", "weir_instance:close(pool)", "normal");
    node_stop(&node);
}
