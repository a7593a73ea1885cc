/* The ring between real processes: a million envelopes, a producer killed in the middle of a batch,
 * and one that scribbles into the slots all the time. */
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/os.h"
#include "channel/ring.h"
#include "channel/testing/ring_box_shared.h"
#include "harness/testing/weir_test.h"

enum { ENVELOPES = 1000000, BATCH_MAX = 32 };

/* What the processes of a test tell each other beside the ring. */
typedef struct notes {
    ring_box box;
    uint64_t *words; /* shared */
    uint64_t seed;
    uint64_t staged;
} notes;

enum { CHECKSUM, IS_READY, SHOULD_STOP };

static notes make_notes(uint32_t capacity, uint64_t first_index)
{
    notes made = {.box = ring_box_make(capacity, first_index), .seed = weir_test_seed() | 1};
    made.words = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    WEIR_EXPECT_TRUE(made.words != MAP_FAILED);
    return made;
}

static void free_notes(notes *made)
{
    munmap(made->words, 4096);
    ring_box_free(&made->box);
}

static void wait_for_word(const uint64_t *word, uint64_t deadline_ns)
{
    while (weir_load_acquire_u64(word) == 0) {
        WEIR_EXPECT_LT(weir_os()->clock_ns(), deadline_ns);
        weir_os()->yield();
    }
}

static uint64_t mix(uint64_t checksum, uint64_t number)
{
    return (checksum ^ number) * UINT64_C(0x100000001B3); /* FNV-1a over 64-bit words */
}

/* ---- a million ---- */

static void produce(void *argument)
{
    notes *shared = argument;
    uint64_t state = shared->seed;
    uint64_t checksum = 0;
    for (uint64_t sent = 0; sent < ENVELOPES;) {
        uint64_t batch = ring_box_random(&state) % BATCH_MAX + 1;
        batch = batch < ENVELOPES - sent ? batch : ENVELOPES - sent;
        const weir_status status = weir_ring_room(&shared->box.producer, batch);
        if (status == WEIR_FULL) {
            weir_os()->yield();
            continue;
        }
        WEIR_EXPECT_STATUS(status, WEIR_OK);
        for (uint64_t i = 0; i < batch; i++, sent++) {
            const uint64_t number = ring_box_random(&state);
            ring_box_stage(&shared->box, number);
            checksum = mix(checksum, number);
        }
        weir_ring_publish(&shared->box.producer);
    }
    weir_store_release_u64(&shared->words[CHECKSUM], checksum);
}

static uint64_t consume(notes *shared, uint64_t deadline_ns)
{
    weir_ring_consumer *consumer = &shared->box.consumer;
    uint64_t state = shared->seed + 2;
    uint64_t checksum = 0;
    for (uint64_t taken = 0; taken < ENVELOPES;) {
        const uint64_t batch = ring_box_random(&state) % BATCH_MAX + 1;
        uint64_t got = 0;
        struct weir_envelope copy;
        while (got < batch && weir_ring_take(consumer, &copy) == WEIR_OK) {
            WEIR_EXPECT_EQ(weir_envelope_check_request(&copy, consumer->head - 1, &ring_box_terms),
                           WEIR_ERROR_CODE_NONE);
            WEIR_EXPECT_EQ(copy.correlation_id, ~copy.job_id);
            checksum = mix(checksum, copy.job_id);
            got++;
        }
        weir_ring_consumed(consumer);
        taken += got;
        if (got == 0) {
            WEIR_EXPECT_LT(weir_os()->clock_ns(), deadline_ns);
            weir_os()->yield();
        }
    }
    return checksum;
}

static void pass_a_million(uint32_t capacity, uint64_t first_index)
{
    notes shared = make_notes(capacity, first_index);
    const uint64_t deadline_ns = weir_test_deadline(200);
    const pid_t child = weir_test_fork(produce, &shared);
    const uint64_t checksum = consume(&shared, deadline_ns);
    WEIR_EXPECT_EQ(weir_test_wait(child, deadline_ns), 0);
    WEIR_EXPECT_EQ(checksum, weir_load_acquire_u64(&shared.words[CHECKSUM]));
    WEIR_EXPECT_FALSE(weir_ring_ready(&shared.box.consumer));
    free_notes(&shared);
}

WEIR_TEST(ring_process, passes_a_million_envelopes, .timeout = 240)
{
    pass_a_million(256, 0);
}

WEIR_TEST(ring_process, passes_a_million_envelopes_across_the_wrap_of_the_sequence, .timeout = 240)
{
    pass_a_million(64, UINT64_C(0xFFFFFFFF) - ENVELOPES / 2);
}

WEIR_TEST(ring_process, passes_a_million_envelopes_across_the_wrap_of_the_index, .timeout = 240)
{
    pass_a_million(32, UINT64_MAX - ENVELOPES / 2);
}

/* ---- killed ---- */

static void stage_and_hang(void *argument)
{
    notes *shared = argument;
    for (uint64_t i = 0; i < 3; i++) {
        ring_box_stage(&shared->box, i);
    }
    weir_ring_publish(&shared->box.producer);
    for (uint64_t i = 0; i < shared->staged; i++) {
        ring_box_stage(&shared->box, 100 + i);
    }
    weir_store_release_u64(&shared->words[IS_READY], 1);
    for (;;) {
        pause();
    }
}

WEIR_TEST(ring_process, leaves_nothing_of_a_batch_whose_producer_was_killed_before_publishing)
{
    for (uint64_t staged = 0; staged <= 5; staged++) {
        notes shared = make_notes(8, 0);
        shared.staged = staged;
        const pid_t child = weir_test_fork(stage_and_hang, &shared);
        wait_for_word(&shared.words[IS_READY], weir_test_deadline(30));
        kill(child, SIGKILL);
        WEIR_EXPECT_EQ(weir_test_wait(child, weir_test_deadline(30)), 128 + SIGKILL);
        struct weir_envelope copy;
        for (uint64_t i = 0; i < 3; i++) {
            WEIR_EXPECT_STATUS(weir_ring_take(&shared.box.consumer, &copy), WEIR_OK);
            WEIR_EXPECT_EQ(copy.job_id, i);
        }
        WEIR_EXPECT_STATUS(weir_ring_take(&shared.box.consumer, &copy), WEIR_EMPTY);
        WEIR_EXPECT_EQ(*shared.box.published, 3);
        free_notes(&shared);
    }
}

static void produce_without_end(void *argument)
{
    notes *shared = argument;
    for (uint64_t number = 0;;) {
        if (weir_ring_room(&shared->box.producer, 5) != WEIR_OK) {
            weir_os()->yield();
            continue;
        }
        for (int i = 0; i < 5; i++) {
            ring_box_stage(&shared->box, number++);
        }
        weir_ring_publish(&shared->box.producer);
    }
}

/* Kills at any instruction: what is taken afterwards is whole batches, in order, and valid. */
WEIR_TEST(ring_process, shows_whole_batches_only_when_its_producer_is_killed_anywhere)
{
    uint64_t state = weir_test_seed() | 1;
    for (int round = 0; round < 60; round++) {
        notes shared = make_notes(16, 0);
        const pid_t child = weir_test_fork(produce_without_end, &shared);
        uint64_t taken = 0;
        struct weir_envelope copy;
        bool is_killed = false;
        const uint64_t kill_at = ring_box_random(&state) % 400;
        const uint64_t deadline_ns = weir_test_deadline(30);
        for (;;) {
            if (weir_ring_take(&shared.box.consumer, &copy) == WEIR_OK) {
                WEIR_EXPECT_EQ(weir_envelope_check_request(&copy, taken, &ring_box_terms),
                               WEIR_ERROR_CODE_NONE);
                WEIR_EXPECT_EQ(copy.job_id, taken);
                taken++;
                weir_ring_consumed(&shared.box.consumer);
            } else if (is_killed) {
                break;
            }
            if (!is_killed && taken >= kill_at) {
                kill(child, SIGKILL);
                WEIR_EXPECT_EQ(weir_test_wait(child, deadline_ns), 128 + SIGKILL);
                is_killed = true;
            }
            WEIR_EXPECT_LT(weir_os()->clock_ns(), deadline_ns);
        }
        WEIR_EXPECT_EQ(taken % 5, 0);
        free_notes(&shared);
    }
}

/* ---- hostile ---- */

static void scribble(void *argument)
{
    notes *shared = argument;
    uint64_t state = shared->seed;
    while (weir_load_relaxed_u64(&shared->words[SHOULD_STOP]) == 0) {
        /* Mostly plausible sequences, or else the consumer would rarely take anything. */
        const uint64_t slot = ring_box_random(&state) % 64;
        uint64_t *words = (uint64_t *)(void *)&shared->box.slots[slot];
        const uint64_t head = weir_load_relaxed_u64(shared->box.consumed);
        const uint64_t word = ring_box_random(&state) % WEIR_ENVELOPE_WORDS;
        if (ring_box_random(&state) % 4 != 0) {
            weir_store_relaxed_u32(&shared->box.slots[head & 63].sequence,
                                   weir_envelope_sequence(head + ring_box_random(&state) % 3 - 1));
        } else {
            weir_store_relaxed_u64(&words[word], ring_box_random(&state));
        }
        weir_store_relaxed_u64(shared->box.published, ring_box_random(&state));
    }
}

WEIR_TEST(ring_process, survives_a_producer_that_writes_anything_at_any_time)
{
    notes shared = make_notes(64, 0);
    const pid_t child = weir_test_fork(scribble, &shared);
    const uint64_t until_ns = weir_os()->clock_ns() + WEIR_NS_PER_SECOND / 2;
    const uint64_t deadline_ns = weir_test_deadline(40);
    uint64_t taken = 0;
    while (weir_os()->clock_ns() < until_ns || taken == 0) {
        struct weir_envelope copy;
        const uint64_t head = shared.box.consumer.head;
        const weir_status status = weir_ring_take(&shared.box.consumer, &copy);
        WEIR_EXPECT_TRUE(status == WEIR_OK || status == WEIR_EMPTY);
        WEIR_EXPECT_EQ(shared.box.consumer.head, head + (status == WEIR_OK));
        if (status == WEIR_OK) {
            /* No envelope of this producer ever had a checksum, so none passes: nothing is
             * believed that was read twice or torn. */
            WEIR_EXPECT_NE(weir_envelope_check_request(&copy, head, &ring_box_terms),
                           WEIR_ERROR_CODE_NONE);
            taken++;
        }
        weir_ring_consumed(&shared.box.consumer);
        WEIR_EXPECT_LT(weir_os()->clock_ns(), deadline_ns);
    }
    weir_store_relaxed_u64(&shared.words[SHOULD_STOP], 1);
    WEIR_EXPECT_EQ(weir_test_wait(child, deadline_ns), 0);
    free_notes(&shared);
}
