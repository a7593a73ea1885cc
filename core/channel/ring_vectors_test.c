/* What a ring answers to a sequence of calls, in C and in Elixir: docs/vectors/ring.txt. */
#include <stdio.h>

#include "channel/ring.h"
#include "channel/testing/ring_box_shared.h"
#include "harness/testing/weir_test.h"
#include "harness/testing/weir_test_vectors.h"

#define FILE_OF_VECTORS WEIR_SOURCE_DIR "/docs/vectors/ring.txt"

static uint64_t free_slots(ring_box *box)
{
    WEIR_EXPECT_STATUS(weir_ring_refresh(&box->producer), WEIR_OK);
    return weir_ring_room_known(&box->producer);
}

static uint64_t publish(ring_box *box, uint64_t *number, uint64_t count)
{
    uint64_t accepted = 0;
    while (accepted < count && weir_ring_room(&box->producer, 1) == WEIR_OK) {
        ring_box_stage(box, (*number)++);
        accepted++;
    }
    weir_ring_publish(&box->producer);
    return accepted;
}

static void take(const weir_test_vectors *v, ring_box *box, uint64_t max)
{
    char got[1024] = "";
    size_t length = 0;
    struct weir_envelope copy;
    for (uint64_t i = 0; i < max; i++) {
        const uint64_t index = box->consumer.head;
        if (weir_ring_take(&box->consumer, &copy) != WEIR_OK) {
            break;
        }
        WEIR_EXPECT_EQ(weir_envelope_check_request(&copy, index, &ring_box_terms),
                       WEIR_ERROR_CODE_NONE);
        WEIR_EXPECT_LT(length, sizeof got - 32);
        length += (size_t)snprintf(got + length, sizeof got - length, "%s%llu",
                                   length > 0 ? "," : "", (unsigned long long)copy.job_id);
    }
    WEIR_EXPECT_STR_EQ(length > 0 ? got : "-", weir_test_vectors_text(v, "numbers"));
}

static void expect_number(const weir_test_vectors *v, const char *key, uint64_t got)
{
    const uint64_t wanted = weir_test_vectors_number(v, key);
    if (got != wanted) {
        weir_test_vectors_fail(v, "%s is %llu, expected %llu", key, (unsigned long long)got,
                               (unsigned long long)wanted);
    }
}

static void follow(const weir_test_vectors *v, ring_box *box, uint64_t *number)
{
    if (weir_test_vectors_is(v, "publish")) {
        expect_number(v, "accepted", publish(box, number, weir_test_vectors_number(v, "count")));
    } else if (weir_test_vectors_is(v, "drain")) {
        take(v, box, weir_test_vectors_number(v, "max"));
        weir_ring_consumed(&box->consumer);
    } else if (weir_test_vectors_is(v, "take")) {
        take(v, box, weir_test_vectors_number(v, "max"));
    } else if (weir_test_vectors_is(v, "consumed")) {
        weir_ring_consumed(&box->consumer);
    } else if (weir_test_vectors_is(v, "room")) {
        expect_number(v, "free", free_slots(box));
    } else {
        weir_test_vectors_fail(v, "%s is no kind of case", v->word);
    }
}

WEIR_TEST(ring_vectors, are_answered_as_the_shared_file_says)
{
    weir_test_vectors v;
    ring_box box = {.mapping = NULL};
    uint64_t number = 0;
    unsigned rings = 0;
    weir_test_vectors_open(&v, FILE_OF_VECTORS);
    while (weir_test_vectors_next(&v)) {
        if (weir_test_vectors_is(&v, "ring")) {
            if (rings++ > 0) {
                ring_box_free(&box);
            }
            box = ring_box_make((uint32_t)weir_test_vectors_number(&v, "capacity"),
                                weir_test_vectors_number(&v, "first_index"));
            number = 0;
        } else {
            WEIR_EXPECT_GT(rings, 0);
            follow(&v, &box, &number);
        }
    }
    WEIR_EXPECT_GE(rings, 10);
    ring_box_free(&box);
}
