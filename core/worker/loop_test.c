/* The worker's loop: jobs of all sizes, order, full rings, the begun marker. */
#include "worker/loop.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "worker/testing/fixture.h"

static void echo_and_compare(fixture *fixture, const uint8_t *data, uint32_t bytes)
{
    const uint64_t job = small_manager_send(&fixture->manager, WEIR_OPCODE_ECHO, data, bytes);
    const small_reply reply = fixture_expect(fixture, job, WEIR_REPLY_STATUS_OK);
    WEIR_EXPECT_EQ(reply.envelope.payload_bytes, bytes);
    WEIR_EXPECT_EQ(reply.envelope.original_bytes, bytes);
    WEIR_EXPECT_EQ(reply.envelope.opcode, WEIR_OPCODE_ECHO);
    if (bytes > 0) {
        WEIR_EXPECT_MEM_EQ(reply.payload, data, bytes);
    }
    small_manager_release(&fixture->manager, &reply);
}

WEIR_TEST(worker_loop, echoes_every_size_from_nothing_to_the_largest_slot)
{
    fixture fixture;
    fixture_start(&fixture, NULL);
    const uint32_t max = 1048576;
    uint8_t *data = malloc(max);
    fixture_fill(data, max, weir_test_seed());
    static const uint32_t sizes[] = {0,   1,    7,    8,    63,    64,     65,      255,    256,
                                     257, 4095, 4096, 4097, 65536, 100000, 1048575, 1048576};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        echo_and_compare(&fixture, data, sizes[i]);
    }
    free(data);
    WEIR_EXPECT_EQ(fixture_end(&fixture), 0);
}

WEIR_TEST(worker_loop, answers_in_order_through_many_laps_of_full_rings)
{
    fixture fixture;
    fixture_start(&fixture, &(small_manager_setup){.spin_ns = 20000});
    uint8_t data[200];
    const uint64_t jobs = 20000;
    uint64_t next_reply = 1;
    for (uint64_t sent = 0; next_reply <= jobs;) {
        for (; sent < jobs && sent + 1 - next_reply < 8; sent++) {
            const uint32_t bytes = (uint32_t)(sent % sizeof data);
            fixture_fill(data, bytes, sent + 1);
            const struct weir_envelope request =
                small_manager_request(&fixture.manager, WEIR_OPCODE_ECHO, data, bytes);
            small_manager_stage_raw(&fixture.manager, &request);
        }
        small_manager_publish(&fixture.manager);
        const small_reply reply = fixture_expect(&fixture, next_reply, WEIR_REPLY_STATUS_OK);
        const uint32_t bytes = (uint32_t)((next_reply - 1) % sizeof data);
        WEIR_EXPECT_EQ(reply.envelope.payload_bytes, bytes);
        fixture_fill(data, bytes, next_reply);
        if (bytes > 0) {
            WEIR_EXPECT_MEM_EQ(reply.payload, data, bytes);
        }
        small_manager_release(&fixture.manager, &reply);
        next_reply++;
    }
    WEIR_EXPECT_EQ(weir_load_relaxed_u64(&fixture.manager.arena.worker_control->begun), jobs);
    WEIR_EXPECT_EQ(weir_load_relaxed_u64(&fixture.manager.arena.worker_control->progress), jobs);
    WEIR_EXPECT_EQ(fixture_end(&fixture), 0);
}

WEIR_TEST(worker_loop, finds_a_ring_that_filled_while_it_was_stopped)
{
    fixture fixture;
    fixture_start(&fixture, NULL);
    WEIR_EXPECT_EQ(kill(fixture.worker, SIGSTOP), 0);
    uint8_t data[64];
    fixture_fill(data, sizeof data, 1);
    for (int i = 0; i < 8; i++) {
        (void)small_manager_send(&fixture.manager, WEIR_OPCODE_ECHO, data, sizeof data);
    }
    WEIR_EXPECT_STATUS(weir_ring_room(&fixture.manager.requests, 1), WEIR_FULL);
    WEIR_EXPECT_EQ(kill(fixture.worker, SIGCONT), 0);
    for (uint64_t job = 1; job <= 8; job++) {
        const small_reply reply = fixture_expect(&fixture, job, WEIR_REPLY_STATUS_OK);
        WEIR_EXPECT_MEM_EQ(reply.payload, data, sizeof data);
        small_manager_release(&fixture.manager, &reply);
    }
    WEIR_EXPECT_EQ(fixture_end(&fixture), 0);
}

WEIR_TEST(worker_loop, works_without_payload_checksums_when_agreed)
{
    fixture fixture;
    fixture_start(&fixture, &(small_manager_setup){.is_without_payload_crc = true});
    uint8_t data[64];
    fixture_fill(data, sizeof data, 1);
    const uint64_t job = small_manager_send(&fixture.manager, WEIR_OPCODE_ECHO, data, sizeof data);
    const small_reply reply = fixture_expect(&fixture, job, WEIR_REPLY_STATUS_OK);
    WEIR_EXPECT_EQ(reply.envelope.flags, 0);
    WEIR_EXPECT_EQ(reply.envelope.payload_crc, 0);
    WEIR_EXPECT_MEM_EQ(reply.payload, data, sizeof data);
    WEIR_EXPECT_EQ(fixture_end(&fixture), 0);
}

WEIR_TEST(worker_loop, hands_on_the_checksum_that_it_has_verified)
{
    fixture fixture;
    fixture_start(&fixture, NULL);
    uint8_t data[1000];
    fixture_fill(data, sizeof data, 1);
    const uint64_t job = small_manager_send(&fixture.manager, TEST_CRC, data, sizeof data);
    small_reply reply = fixture_expect(&fixture, job, WEIR_REPLY_STATUS_OK);
    uint32_t answer[2];
    memcpy(answer, reply.payload, sizeof answer);
    WEIR_EXPECT_EQ(answer[0], WEIR_OK);
    WEIR_EXPECT_EQ(answer[1], weir_crc32c(data, sizeof data));
    WEIR_EXPECT_EQ(fixture_end(&fixture), 0);
}

WEIR_TEST(worker_loop, says_so_when_there_is_no_verified_checksum)
{
    fixture fixture;
    fixture_start(&fixture, &(small_manager_setup){.is_without_payload_crc = true});
    const uint64_t job = small_manager_send(&fixture.manager, TEST_CRC, "data", 4);
    const small_reply reply = fixture_expect(&fixture, job, WEIR_REPLY_STATUS_OK);
    uint32_t status = 0;
    memcpy(&status, reply.payload, sizeof status);
    WEIR_EXPECT_EQ(status, WEIR_NOT_FOUND);
    WEIR_EXPECT_EQ(fixture_end(&fixture), 0);
}

WEIR_TEST(worker_loop, answers_unsupported_to_an_opcode_without_routine)
{
    fixture fixture;
    fixture_start(&fixture, NULL);
    fixture_do(&fixture, TEST_UNKNOWN, "x", 1, WEIR_REPLY_STATUS_UNSUPPORTED);
    fixture_do(&fixture, UINT16_MAX, NULL, 0, WEIR_REPLY_STATUS_UNSUPPORTED);
    fixture_do(&fixture, WEIR_OPCODE_ECHO, "x", 1, WEIR_REPLY_STATUS_OK);
    WEIR_EXPECT_EQ(fixture_end(&fixture), 0);
}

WEIR_TEST(worker_loop, answers_expired_to_a_job_whose_deadline_has_passed)
{
    fixture fixture;
    fixture_start(&fixture, NULL);
    struct weir_envelope late =
        small_manager_request(&fixture.manager, TEST_KILL, NULL, 0); /* must not be called */
    late.deadline_ns = 1;
    small_manager_stage(&fixture.manager, &late);
    struct weir_envelope early = small_manager_request(&fixture.manager, WEIR_OPCODE_ECHO, "x", 1);
    early.deadline_ns = weir_test_deadline(1000);
    small_manager_stage(&fixture.manager, &early);
    small_manager_publish(&fixture.manager);
    (void)fixture_expect(&fixture, late.job_id, WEIR_REPLY_STATUS_EXPIRED);
    const small_reply reply = fixture_expect(&fixture, early.job_id, WEIR_REPLY_STATUS_OK);
    WEIR_EXPECT_EQ(reply.envelope.deadline_ns, early.deadline_ns);
    WEIR_EXPECT_EQ(fixture_end(&fixture), 0);
}

WEIR_TEST(worker_loop, marks_a_job_begun_before_its_routine_runs)
{
    fixture fixture;
    fixture_start(&fixture, NULL);
    struct weir_envelope requests[3] = {
        small_manager_request(&fixture.manager, WEIR_OPCODE_ECHO, "x", 1),
    };
    small_manager_stage(&fixture.manager, &requests[0]);
    requests[1] = small_manager_request(&fixture.manager, TEST_KILL, NULL, 0);
    small_manager_stage(&fixture.manager, &requests[1]);
    requests[2] = small_manager_request(&fixture.manager, WEIR_OPCODE_ECHO, "x", 1);
    small_manager_stage(&fixture.manager, &requests[2]);
    small_manager_publish(&fixture.manager);
    WEIR_EXPECT_EQ(weir_test_wait(fixture.worker, weir_test_deadline(20)), 128 + SIGKILL);
    /* Job 1 was answered and is out, since nobody knew how long job 2 takes; job 3 was not begun.
     */
    WEIR_EXPECT_EQ(weir_load_acquire_u64(&fixture.manager.arena.worker_control->begun), 2);
    (void)fixture_expect(&fixture, requests[0].job_id, WEIR_REPLY_STATUS_OK);
    small_reply none;
    WEIR_EXPECT_STATUS(
        small_manager_receive(&fixture.manager, &none, weir_os()->clock_ns() + 1000000),
        WEIR_TIMEOUT);
    small_manager_close(&fixture.manager);
}

/* A slow job behind quick ones: their replies are there while it runs. */
WEIR_TEST(worker_loop, does_not_keep_a_reply_back_for_a_slow_job)
{
    fixture fixture;
    fixture_start(&fixture, NULL);
    for (int i = 0; i < 100; i++) {
        fixture_do(&fixture, WEIR_OPCODE_ECHO, "x", 1, WEIR_REPLY_STATUS_OK);
    }
    struct weir_envelope quick = small_manager_request(&fixture.manager, WEIR_OPCODE_ECHO, "x", 1);
    small_manager_stage(&fixture.manager, &quick);
    struct weir_envelope stuck = small_manager_request(&fixture.manager, TEST_STUCK, NULL, 0);
    small_manager_stage(&fixture.manager, &stuck);
    small_manager_publish(&fixture.manager);
    (void)fixture_expect(&fixture, quick.job_id, WEIR_REPLY_STATUS_OK);
    small_manager_die(&fixture.manager);
    WEIR_EXPECT_EQ(fixture_wait(&fixture), 3);
}

WEIR_TEST(worker_loop, counts_the_steps_of_a_long_routine_as_progress)
{
    fixture fixture;
    fixture_start(&fixture, NULL);
    fixture_do(&fixture, TEST_PROGRESS, NULL, 0, WEIR_REPLY_STATUS_OK);
    WEIR_EXPECT_EQ(weir_load_relaxed_u64(&fixture.manager.arena.worker_control->progress), 11);
    WEIR_EXPECT_EQ(fixture_end(&fixture), 0);
}

WEIR_TEST(worker_loop, costs_no_heap_per_job)
{
    fixture fixture;
    fixture_start(&fixture, &(small_manager_setup){
                                .spin_ns = 20000,
                                .capabilities = WEIR_CAPABILITY_LZ4 | WEIR_CAPABILITY_ZSTD,
                                .compress_min_bytes = 1024,
                            });
    uint8_t data[4096] = {0};
    uint64_t count[2] = {0, 0};
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 20000; i++) {
            const uint32_t bytes = i % 16 == 0 ? sizeof data : 64;
            fixture_do(&fixture, WEIR_OPCODE_ECHO, data, bytes, WEIR_REPLY_STATUS_OK);
        }
        const uint64_t job = small_manager_send(&fixture.manager, TEST_ALLOCATIONS, NULL, 0);
        const small_reply reply = fixture_expect(&fixture, job, WEIR_REPLY_STATUS_OK);
        memcpy(&count[round], reply.payload, sizeof count[round]);
        small_manager_release(&fixture.manager, &reply);
    }
    WEIR_EXPECT_GT(count[0], 0); /* the start allocates: the counter works */
    WEIR_EXPECT_EQ(count[1], count[0]);
    WEIR_EXPECT_EQ(fixture_end(&fixture), 0);
}
