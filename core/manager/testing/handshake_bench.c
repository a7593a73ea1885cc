#include "manager/testing/handshake_bench.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/os.h"
#include "harness/testing/weir_test.h"

#define GENERATION 7

static const weir_handshake_terms *find(void *context, const uint8_t token[WEIR_TOKEN_BYTES])
{
    handshake_bench *bench = context;
    if (!weir_token_equal(bench->token, token) || bench->token_used) {
        return NULL;
    }
    bench->token_used = true;
    return &bench->terms;
}

void bench_open(handshake_bench *bench, uint32_t backing)
{
    weir_error error = {.text = ""};
    memset(bench, 0, sizeof *bench);
    bench->h.fd = -1;
    bench->h.state = WEIR_HANDSHAKE_ENDED;
    strcpy(bench->directory, "/tmp/weir-handshake-XXXXXX");
    WEIR_EXPECT_NOT_NULL(mkdtemp(bench->directory));
    WEIR_EXPECT_STATUS(weir_listener_open(bench->directory, "socket", &bench->listener, &error),
                       WEIR_OK);
    const weir_arena_config config = {
        .backing = backing,
        .ring_capacity = 16,
        .request_class_count = 1,
        .response_class_count = 1,
        .request_class = {{.slot_bytes = 256, .slot_count = 16}},
        .response_class = {{.slot_bytes = 256, .slot_count = 16}},
    };
    if (weir_arena_create(&config, GENERATION, &bench->arena, &error) != WEIR_OK) {
        weir_test_fail(__FILE__, __LINE__, "no arena: %s", error.text);
    }
    bench_renew(bench);
    bench->terms = (weir_handshake_terms){
        .generation = GENERATION,
        .arena = &bench->arena,
        .request_eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
        .response_eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
        .capabilities = WEIR_CAPABILITY_ALL,
        .wake_strategies = 1u << WEIR_WAKE_STRATEGY_FUTEX | 1u << WEIR_WAKE_STRATEGY_EVENTFD,
        .spin_ns = 1234,
        .compress_min_bytes = 5678,
        .manager_tid = (uint32_t)weir_os()->gettid(),
        .role = "loopback",
        .correlation = "run-42/worker-1",
    };
}

void bench_renew(handshake_bench *bench)
{
    WEIR_EXPECT_STATUS(weir_token_make(bench->token, NULL), WEIR_OK);
    bench->token_used = false;
}

void bench_close(handshake_bench *bench)
{
    weir_handshake_refuse(&bench->h, WEIR_ERROR_CODE_NONE, "the bench is cleared");
    weir_arena_destroy(&bench->arena);
    close(bench->terms.request_eventfd);
    close(bench->terms.response_eventfd);
    weir_listener_close(&bench->listener);
    WEIR_EXPECT_EQ(rmdir(bench->directory), 0);
}

typedef struct start {
    const handshake_bench *bench;
    const char *const *settings;
    int output;
} start;

static void run_worker(void *context)
{
    const start *s = context;
    char token[WEIR_TOKEN_TEXT_BYTES];
    weir_token_write(s->bench->token, token);
    setenv("WEIR_TOKEN", token, 1);
    setenv("WEIR_SOCKET", s->bench->listener.path, 1);
    setenv("WEIR_CORRELATION", s->bench->terms.correlation, 1);
    setenv("WEIR_TEST_ROLE", "loopback", 1);
    for (const char *const *setting = s->settings; *setting != NULL; setting++) {
        if (strchr(*setting, '=') != NULL) {
            putenv((char *)(uintptr_t)*setting);
        } else {
            unsetenv(*setting);
        }
    }
    dup2(s->output, STDERR_FILENO);
    const char *path = weir_test_program("handshake_worker_program");
    execl(path, path, (char *)NULL);
    _exit(127);
}

bench_worker bench_start(const handshake_bench *bench, const char *const *settings)
{
    static const char *const none[] = {NULL};
    int ends[2];
    WEIR_EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    start s = {.bench = bench, .settings = settings != NULL ? settings : none, .output = ends[1]};
    const bench_worker worker = {.pid = weir_test_fork(run_worker, &s), .output = ends[0]};
    close(ends[1]);
    return worker;
}

int bench_wait(bench_worker *worker)
{
    const int code = weir_test_wait(worker->pid, weir_test_deadline(30));
    const ssize_t got = read(worker->output, worker->text, sizeof worker->text - 1);
    worker->text[got > 0 ? got : 0] = '\0';
    close(worker->output);
    return code;
}

static void wait_readable(int fd, uint64_t deadline_ns)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    WEIR_EXPECT_GE(weir_os()->poll_until(&ready, 1, deadline_ns, NULL), 0);
}

void bench_accept(handshake_bench *bench, uint64_t deadline_ns)
{
    int fd = -1;
    weir_error error;
    wait_readable(bench->listener.fd, weir_test_deadline(30));
    WEIR_EXPECT_STATUS(weir_listener_accept(&bench->listener, &fd, &error), WEIR_OK);
    weir_handshake_begin(&bench->h, fd, deadline_ns, find, bench);
}

weir_status bench_finish(handshake_bench *bench, weir_error *error)
{
    weir_status status = WEIR_EMPTY;
    while (status == WEIR_EMPTY) {
        wait_readable(bench->h.fd, bench->h.deadline_ns);
        status = weir_handshake_step(&bench->h, weir_os()->clock_ns(), error);
    }
    return status;
}

int bench_connect(handshake_bench *bench)
{
    int fd = -1;
    WEIR_EXPECT_STATUS(weir_control_connect(bench->listener.path, WEIR_NEVER, &fd, NULL), WEIR_OK);
    bench_accept(bench, WEIR_NEVER);
    return fd;
}

struct weir_hello bench_hello(const handshake_bench *bench)
{
    struct weir_hello hello = {
        .protocol_version = WEIR_PROTOCOL_VERSION,
        .layout_major = WEIR_LAYOUT_MAJOR,
        .layout_minor = WEIR_LAYOUT_MINOR,
        .opcode_count = 2,
        .capabilities = WEIR_CAPABILITY_ALL,
        .wake_strategies = 1u << WEIR_WAKE_STRATEGY_FUTEX,
        .pid = 1,
        .role = "loopback",
        .language = "test",
        .opcode = {WEIR_OPCODE_CRC, WEIR_OPCODE_ECHO},
    };
    memcpy(hello.layout_digest, weir_layout_digest, sizeof hello.layout_digest);
    memcpy(hello.token, bench->token, sizeof hello.token);
    strcpy((char *)hello.correlation, bench->terms.correlation);
    return hello;
}

weir_status bench_step(handshake_bench *bench, weir_error *error)
{
    return weir_handshake_step(&bench->h, 0, error);
}

weir_status bench_say(handshake_bench *bench, int fd, enum weir_message kind, void *message,
                      weir_error *error)
{
    WEIR_EXPECT_STATUS(weir_control_send(fd, kind, message, NULL, 0, error), WEIR_OK);
    return bench_step(bench, error);
}

void bench_expect(int fd, enum weir_message kind, weir_control_message *message)
{
    weir_control_descriptors descriptors;
    weir_error error = {.text = ""};
    if (weir_control_receive(fd, message, &descriptors, &error) != WEIR_OK) {
        weir_test_fail(__FILE__, __LINE__, "no %s: %s", weir_message_name(kind), error.text);
    }
    weir_control_close_descriptors(&descriptors);
    WEIR_EXPECT_STR_EQ(weir_message_name(message->header.kind), weir_message_name(kind));
}

void bench_write_header(const handshake_bench *bench, const weir_control_message *welcome,
                        const weir_control_descriptors *descriptors)
{
    weir_arena worker;
    weir_error error = {.text = ""};
    if (weir_arena_attach(&welcome->welcome, descriptors->fd[0], descriptors->fd[1], &worker,
                          &error) != WEIR_OK) {
        weir_test_fail(__FILE__, __LINE__, "not attached: %s", error.text);
    }
    worker.worker_header->magic = WEIR_WORKER_MAGIC;
    worker.worker_header->generation = bench->terms.generation;
    memcpy(worker.worker_header->layout_digest, bench->h.claim.digest,
           sizeof worker.worker_header->layout_digest);
    weir_arena_destroy(&worker);
}

void bench_expect_told(const handshake_bench *bench, int fd, uint32_t error_code,
                       const char *reason)
{
    weir_control_message message;
    WEIR_EXPECT_EQ(bench->h.fd, -1);
    WEIR_EXPECT_EQ(bench->h.state, WEIR_HANDSHAKE_ENDED);
    WEIR_EXPECT_STR_EQ(weir_error_code_name(bench->h.error_code), weir_error_code_name(error_code));
    bench_expect(fd, WEIR_MESSAGE_REJECT, &message);
    WEIR_EXPECT_EQ(message.reject.error_code, error_code);
    WEIR_EXPECT_STR_HAS((const char *)message.reject.text, reason);
    close(fd);
}

int bench_reach_ready(handshake_bench *bench)
{
    struct weir_hello hello = bench_hello(bench);
    weir_control_message message;
    weir_control_descriptors descriptors;
    const int fd = bench_connect(bench);
    WEIR_EXPECT_STATUS(bench_say(bench, fd, WEIR_MESSAGE_HELLO, &hello, NULL), WEIR_EMPTY);
    WEIR_EXPECT_STATUS(weir_control_receive(fd, &message, &descriptors, NULL), WEIR_OK);
    WEIR_EXPECT_EQ(message.header.kind, WEIR_MESSAGE_WELCOME);
    WEIR_EXPECT_EQ(descriptors.count, 4);
    bench_write_header(bench, &message, &descriptors);
    close(descriptors.fd[2]);
    close(descriptors.fd[3]);
    return fd;
}

int bench_reach_schema(handshake_bench *bench)
{
    struct weir_hello hello = bench_hello(bench);
    weir_control_message message;
    hello.layout_digest[0] ^= 1;
    const int fd = bench_connect(bench);
    WEIR_EXPECT_STATUS(bench_say(bench, fd, WEIR_MESSAGE_HELLO, &hello, NULL), WEIR_EMPTY);
    bench_expect(fd, WEIR_MESSAGE_SCHEMA_REQUEST, &message);
    WEIR_EXPECT_EQ(message.schema_request.offset, 0);
    return fd;
}

int bench_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    WEIR_EXPECT_NOT_NULL(directory);
    int count = 0;
    while (readdir(directory) != NULL) {
        count++;
    }
    closedir(directory);
    return count;
}
