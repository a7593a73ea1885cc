#include "worker/testing/fixture.h"

#include <time.h>
#include <unistd.h>

#define PATIENCE_S 20

static void worker_body(void *context)
{
    _exit(small_manager_serve(context, true));
}

void fixture_start(fixture *fixture, const small_manager_setup *setup)
{
    small_manager_setup filled = setup != NULL ? *setup : (small_manager_setup){.spin_ns = 0};
    if (filled.options.routine_count == 0) {
        filled.options.routines = fixture_routines;
        filled.options.routine_count = fixture_routine_count;
    }
    small_manager_open(&fixture->manager, &filled);
    fixture->worker = weir_test_fork(worker_body, &fixture->manager);
    small_manager_started(&fixture->manager, fixture->worker);
    WEIR_EXPECT_TRUE(small_manager_await_state(&fixture->manager, WEIR_WORKER_STATE_SERVING,
                                               weir_test_deadline(PATIENCE_S)));
    weir_error error;
    WEIR_EXPECT_STATUS(weir_arena_seal_worker_object(&fixture->manager.arena, &error), WEIR_OK);
}

int fixture_wait(fixture *fixture)
{
    const int status = weir_test_wait(fixture->worker, weir_test_deadline(PATIENCE_S));
    small_manager_close(&fixture->manager);
    return status;
}

int fixture_end(fixture *fixture)
{
    small_manager_command(&fixture->manager, WEIR_COMMAND_SHUTDOWN);
    return fixture_wait(fixture);
}

small_reply fixture_expect(fixture *fixture, uint64_t job_id, uint32_t status)
{
    small_reply reply;
    WEIR_EXPECT_STATUS(
        small_manager_receive(&fixture->manager, &reply, weir_test_deadline(PATIENCE_S)), WEIR_OK);
    WEIR_EXPECT_EQ(reply.envelope.job_id, job_id);
    WEIR_EXPECT_STR_EQ(weir_reply_status_name(reply.envelope.status),
                       weir_reply_status_name(status));
    WEIR_EXPECT_EQ(reply.envelope.correlation_id, 0xc0ffee);
    return reply;
}

void fixture_do(fixture *fixture, uint16_t opcode, const void *payload, uint32_t bytes,
                uint32_t status)
{
    const uint64_t job = small_manager_send(&fixture->manager, opcode, payload, bytes);
    const small_reply reply = fixture_expect(fixture, job, status);
    small_manager_release(&fixture->manager, &reply);
}

struct weir_telemetry fixture_next_beat(fixture *fixture)
{
    const struct weir_telemetry *shared = fixture->manager.arena.telemetry;
    const uint64_t deadline_ns = weir_test_deadline(PATIENCE_S);
    struct weir_telemetry sample = {.sequence = 0};
    uint64_t first = 0;
    while (weir_os()->clock_ns() < deadline_ns) {
        if (weir_telemetry_read(shared, &sample) == WEIR_OK && sample.beat_count > 0) {
            first = first == 0 ? sample.beat_count : first;
            if (sample.beat_count > first) {
                return sample;
            }
        }
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    weir_test_fail(__FILE__, __LINE__, "no beat came after beat %llu", (unsigned long long)first);
}

void fixture_await_parked(fixture *fixture, uint32_t strategy)
{
    const uint32_t *parked = &fixture->manager.arena.worker_control->worker_parked;
    const uint64_t deadline_ns = weir_test_deadline(PATIENCE_S);
    while ((weir_load_relaxed_u32(parked) & 3u) != strategy) {
        if (weir_os()->clock_ns() >= deadline_ns) {
            weir_test_fail(__FILE__, __LINE__, "the worker did not park with %s",
                           weir_wake_strategy_name(strategy));
        }
        nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
    }
}

void fixture_fill(uint8_t *to, size_t bytes, uint64_t seed)
{
    for (size_t i = 0; i < bytes; i++) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        to[i] = (uint8_t)(seed >> 56);
    }
}
