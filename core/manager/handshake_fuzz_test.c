/* Any messages in any order: the manager's handshake ends in a status and keeps nothing. */
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/crc.h"
#include "base/os.h"
#include "harness/testing/weir_test.h"
#include "manager/handshake.h"
#include "manager/testing/handshake_bench.h"

#define HEADER_BYTES sizeof(struct weir_message_header)
#define ROUNDS       4000

static uint64_t state;

static uint64_t next_random(void)
{
    /* splitmix64, Steele et al. 2014 */
    uint64_t z = (state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static bool one_in(uint64_t n)
{
    return next_random() % n == 0;
}

/* A part of the layout as it would be right for a fresh connection. */
static void fill_schema(struct weir_schema *part)
{
    part->total_bytes = (uint32_t)weir_layout_canonical_bytes;
    part->part_bytes =
        part->total_bytes < sizeof part->text ? part->total_bytes : (uint32_t)sizeof part->text;
    memcpy(part->text, weir_layout_canonical_text, part->part_bytes);
}

static enum weir_message fill(const handshake_bench *bench, weir_control_message *message)
{
    memset(message, 0, sizeof *message);
    const uint64_t choice = next_random() % 16;
    if (choice < 8) {
        message->hello = bench_hello(bench);
        if (one_in(4)) {
            message->hello.layout_digest[next_random() % 32] ^= 1;
        }
        return WEIR_MESSAGE_HELLO;
    }
    if (choice < 11) {
        message->ready.generation = bench->terms.generation;
        message->ready.tid = 1;
        return WEIR_MESSAGE_READY;
    }
    if (choice == 11 && one_in(8)) {
        fill_schema(&message->schema);
        return WEIR_MESSAGE_SCHEMA;
    }
    return (enum weir_message)(next_random() % WEIR_MESSAGE_MAX + 1);
}

/* Flips a few bytes; the checksum is repaired more often than not. */
static void mutate(weir_control_message *message, size_t bytes)
{
    for (uint64_t flips = next_random() % 3; flips > 0; flips--) {
        const bool behind = !one_in(8);
        const size_t at = behind ? HEADER_BYTES + next_random() % (bytes - HEADER_BYTES)
                                 : next_random() % HEADER_BYTES;
        ((uint8_t *)message)[at] ^= (uint8_t)next_random();
    }
    if (!one_in(8)) {
        message->header.crc = weir_crc32c((uint8_t *)message + HEADER_BYTES, bytes - HEADER_BYTES);
    }
}

/* Sends the bytes with up to six descriptors; what the socket does not take is lost. */
static void send_any(int fd, const weir_control_message *message, size_t bytes)
{
    int list[6] = {fd, fd, fd, fd, fd, fd};
    char room[CMSG_SPACE(sizeof list)];
    const size_t count = one_in(4) ? next_random() % 7 : 0;
    struct iovec part = {.iov_base = (void *)(uintptr_t)message, .iov_len = bytes};
    struct msghdr envelope = {.msg_iov = &part, .msg_iovlen = 1};
    memset(room, 0, sizeof room);
    if (count > 0) {
        envelope.msg_control = room;
        envelope.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *head = CMSG_FIRSTHDR(&envelope);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(head), list, count * sizeof(int));
    }
    const ssize_t sent = sendmsg(fd, &envelope, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)sent;
}

/* The peer sometimes reads what it got; a WELCOME lets it fill in object B's header. */
static void read_some(const handshake_bench *bench, int fd)
{
    weir_control_message message;
    weir_control_descriptors descriptors;
    if (one_in(4) || weir_control_receive(fd, &message, &descriptors, NULL) != WEIR_OK) {
        return;
    }
    if (message.header.kind == WEIR_MESSAGE_WELCOME && !one_in(4)) {
        bench_write_header(bench, &message, &descriptors);
        descriptors.fd[0] = -1;
        descriptors.fd[1] = -1;
    }
    weir_control_close_descriptors(&descriptors);
}

/* One connection; returns its last status. */
static weir_status run_round(handshake_bench *bench)
{
    weir_status status = WEIR_EMPTY;
    weir_error error = {.text = ""};
    int fd = bench_connect(bench);
    for (uint64_t left = next_random() % 6; left > 0 && status == WEIR_EMPTY; left--) {
        weir_control_message message;
        const enum weir_message kind = fill(bench, &message);
        size_t bytes = weir_control_bytes(kind);
        message.header = (struct weir_message_header){
            .magic = WEIR_MESSAGE_MAGIC, .kind = (uint16_t)kind, .bytes = (uint32_t)bytes};
        mutate(&message, bytes);
        if (one_in(32)) {
            bytes = next_random() % (bytes + 1);
        }
        send_any(fd, &message, bytes);
        if (!one_in(4)) {
            status = bench_step(bench, &error);
            read_some(bench, fd);
        }
    }
    if (one_in(2)) {
        close(fd);
        fd = -1;
    }
    if (status == WEIR_EMPTY) {
        status = weir_handshake_step(&bench->h, WEIR_NEVER, &error);
    }
    WEIR_EXPECT_NE(status, WEIR_EMPTY);
    WEIR_EXPECT_EQ(status != WEIR_OK, error.text[0] != '\0');
    WEIR_EXPECT_EQ(status != WEIR_OK, bench->h.fd == -1);
    WEIR_EXPECT_NULL(bench->h.schema);
    weir_handshake_refuse(&bench->h, WEIR_ERROR_CODE_NONE, "the round is over");
    if (fd >= 0) {
        close(fd);
    }
    return status;
}

WEIR_TEST(handshake_fuzz, any_messages_in_any_order_end_in_a_status_and_leave_nothing,
          .timeout = 300)
{
    handshake_bench bench;
    uint32_t ends[WEIR_STATUS_COUNT] = {0};
    bench_open(&bench, WEIR_BACKING_MEMFD);
    state = weir_test_seed();
    const int before = bench_descriptors();
    for (int round = 0; round < ROUNDS; round++) {
        ends[run_round(&bench)]++;
        WEIR_EXPECT_EQ(bench_descriptors(), before);
        bench_renew(&bench);
    }
    /* A run that never gets anywhere would prove nothing. */
    WEIR_EXPECT_GT(ends[WEIR_OK], 0);
    WEIR_EXPECT_GT(ends[WEIR_REFUSED], 0);
    WEIR_EXPECT_GT(ends[WEIR_PROTOCOL], 0);
    WEIR_EXPECT_GT(ends[WEIR_PEER_DEAD], 0);
    WEIR_EXPECT_GT(ends[WEIR_TIMEOUT], 0);
    bench_close(&bench);
    printf("ok %u, refused %u, incompatible %u, protocol %u, peer_dead %u, timeout %u\n",
           ends[WEIR_OK], ends[WEIR_REFUSED], ends[WEIR_INCOMPATIBLE], ends[WEIR_PROTOCOL],
           ends[WEIR_PEER_DEAD], ends[WEIR_TIMEOUT]);
}
