#include "manager/placement.h"

#include "base/atomic.h"

static bool has_place(weir_pool *pool, weir_incarnation *incarnation)
{
    const uint64_t outstanding = weir_incarnation_outstanding(incarnation);
    if (incarnation->is_throttled && outstanding <= pool->throttle_low) {
        incarnation->is_throttled = false;
    }
    return !incarnation->is_throttled && outstanding < pool->throttle_high;
}

static bool has_free_slot(const weir_slot_pool *slots, uint32_t bytes)
{
    const weir_slot_map *map = &slots->map;
    bool fits_somewhere = false;
    for (uint32_t i = 0; i < map->class_count; i++) {
        if (bytes <= map->classes[i].slot_bytes) {
            fits_somewhere = true;
            if (slots->free_count[i] > 0) {
                return true;
            }
        }
    }
    return !fits_somewhere; /* Too large for all of them: the taking says so. */
}

/* A worker may have places left in its ring and none for a payload of this size. */
static bool has_slot(weir_incarnation *incarnation, uint32_t bytes)
{
    if (bytes == 0 || has_free_slot(&incarnation->request_slots, bytes)) {
        return true;
    }
    if (weir_slot_pool_collect(&incarnation->request_slots) != WEIR_OK) {
        weir_incarnation_distrust(incarnation, WEIR_ERROR_CODE_RELEASE);
        return false;
    }
    return has_free_slot(&incarnation->request_slots, bytes);
}

/* A job sent again carries its stored form, which may be packed; a fresh one may turn out not to
 * shrink. */
static uint32_t bytes_to_store(const weir_job_entry *entry)
{
    return entry->at != NULL ? entry->stored_bytes : entry->payload_bytes;
}

/* The least loaded worker with room; an idle one ends the search, so light load costs one look. */
static weir_incarnation *choose(weir_pool *pool, const weir_job_entry *entry, bool *is_served)
{
    weir_incarnation *best = NULL;
    uint64_t best_load = UINT64_MAX;
    for (uint32_t i = 0; i < pool->seat_count && best_load > 0; i++) {
        uint32_t number = pool->next_seat + i;
        number = number >= pool->seat_count ? number - pool->seat_count : number;
        weir_incarnation *candidate = pool->seats[number].now;
        if (candidate == NULL || !candidate->is_serving) {
            continue;
        }
        if (!weir_incarnation_serves(candidate, entry->opcode)) {
            continue;
        }
        *is_served = true;
        const uint64_t load = weir_incarnation_outstanding(candidate);
        if (load < best_load && has_place(pool, candidate) &&
            has_slot(candidate, bytes_to_store(entry))) {
            best = candidate;
            best_load = load;
        }
    }
    return best;
}

static bool is_anybody_coming(const weir_pool *pool)
{
    for (uint32_t i = 0; i < pool->seat_count; i++) {
        const weir_seat *seat = &pool->seats[i];
        if (seat->is_wanted && seat->state != WEIR_SEAT_READY &&
            seat->state != WEIR_SEAT_QUARANTINED) {
            return true;
        }
    }
    return false;
}

/*
 * Finds a worker and a slot. WEIR_FULL: no room now. WEIR_UNSUPPORTED: nobody serves the opcode and
 * nobody new is coming.
 */
weir_status weir_place(weir_pool *pool, weir_job_entry *entry, weir_job_batch *batch)
{
    bool is_served = false;
    weir_incarnation *to = choose(pool, entry, &is_served);
    if (to == NULL) {
        return is_served || is_anybody_coming(pool) ? WEIR_FULL : WEIR_UNSUPPORTED;
    }
    if ((entry->envelope_flags & WEIR_PACKING_FLAGS & ~(unsigned)to->pack_flag) != 0) {
        return WEIR_UNSUPPORTED; /* Packed for a worker that could unpack it; this one cannot. */
    }
    const uint32_t bytes = bytes_to_store(entry);
    weir_slot slot = {0};
    if (bytes > 0) {
        const weir_status status = weir_slot_pool_take(&to->request_slots, bytes, &slot);
        if (status != WEIR_OK) {
            return status;
        }
    }
    batch->placements[batch->count++] = (weir_placement){
        .entry = entry,
        .to = to,
        .from = entry->at,
        .from_offset = entry->slot_offset,
    };
    to->reserved++;
    if (weir_incarnation_outstanding(to) >= pool->throttle_high) {
        to->is_throttled = true;
    }
    pool->next_seat = to->seat;
    entry->at = to;
    entry->seat = (uint16_t)to->seat;
    entry->stored_bytes = bytes;
    entry->slot = slot.number;
    entry->slot_offset = slot.offset;
    entry->state = WEIR_JOB_RESERVED;
    return WEIR_OK;
}
