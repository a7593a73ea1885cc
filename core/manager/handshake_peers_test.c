/* Handshakes with peers that break the rules, step by step in one process. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/os.h"
#include "harness/testing/weir_test.h"
#include "manager/handshake.h"
#include "manager/testing/handshake_bench.h"

/* Says this HELLO and demands its refusal. */
static void expect_hello_refused(handshake_bench *bench, struct weir_hello hello,
                                 weir_status status, uint32_t error_code, const char *reason)
{
    weir_error error = {.text = ""};
    const int fd = bench_connect(bench);
    WEIR_EXPECT_STATUS(bench_say(bench, fd, WEIR_MESSAGE_HELLO, &hello, &error), status);
    WEIR_EXPECT_STR_HAS(error.text, reason);
    bench_expect_told(bench, fd, error_code, reason);
    bench_renew(bench);
}

WEIR_TEST(handshake_peers, welcome_carries_the_terms)
{
    handshake_bench bench;
    bench_open(&bench, WEIR_BACKING_MEMFD);
    struct weir_hello hello = bench_hello(&bench);
    weir_control_message message;
    const int fd = bench_connect(&bench);
    WEIR_EXPECT_STATUS(bench_step(&bench, NULL), WEIR_EMPTY);
    WEIR_EXPECT_STATUS(bench_say(&bench, fd, WEIR_MESSAGE_HELLO, &hello, NULL), WEIR_EMPTY);
    bench_expect(fd, WEIR_MESSAGE_WELCOME, &message);
    const struct weir_welcome *welcome = &message.welcome;
    WEIR_EXPECT_EQ(welcome->generation, bench.terms.generation);
    WEIR_EXPECT_EQ(welcome->layout_major, WEIR_LAYOUT_MAJOR);
    WEIR_EXPECT_EQ(welcome->layout_minor, WEIR_LAYOUT_MINOR);
    WEIR_EXPECT_EQ(welcome->backing, WEIR_BACKING_MEMFD);
    WEIR_EXPECT_EQ(welcome->capabilities, WEIR_CAPABILITY_ALL);
    WEIR_EXPECT_EQ(welcome->wake_strategies, bench.terms.wake_strategies);
    WEIR_EXPECT_EQ(welcome->manager_pid, getpid());
    WEIR_EXPECT_EQ(welcome->manager_bytes, bench.arena.manager_object.bytes);
    WEIR_EXPECT_EQ(welcome->worker_bytes, bench.arena.worker_object.bytes);
    WEIR_EXPECT_EQ(welcome->spin_ns, 1234);
    WEIR_EXPECT_EQ(welcome->compress_min_bytes, 5678);
    WEIR_EXPECT_EQ(welcome->manager_name[0], 0);
    close(fd);
    bench_close(&bench);
}

WEIR_TEST(handshake_peers, ready_ends_it_and_a_later_step_finds_it_closed)
{
    handshake_bench bench;
    bench_open(&bench, WEIR_BACKING_MEMFD);
    struct weir_ready ready = {.generation = bench.terms.generation, .tid = 99};
    const int fd = bench_reach_ready(&bench);
    WEIR_EXPECT_STATUS(bench_say(&bench, fd, WEIR_MESSAGE_READY, &ready, NULL), WEIR_OK);
    WEIR_EXPECT_EQ(bench.h.worker_tid, 99);
    WEIR_EXPECT_EQ(bench.h.state, WEIR_HANDSHAKE_DONE);
    WEIR_EXPECT_GE(bench.h.fd, 0);
    WEIR_EXPECT_STATUS(bench_step(&bench, NULL), WEIR_CLOSED);
    weir_handshake_refuse(&bench.h, WEIR_ERROR_CODE_MEMORY, "cannot seal \xff");
    bench_expect_told(&bench, fd, WEIR_ERROR_CODE_MEMORY, "cannot seal ?");
    WEIR_EXPECT_STATUS(bench_step(&bench, NULL), WEIR_CLOSED);
    bench_close(&bench);
}

WEIR_TEST(handshake_peers, refuses_each_unfit_hello_with_its_reason)
{
    handshake_bench bench;
    bench_open(&bench, WEIR_BACKING_MEMFD);
    struct weir_hello hello = bench_hello(&bench);
    hello.protocol_version++;
    expect_hello_refused(&bench, hello, WEIR_INCOMPATIBLE, WEIR_ERROR_CODE_VERSION,
                         "protocol version 2 and the manager version 1");
    hello = bench_hello(&bench);
    hello.token[31] ^= 1;
    expect_hello_refused(&bench, hello, WEIR_REFUSED, WEIR_ERROR_CODE_TOKEN, "token");
    hello = bench_hello(&bench);
    memset(hello.role, 0, sizeof hello.role);
    expect_hello_refused(&bench, hello, WEIR_REFUSED, WEIR_ERROR_CODE_ROLE, "has no role");
    hello = bench_hello(&bench);
    hello.opcode_count = 0;
    expect_hello_refused(&bench, hello, WEIR_REFUSED, WEIR_ERROR_CODE_ROLE, "announces 0 opcodes");
    hello = bench_hello(&bench);
    hello.opcode_count = 65;
    expect_hello_refused(&bench, hello, WEIR_REFUSED, WEIR_ERROR_CODE_ROLE, "announces 65 opcodes");
    hello = bench_hello(&bench);
    hello.opcode_count = 3;
    expect_hello_refused(&bench, hello, WEIR_REFUSED, WEIR_ERROR_CODE_ROLE, "none of them 0");
    hello = bench_hello(&bench);
    hello.wake_strategies = 1u << WEIR_WAKE_STRATEGY_SIGNAL | 1u;
    expect_hello_refused(&bench, hello, WEIR_REFUSED, WEIR_ERROR_CODE_ROLE, "wake strategies 0x9");
    hello = bench_hello(&bench);
    hello.layout_major++;
    expect_hello_refused(&bench, hello, WEIR_INCOMPATIBLE, WEIR_ERROR_CODE_LAYOUT, "major version");
    hello = bench_hello(&bench);
    hello.layout_minor++;
    expect_hello_refused(&bench, hello, WEIR_INCOMPATIBLE, WEIR_ERROR_CODE_LAYOUT, "same digest");
    bench_close(&bench);
}

WEIR_TEST(handshake_peers, keeps_sixty_four_opcodes_sorted_and_each_once)
{
    handshake_bench bench;
    bench_open(&bench, WEIR_BACKING_MEMFD);
    struct weir_hello hello = bench_hello(&bench);
    hello.opcode_count = 64;
    for (uint16_t i = 0; i < 64; i++) {
        hello.opcode[i] = (uint16_t)(1 + (i * 37 + 5) % 48);
    }
    const int fd = bench_connect(&bench);
    WEIR_EXPECT_STATUS(bench_say(&bench, fd, WEIR_MESSAGE_HELLO, &hello, NULL), WEIR_EMPTY);
    WEIR_EXPECT_EQ(bench.h.opcode_count, 48);
    for (uint16_t i = 0; i < 48; i++) {
        WEIR_EXPECT_EQ(bench.h.opcode[i], i + 1);
    }
    close(fd);
    bench_close(&bench);
}

WEIR_TEST(handshake_peers, a_peer_that_leaves_ends_it_at_every_step)
{
    for (int step = 0; step < 3; step++) {
        handshake_bench bench;
        weir_error error = {.text = ""};
        bench_open(&bench, WEIR_BACKING_MEMFD);
        const int before = bench_descriptors();
        close(step == 0   ? bench_connect(&bench)
              : step == 1 ? bench_reach_schema(&bench)
                          : bench_reach_ready(&bench));
        WEIR_EXPECT_STATUS(bench_step(&bench, &error), WEIR_PEER_DEAD);
        WEIR_EXPECT_STR_HAS(error.text, "closed");
        WEIR_EXPECT_EQ(bench.h.fd, -1);
        WEIR_EXPECT_EQ(bench_descriptors(), before);
        bench_close(&bench);
    }
}

WEIR_TEST(handshake_peers, a_peer_that_says_nothing_meets_the_deadline_at_every_step)
{
    static const char *const awaited[] = {"hello message did not", "schema message did not",
                                          "ready message did not"};
    for (int step = 0; step < 3; step++) {
        handshake_bench bench;
        weir_error error = {.text = ""};
        bench_open(&bench, WEIR_BACKING_MEMFD);
        const int fd = step == 0   ? bench_connect(&bench)
                       : step == 1 ? bench_reach_schema(&bench)
                                   : bench_reach_ready(&bench);
        bench.h.deadline_ns = 1000;
        WEIR_EXPECT_STATUS(weir_handshake_step(&bench.h, 999, &error), WEIR_EMPTY);
        WEIR_EXPECT_STATUS(weir_handshake_step(&bench.h, 1000, &error), WEIR_TIMEOUT);
        WEIR_EXPECT_STR_HAS(error.text, awaited[step]);
        bench_expect_told(&bench, fd, WEIR_ERROR_CODE_DEADLINE, awaited[step]);
        bench_close(&bench);
    }
}

WEIR_TEST(handshake_peers, refuses_messages_out_of_order_at_every_step)
{
    handshake_bench bench;
    bench_open(&bench, WEIR_BACKING_MEMFD);
    static const enum weir_message good[] = {WEIR_MESSAGE_HELLO, WEIR_MESSAGE_SCHEMA,
                                             WEIR_MESSAGE_READY};
    for (int step = 0; step < 3; step++) {
        for (uint16_t kind = 1; kind <= WEIR_MESSAGE_MAX; kind++) {
            if (kind == good[step]) {
                continue;
            }
            weir_control_message message;
            const int before = bench_descriptors();
            memset(&message, 0, sizeof message);
            const int fd = step == 0   ? bench_connect(&bench)
                           : step == 1 ? bench_reach_schema(&bench)
                                       : bench_reach_ready(&bench);
            const int descriptors[4] = {fd, fd, fd, fd};
            weir_error error = {.text = ""};
            const uint32_t count = kind == WEIR_MESSAGE_WELCOME ? 4 : 0;
            WEIR_EXPECT_STATUS(
                weir_control_send(fd, (enum weir_message)kind, &message, descriptors, count, NULL),
                WEIR_OK);
            WEIR_EXPECT_STATUS(bench_step(&bench, &error), WEIR_PROTOCOL);
            WEIR_EXPECT_STR_HAS(error.text, "keep the order");
            bench_expect_told(&bench, fd, WEIR_ERROR_CODE_MESSAGE, "keep the order");
            WEIR_EXPECT_EQ(bench_descriptors(), before);
            bench_renew(&bench);
        }
    }
    bench_close(&bench);
}

WEIR_TEST(handshake_peers, refuses_garbage_and_messages_that_are_too_long)
{
    handshake_bench bench;
    static uint8_t bytes[65536];
    bench_open(&bench, WEIR_BACKING_MEMFD);
    memset(bytes, 'g', sizeof bytes);
    for (size_t length = 1; length <= sizeof bytes; length *= 2) {
        weir_error error = {.text = ""};
        const int fd = bench_connect(&bench);
        WEIR_EXPECT_EQ(send(fd, bytes, length, MSG_NOSIGNAL), (ssize_t)length);
        WEIR_EXPECT_STATUS(bench_step(&bench, &error), WEIR_PROTOCOL);
        bench_expect_told(&bench, fd, WEIR_ERROR_CODE_MESSAGE,
                          length > sizeof(weir_control_message) ? "longer than"
                          : length < 16                         ? "too short"
                                                                : "does not speak Weir's protocol");
    }
    WEIR_EXPECT_FALSE(bench.token_used);
    bench_close(&bench);
}

WEIR_TEST(handshake_peers, closes_descriptors_that_come_with_hello)
{
    handshake_bench bench;
    bench_open(&bench, WEIR_BACKING_MEMFD);
    for (uint32_t count = 1; count <= WEIR_CONTROL_DESCRIPTORS_MAX; count++) {
        struct weir_hello hello = bench_hello(&bench);
        const int before = bench_descriptors();
        const int fd = bench_connect(&bench);
        const int list[4] = {fd, fd, fd, fd};
        WEIR_EXPECT_STATUS(weir_control_send(fd, WEIR_MESSAGE_HELLO, &hello, list, count, NULL),
                           WEIR_OK);
        WEIR_EXPECT_STATUS(bench_step(&bench, NULL), WEIR_PROTOCOL);
        bench_expect_told(&bench, fd, WEIR_ERROR_CODE_MESSAGE, "must come with 0");
        WEIR_EXPECT_EQ(bench_descriptors(), before);
    }
    bench_close(&bench);
}

WEIR_TEST(handshake_peers, believes_ready_only_with_generation_thread_and_header)
{
    handshake_bench bench;
    bench_open(&bench, WEIR_BACKING_MEMFD);
    for (int wrong = 0; wrong < 3; wrong++) {
        struct weir_ready ready = {.generation = bench.terms.generation, .tid = 1};
        weir_error error = {.text = ""};
        const int fd = bench_reach_ready(&bench);
        ready.generation += wrong == 0;
        ready.tid -= wrong == 1;
        bench.h.claim.digest[5] ^= wrong == 2;
        WEIR_EXPECT_STATUS(bench_say(&bench, fd, WEIR_MESSAGE_READY, &ready, &error),
                           WEIR_PROTOCOL);
        bench_expect_told(&bench, fd,
                          wrong < 2 ? WEIR_ERROR_CODE_GENERATION : WEIR_ERROR_CODE_MEMORY,
                          wrong < 2 ? "READY says generation" : "object B's header");
        bench_renew(&bench);
    }
    bench_close(&bench);
}

WEIR_TEST(handshake_peers, a_peer_that_takes_no_messages_is_not_waited_for)
{
    handshake_bench bench;
    weir_error error = {.text = ""};
    bench_open(&bench, WEIR_BACKING_MEMFD);
    struct weir_hello hello = bench_hello(&bench);
    const int fd = bench_connect(&bench);
    static weir_control_message filler;
    while (weir_control_send(bench.h.fd, WEIR_MESSAGE_SCHEMA, &filler, NULL, 0, NULL) == WEIR_OK) {
    }
    while (weir_control_send(bench.h.fd, WEIR_MESSAGE_REJECT, &filler, NULL, 0, NULL) == WEIR_OK) {
    }
    WEIR_EXPECT_STATUS(bench_say(&bench, fd, WEIR_MESSAGE_HELLO, &hello, &error), WEIR_PROTOCOL);
    WEIR_EXPECT_STR_HAS(error.text, "does not take messages");
    WEIR_EXPECT_EQ(bench.h.fd, -1);
    close(fd);
    bench_close(&bench);
}

static int fail_getsockopt(int fd, int level, int name, void *value, socklen_t *bytes)
{
    (void)fd;
    (void)level;
    (void)name;
    (void)value;
    (void)bytes;
    errno = ENOPROTOOPT;
    return -1;
}

WEIR_TEST(handshake_peers, a_peer_that_the_kernel_does_not_name_is_refused)
{
    handshake_bench bench;
    weir_os_table table = *weir_os_linux();
    table.getsockopt = fail_getsockopt;
    bench_open(&bench, WEIR_BACKING_MEMFD);
    const int fd = bench_connect(&bench);
    weir_os_replace(&table);
    const weir_status status = bench_step(&bench, NULL);
    weir_os_replace(NULL);
    WEIR_EXPECT_STATUS(status, WEIR_SYSTEM);
    bench_expect_told(&bench, fd, WEIR_ERROR_CODE_PEER, "who is at the other end");
    bench_close(&bench);
}

WEIR_TEST(handshake_peers, a_listener_takes_its_socket_away)
{
    handshake_bench bench;
    bench_open(&bench, WEIR_BACKING_MEMFD);
    WEIR_EXPECT_EQ(access(bench.listener.path, F_OK), 0);
    weir_listener_close(&bench.listener);
    WEIR_EXPECT_EQ(access(bench.listener.path, F_OK), -1);
    weir_listener_close(&bench.listener);
    bench_close(&bench);
}
