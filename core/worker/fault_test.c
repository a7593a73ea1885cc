/* Requests that break the protocol end the worker; damaged payloads do not. */
#include "worker/loop.h"

#include "worker/testing/fixture.h"

/* The worker ends with 1, has counted the reason, and has not begun the job. */
static void expect_end(fixture *fixture, uint32_t error_code, uint64_t begun)
{
    const int status = weir_test_wait(fixture->worker, weir_test_deadline(20));
    WEIR_EXPECT_EQ(status, 1);
    struct weir_telemetry last;
    WEIR_EXPECT_STATUS(weir_telemetry_read(fixture->manager.arena.telemetry, &last), WEIR_OK);
    for (uint32_t code = 0; code <= WEIR_ERROR_CODE_MAX; code++) {
        WEIR_EXPECT_EQ(last.errors[code], code == error_code ? 1 : 0);
    }
    WEIR_EXPECT_EQ(weir_load_acquire_u64(&fixture->manager.arena.worker_control->begun), begun);
    WEIR_EXPECT_NE(weir_load_acquire_u32(&fixture->manager.arena.worker_control->state),
                   WEIR_WORKER_STATE_ENDED);
    small_manager_close(&fixture->manager);
}

/* One request with one field changed; @p is_sealed_again repairs the header's checksum. */
static void send_changed(fixture *fixture, struct weir_envelope *request, bool is_sealed_again)
{
    if (is_sealed_again) {
        small_manager_stage(&fixture->manager, request);
    } else {
        small_manager_stage_raw(&fixture->manager, request);
    }
    small_manager_publish(&fixture->manager);
}

#define BAD_REQUEST_TEST(name, change, is_sealed_again, error_code)                                \
    WEIR_TEST(worker_fault, name)                                                                  \
    {                                                                                              \
        fixture fixture;                                                                           \
        fixture_start(&fixture, NULL);                                                             \
        struct weir_envelope request =                                                             \
            small_manager_request(&fixture.manager, WEIR_OPCODE_ECHO, "payload", 7);               \
        change;                                                                                    \
        send_changed(&fixture, &request, is_sealed_again);                                         \
        expect_end(&fixture, error_code, 0);                                                       \
    }

BAD_REQUEST_TEST(ends_on_a_wrong_header_checksum, request.header_crc ^= 1, false,
                 WEIR_ERROR_CODE_HEADER_CRC)
BAD_REQUEST_TEST(ends_on_a_wrong_magic, request.magic ^= 1, true, WEIR_ERROR_CODE_MAGIC)
BAD_REQUEST_TEST(ends_on_another_version, request.version ^= 1, true, WEIR_ERROR_CODE_VERSION)
BAD_REQUEST_TEST(ends_on_another_generation, request.generation ^= 1, true,
                 WEIR_ERROR_CODE_GENERATION)
BAD_REQUEST_TEST(ends_on_unknown_flags, request.flags |= 0x4000, true, WEIR_ERROR_CODE_FLAGS)
BAD_REQUEST_TEST(ends_on_packing_that_was_not_agreed, request.flags |= WEIR_ENVELOPE_FLAG_LZ4, true,
                 WEIR_ERROR_CODE_FLAGS)
BAD_REQUEST_TEST(ends_on_a_payload_without_its_checksum,
                 (request.flags = 0, request.payload_crc = 0), true, WEIR_ERROR_CODE_FLAGS)
BAD_REQUEST_TEST(ends_on_the_status_of_a_reply, request.status = WEIR_REPLY_STATUS_OK, true,
                 WEIR_ERROR_CODE_REPLY_STATUS)
BAD_REQUEST_TEST(ends_on_opcode_none, request.opcode = WEIR_OPCODE_NONE, true,
                 WEIR_ERROR_CODE_OPCODE)
BAD_REQUEST_TEST(ends_on_an_offset_inside_a_slot, request.payload_offset += 8, true,
                 WEIR_ERROR_CODE_PAYLOAD_RANGE)
BAD_REQUEST_TEST(ends_on_an_offset_behind_the_pool, request.payload_offset = UINT32_MAX - 63, true,
                 WEIR_ERROR_CODE_PAYLOAD_RANGE)
BAD_REQUEST_TEST(ends_on_a_payload_longer_than_its_slot,
                 (request.payload_bytes = 257, request.original_bytes = 257), true,
                 WEIR_ERROR_CODE_PAYLOAD_RANGE)
BAD_REQUEST_TEST(ends_on_the_largest_length,
                 (request.payload_bytes = UINT32_MAX, request.original_bytes = UINT32_MAX), true,
                 WEIR_ERROR_CODE_PAYLOAD_RANGE)
BAD_REQUEST_TEST(ends_on_lengths_that_contradict_each_other, request.original_bytes = 8, true,
                 WEIR_ERROR_CODE_PAYLOAD_RANGE)

WEIR_TEST(worker_fault, ends_on_an_unpacked_length_beyond_the_largest_slot)
{
    fixture fixture;
    fixture_start(&fixture, &(small_manager_setup){.capabilities = WEIR_CAPABILITY_LZ4});
    struct weir_envelope request =
        small_manager_request(&fixture.manager, WEIR_OPCODE_ECHO, "payload", 7);
    request.flags |= WEIR_ENVELOPE_FLAG_LZ4;
    request.original_bytes = 1048577;
    send_changed(&fixture, &request, true);
    expect_end(&fixture, WEIR_ERROR_CODE_PAYLOAD_RANGE, 0);
}

WEIR_TEST(worker_fault, answers_the_good_requests_before_a_bad_one)
{
    fixture fixture;
    fixture_start(&fixture, NULL);
    for (int i = 0; i < 3; i++) {
        struct weir_envelope good =
            small_manager_request(&fixture.manager, WEIR_OPCODE_ECHO, "x", 1);
        small_manager_stage(&fixture.manager, &good);
    }
    struct weir_envelope bad = small_manager_request(&fixture.manager, WEIR_OPCODE_ECHO, "x", 1);
    bad.sequence = weir_envelope_sequence(weir_ring_next_index(&fixture.manager.requests));
    bad.header_crc ^= 0x80000000u;
    small_manager_stage_raw(&fixture.manager, &bad);
    struct weir_envelope behind = small_manager_request(&fixture.manager, WEIR_OPCODE_ECHO, "x", 1);
    small_manager_stage(&fixture.manager, &behind);
    small_manager_publish(&fixture.manager);
    for (uint64_t job = 1; job <= 3; job++) {
        (void)fixture_expect(&fixture, job, WEIR_REPLY_STATUS_OK);
    }
    expect_end(&fixture, WEIR_ERROR_CODE_HEADER_CRC, 3);
}

WEIR_TEST(worker_fault, ends_on_any_flipped_bit_of_an_envelope)
{
    const uint64_t seed = weir_test_seed();
    for (uint64_t round = 0; round < 24; round++) {
        fixture fixture;
        fixture_start(&fixture, NULL);
        struct weir_envelope request =
            small_manager_request(&fixture.manager, WEIR_OPCODE_ECHO, "x", 1);
        uint8_t *bytes = (uint8_t *)&request;
        uint64_t bit = (seed + round * 7919) % 512;
        if (bit / 8 >= offsetof(struct weir_envelope, sequence) &&
            bit / 8 < offsetof(struct weir_envelope, header_crc)) {
            bit = 511; /* a slot without its sequence is not published at all */
        }
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        send_changed(&fixture, &request, false);
        expect_end(
            &fixture,
            bit < 32 ? (uint32_t)WEIR_ERROR_CODE_MAGIC : (uint32_t)WEIR_ERROR_CODE_HEADER_CRC, 0);
    }
}

WEIR_TEST(worker_fault, answers_corrupt_to_a_damaged_payload_and_goes_on)
{
    fixture fixture;
    fixture_start(&fixture, NULL);
    struct weir_envelope request =
        small_manager_request(&fixture.manager, TEST_KILL, "payload", 7); /* must not be called */
    fixture.manager.arena.request_payload.at[request.payload_offset + 3] ^= 1;
    send_changed(&fixture, &request, true);
    const small_reply reply = fixture_expect(&fixture, request.job_id, WEIR_REPLY_STATUS_CORRUPT);
    WEIR_EXPECT_EQ(reply.envelope.payload_bytes, 0);
    fixture_do(&fixture, WEIR_OPCODE_ECHO, "x", 1, WEIR_REPLY_STATUS_OK);
    const struct weir_telemetry sample = fixture_next_beat(&fixture);
    WEIR_EXPECT_EQ(sample.errors[WEIR_ERROR_CODE_PAYLOAD_CRC], 1);
    WEIR_EXPECT_EQ(sample.jobs_failed, 1);
    WEIR_EXPECT_EQ(fixture_end(&fixture), 0);
}

WEIR_TEST(worker_fault, ends_when_the_manager_releases_what_was_not_handed_out)
{
    weir_arena_config config;
    small_manager_config(&config);
    config.response_class_count = 1;
    config.response_class[0] = (weir_size_class){256, 1};
    fixture fixture;
    fixture_start(&fixture, &(small_manager_setup){.config = config});
    const uint64_t job = small_manager_send(&fixture.manager, WEIR_OPCODE_ECHO, "x", 1);
    (void)fixture_expect(&fixture, job, WEIR_REPLY_STATUS_OK);
    weir_release_slot(&fixture.manager.releases, 5);
    weir_release_publish(&fixture.manager.releases);
    (void)small_manager_send(&fixture.manager, WEIR_OPCODE_ECHO, "x", 1);
    expect_end(&fixture, WEIR_ERROR_CODE_RELEASE, 2);
}
