#include "channel/testing/ring_box_shared.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define STATIC_CAPACITY 64

const weir_envelope_terms ring_box_terms = {.generation = 7, .version = WEIR_LAYOUT_MINOR};

/* As if the lap before had passed through. */
static void age(struct weir_envelope *slots, uint32_t capacity, uint64_t first_index)
{
    for (uint64_t i = 0; i < capacity; i++) {
        struct weir_envelope *slot = &slots[(first_index + i) & (capacity - 1)];
        memset(slot, 0, sizeof *slot);
        slot->sequence = first_index == 0 ? 0 : weir_envelope_sequence(first_index + i - capacity);
    }
}

static void join(ring_box *box, uint32_t capacity, uint64_t first_index)
{
    age(box->slots, capacity, first_index);
    *box->published = *box->consumed = first_index;
    const weir_envelope_slice slots = {.at = box->slots, .count = capacity};
    weir_ring_producer_init(&box->producer, slots, box->published, box->consumed, first_index);
    weir_ring_consumer_init(&box->consumer, slots, box->consumed, first_index);
}

/* Pages: counts, guard, slots (at their end), guard. */
ring_box ring_box_make(uint32_t capacity, uint64_t first_index)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t slot_bytes = capacity * sizeof(struct weir_envelope);
    const size_t slot_room = (slot_bytes + page - 1) / page * page;
    ring_box box = {.mapping_bytes = 3 * page + slot_room};
    uint8_t *base =
        mmap(NULL, box.mapping_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED || mprotect(base + page, page, PROT_NONE) != 0 ||
        mprotect(base + 2 * page + slot_room, page, PROT_NONE) != 0) {
        perror("mapping a ring");
        abort();
    }
    box.mapping = base;
    box.slots = (struct weir_envelope *)(void *)(base + 2 * page + slot_room - slot_bytes);
    box.published = (uint64_t *)(void *)base;
    box.consumed = (uint64_t *)(void *)(base + 128);
    join(&box, capacity, first_index);
    return box;
}

ring_box ring_box_make_static(uint32_t capacity, uint64_t first_index)
{
    static struct weir_envelope slots[STATIC_CAPACITY];
    static uint64_t counts[2];
    if (capacity > STATIC_CAPACITY) {
        abort();
    }
    ring_box box = {.slots = slots, .published = &counts[0], .consumed = &counts[1]};
    join(&box, capacity, first_index);
    return box;
}

void ring_box_free(ring_box *box)
{
    if (box->mapping != NULL) {
        munmap(box->mapping, box->mapping_bytes);
    }
    *box = (ring_box){0};
}

void ring_box_stage(ring_box *box, uint64_t number)
{
    struct weir_envelope envelope = {
        .magic = WEIR_ENVELOPE_MAGIC,
        .version = ring_box_terms.version,
        .opcode = WEIR_OPCODE_ECHO,
        .generation = ring_box_terms.generation,
        .job_id = number,
        .correlation_id = ~number,
        .deadline_ns = number * 3,
    };
    weir_envelope_seal(&envelope, weir_ring_next_index(&box->producer));
    weir_ring_stage(&box->producer, &envelope);
}

uint64_t ring_box_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}
