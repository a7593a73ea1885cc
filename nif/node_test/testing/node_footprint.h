/**
 * @file
 * What a node holds, as the kernel sees it.
 *
 * Purpose: prove that nothing is left behind: read the footprint, do something, and wait until the
 * footprint is again what it was.
 *
 * Threads: the test's own. Blocking: node_footprint_await until its deadline.
 *
 * Source: proc(5).
 */
#ifndef WEIR_NIF_NODE_TEST_NODE_FOOTPRINT_H
#define WEIR_NIF_NODE_TEST_NODE_FOOTPRINT_H

#include "nif/node_test/testing/node_host.h"

typedef struct node_footprint {
    size_t descriptors;
    size_t mappings;  /**< Of memory objects: memfd and shm_open. */
    size_t threads;   /**< Tasks of the node itself. */
    size_t processes; /**< Descendants, erl_child_setup included. */
    size_t files;     /**< Below the runtime directory, except directories. */
} node_footprint;

/** Files below the node's runtime directory; the node need not live. */
size_t node_files(const node_host *node);
node_footprint node_footprint_read(const node_host *node);
void node_footprint_await_at(const char *file, int line, const node_host *node,
                             const node_footprint *before);
/** Waits until the node holds what it held before; fails with both footprints at the deadline. */
#define node_footprint_await(node, before) node_footprint_await_at(__FILE__, __LINE__, node, before)

/** Whether a file with this name is mapped into the node. */
bool node_maps(const node_host *node, const char *name);

/** All descendants of a process; returns how many were stored. */
size_t node_descendants(pid_t pid, pid_t *pids, size_t most);
/** Descendants of the node whose program has this name (comm). */
size_t node_programs(const node_host *node, const char *name, pid_t *pids, size_t most);

#endif
