#include "harness/generator.h"

#include <stdlib.h>

#include "harness/names.h"
#include "harness/testing/weir_test.h"
#include "layout/generated/weir_layout.h"

enum { BUFFER = (1 << 20) + 4096 };

static uint64_t request[BUFFER / 8];
static uint64_t reply[BUFFER / 8];

static weir_generator *make(const char *workload_name, uint64_t seed)
{
    static weir_workload workload;
    weir_generator *generator = NULL;
    weir_error error;
    WEIR_EXPECT_STATUS(weir_workload_load(workload_name, &workload, &error), WEIR_OK);
    WEIR_EXPECT_STATUS(weir_generator_create(&workload, seed, &generator, &error), WEIR_OK);
    return generator;
}

/* Does the job as a worker would; returns the reply's length. */
static size_t serve(const weir_generator *generator, const weir_task *task, routine_memory *memory)
{
    weir_generator_fill(generator, task, request);
    const routine_result done =
        routine_catalogue[task->routine].run(memory, request, task->bytes, reply, sizeof reply);
    WEIR_EXPECT_EQ(done.code, ROUTINE_OK);
    return done.bytes;
}

WEIR_TEST(generator, a_worker_that_computes_rightly_passes_for_every_routine)
{
    weir_generator *generator = make("mixed", weir_test_seed());
    routine_memory memory = {0};
    unsigned seen[ROUTINE_COUNT] = {0};
    for (uint64_t number = 0; number < 3000; number++) {
        weir_task task;
        weir_generator_task(generator, number, &task);
        WEIR_EXPECT_EQ(task.opcode, weir_opcode_of(task.routine));
        const size_t bytes = serve(generator, &task, &memory);
        WEIR_EXPECT_STR_EQ(weir_generator_check(generator, &task, reply, bytes), NULL);
        seen[task.routine]++;
    }
    for (unsigned i = 0; i < ROUTINE_COUNT; i++) {
        WEIR_EXPECT_GT(seen[i], 0);
    }
    routine_memory_free(&memory);
    weir_generator_free(generator);
}

WEIR_TEST(generator, one_flipped_bit_of_a_reply_is_noticed)
{
    weir_generator *generator = make("mixed", weir_test_seed());
    routine_memory memory = {0};
    unsigned flipped = 0;
    for (uint64_t number = 0; number < 2000; number++) {
        weir_task task;
        weir_generator_task(generator, number, &task);
        const size_t bytes = serve(generator, &task, &memory);
        /* Pathfind states how many cells it looked at, which is nobody's business. */
        if (bytes == 0 || task.routine == ROUTINE_PATHFIND) {
            continue;
        }
        const size_t bit = (size_t)(number * 7919) % (bytes * 8);
        ((unsigned char *)reply)[bit / 8] ^= (unsigned char)(1u << bit % 8);
        WEIR_EXPECT_NOT_NULL(weir_generator_check(generator, &task, reply, bytes));
        ((unsigned char *)reply)[bit / 8] ^= (unsigned char)(1u << bit % 8);
        WEIR_EXPECT_NOT_NULL(weir_generator_check(generator, &task, reply, bytes - 1));
        flipped++;
    }
    WEIR_EXPECT_GT(flipped, 1000);
    routine_memory_free(&memory);
    weir_generator_free(generator);
}

WEIR_TEST(generator, a_pathfind_reply_with_a_wrong_length_is_noticed)
{
    weir_generator *generator = make("mixed", weir_test_seed());
    routine_memory memory = {0};
    unsigned changed = 0;
    for (uint64_t number = 0; number < 2000; number++) {
        weir_task task;
        weir_generator_task(generator, number, &task);
        if (task.routine != ROUTINE_PATHFIND) {
            continue;
        }
        const size_t bytes = serve(generator, &task, &memory);
        struct weir_pathfind_reply *answer = (struct weir_pathfind_reply *)reply;
        answer->expanded++; /* another search may look elsewhere */
        WEIR_EXPECT_STR_EQ(weir_generator_check(generator, &task, reply, bytes), NULL);
        answer->length += 1;
        answer->straight_moves++;
        WEIR_EXPECT_NOT_NULL(weir_generator_check(generator, &task, reply, bytes));
        changed++;
    }
    WEIR_EXPECT_GT(changed, 10);
    routine_memory_free(&memory);
    weir_generator_free(generator);
}

WEIR_TEST(generator, the_echo_of_another_job_is_noticed)
{
    weir_generator *generator = make("echo", weir_test_seed());
    weir_task mine;
    weir_task other;
    for (uint64_t number = 0; number < 1000; number++) {
        weir_generator_task(generator, number, &mine);
        weir_generator_task(generator, number + 1, &other);
        weir_generator_fill(generator, &other, reply);
        WEIR_EXPECT_STR_EQ(weir_generator_check(generator, &mine, reply, other.bytes),
                           "the echo is that of another job, or its first bytes are damaged");
    }
    weir_generator_free(generator);
}

WEIR_TEST(generator, the_same_seed_makes_the_same_jobs_and_another_seed_others)
{
    const uint64_t seed = weir_test_seed();
    weir_generator *one = make("mixed", seed);
    weir_generator *two = make("mixed", seed);
    weir_generator *three = make("mixed", seed + 1);
    unsigned different = 0;
    for (uint64_t number = 0; number < 500; number++) {
        weir_task a;
        weir_task b;
        weir_task c;
        weir_generator_task(one, number, &a);
        weir_generator_task(two, number, &b);
        weir_generator_task(three, number, &c);
        WEIR_EXPECT_MEM_EQ(&a, &b, sizeof a);
        weir_generator_fill(one, &a, request);
        weir_generator_fill(two, &b, reply);
        WEIR_EXPECT_MEM_EQ(request, reply, a.bytes);
        different += a.bytes != c.bytes || a.opcode != c.opcode || a.stamp != c.stamp;
    }
    WEIR_EXPECT_GT(different, 450);
    weir_generator_free(one);
    weir_generator_free(two);
    weir_generator_free(three);
}
