/* Handshakes with real worker processes. */
#include "manager/handshake.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/os.h"
#include "harness/testing/weir_test.h"
#include "manager/testing/handshake_bench.h"

/* Lets the worker use its memory and its eventfds, then go. */
static void use_and_part(handshake_bench *bench, bench_worker *worker)
{
    weir_error error = {.text = ""};
    WEIR_EXPECT_STATUS(weir_arena_seal_worker_object(&bench->arena, &error), WEIR_OK);
    weir_store_relaxed_u64((uint64_t *)bench->arena.request_payload.at, 41);
    WEIR_EXPECT_EQ(weir_os()->eventfd_ring(bench->terms.request_eventfd), 0);
    struct pollfd ready = {.fd = bench->terms.response_eventfd, .events = POLLIN};
    WEIR_EXPECT_EQ(weir_os()->poll_until(&ready, 1, weir_test_deadline(30), NULL), 1);
    WEIR_EXPECT_EQ(weir_load_relaxed_u64((uint64_t *)bench->arena.response_payload.at), 42);
    close(bench->h.fd);
    bench->h.fd = -1;
    WEIR_EXPECT_EQ(bench_wait(worker), 0);
    WEIR_EXPECT_STR_EQ(worker->text, "");
}

static void expect_whole_handshake(uint32_t backing)
{
    handshake_bench bench;
    weir_error error = {.text = ""};
    bench_open(&bench, backing);
    bench_worker worker = bench_start(&bench, NULL);
    bench_accept(&bench, weir_test_deadline(30));
    const weir_status status = bench_finish(&bench, &error);
    WEIR_EXPECT_STR_EQ(error.text, "");
    WEIR_EXPECT_STATUS(status, WEIR_OK);
    const weir_handshake *h = &bench.h;
    WEIR_EXPECT_EQ(h->terms, &bench.terms);
    WEIR_EXPECT_EQ(h->peer_pid, worker.pid);
    WEIR_EXPECT_EQ(h->peer_uid, geteuid());
    WEIR_EXPECT_EQ(h->worker_tid, worker.pid);
    WEIR_EXPECT_EQ(h->layout.relation, WEIR_LAYOUT_IDENTICAL);
    WEIR_EXPECT_EQ(h->layout.minor, WEIR_LAYOUT_MINOR);
    WEIR_EXPECT_EQ(h->capabilities, WEIR_CAPABILITY_ALL);
    WEIR_EXPECT_EQ(h->wake_strategies, bench.terms.wake_strategies);
    WEIR_EXPECT_STR_EQ(h->role, "loopback");
    WEIR_EXPECT_STR_EQ(h->language, "c");
    WEIR_EXPECT_STR_EQ(h->correlation, "run-42/worker-1");
    WEIR_EXPECT_EQ(h->opcode_count, 3);
    WEIR_EXPECT_EQ(h->opcode[0], WEIR_OPCODE_ECHO);
    WEIR_EXPECT_EQ(h->opcode[1], WEIR_OPCODE_SIMULATE);
    WEIR_EXPECT_EQ(h->opcode[2], WEIR_OPCODE_APPLICATION_FIRST);
    WEIR_EXPECT_EQ(bench.arena.worker_header->pid, worker.pid);
    WEIR_EXPECT_STR_EQ((const char *)bench.arena.worker_header->role, "loopback");
    WEIR_EXPECT_STR_EQ((const char *)bench.arena.worker_header->language, "c");
    WEIR_EXPECT_EQ(bench.arena.worker_control->worker_tid, worker.pid);
    WEIR_EXPECT_EQ(bench.arena.manager_control->manager_pid, getpid());
    WEIR_EXPECT_EQ(bench.arena.manager_control->manager_tid, bench.terms.manager_tid);
    use_and_part(&bench, &worker);
    bench_close(&bench);
}

WEIR_TEST(handshake, ends_with_memory_and_eventfds_that_both_can_use)
{
    expect_whole_handshake(WEIR_BACKING_MEMFD);
}

WEIR_TEST(handshake, ends_the_same_over_posix_shared_memory)
{
    expect_whole_handshake(WEIR_BACKING_SHM);
}

WEIR_TEST(handshake, leaves_no_token_where_others_can_read_it)
{
    handshake_bench bench;
    char path[64];
    static char text[65536];
    char token[WEIR_TOKEN_TEXT_BYTES];
    bench_open(&bench, WEIR_BACKING_MEMFD);
    bench_worker worker = bench_start(&bench, NULL);
    bench_accept(&bench, weir_test_deadline(30));
    WEIR_EXPECT_STATUS(bench_finish(&bench, NULL), WEIR_OK);
    snprintf(path, sizeof path, "/proc/%d/environ", (int)worker.pid);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t bytes = read(fd, text, sizeof text);
    close(fd);
    WEIR_EXPECT_GT(bytes, 0);
    WEIR_EXPECT_NOT_NULL(memmem(text, (size_t)bytes, "WEIR_SOCKET=", 12));
    weir_token_write(bench.token, token);
    WEIR_EXPECT_NULL(memmem(text, (size_t)bytes, token, 8));
    use_and_part(&bench, &worker);
    bench_close(&bench);
}

WEIR_TEST(handshake, drops_payload_checksums_only_when_both_sides_agree)
{
    for (int both = 0; both < 4; both++) {
        static const char *const without[] = {"WEIR_TEST_WITHOUT_CRC=1", NULL};
        handshake_bench bench;
        bench_open(&bench, WEIR_BACKING_MEMFD);
        bench.terms.capabilities = WEIR_CAPABILITY_ZSTD;
        bench.terms.capabilities |= (both & 1) != 0 ? 0 : WEIR_CAPABILITY_PAYLOAD_CRC;
        bench_worker worker = bench_start(&bench, (both & 2) != 0 ? without : NULL);
        bench_accept(&bench, weir_test_deadline(30));
        WEIR_EXPECT_STATUS(bench_finish(&bench, NULL), WEIR_OK);
        WEIR_EXPECT_EQ(bench.h.capabilities,
                       WEIR_CAPABILITY_ZSTD | (both == 3 ? 0u : WEIR_CAPABILITY_PAYLOAD_CRC));
        use_and_part(&bench, &worker);
        bench_close(&bench);
    }
}

/* Runs one worker that must be refused, and that must be told why. */
static void expect_refusal(handshake_bench *bench, const char *const *settings, weir_status status,
                           uint32_t error_code, const char *reason)
{
    weir_error error = {.text = ""};
    const int before = bench_descriptors();
    bench_worker worker = bench_start(bench, settings);
    bench_accept(bench, weir_test_deadline(30));
    WEIR_EXPECT_STATUS(bench_finish(bench, &error), status);
    WEIR_EXPECT_STR_HAS(error.text, reason);
    WEIR_EXPECT_EQ(bench->h.error_code, error_code);
    WEIR_EXPECT_EQ(bench->h.fd, -1);
    WEIR_EXPECT_EQ(bench_wait(&worker), 100 + WEIR_REFUSED);
    WEIR_EXPECT_STR_HAS(worker.text, "the manager refused this worker");
    WEIR_EXPECT_STR_HAS(worker.text, reason);
    WEIR_EXPECT_EQ(bench_descriptors(), before);
}

WEIR_TEST(handshake, refuses_a_wrong_token)
{
    static const char *const settings[] = {
        "WEIR_TOKEN=00000000000000000000000000000000000000000000000000000000000000aa", NULL};
    handshake_bench bench;
    bench_open(&bench, WEIR_BACKING_MEMFD);
    expect_refusal(&bench, settings, WEIR_REFUSED, WEIR_ERROR_CODE_TOKEN, "the token is not one");
    WEIR_EXPECT_NULL(bench.h.terms);
    bench_close(&bench);
}

WEIR_TEST(handshake, accepts_a_token_once)
{
    handshake_bench bench;
    bench_open(&bench, WEIR_BACKING_MEMFD);
    bench_worker worker = bench_start(&bench, NULL);
    bench_accept(&bench, weir_test_deadline(30));
    WEIR_EXPECT_STATUS(bench_finish(&bench, NULL), WEIR_OK);
    use_and_part(&bench, &worker);
    expect_refusal(&bench, NULL, WEIR_REFUSED, WEIR_ERROR_CODE_TOKEN, "it was used before");
    bench_close(&bench);
}

WEIR_TEST(handshake, refuses_another_role_or_correlation)
{
    static const char *const role[] = {"WEIR_TEST_ROLE=painter", NULL};
    static const char *const correlation[] = {"WEIR_CORRELATION=run-1", NULL};
    handshake_bench bench;
    bench_open(&bench, WEIR_BACKING_MEMFD);
    expect_refusal(&bench, role, WEIR_REFUSED, WEIR_ERROR_CODE_ROLE,
                   "the worker's role is \"painter\" and a \"loopback\" was expected");
    WEIR_EXPECT_EQ(bench.h.terms, &bench.terms);
    bench_renew(&bench);
    expect_refusal(&bench, correlation, WEIR_REFUSED, WEIR_ERROR_CODE_TOKEN,
                   "the correlation is \"run-1\"");
    bench_close(&bench);
}

/* Writes the built-in layout to a file with one text replaced and another one added. */
static void write_layout(const char *path, const char *what, const char *with, const char *more)
{
    const char *at = strstr(weir_layout_canonical_text, what);
    WEIR_EXPECT_NOT_NULL(at);
    FILE *file = fopen(path, "w");
    WEIR_EXPECT_NOT_NULL(file);
    fprintf(file, "%.*s%s%s%s", (int)(at - weir_layout_canonical_text), weir_layout_canonical_text,
            with, at + strlen(what), more);
    WEIR_EXPECT_EQ(fclose(file), 0);
}

WEIR_TEST(handshake, refuses_a_breaking_layout_and_names_the_first_field)
{
    handshake_bench bench;
    char path[96];
    char setting[128];
    const char *const settings[] = {setting, NULL};
    bench_open(&bench, WEIR_BACKING_MEMFD);
    snprintf(path, sizeof path, "%s/layout", bench.directory);
    snprintf(setting, sizeof setting, "WEIR_TEST_LAYOUT=%s", path);
    write_layout(path, "{ name = \"job_id\", type = \"u64\", offset = 16 }",
                 "{ name = \"task_id\", type = \"u64\", offset = 16 }", "");
    expect_refusal(&bench, settings, WEIR_INCOMPATIBLE, WEIR_ERROR_CODE_LAYOUT, "job_id");
    WEIR_EXPECT_EQ(bench.h.layout.relation, WEIR_LAYOUT_BREAKING);
    bench_renew(&bench);
    expect_refusal(&bench, settings, WEIR_INCOMPATIBLE, WEIR_ERROR_CODE_LAYOUT,
                   "`weir layout diff OLD NEW`");
    bench_renew(&bench);
    write_layout(path, "major = 1\n", "major = 2\n", "");
    expect_refusal(&bench, settings, WEIR_INCOMPATIBLE, WEIR_ERROR_CODE_LAYOUT,
                   "major version 2 instead of 1");
    unlink(path);
    bench_close(&bench);
}

/* Many constants: more than one part of the text. */
static const char *many_constants(void)
{
    static char text[80 * 1024];
    size_t length = 0;
    for (int i = 0; i < 700; i++) {
        length += (size_t)snprintf(
            text + length, sizeof text - length,
            "\n[[constant]]\nname = \"EXTRA_%d\"\ntype = \"u32\"\nvalue = %d\n", i, i);
    }
    return text;
}

WEIR_TEST(handshake, accepts_a_compatible_layout_at_the_older_minor_version)
{
    static const char one[] = "\n[[constant]]\nname = \"EXTRA\"\ntype = \"u32\"\nvalue = 1\n";
    const char *const more[] = {one, many_constants()};
    for (int i = 0; i < 2; i++) {
        handshake_bench bench;
        char path[96];
        char setting[128];
        weir_error error = {.text = ""};
        const char *const settings[] = {setting, NULL};
        bench_open(&bench, WEIR_BACKING_MEMFD);
        snprintf(path, sizeof path, "%s/layout", bench.directory);
        snprintf(setting, sizeof setting, "WEIR_TEST_LAYOUT=%s", path);
        write_layout(path, "minor = 1\n", "minor = 9\n", more[i]);
        bench_worker worker = bench_start(&bench, settings);
        bench_accept(&bench, weir_test_deadline(30));
        const weir_status status = bench_finish(&bench, &error);
        WEIR_EXPECT_STR_EQ(error.text, "");
        WEIR_EXPECT_STATUS(status, WEIR_OK);
        WEIR_EXPECT_EQ(bench.h.layout.relation, WEIR_LAYOUT_COMPATIBLE);
        WEIR_EXPECT_EQ(bench.h.layout.minor, WEIR_LAYOUT_MINOR);
        WEIR_EXPECT_EQ(bench.h.claim.minor, 9);
        WEIR_EXPECT_STR_HAS(bench.h.layout.difference, "EXTRA");
        use_and_part(&bench, &worker);
        unlink(path);
        bench_close(&bench);
    }
}

WEIR_TEST(handshake, a_worker_without_manager_or_token_says_so)
{
    static const char *const short_token[] = {"WEIR_TOKEN=abc", NULL};
    static const char *const no_token[] = {"WEIR_TOKEN", NULL};
    static const char *const no_socket[] = {"WEIR_SOCKET", NULL};
    static const char *const nobody[] = {"WEIR_SOCKET=/tmp/weir-nobody-listens-here", NULL};
    static const struct {
        const char *const *settings;
        weir_status status;
        const char *reason;
    } cases[] = {
        {short_token, WEIR_INVALID, "WEIR_TOKEN has 3 characters"},
        {no_token, WEIR_NOT_FOUND, "has no WEIR_TOKEN"},
        {no_socket, WEIR_NOT_FOUND, "set WEIR_SOCKET"},
        {nobody, WEIR_NOT_FOUND, "nobody listens at /tmp/weir-nobody-listens-here"},
    };
    handshake_bench bench;
    bench_open(&bench, WEIR_BACKING_MEMFD);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bench_worker worker = bench_start(&bench, cases[i].settings);
        WEIR_EXPECT_EQ(bench_wait(&worker), 100 + cases[i].status);
        WEIR_EXPECT_STR_HAS(worker.text, cases[i].reason);
    }
    int fd;
    WEIR_EXPECT_STATUS(weir_listener_accept(&bench.listener, &fd, NULL), WEIR_EMPTY);
    bench_close(&bench);
}

/* Another user, who was let into the directory, says a perfect HELLO. */
static void be_nobody(void *context)
{
    const handshake_bench *bench = context;
    struct weir_hello hello = bench_hello(bench);
    weir_control_message answer;
    weir_control_descriptors descriptors;
    int fd;
    if (setgroups(0, NULL) != 0 || setgid(65534) != 0 || setuid(65534) != 0) {
        _exit(2);
    }
    if (weir_control_connect(bench->listener.path, WEIR_NEVER, &fd, NULL) != WEIR_OK ||
        weir_control_send(fd, WEIR_MESSAGE_HELLO, &hello, NULL, 0, NULL) != WEIR_OK) {
        _exit(3);
    }
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    if (weir_os()->poll_until(&ready, 1, weir_deadline_in(30 * WEIR_NS_PER_SECOND), NULL) != 1 ||
        weir_control_receive(fd, &answer, &descriptors, NULL) != WEIR_OK ||
        answer.header.kind != WEIR_MESSAGE_REJECT ||
        answer.reject.error_code != WEIR_ERROR_CODE_PEER ||
        strstr((const char *)answer.reject.text, "as user 65534") == NULL) {
        _exit(4);
    }
    close(fd);
}

WEIR_TEST(handshake, refuses_another_user)
{
    if (geteuid() != 0) {
        WEIR_SKIP("only root can become another user");
    }
    handshake_bench bench;
    weir_error error = {.text = ""};
    bench_open(&bench, WEIR_BACKING_MEMFD);
    WEIR_EXPECT_EQ(chmod(bench.directory, 0755), 0);
    WEIR_EXPECT_EQ(chmod(bench.listener.path, 0777), 0);
    const pid_t pid = weir_test_fork(be_nobody, &bench);
    bench_accept(&bench, weir_test_deadline(30));
    WEIR_EXPECT_STATUS(bench_finish(&bench, &error), WEIR_REFUSED);
    WEIR_EXPECT_STR_HAS(error.text, "the worker runs as user 65534 and the manager as user 0");
    WEIR_EXPECT_EQ(bench.h.error_code, WEIR_ERROR_CODE_PEER);
    WEIR_EXPECT_FALSE(bench.token_used);
    WEIR_EXPECT_EQ(weir_test_wait(pid, weir_test_deadline(30)), 0);
    bench_close(&bench);
}
