/* Processes of the node that die with what they hold. */
#include <signal.h>

#include "nif/node_test/testing/node_footprint.h"
#include "nif/node_test/testing/node_host.h"

/* Living resources of any kind. */
#define ALIVE "lists:sum(maps:values(resources()))"

WEIR_TEST(node_death, closes_the_descriptors_of_their_owner)
{
    node_host node;
    node_start(&node);
    const node_footprint before = node_footprint_read(&node);
    node_run(&node, "main", "trace_clear()");
    node_run(&node, "owner", "{ok, Quiet} = eventfd_create()");
    node_run(&node, "owner", "{ok, Selected} = eventfd_create(), ok = descriptor_select(Selected)");
    node_kill_process(&node, "owner");
    node_await(&node, "main", ALIVE, "0");
    node_footprint_await(&node, &before);
    node_expect(&node, "main", "lists:sort(trace())",
                "[{down,descriptor,1},{down,descriptor,1},{stop,descriptor,1}]");
    node_stop(&node);
}

WEIR_TEST(node_death, closes_a_descriptor_that_another_process_still_names)
{
    node_host node;
    node_start(&node);
    node_run(&node, "main", "trace_clear()");
    node_run(&node, "owner", "{ok, E} = eventfd_create(), weir_test_main ! {here, E}");
    node_run(&node, "main", "E = receive {here, Got} -> Got end");
    node_expect(&node, "main", "descriptor_is_open(E)", "true");
    node_kill_process(&node, "owner");
    node_await(&node, "main", "descriptor_is_open(E)", "false");
    node_expect(&node, "main", "trace()", "[{down,descriptor,1}]");
    node_stop(&node);
}

WEIR_TEST(node_death, of_its_owner_closes_a_manager_with_its_workers)
{
    node_host node;
    pid_t workers[8];
    node_start(&node);
    const node_footprint before = node_footprint_read(&node);
    node_run(&node, "main", "trace_clear(), weir_instance:start(pool, #{worker_count => 2}), ok");
    node_expect(&node, "main", "weir_instance:await_ready(pool, 2)", "ok");
    WEIR_EXPECT_EQ(node_programs(&node, "weir-loopback", workers, 8), 2);
    node_run(&node, "main", "exit(whereis(pool), kill)");
    node_await(&node, "main", ALIVE, "0");
    node_footprint_await(&node, &before);
    node_expect(&node, "main", "trace()", "[{down,manager,1},{stop,manager,1}]");
    node_stop(&node);
}

WEIR_TEST(node_death, of_a_caller_cancels_its_jobs)
{
    node_host node;
    node_start(&node);
    node_run(&node, "main", "{ok, M} = weir_instance:start(pool, #{}), trace_clear()");
    node_expect(&node, "main", "weir_instance:await_ready(pool, 1)", "ok");
    node_run(&node, "caller", "{ok, C} = caller_open(weir_instance:manager(pool))");
    node_run(&node, "caller", "[weir_jobs:long(C) || _ <- lists:seq(1, 3)], ok");
    node_await(&node, "main", "maps:get(in_flight, stats(M))", "3");
    node_kill_process(&node, "caller");
    node_await(&node, "main", "maps:get(cancelled, maps:get(outcomes, stats(M)))", "3");
    node_await(&node, "main", "maps:get(caller, resources())", "0");
    node_expect(&node, "main", "trace()", "[{down,caller,1}]");
    node_expect(&node, "main", "weir_instance:close(pool)", "normal");
    node_stop(&node);
}

WEIR_TEST(node_death, of_a_worker_leaves_held_results_readable)
{
    node_host node;
    pid_t workers[2];
    node_start(&node);
    const node_footprint before = node_footprint_read(&node);
    node_run(&node, "main", "{ok, M} = weir_instance:start(pool, #{trusted => true})");
    node_expect(&node, "main", "weir_instance:await_ready(pool, 1)", "ok");
    node_run(&node, "reader", "{ok, C} = caller_open(weir_instance:manager(pool))");
    node_run(&node, "reader", "Sent = rand:bytes(50000)");
    node_run(
        &node, "reader",
        "pending = job_run(C, job, 0, 1, Sent, infinity, 6), {ok, Held} = weir_jobs:await(job)");
    node_expect(&node, "reader", "maps:get(held, resources())", "1");
    WEIR_EXPECT_EQ(node_programs(&node, "weir-loopback", workers, 2), 1);
    WEIR_EXPECT_EQ(kill(workers[0], SIGKILL), 0);
    node_expect(&node, "main", "weir_instance:await_ready(pool, 2)", "ok");
    node_expect(&node, "reader", "Held =:= Sent", "true");
    node_expect(&node, "main", "weir_instance:close(pool)", "normal");
    node_expect(&node, "reader", "Held =:= Sent", "true");
    node_forget(&node, "main", "M");
    node_kill_process(&node, "reader");
    node_await(&node, "main", ALIVE, "0");
    node_footprint_await(&node, &before);
    node_stop(&node);
}
