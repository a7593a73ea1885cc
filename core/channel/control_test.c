#include "channel/control.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/crc.h"
#include "harness/testing/weir_test.h"

#define HEADER_BYTES sizeof(struct weir_message_header)

static int ends[2]; /* 0 sends, 1 receives */

static void open_pair(void)
{
    WEIR_EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
}

static void close_pair(void)
{
    close(ends[0]);
    close(ends[1]);
}

static int open_descriptors(void)
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

/* Sends bytes as they are, with descriptors. */
static void send_raw(const void *bytes, size_t count, int descriptor_count)
{
    int list[16];
    char room[CMSG_SPACE(sizeof list)];
    memset(room, 0, sizeof room);
    for (int i = 0; i < descriptor_count; i++) {
        list[i] = ends[0];
    }
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = count};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (descriptor_count > 0) {
        message.msg_control = room;
        message.msg_controllen = CMSG_SPACE((size_t)descriptor_count * sizeof(int));
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN((size_t)descriptor_count * sizeof(int));
        memcpy(CMSG_DATA(head), list, (size_t)descriptor_count * sizeof(int));
    }
    WEIR_EXPECT_EQ(sendmsg(ends[0], &message, MSG_NOSIGNAL), (ssize_t)count);
}

static weir_control_message valid(uint16_t kind)
{
    weir_control_message message;
    memset(&message, 0, sizeof message);
    message.header = (struct weir_message_header){
        .magic = WEIR_MESSAGE_MAGIC, .kind = kind, .bytes = (uint32_t)weir_control_bytes(kind)};
    return message;
}

static void repair(weir_control_message *message)
{
    const size_t bytes = weir_control_bytes(message->header.kind);
    message->header.crc = weir_crc32c((uint8_t *)message + HEADER_BYTES, bytes - HEADER_BYTES);
}

static int descriptors_of(uint16_t kind)
{
    return kind == WEIR_MESSAGE_WELCOME ? 4 : 0;
}

/* Sends a message and demands that it is refused with this word in the sentence, that nothing stays
 * open, and that the socket is still usable. */
static void expect_refused(const weir_control_message *message, size_t bytes, int descriptor_count,
                           const char *word)
{
    const int before = open_descriptors();
    weir_control_message got;
    weir_control_descriptors descriptors;
    weir_error error = {.text = ""};
    send_raw(message, bytes, descriptor_count);
    WEIR_EXPECT_STATUS(weir_control_receive(ends[1], &got, &descriptors, &error), WEIR_PROTOCOL);
    WEIR_EXPECT_STR_HAS(error.text, word);
    WEIR_EXPECT_EQ(descriptors.count, 0);
    WEIR_EXPECT_EQ(descriptors.fd[0], -1);
    WEIR_EXPECT_EQ(open_descriptors(), before);
    WEIR_EXPECT_STATUS(weir_control_receive(ends[1], &got, &descriptors, NULL), WEIR_EMPTY);
}

WEIR_TEST(control, hands_over_each_kind_as_it_was_sent)
{
    open_pair();
    for (uint16_t kind = 1; kind <= WEIR_MESSAGE_MAX; kind++) {
        weir_control_message sent = valid(kind);
        weir_control_message got;
        weir_control_descriptors descriptors;
        const int list[4] = {ends[0], ends[0], ends[0], ends[0]};
        const uint32_t count = (uint32_t)descriptors_of(kind);
        WEIR_EXPECT_STATUS(weir_control_send(ends[0], kind, &sent, list, count, NULL), WEIR_OK);
        WEIR_EXPECT_STATUS(weir_control_receive(ends[1], &got, &descriptors, NULL), WEIR_OK);
        WEIR_EXPECT_MEM_EQ(&got, &sent, weir_control_bytes(kind));
        WEIR_EXPECT_EQ(descriptors.count, count);
        for (uint32_t i = 0; i < count; i++) {
            WEIR_EXPECT_EQ(fcntl(descriptors.fd[i], F_GETFD), FD_CLOEXEC);
        }
        weir_control_close_descriptors(&descriptors);
        WEIR_EXPECT_EQ(descriptors.fd[0], -1);
    }
    close_pair();
}

WEIR_TEST(control, hands_over_descriptors_that_work)
{
    open_pair();
    int pipes[2];
    WEIR_EXPECT_EQ(pipe2(pipes, O_CLOEXEC), 0);
    weir_control_message message = valid(WEIR_MESSAGE_WELCOME);
    message.welcome.backing = WEIR_BACKING_SHM;
    weir_control_descriptors got;
    WEIR_EXPECT_STATUS(weir_control_send(ends[0], WEIR_MESSAGE_WELCOME, &message, pipes, 2, NULL),
                       WEIR_OK);
    close(pipes[0]);
    close(pipes[1]);
    WEIR_EXPECT_STATUS(weir_control_receive(ends[1], &message, &got, NULL), WEIR_OK);
    WEIR_EXPECT_EQ(got.count, 2);
    char byte = 0;
    WEIR_EXPECT_EQ(write(got.fd[1], "w", 1), 1);
    WEIR_EXPECT_EQ(read(got.fd[0], &byte, 1), 1);
    WEIR_EXPECT_EQ(byte, 'w');
    weir_control_close_descriptors(&got);
    close_pair();
}

WEIR_TEST(control, refuses_a_wrong_magic_kind_length_or_checksum)
{
    open_pair();
    for (uint16_t kind = 1; kind <= WEIR_MESSAGE_MAX; kind++) {
        const size_t bytes = weir_control_bytes(kind);
        const int fds = descriptors_of(kind);
        weir_control_message message = valid(kind);
        repair(&message);
        message.header.magic ^= 1;
        expect_refused(&message, bytes, fds, "protocol");
        message.header.magic ^= 1;
        message.header.crc ^= 0x80000000u;
        expect_refused(&message, bytes, fds, "checksum");
        message.header.crc ^= 0x80000000u;
        message.header.bytes -= 1;
        expect_refused(&message, bytes, fds, "bytes");
        expect_refused(&message, bytes - 1, fds, "bytes");
        message.header.bytes += 1;
        expect_refused(&message, bytes - 1, fds, "bytes");
        message.header.reserved = 1;
        expect_refused(&message, bytes, fds, "reserved");
        message.header.reserved = 0;
        for (uint32_t wrong = 0; wrong <= 0xffff;
             wrong += wrong == 0 ? WEIR_MESSAGE_MAX + 1u : 37) {
            message.header.kind = (uint16_t)wrong;
            expect_refused(&message, bytes, fds, "unknown kind");
        }
    }
    weir_control_message message = valid(WEIR_MESSAGE_READY);
    expect_refused(&message, 1, 0, "too short");
    expect_refused(&message, HEADER_BYTES - 1, 0, "too short");
    close_pair();
}

WEIR_TEST(control, refuses_every_flipped_bit)
{
    open_pair();
    for (uint16_t kind = 1; kind <= WEIR_MESSAGE_MAX; kind++) {
        weir_control_message message = valid(kind);
        repair(&message);
        const size_t bytes = weir_control_bytes(kind);
        const size_t step = bytes > 1024 ? 257 : 1;
        for (size_t bit = 0; bit < 8 * bytes; bit += step) {
            uint8_t *byte = (uint8_t *)&message + bit / 8;
            *byte ^= (uint8_t)(1u << bit % 8);
            expect_refused(&message, bytes, descriptors_of(kind), "");
            *byte ^= (uint8_t)(1u << bit % 8);
        }
    }
    close_pair();
}

WEIR_TEST(control, refuses_reserved_fields_that_are_not_zero)
{
    open_pair();
    weir_control_message message = valid(WEIR_MESSAGE_HELLO);
    message.hello.reserved = 1;
    repair(&message);
    expect_refused(&message, sizeof message.hello, 0, "hello.reserved");
    message = valid(WEIR_MESSAGE_WELCOME);
    message.welcome.reserved = 1;
    repair(&message);
    expect_refused(&message, sizeof message.welcome, 4, "welcome.reserved");
    message = valid(WEIR_MESSAGE_WELCOME);
    message.welcome.reserved1 = UINT64_C(1) << 63;
    repair(&message);
    expect_refused(&message, sizeof message.welcome, 4, "welcome.reserved1");
    message = valid(WEIR_MESSAGE_REJECT);
    message.reject.reserved = 1;
    repair(&message);
    expect_refused(&message, sizeof message.reject, 0, "reject.reserved");
    message = valid(WEIR_MESSAGE_READY);
    message.ready.reserved = 1;
    repair(&message);
    expect_refused(&message, sizeof message.ready, 0, "ready.reserved");
    message = valid(WEIR_MESSAGE_SCHEMA_REQUEST);
    message.schema_request.reserved = 1;
    repair(&message);
    expect_refused(&message, sizeof message.schema_request, 0, "schema_request.reserved");
    message = valid(WEIR_MESSAGE_SCHEMA);
    message.schema.reserved = 1;
    repair(&message);
    expect_refused(&message, sizeof message.schema, 0, "schema.reserved");
    close_pair();
}

/* Puts text without an end, and text with an unprintable byte, into one field. */
static void expect_text_checked(uint16_t kind, size_t offset, size_t bytes, const char *name)
{
    weir_control_message message = valid(kind);
    uint8_t *field = (uint8_t *)&message + offset;
    memset(field, 'x', bytes);
    repair(&message);
    expect_refused(&message, weir_control_bytes(kind), descriptors_of(kind), name);
    field[bytes - 1] = '\0';
    field[0] = '\n';
    repair(&message);
    expect_refused(&message, weir_control_bytes(kind), descriptors_of(kind), name);
    field[0] = 0x80;
    repair(&message);
    expect_refused(&message, weir_control_bytes(kind), descriptors_of(kind), name);
    field[0] = 'x';
    repair(&message);
    weir_control_descriptors descriptors;
    send_raw(&message, weir_control_bytes(kind), descriptors_of(kind));
    WEIR_EXPECT_STATUS(weir_control_receive(ends[1], &message, &descriptors, NULL), WEIR_OK);
    weir_control_close_descriptors(&descriptors);
}

WEIR_TEST(control, refuses_text_that_does_not_end_or_cannot_be_printed)
{
    open_pair();
    expect_text_checked(WEIR_MESSAGE_HELLO, offsetof(struct weir_hello, role), 32, "hello.role");
    expect_text_checked(WEIR_MESSAGE_HELLO, offsetof(struct weir_hello, language), 16,
                        "hello.language");
    expect_text_checked(WEIR_MESSAGE_HELLO, offsetof(struct weir_hello, correlation), 48,
                        "hello.correlation");
    expect_text_checked(WEIR_MESSAGE_WELCOME, offsetof(struct weir_welcome, manager_name), 72,
                        "welcome.manager_name");
    expect_text_checked(WEIR_MESSAGE_WELCOME, offsetof(struct weir_welcome, worker_name), 72,
                        "welcome.worker_name");
    expect_text_checked(WEIR_MESSAGE_REJECT, offsetof(struct weir_reject, text), 256,
                        "reject.text");
    close_pair();
}

WEIR_TEST(control, closes_descriptors_that_do_not_belong_to_a_message)
{
    open_pair();
    for (uint16_t kind = 1; kind <= WEIR_MESSAGE_MAX; kind++) {
        weir_control_message message = valid(kind);
        repair(&message);
        for (int count = 0; count <= 16; count++) {
            if (count != descriptors_of(kind)) {
                expect_refused(&message, weir_control_bytes(kind), count, "descriptors");
            }
        }
    }
    weir_control_message message = valid(WEIR_MESSAGE_WELCOME);
    message.welcome.backing = WEIR_BACKING_SHM;
    repair(&message);
    expect_refused(&message, sizeof message.welcome, 4, "must come with 2");
    close_pair();
}

WEIR_TEST(control, refuses_a_message_longer_than_any)
{
    open_pair();
    static uint8_t bytes[sizeof(weir_control_message) + 1];
    memset(bytes, 0x57, sizeof bytes);
    expect_refused((const weir_control_message *)(const void *)bytes, sizeof bytes, 4, "longer");
    close_pair();
}

WEIR_TEST(control, says_that_the_peer_is_gone)
{
    open_pair();
    weir_control_message message = valid(WEIR_MESSAGE_READY);
    weir_control_descriptors descriptors;
    weir_error error = {.text = ""};
    close(ends[0]);
    WEIR_EXPECT_STATUS(weir_control_receive(ends[1], &message, &descriptors, &error),
                       WEIR_PEER_DEAD);
    WEIR_EXPECT_STR_HAS(error.text, "closed");
    WEIR_EXPECT_STATUS(weir_control_send(ends[1], WEIR_MESSAGE_READY, &message, NULL, 0, &error),
                       WEIR_PEER_DEAD);
    close(ends[1]);
}

WEIR_TEST(control, closes_descriptors_that_come_with_an_empty_message)
{
    open_pair();
    weir_control_message message;
    weir_control_descriptors descriptors;
    const int before = open_descriptors();
    send_raw("", 0, 3);
    WEIR_EXPECT_STATUS(weir_control_receive(ends[1], &message, &descriptors, NULL), WEIR_PEER_DEAD);
    WEIR_EXPECT_EQ(open_descriptors(), before);
    close_pair();
}

WEIR_TEST(control, delivers_the_last_words_of_a_peer_that_left_unread_bytes)
{
    open_pair();
    weir_control_message unread = valid(WEIR_MESSAGE_READY);
    weir_control_message last = valid(WEIR_MESSAGE_REJECT);
    weir_control_message got;
    weir_control_descriptors descriptors;
    memcpy(last.reject.text, "no", 3);
    WEIR_EXPECT_STATUS(weir_control_send(ends[1], WEIR_MESSAGE_READY, &unread, NULL, 0, NULL),
                       WEIR_OK);
    WEIR_EXPECT_STATUS(weir_control_send(ends[0], WEIR_MESSAGE_REJECT, &last, NULL, 0, NULL),
                       WEIR_OK);
    close(ends[0]);
    WEIR_EXPECT_STATUS(weir_control_receive(ends[1], &got, &descriptors, NULL), WEIR_OK);
    WEIR_EXPECT_STR_EQ((const char *)got.reject.text, "no");
    WEIR_EXPECT_STATUS(weir_control_receive(ends[1], &got, &descriptors, NULL), WEIR_PEER_DEAD);
    close(ends[1]);
}

WEIR_TEST(control, never_blocks_though_the_descriptor_is_set_to_block, .timeout = 20)
{
    open_pair(); /* without SOCK_NONBLOCK */
    weir_control_message message = valid(WEIR_MESSAGE_SCHEMA);
    weir_control_descriptors descriptors;
    WEIR_EXPECT_STATUS(weir_control_receive(ends[1], &message, &descriptors, NULL), WEIR_EMPTY);
    weir_status status = WEIR_OK;
    for (int i = 0; i < 1000 && status == WEIR_OK; i++) {
        status = weir_control_send(ends[0], WEIR_MESSAGE_SCHEMA, &message, NULL, 0, NULL);
    }
    WEIR_EXPECT_STATUS(status, WEIR_FULL);
    close_pair();
}
