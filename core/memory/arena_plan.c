#include "memory/arena_plan.h"

#include <string.h>

static uint64_t align_up(uint64_t value)
{
    return (value + WEIR_REGION_ALIGN_BYTES - 1) / WEIR_REGION_ALIGN_BYTES *
           WEIR_REGION_ALIGN_BYTES;
}

/* Room for every slot of a pool, so that a release never waits. */
static uint32_t release_capacity(uint32_t slot_total)
{
    uint32_t capacity = 1;
    while (capacity < slot_total) {
        capacity *= 2;
    }
    return capacity;
}

/* Places regions one behind the other, a guard unit between each two; returns the object's size. */
static uint64_t place(struct weir_region_entry *regions, uint32_t count)
{
    uint64_t offset = 0;
    uint64_t end = 0;
    for (uint32_t i = 0; i < count; i++) {
        regions[i].offset = offset;
        end = align_up(offset + regions[i].bytes);
        offset = end + WEIR_REGION_ALIGN_BYTES;
    }
    return end;
}

void weir_arena_plan_init(weir_arena_plan *plan, const weir_arena_config *config)
{
    memset(plan, 0, sizeof *plan);
    weir_slot_map_init(&plan->request_map, config->request_class, config->request_class_count);
    weir_slot_map_init(&plan->response_map, config->response_class, config->response_class_count);
    plan->request_release_capacity = release_capacity(plan->request_map.slot_total);
    plan->response_release_capacity = release_capacity(plan->response_map.slot_total);

    const uint64_t ring_bytes = (uint64_t)config->ring_capacity * sizeof(struct weir_envelope);
    const uint64_t bytes[WEIR_ARENA_REGIONS + 1] = {
        [WEIR_REGION_MANAGER_HEADER] = sizeof(struct weir_manager_header),
        [WEIR_REGION_MANAGER_CONTROL] = sizeof(struct weir_manager_control),
        [WEIR_REGION_REQUEST_RING] = ring_bytes,
        [WEIR_REGION_RESPONSE_RELEASE] =
            (uint64_t)plan->response_release_capacity * sizeof(uint32_t),
        [WEIR_REGION_REQUEST_PAYLOAD] = weir_slot_map_bytes(&plan->request_map),
        [WEIR_REGION_WORKER_HEADER] = sizeof(struct weir_worker_header),
        [WEIR_REGION_WORKER_CONTROL] = sizeof(struct weir_worker_control),
        [WEIR_REGION_TELEMETRY] = sizeof(struct weir_telemetry),
        [WEIR_REGION_RESPONSE_RING] = ring_bytes,
        [WEIR_REGION_REQUEST_RELEASE] = (uint64_t)plan->request_release_capacity * sizeof(uint32_t),
        [WEIR_REGION_RESPONSE_PAYLOAD] = weir_slot_map_bytes(&plan->response_map),
    };
    for (uint32_t i = 0; i < WEIR_ARENA_REGIONS; i++) {
        plan->region[i].kind = i + 1;
        plan->region[i].bytes = bytes[i + 1];
    }
    plan->manager_bytes = place(plan->region, WEIR_MANAGER_REGIONS);
    plan->worker_bytes = place(plan->region + WEIR_MANAGER_REGIONS, WEIR_WORKER_REGIONS);
}
