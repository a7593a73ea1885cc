/* Many jobs at once: random mixes from several threads, batches, calls, compression, checksums off.
 */
#include <stdlib.h>

#include "manager/testing/house.h"

#define THREADS 3

typedef struct sender {
    house *house;
    weir_pool_id pool;
    uint64_t random;
    uint32_t count;
    bool may_cancel;
    house_job *jobs;
} sender;

static uint32_t random_bytes(uint64_t *random)
{
    const uint64_t r = house_random(random);
    switch (r % 16) {
    case 0:
        return 0;
    case 1:
        return (uint32_t)(r >> 8) % 1048577;
    case 2:
    case 3:
        return (uint32_t)(r >> 8) % 65537;
    default:
        return (uint32_t)(r >> 8) % 2048;
    }
}

static void make_random(sender *sender, house_job *job)
{
    switch (house_random(&sender->random) % 24) {
    case 0:
        *job = house_make(sender->house, JOB_FAIL, 0);
        break;
    case 1:
        *job = house_make(sender->house, JOB_UNKNOWN, 0);
        break;
    case 2:
        *job = house_make(sender->house, JOB_REPLY_BYTES, random_bytes(&sender->random));
        break;
    case 3:
        *job = house_make(sender->house, WEIR_OPCODE_ECHO, 1048577 + 63);
        break;
    case 4:
        *job = house_make(sender->house, JOB_SLEEP, 1);
        break;
    default:
        *job = house_make(sender->house, WEIR_OPCODE_ECHO, random_bytes(&sender->random));
        break;
    }
}

static void *send_mix(void *context)
{
    sender *sender = context;
    weir_job_spec specs[40];
    uint64_t ids[40];
    for (uint32_t i = 0; i < sender->count;) {
        uint32_t part = 1 + (uint32_t)(house_random(&sender->random) % 40);
        part = part > sender->count - i ? sender->count - i : part;
        for (uint32_t k = 0; k < part; k++) {
            make_random(sender, &sender->jobs[i + k]);
            specs[k] = house_spec(&sender->jobs[i + k]);
            if (house_random(&sender->random) % 10 == 0) {
                specs[k].deadline_ns =
                    weir_deadline_in(house_random(&sender->random) % (3 * WEIR_NS_PER_MS));
            }
        }
        atomic_fetch_add(&sender->house->submitted, part);
        WEIR_EXPECT_STATUS(weir_submit(sender->house->manager, sender->pool, specs, part, ids),
                           WEIR_OK);
        if (part > 0 && sender->may_cancel && house_random(&sender->random) % 4 == 0) {
            (void)!weir_cancel(sender->house->manager, ids[house_random(&sender->random) % part]);
        }
        i += part;
    }
    return NULL;
}

static void expect_possible(const house_job *job, weir_room_policy policy)
{
    WEIR_EXPECT_EQ(job->ends, 1);
    if (!job->is_reply_right) {
        weir_test_fail(__FILE__, __LINE__, "wrong reply to opcode %u with %u bytes", job->opcode,
                       job->bytes);
    }
    switch (job->outcome) {
    case WEIR_OUTCOME_OK:
        WEIR_EXPECT_TRUE(job->opcode != JOB_FAIL && job->opcode != JOB_UNKNOWN);
        WEIR_EXPECT_LE(job->bytes, 1048576);
        break;
    case WEIR_OUTCOME_FAILED:
        WEIR_EXPECT_EQ(job->opcode, JOB_FAIL);
        break;
    case WEIR_OUTCOME_UNSUPPORTED:
        WEIR_EXPECT_EQ(job->opcode, JOB_UNKNOWN);
        break;
    case WEIR_OUTCOME_OVERSIZE:
        WEIR_EXPECT_GT(job->bytes, 1048576);
        break;
    case WEIR_OUTCOME_REJECTED: /* It waited for room until its deadline. */
        WEIR_EXPECT_EQ(policy, WEIR_ROOM_WAIT);
        break;
    default:
        WEIR_EXPECT_TRUE(job->outcome == WEIR_OUTCOME_TIMEOUT ||
                         job->outcome == WEIR_OUTCOME_CANCELLED);
        break;
    }
}

/* Sends a mix from several threads, or from this one, and demands one possible outcome for each. */
static void run_mix(bool without_thread, weir_room_policy policy, uint32_t workers)
{
    static house house;
    static sender senders[THREADS];
    const uint32_t count = HOUSE_ROUNDS(1500);
    const weir_manager_options options = {.without_thread = without_thread};
    house_open(&house, &options);
    weir_pool_options pool_options = house_pool(workers, NULL);
    pool_options.policy = policy;
    pool_options.deferred_max = 8192;
    const weir_pool_id pool = house_add_ready(&house, &pool_options);
    pthread_t threads[THREADS];
    for (uint32_t t = 0; t < THREADS; t++) {
        senders[t] = (sender){
            .house = &house,
            .pool = pool,
            .random = weir_test_seed() + t,
            .count = count,
            .may_cancel = t == 0,
            .jobs = calloc(count, sizeof(house_job)),
        };
        WEIR_EXPECT_EQ(pthread_create(&threads[t], NULL, send_mix, &senders[t]), 0);
    }
    while (atomic_load(&house.submitted) < (uint64_t)THREADS * count) {
        house_pass(&house, 0.001);
    }
    for (uint32_t t = 0; t < THREADS; t++) {
        pthread_join(threads[t], NULL);
    }
    house_settle(&house);
    house_await_slots(&house);
    for (uint32_t t = 0; t < THREADS; t++) {
        for (uint32_t i = 0; i < count; i++) {
            expect_possible(&senders[t].jobs[i], policy);
        }
        free(senders[t].jobs);
    }
    const weir_manager_stats stats = house_stats(&house);
    uint64_t outcomes = 0;
    for (size_t i = 0; i < WEIR_OUTCOME_CODES; i++) {
        outcomes += stats.outcomes[i];
    }
    WEIR_EXPECT_EQ(stats.submitted, (uint64_t)THREADS * count);
    WEIR_EXPECT_EQ(outcomes, stats.submitted);
    WEIR_EXPECT_EQ(stats.outcomes[WEIR_OUTCOME_NONE], 0);
    WEIR_EXPECT_GT(stats.outcomes[WEIR_OUTCOME_OK], count);
    WEIR_EXPECT_EQ(stats.protocol_errors, 0);
    WEIR_EXPECT_EQ(stats.restarts, 0);
    WEIR_EXPECT_EQ(stats.bytes_copied, 0);
    WEIR_EXPECT_EQ(stats.in_flight, 0);
    house_close(&house);
}

WEIR_TEST(jobs, random_mix_with_own_thread_and_deferring)
{
    run_mix(false, WEIR_ROOM_DEFER, 2);
}

WEIR_TEST(jobs, random_mix_with_own_thread_and_waiting)
{
    run_mix(false, WEIR_ROOM_WAIT, 2);
}

WEIR_TEST(jobs, random_mix_without_own_thread)
{
    run_mix(true, WEIR_ROOM_DEFER, 1);
}

/* ---- calls */

typedef struct caller {
    house *house;
    weir_pool_id pool;
    uint32_t count;
} caller;

static void fill_number(void *context, void *payload, size_t bytes)
{
    memcpy(payload, context, bytes);
}

static void *call_often(void *context)
{
    const caller *caller = context;
    for (uint32_t i = 0; i < caller->count; i++) {
        uint64_t number = (uint64_t)(uintptr_t)&number * 31 + i;
        uint64_t answer = 0;
        const weir_job_spec spec = {
            .opcode = WEIR_OPCODE_ECHO,
            .payload_bytes = sizeof number,
            .fill = fill_number,
            .context = &number,
            .correlation_id = i,
            .result_buffer = &answer,
            .result_capacity = sizeof answer,
        };
        weir_result result;
        WEIR_EXPECT_STATUS(weir_call(caller->house->manager, caller->pool, &spec, &result),
                           WEIR_OK);
        WEIR_EXPECT_EQ(result.outcome, WEIR_OUTCOME_OK);
        WEIR_EXPECT_EQ(result.correlation_id, i);
        WEIR_EXPECT_EQ(result.payload, (const void *)&answer);
        WEIR_EXPECT_EQ(answer, number);
    }
    return NULL;
}

WEIR_TEST(jobs, calls_from_many_threads_get_their_own_answers)
{
    static house house;
    house_open(&house, NULL);
    const weir_pool_options options = house_pool(2, NULL);
    caller caller = {
        .house = &house, .pool = house_add_ready(&house, &options), .count = HOUSE_ROUNDS(300)};
    pthread_t threads[8];
    for (size_t i = 0; i < 8; i++) {
        WEIR_EXPECT_EQ(pthread_create(&threads[i], NULL, call_often, &caller), 0);
    }
    for (size_t i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
    }
    house_settle(&house);
    WEIR_EXPECT_EQ(house_stats(&house).outcomes[WEIR_OUTCOME_OK], 8 * caller.count);
    house_close(&house);
}

WEIR_TEST(jobs, a_call_without_a_buffer_gets_no_payload_that_would_dangle)
{
    static house house;
    house_open(&house, NULL);
    const weir_pool_options options = house_pool(1, NULL);
    const weir_pool_id pool = house_add_ready(&house, &options);
    uint64_t number = 5;
    const weir_job_spec spec = {.opcode = WEIR_OPCODE_ECHO,
                                .payload_bytes = sizeof number,
                                .fill = fill_number,
                                .context = &number};
    weir_result result;
    WEIR_EXPECT_STATUS(weir_call(house.manager, pool, &spec, &result), WEIR_OK);
    WEIR_EXPECT_EQ(result.outcome, WEIR_OUTCOME_OK);
    WEIR_EXPECT_NULL(result.payload);
    WEIR_EXPECT_EQ(result.payload_bytes, 0);
    house_close(&house);
}

/* ---- compression and checksums */

static void expect_echoes(house *house, weir_pool_id pool)
{
    const uint32_t sizes[] = {0, 1, 4095, 4096, 5000, 65536, 1048576};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        house_job job;
        house_send(house, pool, &job, WEIR_OPCODE_ECHO, sizes[i]);
        house_expect(&job, WEIR_OUTCOME_OK);
        WEIR_EXPECT_EQ(job.reply_bytes, sizes[i]);
    }
}

typedef struct noise {
    uint64_t random;
    bool is_same;
    _Atomic uint32_t ends;
} noise;

static uint8_t noise_sent[100000];

static void fill_noise(void *context, void *payload, size_t bytes)
{
    noise *noise = context;
    for (size_t i = 0; i < bytes; i++) {
        noise_sent[i] = (uint8_t)house_random(&noise->random);
    }
    memcpy(payload, noise_sent, bytes);
}

static void take_noise(void *context, const weir_result *result)
{
    noise *noise = context;
    noise->is_same = result->outcome == WEIR_OUTCOME_OK &&
                     result->payload_bytes == sizeof noise_sent &&
                     memcmp(result->payload, noise_sent, sizeof noise_sent) == 0;
    atomic_fetch_add(&noise->ends, 1);
}

static void expect_noise(house *house, weir_pool_id pool)
{
    static noise noise;
    noise.random = weir_test_seed();
    const weir_job_spec spec = {
        .opcode = WEIR_OPCODE_ECHO,
        .payload_bytes = sizeof noise_sent,
        .fill = fill_noise,
        .done = take_noise,
        .context = &noise,
    };
    WEIR_EXPECT_STATUS(weir_submit(house->manager, pool, &spec, 1, NULL), WEIR_OK);
    const uint64_t deadline_ns = weir_test_deadline(10);
    while (noise.ends == 0 && weir_os()->clock_ns() < deadline_ns) {
        house_pass(house, 0.002);
    }
    WEIR_EXPECT_TRUE(noise.is_same);
}

static void run_packed(uint32_t capability)
{
    static house house;
    house_open(&house, NULL);
    weir_pool_options options = house_pool(1, NULL);
    options.capabilities = capability;
    const weir_pool_id pool = house_add_ready(&house, &options);
    WEIR_EXPECT_EQ(house_worker(&house, 0).capabilities &
                       (WEIR_CAPABILITY_LZ4 | WEIR_CAPABILITY_ZSTD),
                   capability);
    expect_echoes(&house, pool);
    expect_noise(&house, pool);
    house_settle(&house);
    const weir_manager_stats stats = house_stats(&house);
    WEIR_EXPECT_EQ(stats.outcomes[WEIR_OUTCOME_OK], 8);
    WEIR_EXPECT_GT(stats.bytes_copied, 1048576); /* Unpacking is a copy and says so. */
    house_await_slots(&house);
    house_close(&house);
}

WEIR_TEST(jobs, packed_with_lz4_keep_their_bytes)
{
    run_packed(WEIR_CAPABILITY_LZ4);
}

WEIR_TEST(jobs, packed_with_zstd_keep_their_bytes)
{
    run_packed(WEIR_CAPABILITY_ZSTD);
}

static uint32_t agreed_checksums(bool manager_goes_without, bool worker_goes_without)
{
    static house house;
    static const char *const without[] = {"--without-crc", NULL};
    house_open(&house, NULL);
    weir_pool_options options = house_pool(1, worker_goes_without ? without : NULL);
    options.without_payload_crc = manager_goes_without;
    const weir_pool_id pool = house_add_ready(&house, &options);
    expect_echoes(&house, pool);
    const uint32_t agreed = house_worker(&house, 0).capabilities & WEIR_CAPABILITY_PAYLOAD_CRC;
    house_close(&house);
    return agreed;
}

WEIR_TEST(jobs, go_without_payload_checksums_only_when_both_sides_agree)
{
    WEIR_EXPECT_EQ(agreed_checksums(true, true), 0);
    WEIR_EXPECT_EQ(agreed_checksums(true, false), WEIR_CAPABILITY_PAYLOAD_CRC);
    WEIR_EXPECT_EQ(agreed_checksums(false, true), WEIR_CAPABILITY_PAYLOAD_CRC);
}
