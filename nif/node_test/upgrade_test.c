/* Another version of the library in a running node. */
#include <signal.h>
#include <stdio.h>

#include "nif/node_test/testing/node_footprint.h"
#include "nif/node_test/testing/node_host.h"

#define MODULE "'Elixir.Weir.Native'"

/* Lets the next load of the module find another library. */
static void offer(node_host *node, const char *library)
{
    char path[512];
    char expression[640];
    node_library(path, sizeof path, library);
    (void)snprintf(expression, sizeof expression, "os:putenv(\"WEIR_NIF\", \"%s\")", path);
    node_run(node, "main", expression);
}

static void upgrade(node_host *node)
{
    offer(node, "weir_nif_next.so");
    node_expect(node, "main", "code:load_file(" MODULE ")", "{module,'Elixir.Weir.Native'}");
    node_expect(node, "main", "version()", "<<\"9.9.9\">>");
}

/* Code of a library may run after its module was purged (threads that end, handlers of signals), so
 * each stays mapped for good: nif/CMakeLists.txt. What belongs to the module goes with the purge.
 */
WEIR_TEST(node_upgrade, replaces_the_library_and_unloads_the_old_one)
{
    node_host node;
    node_start(&node);
    upgrade(&node);
    node_expect(&node, "main", "trace()", "[{load,library,1},{upgrade,library,2}]");
    node_expect(&node, "main", "code:purge(" MODULE ")", "false");
    node_expect(&node, "main", "trace()",
                "[{load,library,1},{upgrade,library,2},{unload,library,1}]");
    WEIR_EXPECT_TRUE(node_maps(&node, "/weir_nif.so"));
    WEIR_EXPECT_TRUE(node_maps(&node, "/weir_nif_next.so"));
    /* A third load is an upgrade again; the first library, still mapped, is not mapped twice. */
    offer(&node, "weir_nif.so");
    const node_footprint before = node_footprint_read(&node);
    node_expect(&node, "main", "code:load_file(" MODULE ")", "{module,'Elixir.Weir.Native'}");
    node_expect(&node, "main", "code:purge(" MODULE ")", "false");
    node_expect(&node, "main", "version()", "<<\"0.1.0\">>");
    node_expect(&node, "main", "lists:nthtail(3, trace())",
                "[{upgrade,library,3},{unload,library,2}]");
    node_footprint_await(&node, &before);
    node_stop(&node);
}

WEIR_TEST(node_upgrade, hands_resources_over_with_their_callbacks)
{
    node_host node;
    node_start(&node);
    const node_footprint before = node_footprint_read(&node);
    node_run(&node, "owner", "{ok, E} = eventfd_create(), ok = descriptor_select(E)");
    node_run(&node, "owner", "{ok, Other} = eventfd_create()");
    upgrade(&node);
    node_expect(&node, "main", "code:purge(" MODULE ")", "false");
    node_expect(&node, "owner", "eventfd_ring(E)", "ok");
    node_expect(&node, "owner", "receive {weir_ready, E} -> told after 9000 -> silence end",
                "told");
    node_expect(&node, "owner", "descriptor_select(E)", "ok");
    node_run(&node, "main", "trace_clear()");
    node_kill_process(&node, "owner");
    node_await(&node, "main", "maps:get(descriptor, resources())", "0");
    node_footprint_await(&node, &before);
    node_expect(&node, "main", "lists:sort(trace())",
                "[{down,descriptor,2},{down,descriptor,2},{stop,descriptor,2}]");
    node_stop(&node);
}

WEIR_TEST(node_upgrade, keeps_jobs_in_flight_and_the_manager_with_its_thread)
{
    node_host node;
    pid_t workers[4];
    node_start(&node);
    node_run(&node, "caller", "{ok, M} = weir_instance:start(pool, #{worker_count => 2})");
    node_expect(&node, "caller", "weir_instance:await_ready(pool, 2)", "ok");
    node_run(&node, "caller", "{ok, C} = caller_open(M)");
    node_run(&node, "caller", "Busy = [weir_jobs:long(C) || _ <- lists:seq(1, 10)]");
    node_run(&node, "caller",
             "Tags = [begin pending = job_run(C, T, 0, 1, <<T:64>>, infinity, 4), T end"
             " || T <- lists:seq(1, 40)]");
    upgrade(&node);
    node_expect(&node, "caller", "maps:get(in_flight, stats(M)) > 40", "true");
    node_expect(&node, "main", "code:purge(" MODULE ")", "false");
    node_expect(&node, "main", "trace()",
                "[{load,library,1},{upgrade,library,2},{unload,library,1}]");
    /* The manager's watcher thread is still one of the old library. */
    node_expect(&node, "caller", "lists:usort([job_cancel(C, T) || T <- Busy]) -- [not_found]",
                "[ok]");
    node_expect(&node, "caller", "lists:usort(weir_jobs:collect(Busy)) -- [ok]", "[cancelled]");
    /* The workers would not come to the other jobs for a long time; they were not begun, so new
     * workers get them. */
    WEIR_EXPECT_EQ(node_programs(&node, "weir-loopback", workers, 4), 2);
    WEIR_EXPECT_EQ(kill(workers[0], SIGKILL), 0);
    WEIR_EXPECT_EQ(kill(workers[1], SIGKILL), 0);
    node_expect(&node, "caller", "lists:usort(weir_jobs:collect(Tags))", "[ok]");
    node_expect(&node, "caller", "weir_jobs:many(C, 200, 64)", "200");
    node_expect(&node, "caller", "weir_instance:close(pool)", "normal");
    node_forget(&node, "caller", "C");
    node_forget(&node, "caller", "M");
    node_await(&node, "main", "lists:sum(maps:values(resources()))", "0");
    node_stop(&node);
}

WEIR_TEST(node_upgrade, lets_a_manager_go_on_closing)
{
    node_host node;
    node_start(&node);
    node_run(&node, "caller", "{ok, M} = weir_instance:start(pool, #{worker_count => 2})");
    node_expect(&node, "caller", "weir_instance:await_ready(pool, 2)", "ok");
    node_run(&node, "caller",
             "{ok, C} = caller_open(M), Busy = [weir_jobs:long(C) || _ <- [1, 2]]");
    /* Closing goes on in a thread of the old library. */
    node_expect(&node, "caller", "manager_close(M)", "ok");
    upgrade(&node);
    node_expect(&node, "main", "code:purge(" MODULE ")", "false");
    node_expect(&node, "caller", "weir_jobs:collect(Busy)", "[cancelled,cancelled]");
    node_await(&node, "main", "whereis(pool)", "undefined");
    node_kill_process(&node, "caller");
    node_await(&node, "main", "lists:sum(maps:values(resources()))", "0");
    node_expect(&node, "main",
                "[Event || {Event, _, _} <- trace(), Event =/= stop, Event =/= down]",
                "[load,upgrade,unload]");
    node_expect(&node, "main", "[Kind || {stop, Kind, _} <- trace()]", "[manager]");
    node_stop(&node);
}

WEIR_TEST(node_upgrade, is_refused_while_resources_of_another_layout_live)
{
    node_host node;
    node_start(&node);
    node_run(&node, "owner", "{ok, E} = eventfd_create()");
    offer(&node, "weir_nif_other_layout.so");
    node_expect(&node, "main", "code:load_file(" MODULE ")", "{error,on_load_failure}");
    node_expect(&node, "main", "version()", "<<\"0.1.0\">>");
    node_expect(&node, "owner", "descriptor_is_open(E)", "true");
    node_forget(&node, "owner", "E");
    node_await(&node, "main", "maps:get(descriptor, resources())", "0");
    node_expect(&node, "main", "code:load_file(" MODULE ")", "{module,'Elixir.Weir.Native'}");
    node_expect(&node, "main", "version()", "<<\"9.9.8\">>");
    node_stop(&node);
}
