/* How the node's helpers wait: a little, again and again, until a deadline. */
#ifndef WEIR_NIF_NODE_TEST_NODE_WAIT_H
#define WEIR_NIF_NODE_TEST_NODE_WAIT_H

#include <time.h>

#include "harness/testing/weir_test.h"

/** The longest that a node may take to answer. */
#define NODE_CALL_MS 30000u

static inline void node_nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

static inline bool node_is_past(uint64_t deadline_ns)
{
    return weir_test_deadline(0) >= deadline_ns;
}

#endif
