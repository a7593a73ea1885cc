/**
 * @file
 * A real Erlang node under the test's command.
 *
 * Purpose: start `erl` without epmd on loopback, connect to it as a C node, let processes there
 * evaluate expressions, look at what it holds, end it in any way, and prove that nothing is left.
 *
 * Typical use:
 *
 *     node_host node;
 *     node_start(&node);
 *     node_run(&node, "main", "{ok, E} = eventfd_create()");
 *     node_expect(&node, "main", "descriptor_is_open(E)", "true");
 *     node_stop(&node);
 *
 * Processes are named by the test and started when first named; each keeps its variables and owns
 * what it makes (erlang/weir_node.erl). A call without a module is one of Weir.Native.
 *
 * Threads: the test's own. Blocking: every call until a deadline at most; then the test fails.
 *
 * Source: ei_connect(3), erl(1) for -start_epmd and -erl_epmd_port.
 */
#ifndef WEIR_NIF_NODE_TEST_NODE_HOST_H
#define WEIR_NIF_NODE_TEST_NODE_HOST_H

#include <ei.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "harness/testing/weir_test.h"

/** Most characters of an answer that a test looks at. */
#define NODE_TEXT 8192

typedef struct node_host {
    pid_t pid;
    int connection;
    ei_cnode self;
    char directory[64];   /**< Of this node alone: home, runtime directory, reports. */
    char text[NODE_TEXT]; /**< The latest answer. */
    pid_t started[64];    /**< Its processes, listed before it was killed. */
    size_t started_count;
} node_host;

/** Starts a node with the NIF that was built beside the runner, connects, and loads the NIF. Skips
 * the test when Erlang is missing. */
void node_start(node_host *node);
/** The same with another library: the name of the file in the build's lib folder. */
void node_start_with(node_host *node, const char *library);

/** Calls weir_node:function(first, second) there, or weir_node:function(first) when @p second is
 * NULL. The answer must be a string (or an atom); it is in node->text and returned. */
const char *node_call(node_host *node, const char *function, const char *first, const char *second);

/** The value of an expression as text, or "error:REASON". */
const char *node_value(node_host *node, const char *process, const char *expression);
/** Evaluates; fails the test when that raises. */
void node_run(node_host *node, const char *process, const char *expression);
/** Lets the process evaluate, without waiting for it. */
void node_cast(node_host *node, const char *process, const char *expression);
void node_expect_at(const char *file, int line, node_host *node, const char *process,
                    const char *expression, const char *expected);
/** The value of the expression, as text, is exactly this. */
#define node_expect(node, process, expression, expected)                                           \
    node_expect_at(__FILE__, __LINE__, node, process, expression, expected)
/** Asks again until the value is this; fails with the latest one at the deadline. */
void node_await_at(const char *file, int line, node_host *node, const char *process,
                   const char *expression, const char *expected);
#define node_await(node, process, expression, expected)                                            \
    node_await_at(__FILE__, __LINE__, node, process, expression, expected)

/** Drops a variable of the process; what only it referred to is collected. */
void node_forget(node_host *node, const char *process, const char *variable);
/** Kills a process of the node, as exit(Pid, kill) does. */
void node_kill_process(node_host *node, const char *process);

/** Path of a file that was built: lib/NAME of the build. */
void node_library(char *path, size_t size, const char *name);

/** Ends the node in an orderly way; it must exit with 0, and nothing may be left. */
void node_stop(node_host *node);
/** SIGKILL; returns when the node is reaped. Its directory stays until node_leave. */
void node_kill(node_host *node);
/** After node_kill: all processes that it had are gone within @p seconds. */
void node_await_gone(node_host *node, double seconds);
/** The same, and its directory is removed; fails when the sanitizer reported something. */
void node_leave(node_host *node, double seconds);
/** After node_kill: a new node in the same directory. */
void node_start_again(node_host *node);

/** Waits until the node has ended by itself; returns its exit code. */
int node_await_end(node_host *node);
/** What the sanitizer reported, if it did; the next call finds the next report. */
bool node_take_report(const node_host *node, char *text, size_t size);

#endif
