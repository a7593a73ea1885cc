#include "worker/testing/fake_manager.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/os.h"
#include "harness/testing/weir_test.h"

#define GENERATION  5
#define PATIENCE_NS (30 * WEIR_NS_PER_SECOND)

void fake_fail(const char *condition, int line)
{
    fprintf(stderr, "fake manager, line %d: %s does not hold\n", line, condition);
    _exit(line % 90 + 1);
}

static void wait_readable(int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    FAKE_DEMAND(weir_os()->poll_until(&ready, 1, weir_deadline_in(PATIENCE_NS), NULL) == 1);
}

static void run(void *context)
{
    fake_manager *fake = context;
    const weir_arena_config config = {
        .ring_capacity = 16,
        .request_class_count = 1,
        .response_class_count = 1,
        .request_class = {{.slot_bytes = 256, .slot_count = 16}},
        .response_class = {{.slot_bytes = 256, .slot_count = 16}},
    };
    FAKE_DEMAND(weir_arena_create(&config, GENERATION, &fake->arena, NULL) == WEIR_OK);
    fake->request_eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    fake->response_eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    wait_readable(fake->listener);
    fake->fd = weir_os()->accept(fake->listener);
    FAKE_DEMAND(fake->fd >= 0);
    fake->script(fake);
    if (fake->fd >= 0) {
        close(fake->fd);
    }
    weir_arena_destroy(&fake->arena);
}

void fake_start(fake_manager *fake, fake_script script, int variant)
{
    memset(fake, 0, sizeof *fake);
    fake->script = script;
    fake->variant = variant;
    strcpy(fake->directory, "/tmp/weir-fake-XXXXXX");
    WEIR_EXPECT_NOT_NULL(mkdtemp(fake->directory));
    WEIR_EXPECT_STATUS(weir_control_path(fake->directory, "s", fake->path, NULL), WEIR_OK);
    WEIR_EXPECT_STATUS(weir_control_listen(fake->path, &fake->listener, NULL), WEIR_OK);
    WEIR_EXPECT_STATUS(weir_token_make(fake->token, NULL), WEIR_OK);
    fake->pid = weir_test_fork(run, fake);
    /* From here on the fake manager alone listens, so that its end is seen. */
    close(fake->listener);
}

void fake_stop(fake_manager *fake)
{
    WEIR_EXPECT_EQ(weir_test_wait(fake->pid, weir_test_deadline(40)), 0);
    unlink(fake->path);
    rmdir(fake->directory);
}

weir_worker_identity fake_identity(const fake_manager *fake)
{
    weir_worker_identity identity = {
        .role = "tester",
        .language = "c",
        .correlation = "run-9",
        .opcode = {WEIR_OPCODE_ECHO},
        .opcode_count = 1,
        .capabilities = WEIR_CAPABILITY_LZ4 | WEIR_CAPABILITY_PAYLOAD_CRC,
        .wake_strategies = 1u << WEIR_WAKE_STRATEGY_FUTEX | 1u << WEIR_WAKE_STRATEGY_SIGNAL,
        .timeout_ns = PATIENCE_NS,
        .layout_major = WEIR_LAYOUT_MAJOR,
        .layout_minor = WEIR_LAYOUT_MINOR,
        .layout_text = weir_layout_canonical_text,
        .layout_bytes = (uint32_t)weir_layout_canonical_bytes,
    };
    memcpy(identity.socket_path, fake->path, sizeof identity.socket_path);
    memcpy(identity.token, fake->token, sizeof identity.token);
    memcpy(identity.layout_digest, weir_layout_digest, sizeof identity.layout_digest);
    return identity;
}

void fake_receive(fake_manager *fake, enum weir_message kind, weir_control_message *message)
{
    weir_control_descriptors descriptors;
    wait_readable(fake->fd);
    FAKE_DEMAND(weir_control_receive(fake->fd, message, &descriptors, NULL) == WEIR_OK);
    FAKE_DEMAND(message->header.kind == kind);
}

void fake_hello(fake_manager *fake)
{
    weir_control_message message;
    fake_receive(fake, WEIR_MESSAGE_HELLO, &message);
    fake->hello = message.hello;
    FAKE_DEMAND(weir_token_equal(fake->token, fake->hello.token));
}

void fake_send(fake_manager *fake, enum weir_message kind, void *message, const int *descriptors,
               uint32_t count)
{
    const weir_status status = weir_control_send(fake->fd, kind, message, descriptors, count, NULL);
    FAKE_DEMAND(status == WEIR_OK || status == WEIR_PEER_DEAD);
}

struct weir_welcome fake_welcome(const fake_manager *fake)
{
    return (struct weir_welcome){
        .generation = GENERATION,
        .layout_major = WEIR_LAYOUT_MAJOR,
        .layout_minor = WEIR_LAYOUT_MINOR,
        .backing = WEIR_BACKING_MEMFD,
        .capabilities = WEIR_CAPABILITY_LZ4 | WEIR_CAPABILITY_PAYLOAD_CRC,
        .wake_strategies = 1u << WEIR_WAKE_STRATEGY_FUTEX | 1u << WEIR_WAKE_STRATEGY_EVENTFD,
        .manager_pid = (uint32_t)getpid(),
        .manager_bytes = fake->arena.manager_object.bytes,
        .worker_bytes = fake->arena.worker_object.bytes,
        .spin_ns = 111,
        .compress_min_bytes = 222,
    };
}

void fake_descriptors(const fake_manager *fake, int descriptors[4])
{
    descriptors[0] = fake->arena.manager_object.fd;
    descriptors[1] = fake->arena.worker_object.fd;
    descriptors[2] = fake->request_eventfd;
    descriptors[3] = fake->response_eventfd;
}

void fake_await_end(fake_manager *fake)
{
    weir_control_message message;
    weir_control_descriptors descriptors;
    weir_status status;
    do {
        wait_readable(fake->fd);
        status = weir_control_receive(fake->fd, &message, &descriptors, NULL);
    } while (status == WEIR_OK || status == WEIR_EMPTY);
    FAKE_DEMAND(status == WEIR_PEER_DEAD);
}
