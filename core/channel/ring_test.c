/* The ring within one process: its limits, its wrap-around, and a consumer or producer that lies.
 */
#include "channel/ring.h"

#include <sys/mman.h>
#include <unistd.h>

#include "channel/testing/ring_box_shared.h"
#include "harness/testing/weir_test.h"

/* Where indices wrap: the sequence in a slot at 2^32, the counts at 2^64. */
static const uint64_t first_indices[] = {
    0, UINT64_C(0xFFFFFFFD), UINT64_C(0x1FFFFFFFE), UINT64_MAX - 2, UINT64_MAX,
};
enum { FIRST_INDICES = sizeof first_indices / sizeof first_indices[0] };

static void publish_one(ring_box *box, uint64_t number)
{
    WEIR_EXPECT_STATUS(weir_ring_room(&box->producer, 1), WEIR_OK);
    ring_box_stage(box, number);
    weir_ring_publish(&box->producer);
}

static void expect_taken(ring_box *box, uint64_t number)
{
    struct weir_envelope copy;
    const uint64_t index = box->consumer.head;
    WEIR_EXPECT_STATUS(weir_ring_take(&box->consumer, &copy), WEIR_OK);
    WEIR_EXPECT_EQ(weir_envelope_check_request(&copy, index, &ring_box_terms),
                   WEIR_ERROR_CODE_NONE);
    WEIR_EXPECT_EQ(copy.job_id, number);
    WEIR_EXPECT_EQ(box->consumer.head, index + 1);
}

static void expect_empty(ring_box *box)
{
    struct weir_envelope copy;
    const uint64_t index = box->consumer.head;
    WEIR_EXPECT_FALSE(weir_ring_ready(&box->consumer));
    WEIR_EXPECT_STATUS(weir_ring_take(&box->consumer, &copy), WEIR_EMPTY);
    WEIR_EXPECT_EQ(box->consumer.head, index);
}

WEIR_TEST(ring, is_empty_when_new)
{
    ring_box box = ring_box_make(4, 0);
    expect_empty(&box);
    WEIR_EXPECT_EQ(weir_ring_room_known(&box.producer), 4);
    ring_box_free(&box);
}

WEIR_TEST(ring, rejects_when_full_and_takes_again_after_a_slot_came_back)
{
    ring_box box = ring_box_make(4, 0);
    for (uint64_t i = 0; i < 4; i++) {
        publish_one(&box, i);
    }
    WEIR_EXPECT_STATUS(weir_ring_room(&box.producer, 1), WEIR_FULL);
    expect_taken(&box, 0);
    /* Taken is not given back yet. */
    WEIR_EXPECT_STATUS(weir_ring_room(&box.producer, 1), WEIR_FULL);
    weir_ring_consumed(&box.consumer);
    WEIR_EXPECT_STATUS(weir_ring_room(&box.producer, 2), WEIR_FULL);
    publish_one(&box, 4);
    for (uint64_t i = 1; i <= 4; i++) {
        expect_taken(&box, i);
    }
    expect_empty(&box);
    ring_box_free(&box);
}

WEIR_TEST(ring, never_promises_more_than_its_capacity)
{
    ring_box box = ring_box_make(8, 0);
    WEIR_EXPECT_STATUS(weir_ring_room(&box.producer, 8), WEIR_OK);
    WEIR_EXPECT_STATUS(weir_ring_room(&box.producer, 9), WEIR_FULL);
    WEIR_EXPECT_STATUS(weir_ring_room(&box.producer, UINT64_MAX), WEIR_FULL);
    ring_box_free(&box);
}

WEIR_TEST(ring, shows_a_batch_only_when_it_is_published_and_then_whole_and_in_order)
{
    ring_box box = ring_box_make(8, 0);
    for (uint64_t lap = 0; lap < 5; lap++) {
        for (uint64_t i = 0; i < 8; i++) {
            WEIR_EXPECT_EQ(weir_ring_next_index(&box.producer), lap * 8 + i);
            WEIR_EXPECT_STATUS(weir_ring_room(&box.producer, 1), WEIR_OK);
            ring_box_stage(&box, lap * 8 + i);
            expect_empty(&box);
        }
        WEIR_EXPECT_STATUS(weir_ring_room(&box.producer, 1), WEIR_FULL);
        weir_ring_publish(&box.producer);
        WEIR_EXPECT_EQ(*box.published, lap * 8 + 8);
        for (uint64_t i = 0; i < 8; i++) {
            expect_taken(&box, lap * 8 + i);
        }
        expect_empty(&box);
        weir_ring_consumed(&box.consumer);
        WEIR_EXPECT_EQ(*box.consumed, lap * 8 + 8);
    }
    ring_box_free(&box);
}

WEIR_TEST(ring, publishes_nothing_when_nothing_is_staged)
{
    ring_box box = ring_box_make(2, 0);
    weir_ring_publish(&box.producer);
    expect_empty(&box);
    WEIR_EXPECT_EQ(*box.published, 0);
    ring_box_free(&box);
}

WEIR_TEST(ring, goes_round_at_capacity_two_and_where_its_indices_wrap)
{
    for (int f = 0; f < FIRST_INDICES; f++) {
        ring_box box = ring_box_make(2, first_indices[f]);
        for (uint64_t i = 0; i < 50; i++) {
            expect_empty(&box);
            publish_one(&box, i);
            if (i % 3 == 0) { /* both slots in use */
                publish_one(&box, 1000 + i);
                WEIR_EXPECT_STATUS(weir_ring_room(&box.producer, 1), WEIR_FULL);
                expect_taken(&box, i);
                expect_taken(&box, 1000 + i);
            } else {
                expect_taken(&box, i);
            }
            expect_empty(&box);
            weir_ring_consumed(&box.consumer);
            WEIR_EXPECT_STATUS(weir_ring_room(&box.producer, 2), WEIR_OK);
        }
        ring_box_free(&box);
    }
}

WEIR_TEST(ring, forgets_what_was_unstaged_whatever_is_published_next)
{
    for (int f = 0; f < FIRST_INDICES; f++) {
        for (uint64_t staged = 1; staged <= 8; staged++) {
            for (uint64_t next = 1; next <= staged; next++) {
                ring_box box = ring_box_make(8, first_indices[f]);
                for (uint64_t i = 0; i < staged; i++) {
                    ring_box_stage(&box, 100 + i);
                }
                weir_ring_unstage(&box.producer);
                expect_empty(&box);
                WEIR_EXPECT_STATUS(weir_ring_room(&box.producer, 8), WEIR_OK);
                for (uint64_t i = 0; i < next; i++) {
                    ring_box_stage(&box, 200 + i);
                }
                weir_ring_publish(&box.producer);
                for (uint64_t i = 0; i < next; i++) {
                    expect_taken(&box, 200 + i);
                }
                expect_empty(&box);
                ring_box_free(&box);
            }
        }
    }
}

/* ---- a consumer that lies ---- */

static void expect_disbelief(ring_box *box, uint64_t count)
{
    const weir_ring_producer before = box->producer;
    weir_store_relaxed_u64(box->consumed, count);
    WEIR_EXPECT_STATUS(weir_ring_refresh(&box->producer), WEIR_PROTOCOL);
    WEIR_EXPECT_STATUS(weir_ring_room(&box->producer, box->producer.capacity), WEIR_PROTOCOL);
    WEIR_EXPECT_MEM_EQ(&before, &box->producer, sizeof before);
}

WEIR_TEST(ring, believes_no_count_that_runs_backwards_or_ahead)
{
    for (int f = 0; f < FIRST_INDICES; f++) {
        const uint64_t first = first_indices[f];
        ring_box box = ring_box_make(8, first);
        for (uint64_t i = 0; i < 6; i++) {
            publish_one(&box, i);
        }
        weir_store_relaxed_u64(box.consumed, first + 3);
        WEIR_EXPECT_STATUS(weir_ring_refresh(&box.producer), WEIR_OK);
        ring_box_stage(&box, 6); /* staged is not published: its slot cannot be consumed */
        expect_disbelief(&box, first + 2);
        expect_disbelief(&box, first - 1);
        expect_disbelief(&box, first + 7);
        expect_disbelief(&box, first + 8);
        expect_disbelief(&box, first + 3 + (UINT64_C(1) << 63));
        expect_disbelief(&box, first + (UINT64_C(1) << 32) + 4);
        weir_store_relaxed_u64(box.consumed, first + 6);
        WEIR_EXPECT_STATUS(weir_ring_room(&box.producer, 7), WEIR_OK);
        ring_box_free(&box);
    }
}

WEIR_TEST(ring, believes_exactly_the_counts_that_can_be_true)
{
    uint64_t state = weir_test_seed() | 1;
    for (int round = 0; round < 20000; round++) {
        const uint64_t first = ring_box_random(&state);
        ring_box box = ring_box_make_static(16, first);
        const uint64_t published = ring_box_random(&state) % 17;
        const uint64_t seen = published > 0 ? ring_box_random(&state) % (published + 1) : 0;
        box.producer.tail = first + published;
        box.producer.head_seen = first + seen;
        const uint64_t count = ring_box_random(&state) % 2 == 0
                                   ? first + ring_box_random(&state) % 40 - 10
                                   : ring_box_random(&state);
        *box.consumed = count;
        const bool can_be_true = count - first >= seen && count - first <= published;
        WEIR_EXPECT_STATUS(weir_ring_refresh(&box.producer), can_be_true ? WEIR_OK : WEIR_PROTOCOL);
        WEIR_EXPECT_LE(weir_ring_room_known(&box.producer), 16);
        WEIR_EXPECT_EQ(box.producer.head_seen, can_be_true ? count : first + seen);
    }
}

/* ---- a producer that lies ---- */

WEIR_TEST(ring, takes_one_copy_from_random_slots_and_never_reads_outside)
{
    uint64_t state = weir_test_seed() | 1;
    /* 64 slots fill a page exactly; ring_box_make puts guard pages on both sides. */
    ring_box box = ring_box_make(64, ring_box_random(&state));
    uint64_t taken = 0;
    for (int round = 0; round < 200000; round++) {
        const uint64_t head = box.consumer.head;
        struct weir_envelope *slot = &box.slots[head & 63];
        uint64_t words[WEIR_ENVELOPE_WORDS];
        for (size_t i = 0; i < WEIR_ENVELOPE_WORDS; i++) {
            words[i] = ring_box_random(&state);
        }
        memcpy(slot, words, sizeof words);
        const bool is_stamped = ring_box_random(&state) % 2 == 0;
        if (is_stamped) {
            slot->sequence = weir_envelope_sequence(head);
        }
        struct weir_envelope copy;
        memset(&copy, 0xA5, sizeof copy);
        const weir_status status = weir_ring_take(&box.consumer, &copy);
        WEIR_EXPECT_STATUS(status,
                           slot->sequence == weir_envelope_sequence(head) ? WEIR_OK : WEIR_EMPTY);
        if (status == WEIR_OK) {
            WEIR_EXPECT_MEM_EQ(&copy, slot, sizeof copy);
            WEIR_EXPECT_EQ(box.consumer.head, head + 1);
            WEIR_EXPECT_NE(weir_envelope_check_request(&copy, head, &ring_box_terms),
                           WEIR_ERROR_CODE_NONE);
            taken++;
        } else {
            WEIR_EXPECT_EQ(box.consumer.head, head);
        }
    }
    WEIR_EXPECT_GT(taken, 50000);
    ring_box_free(&box);
}

/* ---- against a model ---- */

enum { MODEL_NUMBERS = 1 << 17 };

typedef struct model {
    uint64_t capacity;
    uint64_t published; /* how many were published, taken, given back */
    uint64_t taken;
    uint64_t given_back;
    uint64_t staged;
    uint64_t next_number; /* every staged envelope has its own, so a stale one shows */
    uint64_t staged_numbers[64];
    uint64_t numbers[MODEL_NUMBERS]; /* what was published, in order */
} model;

static void step_producer(ring_box *box, model *want, uint64_t *state)
{
    const uint64_t room = want->capacity - (want->published + want->staged - want->given_back);
    const uint64_t wanted = ring_box_random(state) % (want->capacity + 2);
    WEIR_EXPECT_STATUS(weir_ring_room(&box->producer, wanted),
                       room >= wanted ? WEIR_OK : WEIR_FULL);
    for (uint64_t i = 0; i < wanted && wanted <= room; i++) {
        want->staged_numbers[want->staged++] = want->next_number;
        ring_box_stage(box, want->next_number++);
    }
}

static void step_publish(ring_box *box, model *want)
{
    weir_ring_publish(&box->producer);
    for (uint64_t i = 0; i < want->staged; i++) {
        want->numbers[want->published++] = want->staged_numbers[i];
    }
    want->staged = 0;
}

static void step_consumer(ring_box *box, model *want, uint64_t *state)
{
    for (uint64_t i = ring_box_random(state) % (want->capacity + 1); i > 0; i--) {
        if (want->taken == want->published) {
            expect_empty(box);
            return;
        }
        expect_taken(box, want->numbers[want->taken++]);
    }
}

WEIR_TEST(ring, behaves_like_a_queue_whatever_the_order_of_calls)
{
    uint64_t state = weir_test_seed() | 1;
    static model want;
    uint64_t taken = 0;
    for (int round = 0; round < 60; round++) {
        const uint32_t capacity = 2u << (ring_box_random(&state) % 6);
        ring_box box = ring_box_make(capacity, first_indices[round % FIRST_INDICES]);
        want = (model){.capacity = capacity};
        for (int step = 0; step < 2000 && want.published < MODEL_NUMBERS - 64; step++) {
            switch (ring_box_random(&state) % 8) {
            case 0:
            case 1:
            case 2:
                step_producer(&box, &want, &state);
                break;
            case 3:
            case 4:
                step_publish(&box, &want);
                break;
            case 5:
                weir_ring_unstage(&box.producer);
                want.staged = 0;
                break;
            case 6:
                step_consumer(&box, &want, &state);
                break;
            default:
                weir_ring_consumed(&box.consumer);
                want.given_back = want.taken;
                break;
            }
        }
        taken += want.taken;
        ring_box_free(&box);
    }
    WEIR_EXPECT_GT(taken, 10000);
}
