/* Descriptors as resources: closed once, whoever does it. */
#include "nif/node_test/testing/node_footprint.h"
#include "nif/node_test/testing/node_host.h"

WEIR_TEST(node_descriptor, is_rung_and_drained)
{
    node_host node;
    node_start(&node);
    node_run(&node, "main", "{ok, E} = eventfd_create()");
    node_expect(&node, "main", "element(2, eventfd_drain(E))", "empty");
    node_expect(&node, "main", "{eventfd_ring(E), eventfd_ring(E)}", "{ok,ok}");
    node_expect(&node, "main", "eventfd_drain(E)", "ok");
    node_expect(&node, "main", "element(2, eventfd_drain(E))", "empty");
    node_stop(&node);
}

WEIR_TEST(node_descriptor, tells_its_process_when_it_is_readable)
{
    node_host node;
    node_start(&node);
    node_run(&node, "main", "{ok, E} = eventfd_create()");
    node_expect(&node, "main", "descriptor_select(E)", "ok");
    node_expect(&node, "main", "receive Any -> Any after 50 -> silence end", "silence");
    node_expect(&node, "main", "eventfd_ring(E)", "ok");
    node_expect(&node, "main", "receive {weir_ready, E} -> told after 9000 -> silence end", "told");
    node_expect(&node, "main", "receive Other -> Other after 50 -> silence end", "silence");
    node_stop(&node);
}

WEIR_TEST(node_descriptor, is_closed_once_by_the_stop_callback)
{
    node_host node;
    node_start(&node);
    const node_footprint before = node_footprint_read(&node);
    node_run(&node, "main", "trace_clear(), {ok, E} = eventfd_create()");
    node_expect(&node, "main", "descriptor_select(E)", "ok");
    node_expect(&node, "main", "descriptor_close(E)", "ok");
    node_await(&node, "main", "trace()", "[{stop,descriptor,1}]");
    node_expect(&node, "main", "descriptor_is_open(E)", "false");
    node_expect(&node, "main", "descriptor_close(E)",
                "{error,closed,<<\"the descriptor was closed before\">>}");
    node_footprint_await(&node, &before);
    node_expect(&node, "main", "trace()", "[{stop,descriptor,1}]");
    node_stop(&node);
}

WEIR_TEST(node_descriptor, is_closed_when_it_is_collected)
{
    node_host node;
    node_start(&node);
    const node_footprint before = node_footprint_read(&node);
    node_run(&node, "main", "trace_clear(), {ok, E} = eventfd_create()");
    node_expect(&node, "main", "maps:get(descriptor, resources())", "1");
    WEIR_EXPECT_EQ(node_footprint_read(&node).descriptors, before.descriptors + 1);
    node_forget(&node, "main", "E");
    node_await(&node, "main", "maps:get(descriptor, resources())", "0");
    node_footprint_await(&node, &before);
    node_expect(&node, "main", "trace()", "[]");
    node_stop(&node);
}
