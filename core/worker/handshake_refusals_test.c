/* The worker's handshake against managers that refuse, fall silent, leave or break the rules. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/os.h"
#include "harness/testing/weir_test.h"
#include "worker/handshake.h"
#include "worker/testing/fake_manager.h"

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

/* Runs the handshake, demands its status and a word of its sentence, and that nothing is left. */
static void expect_end(fake_script script, int variant, uint64_t timeout_ns, weir_status status,
                       const char *reason)
{
    fake_manager fake;
    weir_worker_terms terms;
    weir_error error = {.text = ""};
    const int before = open_descriptors();
    fake_start(&fake, script, variant);
    weir_worker_identity identity = fake_identity(&fake);
    identity.timeout_ns = timeout_ns;
    WEIR_EXPECT_STATUS(weir_worker_handshake_run(&identity, &terms, &error), status);
    WEIR_EXPECT_STR_HAS(error.text, reason);
    WEIR_EXPECT_EQ(terms.socket_fd, -1);
    WEIR_EXPECT_EQ(terms.request_eventfd, -1);
    WEIR_EXPECT_EQ(terms.response_eventfd, -1);
    WEIR_EXPECT_NULL(terms.arena.manager_object.base);
    WEIR_EXPECT_NULL(terms.arena.worker_object.base);
    fake_stop(&fake);
    WEIR_EXPECT_EQ(open_descriptors(), before);
}

#define PATIENT (30 * WEIR_NS_PER_SECOND)

static void reject(fake_manager *fake)
{
    struct weir_reject no = {.error_code = WEIR_ERROR_CODE_LAYOUT};
    memset(no.text, 'n', sizeof no.text - 1);
    if (fake->variant > 0) {
        fake_hello(fake); /* otherwise it goes unread, which resets the connection */
    }
    fake_send(fake, WEIR_MESSAGE_REJECT, &no, NULL, 0);
}

WEIR_TEST(worker_handshake_refusals, repeats_the_managers_reason_in_full)
{
    for (int variant = 0; variant < 2; variant++) {
        char whole[256];
        memset(whole, 'n', 255);
        whole[255] = '\0';
        expect_end(reject, variant, PATIENT, WEIR_REFUSED, whole);
        expect_end(reject, variant, PATIENT, WEIR_REFUSED, "(layout)");
    }
}

static void leave(fake_manager *fake)
{
    if (fake->variant > 0) {
        fake_hello(fake);
    }
    if (fake->variant > 1) {
        struct weir_schema_request request = {.offset = 0};
        fake_send(fake, WEIR_MESSAGE_SCHEMA_REQUEST, &request, NULL, 0);
    }
}

WEIR_TEST(worker_handshake_refusals, notices_a_manager_that_leaves_at_any_step)
{
    for (int variant = 0; variant < 3; variant++) {
        expect_end(leave, variant, PATIENT, WEIR_PEER_DEAD, "closed the control socket");
    }
}

static void fall_silent(fake_manager *fake)
{
    if (fake->variant > 0) {
        fake_hello(fake);
    }
    fake_await_end(fake);
}

WEIR_TEST(worker_handshake_refusals, gives_up_a_silent_manager_at_the_deadline)
{
    for (int variant = 0; variant < 2; variant++) {
        expect_end(fall_silent, variant, 100 * WEIR_NS_PER_MS, WEIR_TIMEOUT,
                   "did not answer before the deadline");
    }
}

enum {
    GENERATION_ZERO,
    GENERATION_OTHER,
    BACKING_UNKNOWN,
    LAYOUT_MAJOR,
    LAYOUT_NEWER,
    CAPABILITY_NOT_OFFERED,
    CAPABILITY_UNKNOWN,
    CRC_DROPPED,
    STRATEGY_NONE,
    SIZE_A,
    SIZE_B,
    SIZE_HUGE,
    SWAPPED,
    NO_MEMORY_OBJECT,
    UNSEALED_OBJECT,
    TOO_FEW,
    NONE_AT_ALL,
    WELCOME_FAULTS
};

static int plain_memfd(size_t bytes)
{
    const int fd = memfd_create("plain", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    FAKE_DEMAND(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0);
    return fd;
}

static void welcome_wrongly(fake_manager *fake)
{
    struct weir_welcome welcome = fake_welcome(fake);
    int descriptors[4];
    uint32_t count = 4;
    fake_descriptors(fake, descriptors);
    fake_hello(fake);
    switch (fake->variant) {
    case GENERATION_ZERO:
        welcome.generation = 0;
        break;
    case GENERATION_OTHER:
        welcome.generation++;
        break;
    case BACKING_UNKNOWN:
        welcome.backing = 2;
        count = 2;
        break;
    case LAYOUT_MAJOR:
        welcome.layout_major++;
        break;
    case LAYOUT_NEWER:
        welcome.layout_minor++;
        break;
    case CAPABILITY_NOT_OFFERED:
        welcome.capabilities |= WEIR_CAPABILITY_ZSTD;
        break;
    case CAPABILITY_UNKNOWN:
        welcome.capabilities |= 1u << 31;
        break;
    case CRC_DROPPED:
        welcome.capabilities &= ~(uint32_t)WEIR_CAPABILITY_PAYLOAD_CRC;
        break;
    case STRATEGY_NONE:
        welcome.wake_strategies = 1u << WEIR_WAKE_STRATEGY_EVENTFD | 1u;
        break;
    case SIZE_A:
        welcome.manager_bytes += 65536;
        break;
    case SIZE_B:
        welcome.worker_bytes -= 65536;
        break;
    case SIZE_HUGE:
        welcome.worker_bytes = UINT64_MAX;
        break;
    case SWAPPED:
        descriptors[0] = fake->arena.worker_object.fd;
        descriptors[1] = fake->arena.manager_object.fd;
        welcome.manager_bytes = fake->arena.worker_object.bytes;
        welcome.worker_bytes = fake->arena.manager_object.bytes;
        break;
    case NO_MEMORY_OBJECT:
        descriptors[0] = fake->fd;
        break;
    case UNSEALED_OBJECT:
        descriptors[0] = plain_memfd(welcome.manager_bytes);
        break;
    case TOO_FEW:
        count = 3;
        break;
    default:
        count = 0;
        break;
    }
    fake_send(fake, WEIR_MESSAGE_WELCOME, &welcome, descriptors, count);
    fake_await_end(fake);
}

WEIR_TEST(worker_handshake_refusals, checks_every_word_and_descriptor_of_welcome)
{
    char newer[32];
    snprintf(newer, sizeof newer, "layout %d.%d", WEIR_LAYOUT_MAJOR, WEIR_LAYOUT_MINOR + 1);
    const struct {
        weir_status status;
        const char *reason;
    } expected[WELCOME_FAULTS] = {
        [GENERATION_ZERO] = {WEIR_PROTOCOL, "generation 0"},
        [GENERATION_OTHER] = {WEIR_PROTOCOL, "generation"},
        [BACKING_UNKNOWN] = {WEIR_PROTOCOL, "backing 2"},
        [LAYOUT_MAJOR] = {WEIR_INCOMPATIBLE, "layout 2."},
        [LAYOUT_NEWER] = {WEIR_INCOMPATIBLE, newer},
        [CAPABILITY_NOT_OFFERED] = {WEIR_PROTOCOL, "capabilities 0x7"},
        [CAPABILITY_UNKNOWN] = {WEIR_PROTOCOL, "capabilities 0x80000005"},
        [CRC_DROPPED] = {WEIR_PROTOCOL, "capabilities 0x1"},
        [STRATEGY_NONE] = {WEIR_INCOMPATIBLE, "allow one that both have"},
        [SIZE_A] = {WEIR_PROTOCOL, "object A"},
        [SIZE_B] = {WEIR_PROTOCOL, "object B"},
        [SIZE_HUGE] = {WEIR_PROTOCOL, "object B"},
        [SWAPPED] = {WEIR_PROTOCOL, ""},
        [NO_MEMORY_OBJECT] = {WEIR_PROTOCOL, ""},
        [UNSEALED_OBJECT] = {WEIR_PROTOCOL, "seal"},
        [TOO_FEW] = {WEIR_PROTOCOL, "3 descriptors"},
        [NONE_AT_ALL] = {WEIR_PROTOCOL, "0 descriptors"},
    };
    for (int fault = 0; fault < WELCOME_FAULTS; fault++) {
        expect_end(welcome_wrongly, fault, PATIENT, expected[fault].status, expected[fault].reason);
    }
}

static void answer_wrongly(fake_manager *fake)
{
    static uint8_t bytes[65536];
    weir_control_message message;
    const int list[4] = {fake->fd, fake->fd, fake->fd, fake->fd};
    memset(bytes, 'g', sizeof bytes);
    memset(&message, 0, sizeof message);
    fake_hello(fake);
    switch (fake->variant) {
    case 0:
        FAKE_DEMAND(send(fake->fd, bytes, 300, MSG_NOSIGNAL) == 300);
        break;
    case 1:
        FAKE_DEMAND(send(fake->fd, bytes, sizeof bytes, MSG_NOSIGNAL) == sizeof bytes);
        break;
    case 2:
        fake_send(fake, WEIR_MESSAGE_READY, &message, NULL, 0);
        break;
    case 3:
        fake_send(fake, WEIR_MESSAGE_REJECT, &message, list, 4);
        break;
    case 4:
        message.schema_request.offset = (uint32_t)weir_layout_canonical_bytes;
        fake_send(fake, WEIR_MESSAGE_SCHEMA_REQUEST, &message, NULL, 0);
        break;
    default:
        for (int i = 0; i < 40; i++) {
            memset(&message, 0, sizeof message);
            fake_send(fake, WEIR_MESSAGE_SCHEMA_REQUEST, &message, NULL, 0);
        }
        break;
    }
    fake_await_end(fake);
}

WEIR_TEST(worker_handshake_refusals, ends_on_answers_that_break_the_rules)
{
    static const char *const reasons[] = {
        "does not speak Weir's protocol",
        "longer than",
        "answered HELLO with a ready",
        "4 descriptors",
        "of a layout of",
        "again and again",
    };
    for (int variant = 0; variant < 6; variant++) {
        expect_end(answer_wrongly, variant, PATIENT, WEIR_PROTOCOL, reasons[variant]);
    }
}

static uint64_t next_random(uint64_t *state)
{
    /* splitmix64, Steele et al. 2014 */
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t seed;

/* Says up to four messages of any kind, right but for a few flipped bytes whose checksum is
 * repaired, and leaves. */
static void babble(fake_manager *fake)
{
    uint64_t state = seed + (uint64_t)fake->variant;
    int descriptors[4];
    fake_descriptors(fake, descriptors);
    for (uint64_t left = next_random(&state) % 4 + 1; left > 0; left--) {
        weir_control_message message;
        memset(&message, 0, sizeof message);
        const enum weir_message kind = (enum weir_message)(
            next_random(&state) % 2 == 0 ? WEIR_MESSAGE_WELCOME
                                         : next_random(&state) % WEIR_MESSAGE_MAX + 1);
        uint32_t count = 0;
        if (kind == WEIR_MESSAGE_WELCOME) {
            message.welcome = fake_welcome(fake);
            count = 4;
        }
        const size_t bytes = weir_control_bytes(kind);
        for (uint64_t flips = next_random(&state) % 4; flips > 0; flips--) {
            const size_t at = 16 + next_random(&state) % (bytes - 16);
            ((uint8_t *)&message)[at] ^= (uint8_t)next_random(&state);
        }
        if (next_random(&state) % 8 == 0) {
            count = (uint32_t)(next_random(&state) % 5);
        }
        if (next_random(&state) % 8 == 0) {
            const int first = descriptors[0];
            descriptors[0] = descriptors[next_random(&state) % 4];
            descriptors[next_random(&state) % 4] = first;
        }
        fake_send(fake, kind, &message, descriptors, count);
    }
}

WEIR_TEST(worker_handshake_refusals, survives_any_babble_and_keeps_nothing, .timeout = 300)
{
    int accepted = 0;
    const int before = open_descriptors();
    seed = weir_test_seed();
    for (int round = 0; round < 150; round++) {
        fake_manager fake;
        weir_worker_terms terms;
        weir_error error = {.text = ""};
        fake_start(&fake, babble, round);
        const weir_worker_identity identity = fake_identity(&fake);
        const weir_status status = weir_worker_handshake_run(&identity, &terms, &error);
        WEIR_EXPECT_NE(status, WEIR_EMPTY);
        WEIR_EXPECT_NE(status, WEIR_TIMEOUT);
        WEIR_EXPECT_EQ(status != WEIR_OK, error.text[0] != '\0');
        accepted += status == WEIR_OK;
        weir_worker_handshake_close(&terms);
        fake_stop(&fake);
        WEIR_EXPECT_EQ(open_descriptors(), before);
    }
    printf("%d of 150 ended in READY\n", accepted);
}
