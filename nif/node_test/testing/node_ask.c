/* What a test says to its node: calls of weir_node by rpc. */
#include <stdio.h>

#include "nif/node_test/testing/node_host.h"
#include "nif/node_test/testing/node_wait.h"

#define AWAIT_S 15.0

/* The reply of rex: {rex, Answer}. */
static void take_answer(node_host *node, const char *function, const ei_x_buff *reply)
{
    int index = 0;
    int version;
    int arity;
    int type;
    int size;
    char atom[MAXATOMLEN];
    if (ei_decode_version(reply->buff, &index, &version) == 0 &&
        ei_decode_tuple_header(reply->buff, &index, &arity) == 0 && arity == 2 &&
        ei_decode_atom(reply->buff, &index, atom) == 0 &&
        ei_get_type(reply->buff, &index, &type, &size) == 0) {
        const int answer = index;
        if (type == ERL_STRING_EXT && size < NODE_TEXT &&
            ei_decode_string(reply->buff, &index, node->text) == 0) {
            return;
        }
        index = answer;
        if (ei_decode_atom(reply->buff, &index, node->text) == 0) {
            return;
        }
        index = answer;
    }
    char *shown = NULL;
    (void)ei_s_print_term(&shown, reply->buff, &index);
    weir_test_fail(__FILE__, __LINE__, "weir_node:%s answered no text: %s", function,
                   shown == NULL ? "(nothing that can be decoded)" : shown);
}

static void send_call(node_host *node, const char *function, const char *first, const char *second)
{
    char module[] = "weir_node";
    char name[64];
    ei_x_buff arguments;
    (void)snprintf(name, sizeof name, "%s", function);
    if (ei_x_new(&arguments) != 0 ||
        (second == NULL ? ei_x_format_wo_ver(&arguments, "[~s]", first)
                        : ei_x_format_wo_ver(&arguments, "[~s,~s]", first, second)) != 0) {
        weir_test_fail(__FILE__, __LINE__, "the call of %s could not be built", function);
    }
    if (ei_rpc_to(&node->self, node->connection, module, name, arguments.buff, arguments.index) <
        0) {
        weir_test_fail(__FILE__, __LINE__, "%s: cannot send to the node: error %d", function,
                       erl_errno);
    }
    ei_x_free(&arguments);
}

const char *node_call(node_host *node, const char *function, const char *first, const char *second)
{
    ei_x_buff reply;
    erlang_msg message;
    if (ei_x_new(&reply) != 0) {
        weir_test_fail(__FILE__, __LINE__, "no memory for an answer");
    }
    send_call(node, function, first, second);
    const uint64_t deadline_ns = weir_test_deadline(NODE_CALL_MS / 1000.0);
    int got;
    do {
        got = ei_rpc_from(&node->self, node->connection, NODE_CALL_MS, &message, &reply);
    } while (got == ERL_TICK && !node_is_past(deadline_ns));
    if (got != ERL_MSG) {
        weir_test_fail(__FILE__, __LINE__, "%s(%s, %s): no answer: error %d", function, first,
                       second == NULL ? "" : second, erl_errno);
    }
    take_answer(node, function, &reply);
    ei_x_free(&reply);
    return node->text;
}

void node_cast(node_host *node, const char *process, const char *expression)
{
    send_call(node, "evaluate", process, expression);
}

const char *node_value(node_host *node, const char *process, const char *expression)
{
    return node_call(node, "evaluate", process, expression);
}

static bool is_exception(const char *text)
{
    return strncmp(text, "error:", 6) == 0 || strncmp(text, "exit:", 5) == 0 ||
           strncmp(text, "throw:", 6) == 0 || strncmp(text, "{the_process_ended", 18) == 0;
}

void node_run(node_host *node, const char *process, const char *expression)
{
    if (is_exception(node_value(node, process, expression))) {
        weir_test_fail(__FILE__, __LINE__, "%s: %s", expression, node->text);
    }
}

void node_expect_at(const char *file, int line, node_host *node, const char *process,
                    const char *expression, const char *expected)
{
    if (strcmp(node_value(node, process, expression), expected) != 0) {
        weir_test_fail(file, line, "%s is %s, expected %s", expression, node->text, expected);
    }
}

void node_await_at(const char *file, int line, node_host *node, const char *process,
                   const char *expression, const char *expected)
{
    const uint64_t deadline_ns = weir_test_deadline(AWAIT_S);
    while (strcmp(node_value(node, process, expression), expected) != 0) {
        if (node_is_past(deadline_ns)) {
            weir_test_fail(file, line, "%s is still %s, expected %s", expression, node->text,
                           expected);
        }
        node_nap();
    }
}

void node_forget(node_host *node, const char *process, const char *variable)
{
    WEIR_EXPECT_STR_EQ(node_call(node, "forget", process, variable), "ok");
}

void node_kill_process(node_host *node, const char *process)
{
    WEIR_EXPECT_STR_EQ(node_call(node, "kill", process, NULL), "killed");
}
