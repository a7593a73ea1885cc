/* Replies: failures, room, releases, compression. */
#include "worker/reply.h"

#include <stdlib.h>

#include "worker/testing/fixture.h"

static void expect_text(const small_reply *reply, const char *text)
{
    WEIR_EXPECT_EQ(reply->envelope.payload_bytes, strlen(text));
    WEIR_EXPECT_MEM_EQ(reply->payload, text, strlen(text));
}

WEIR_TEST(worker_reply, carries_the_sentence_of_a_failed_job)
{
    fixture fixture;
    fixture_start(&fixture, NULL);
    const uint64_t job = small_manager_send(&fixture.manager, TEST_FAIL, NULL, 0);
    const small_reply reply = fixture_expect(&fixture, job, WEIR_REPLY_STATUS_FAILED);
    expect_text(&reply, "the test wants it");
    WEIR_EXPECT_EQ(fixture_end(&fixture), 0);
}

WEIR_TEST(worker_reply, names_the_status_of_a_routine_that_gave_no_reason)
{
    fixture fixture;
    fixture_start(&fixture, NULL);
    uint32_t status = WEIR_NOT_FOUND;
    uint64_t job = small_manager_send(&fixture.manager, TEST_STATUS, &status, sizeof status);
    const small_reply reply = fixture_expect(&fixture, job, WEIR_REPLY_STATUS_FAILED);
    expect_text(&reply, weir_status_name(WEIR_NOT_FOUND));
    status = WEIR_OVERSIZE;
    fixture_do(&fixture, TEST_STATUS, &status, sizeof status, WEIR_REPLY_STATUS_OVERSIZE);
    status = WEIR_TIMEOUT;
    fixture_do(&fixture, TEST_STATUS, &status, sizeof status, WEIR_REPLY_STATUS_NO_SLOT);
    WEIR_EXPECT_EQ(fixture_end(&fixture), 0);
}

WEIR_TEST(worker_reply, is_oversize_beyond_the_largest_slot)
{
    fixture fixture;
    fixture_start(&fixture, NULL);
    uint32_t bytes = 1048576;
    fixture_do(&fixture, TEST_REPLY_BYTES, &bytes, sizeof bytes, WEIR_REPLY_STATUS_OK);
    bytes++;
    fixture_do(&fixture, TEST_REPLY_BYTES, &bytes, sizeof bytes, WEIR_REPLY_STATUS_OVERSIZE);
    bytes = 0;
    fixture_do(&fixture, TEST_REPLY_BYTES, &bytes, sizeof bytes, WEIR_REPLY_STATUS_OK);
    WEIR_EXPECT_EQ(fixture_end(&fixture), 0);
}

WEIR_TEST(worker_reply, is_asked_for_once)
{
    fixture fixture;
    fixture_start(&fixture, NULL);
    const uint64_t job = small_manager_send(&fixture.manager, TEST_REPLY_TWICE, NULL, 0);
    const small_reply reply = fixture_expect(&fixture, job, WEIR_REPLY_STATUS_OK);
    uint32_t second = 0;
    memcpy(&second, reply.payload, sizeof second);
    WEIR_EXPECT_EQ(second, WEIR_INVALID);
    WEIR_EXPECT_EQ(fixture_end(&fixture), 0);
}

WEIR_TEST(worker_reply, shrinks_down_to_nothing_and_never_grows)
{
    fixture fixture;
    fixture_start(&fixture, NULL);
    static const uint32_t sizes[] = {4096, 100, 1, 0};
    for (size_t i = 0; i < 4 * sizeof sizes / sizeof sizes[0]; i++) { /* more often than slots */
        const uint32_t bytes = sizes[i % 4];
        const uint64_t job =
            small_manager_send(&fixture.manager, TEST_SHRINK, &bytes, sizeof bytes);
        const small_reply reply = fixture_expect(&fixture, job, WEIR_REPLY_STATUS_OK);
        WEIR_EXPECT_EQ(reply.envelope.payload_bytes, bytes);
        small_manager_release(&fixture.manager, &reply);
    }
    WEIR_EXPECT_EQ(fixture_end(&fixture), 0);
}

static void start_with_slots(fixture *fixture, uint32_t count)
{
    weir_arena_config config;
    small_manager_config(&config);
    config.response_class_count = 1;
    config.response_class[0] = (weir_size_class){256, count};
    fixture_start(fixture, &(small_manager_setup){.config = config});
}

WEIR_TEST(worker_reply, has_no_slot_when_none_is_released_by_the_deadline)
{
    fixture fixture;
    start_with_slots(&fixture, 2);
    (void)small_manager_send(&fixture.manager, WEIR_OPCODE_ECHO, "a", 1);
    (void)small_manager_send(&fixture.manager, WEIR_OPCODE_ECHO, "b", 1);
    const small_reply first = fixture_expect(&fixture, 1, WEIR_REPLY_STATUS_OK);
    const small_reply second = fixture_expect(&fixture, 2, WEIR_REPLY_STATUS_OK);
    struct weir_envelope third = small_manager_request(&fixture.manager, WEIR_OPCODE_ECHO, "c", 1);
    third.deadline_ns = weir_deadline_in(100 * WEIR_NS_PER_MS);
    small_manager_stage(&fixture.manager, &third);
    small_manager_publish(&fixture.manager);
    (void)fixture_expect(&fixture, 3, WEIR_REPLY_STATUS_NO_SLOT);
    WEIR_EXPECT_GE(weir_os()->clock_ns(), third.deadline_ns);
    WEIR_EXPECT_EQ(first.payload[0], 'a'); /* nothing was written over what is still held */
    WEIR_EXPECT_EQ(second.payload[0], 'b');
    small_manager_release(&fixture.manager, &second);
    fixture_do(&fixture, WEIR_OPCODE_ECHO, "d", 1, WEIR_REPLY_STATUS_OK);
    WEIR_EXPECT_EQ(fixture_next_beat(&fixture).slot_waits, 1);
    WEIR_EXPECT_EQ(fixture_end(&fixture), 0);
}

/* Both requests are in one batch: the first reply must be out for its slot to come back. */
WEIR_TEST(worker_reply, waits_for_the_release_of_a_slot)
{
    fixture fixture;
    start_with_slots(&fixture, 1);
    for (int i = 0; i < 2; i++) {
        struct weir_envelope request =
            small_manager_request(&fixture.manager, WEIR_OPCODE_ECHO, "x", 1);
        request.deadline_ns = weir_test_deadline(1000);
        small_manager_stage(&fixture.manager, &request);
    }
    small_manager_publish(&fixture.manager);
    const small_reply first = fixture_expect(&fixture, 1, WEIR_REPLY_STATUS_OK);
    small_manager_release(&fixture.manager, &first);
    (void)fixture_expect(&fixture, 2, WEIR_REPLY_STATUS_OK);
    WEIR_EXPECT_EQ(fixture_end(&fixture), 0);
}

WEIR_TEST(worker_reply, gets_its_slots_back_in_any_order)
{
    fixture fixture;
    fixture_start(&fixture, NULL);
    uint64_t state = weir_test_seed();
    small_reply held[4];
    size_t count = 0;
    for (uint64_t i = 0; i < 2000; i++) {
        uint8_t data[256];
        const uint32_t bytes = 1 + (uint32_t)(i % sizeof data);
        fixture_fill(data, bytes, i);
        const uint64_t job = small_manager_send(&fixture.manager, WEIR_OPCODE_ECHO, data, bytes);
        held[count] = fixture_expect(&fixture, job, WEIR_REPLY_STATUS_OK);
        WEIR_EXPECT_MEM_EQ(held[count].payload, data, bytes);
        if (++count == 4) {
            state = state * UINT64_C(6364136223846793005) + 1;
            const size_t victim = (size_t)(state >> 62);
            small_manager_release(&fixture.manager, &held[victim]);
            held[victim] = held[--count];
        }
    }
    WEIR_EXPECT_EQ(fixture_next_beat(&fixture).slot_waits, 0);
    WEIR_EXPECT_EQ(fixture_end(&fixture), 0);
}

static struct weir_envelope packed_request(fixture *fixture, weir_packer *packer,
                                           uint32_t algorithm, const uint8_t *data, uint32_t bytes)
{
    uint8_t *packed = malloc(bytes);
    size_t packed_bytes = 0;
    WEIR_EXPECT_STATUS(weir_pack(packer, algorithm, data, bytes, packed, bytes, &packed_bytes),
                       WEIR_OK);
    struct weir_envelope request =
        small_manager_request(&fixture->manager, WEIR_OPCODE_ECHO, packed, (uint32_t)packed_bytes);
    request.flags |= (uint16_t)algorithm;
    request.original_bytes = bytes;
    free(packed);
    return request;
}

static void start_packing(fixture *fixture, weir_packer *packer)
{
    const uint32_t both = WEIR_CAPABILITY_LZ4 | WEIR_CAPABILITY_ZSTD;
    WEIR_EXPECT_STATUS(weir_packer_init(packer, both), WEIR_OK);
    fixture_start(fixture, &(small_manager_setup){.capabilities = both, .compress_min_bytes = 512});
}

WEIR_TEST(worker_reply, packs_and_unpacks_with_the_algorithm_of_the_request)
{
    static const uint32_t algorithms[] = {WEIR_ENVELOPE_FLAG_LZ4, WEIR_ENVELOPE_FLAG_ZSTD};
    fixture fixture;
    weir_packer packer;
    start_packing(&fixture, &packer);
    static uint8_t data[1048576];
    static uint8_t back[sizeof data];
    memset(data, 'w', sizeof data);
    fixture_fill(data, 400, weir_test_seed());
    for (size_t i = 0; i < 2; i++) {
        const uint32_t bytes = i == 0 ? 4000 : sizeof data;
        struct weir_envelope request =
            packed_request(&fixture, &packer, algorithms[i], data, bytes);
        small_manager_stage(&fixture.manager, &request);
        small_manager_publish(&fixture.manager);
        const small_reply reply = fixture_expect(&fixture, request.job_id, WEIR_REPLY_STATUS_OK);
        WEIR_EXPECT_EQ(reply.envelope.flags, algorithms[i] | WEIR_ENVELOPE_FLAG_PAYLOAD_CRC);
        WEIR_EXPECT_EQ(reply.envelope.original_bytes, bytes);
        WEIR_EXPECT_LT(reply.envelope.payload_bytes, bytes);
        WEIR_EXPECT_STATUS(weir_unpack(&packer, algorithms[i], reply.payload,
                                       reply.envelope.payload_bytes, back, bytes),
                           WEIR_OK);
        WEIR_EXPECT_MEM_EQ(back, data, bytes);
        small_manager_release(&fixture.manager, &reply);
    }
    weir_packer_destroy(&packer);
    WEIR_EXPECT_EQ(fixture_end(&fixture), 0);
}

WEIR_TEST(worker_reply, stays_as_it_is_when_short_or_when_packing_does_not_help)
{
    fixture fixture;
    weir_packer packer;
    start_packing(&fixture, &packer);
    uint8_t data[4096];
    fixture_fill(data, sizeof data, weir_test_seed());
    for (uint32_t bytes = 511; bytes <= sizeof data; bytes = bytes == 511 ? 4096 : 8192) {
        const uint64_t job = small_manager_send(&fixture.manager, WEIR_OPCODE_ECHO, data, bytes);
        const small_reply reply = fixture_expect(&fixture, job, WEIR_REPLY_STATUS_OK);
        WEIR_EXPECT_EQ(reply.envelope.flags, WEIR_ENVELOPE_FLAG_PAYLOAD_CRC);
        WEIR_EXPECT_EQ(reply.envelope.payload_bytes, bytes);
        WEIR_EXPECT_MEM_EQ(reply.payload, data, bytes);
        small_manager_release(&fixture.manager, &reply);
    }
    weir_packer_destroy(&packer);
    WEIR_EXPECT_EQ(fixture_end(&fixture), 0);
}

WEIR_TEST(worker_reply, counts_the_bytes_that_packing_copies)
{
    fixture fixture;
    weir_packer packer;
    start_packing(&fixture, &packer);
    static uint8_t data[4096];
    struct weir_envelope request =
        packed_request(&fixture, &packer, WEIR_ENVELOPE_FLAG_LZ4, data, sizeof data);
    small_manager_stage(&fixture.manager, &request);
    small_manager_publish(&fixture.manager);
    const small_reply reply = fixture_expect(&fixture, request.job_id, WEIR_REPLY_STATUS_OK);
    const struct weir_telemetry sample = fixture_next_beat(&fixture);
    WEIR_EXPECT_EQ(sample.bytes_copied,
                   request.payload_bytes + sizeof data + reply.envelope.payload_bytes);
    WEIR_EXPECT_EQ(sample.request_bytes, request.payload_bytes);
    WEIR_EXPECT_EQ(sample.response_bytes, reply.envelope.payload_bytes);
    weir_packer_destroy(&packer);
    WEIR_EXPECT_EQ(fixture_end(&fixture), 0);
}

WEIR_TEST(worker_reply, is_corrupt_when_the_request_does_not_unpack)
{
    fixture fixture;
    weir_packer packer;
    start_packing(&fixture, &packer);
    static uint8_t data[4096];
    struct weir_envelope request =
        packed_request(&fixture, &packer, WEIR_ENVELOPE_FLAG_ZSTD, data, sizeof data);
    request.original_bytes--;
    small_manager_stage(&fixture.manager, &request);
    small_manager_publish(&fixture.manager);
    (void)fixture_expect(&fixture, request.job_id, WEIR_REPLY_STATUS_CORRUPT);
    const struct weir_telemetry sample = fixture_next_beat(&fixture);
    WEIR_EXPECT_EQ(sample.errors[WEIR_ERROR_CODE_PAYLOAD_UNPACK], 1);
    weir_packer_destroy(&packer);
    WEIR_EXPECT_EQ(fixture_end(&fixture), 0);
}
