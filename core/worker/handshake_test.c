/* The worker's handshake against managers that keep the rules. */
#include "worker/handshake.h"

#include <dirent.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/os.h"
#include "harness/testing/weir_test.h"
#include "worker/testing/fake_manager.h"

static void welcome_and_check(fake_manager *fake)
{
    struct weir_welcome welcome = fake_welcome(fake);
    int descriptors[4];
    weir_control_message message;
    fake_descriptors(fake, descriptors);
    fake->arena.manager_control->manager_tid = 4321;
    fake_send(fake, WEIR_MESSAGE_WELCOME, &welcome, descriptors, 4);
    fake_receive(fake, WEIR_MESSAGE_READY, &message);
    const struct weir_worker_header *header = fake->arena.worker_header;
    FAKE_DEMAND(message.ready.generation == welcome.generation);
    FAKE_DEMAND(message.ready.tid != 0);
    FAKE_DEMAND(header->magic == WEIR_WORKER_MAGIC);
    FAKE_DEMAND(header->generation == welcome.generation);
    FAKE_DEMAND(header->pid == fake->hello.pid);
    FAKE_DEMAND(memcmp(header->layout_digest, weir_layout_digest, 32) == 0);
    FAKE_DEMAND(strcmp((const char *)header->role, "tester") == 0);
    FAKE_DEMAND(strcmp((const char *)header->language, "c") == 0);
    FAKE_DEMAND(fake->arena.worker_control->worker_tid == message.ready.tid);
    fake_await_end(fake);
}

static void accept_at_once(fake_manager *fake)
{
    fake_hello(fake);
    const struct weir_hello *hello = &fake->hello;
    FAKE_DEMAND(hello->protocol_version == WEIR_PROTOCOL_VERSION);
    FAKE_DEMAND(hello->layout_major == WEIR_LAYOUT_MAJOR);
    FAKE_DEMAND(hello->layout_minor == WEIR_LAYOUT_MINOR);
    FAKE_DEMAND(hello->opcode_count == 1 && hello->opcode[0] == WEIR_OPCODE_ECHO);
    FAKE_DEMAND(strcmp((const char *)hello->correlation, "run-9") == 0);
    FAKE_DEMAND(memcmp(hello->layout_digest, weir_layout_digest, 32) == 0);
    welcome_and_check(fake);
}

WEIR_TEST(worker_handshake, ends_with_mapped_memory_and_agreed_terms)
{
    fake_manager fake;
    weir_worker_terms terms;
    weir_error error = {.text = ""};
    fake_start(&fake, accept_at_once, 0);
    const weir_worker_identity identity = fake_identity(&fake);
    const weir_status status = weir_worker_handshake_run(&identity, &terms, &error);
    WEIR_EXPECT_STR_EQ(error.text, "");
    WEIR_EXPECT_STATUS(status, WEIR_OK);
    WEIR_EXPECT_EQ(terms.generation, 5);
    WEIR_EXPECT_EQ(terms.arena.generation, 5);
    WEIR_EXPECT_EQ(terms.layout_minor, WEIR_LAYOUT_MINOR);
    WEIR_EXPECT_EQ(terms.capabilities, identity.capabilities);
    WEIR_EXPECT_EQ(terms.wake_strategies, 1u << WEIR_WAKE_STRATEGY_FUTEX);
    WEIR_EXPECT_EQ(terms.manager_wakes,
                   1u << WEIR_WAKE_STRATEGY_FUTEX | 1u << WEIR_WAKE_STRATEGY_EVENTFD);
    WEIR_EXPECT_EQ(terms.spin_ns, 111);
    WEIR_EXPECT_EQ(terms.compress_min_bytes, 222);
    WEIR_EXPECT_EQ(terms.manager_tid, 4321);
    WEIR_EXPECT_EQ(terms.manager_pid, getpid()); /* who listened */
    WEIR_EXPECT_EQ(terms.arena.manager_object.fd, -1);
    WEIR_EXPECT_EQ(terms.arena.worker_object.fd, -1);
    WEIR_EXPECT_EQ(weir_os()->eventfd_ring(terms.response_eventfd), 0);
    WEIR_EXPECT_EQ(weir_os()->eventfd_drain(terms.response_eventfd), 0);
    WEIR_EXPECT_EQ(weir_os()->eventfd_drain(terms.request_eventfd), -1);
    weir_worker_handshake_close(&terms);
    weir_worker_handshake_close(&terms);
    WEIR_EXPECT_EQ(terms.socket_fd, -1);
    fake_stop(&fake);
}

static char long_text[100000];

static void ask_for_the_layout(fake_manager *fake)
{
    static char got[sizeof long_text];
    weir_control_message message;
    uint32_t offset = 0;
    fake_hello(fake);
    while (offset < sizeof long_text) {
        struct weir_schema_request request = {.offset = offset};
        fake_send(fake, WEIR_MESSAGE_SCHEMA_REQUEST, &request, NULL, 0);
        fake_receive(fake, WEIR_MESSAGE_SCHEMA, &message);
        FAKE_DEMAND(message.schema.total_bytes == sizeof long_text);
        FAKE_DEMAND(message.schema.offset == offset);
        FAKE_DEMAND(message.schema.part_bytes <= sizeof long_text - offset);
        memcpy(got + offset, message.schema.text, message.schema.part_bytes);
        offset += message.schema.part_bytes;
    }
    FAKE_DEMAND(memcmp(got, long_text, sizeof got) == 0);
    welcome_and_check(fake);
}

WEIR_TEST(worker_handshake, sends_its_layout_in_parts_when_asked)
{
    fake_manager fake;
    weir_worker_terms terms;
    for (size_t i = 0; i < sizeof long_text; i++) {
        long_text[i] = (char)(' ' + i * 7 % 90);
    }
    fake_start(&fake, ask_for_the_layout, 0);
    weir_worker_identity identity = fake_identity(&fake);
    identity.layout_text = long_text;
    identity.layout_bytes = sizeof long_text;
    WEIR_EXPECT_STATUS(weir_worker_handshake_run(&identity, &terms, NULL), WEIR_OK);
    weir_worker_handshake_close(&terms);
    fake_stop(&fake);
}

WEIR_TEST(worker_handshake, goes_on_in_steps_that_never_wait)
{
    fake_manager fake;
    weir_worker_approach approach;
    weir_error error = {.text = ""};
    for (size_t i = 0; i < sizeof long_text; i++) {
        long_text[i] = (char)(' ' + i * 11 % 90);
    }
    fake_start(&fake, ask_for_the_layout, 0);
    weir_worker_identity identity = fake_identity(&fake);
    identity.layout_text = long_text;
    identity.layout_bytes = sizeof long_text;
    WEIR_EXPECT_STATUS(weir_worker_approach_begin(&identity, &approach, &error), WEIR_OK);
    weir_status status = WEIR_EMPTY;
    while (status == WEIR_EMPTY) {
        struct pollfd ready = {.fd = approach.terms.socket_fd, .events = POLLIN};
        WEIR_EXPECT_EQ(weir_os()->poll_until(&ready, 1, weir_test_deadline(30), NULL), 1);
        status = weir_worker_approach_step(&approach, &error);
    }
    WEIR_EXPECT_STR_EQ(error.text, "");
    WEIR_EXPECT_STATUS(status, WEIR_OK);
    WEIR_EXPECT_EQ(approach.terms.generation, 5);
    const size_t part_bytes = sizeof(((struct weir_schema *)0)->text);
    WEIR_EXPECT_EQ(approach.questions, (sizeof long_text + part_bytes - 1) / part_bytes);
    weir_worker_handshake_close(&approach.terms);
    fake_stop(&fake);
}
