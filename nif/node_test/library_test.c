/* The library in a node: load, upgrade, purge, unload. */
#include "nif/node_test/testing/node_footprint.h"
#include "nif/node_test/testing/node_host.h"

WEIR_TEST(node_library, loads_once_and_notes_it)
{
    node_host node;
    node_start(&node);
    node_expect(&node, "main", "version()", "<<\"0.1.0\">>");
    node_expect(&node, "main", "trace()", "[{load,library,1}]");
    node_stop(&node);
}
