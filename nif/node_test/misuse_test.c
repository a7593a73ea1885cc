/* Every function of Weir.Native with wrong arguments. */
#include <inttypes.h>
#include <stdio.h>

#include "nif/node_test/testing/node_footprint.h"
#include "nif/node_test/testing/node_host.h"

WEIR_TEST(node_misuse, has_a_row_for_every_function)
{
    node_host node;
    node_start(&node);
    node_expect(&node, "main", "weir_misuse:missing_rows()", "[]");
    node_stop(&node);
}

WEIR_TEST(node_misuse, of_every_function_is_refused_and_the_node_lives, .timeout = 120)
{
    node_host node;
    char check[200];
    node_start(&node);
    node_run(&node, "main", "{ok, M} = weir_instance:start(pool, #{})");
    node_expect(&node, "main", "weir_instance:await_ready(pool, 1)", "ok");
    node_run(&node, "main", "{ok, C} = caller_open(M)");
    node_run(&node, "main", "{ok, B} = batch_begin(C, tag, 0, 1, 8, 8, 1000000000, 0)");
    node_run(&node, "main",
             "{ok, Memory} = shm_create(list_to_binary(\"/weir-right-\" ++ os:getpid()), 4096)");
    node_run(&node, "main", "{ok, Sender, Receiver} = passing_pair()");
    node_run(&node, "main",
             "#{arena := A, descriptor := D, second_descriptor := E} = Pair ="
             " weir_pair:open()");
    node_run(&node, "main",
             "Right = (maps:without([second_descriptor], Pair))#{"
             " manager => M, caller => C, batch => B, memory => Memory,"
             " sender => Sender, receiver => Receiver, eventfds => {D, E},"
             " welcome => arena_welcome(A)}");
    (void)snprintf(check, sizeof check,
                   "[Bad || F <- weir_misuse:functions(),"
                   " Bad <- weir_misuse:check(F, Right, %" PRIu64 ")]",
                   weir_test_seed());
    node_expect(&node, "main", check, "[]");
    /* And it still works. */
    node_expect(&node, "main", "weir_jobs:run(C, 1, <<\"a job\">>)", "{ok,<<\"a job\">>}");
    node_expect(&node, "main", "worker_next(maps:get(worker, Pair))", "empty");
    node_expect(&node, "main", "weir_instance:close(pool)", "normal");
    node_kill_process(&node, "main");
    node_await(&node, "other", "lists:sum(maps:values(resources()))", "0");
    node_stop(&node);
}
