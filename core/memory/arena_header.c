#include "memory/arena_header.h"

#include <stdbool.h>
#include <string.h>

typedef unsigned long long ull; /* what printf takes for uint64_t */

#define REFUSE(error, ...) (weir_error_set(error, __VA_ARGS__), WEIR_PROTOCOL)

static void write_classes(struct weir_class_entry *to, const weir_slot_map *map)
{
    for (uint32_t i = 0; i < map->class_count; i++) {
        to[i].slot_bytes = map->classes[i].slot_bytes;
        to[i].slot_count = map->classes[i].slot_count;
        to[i].offset = map->classes[i].first_offset;
    }
}

void weir_arena_header_write(struct weir_manager_header *header, const weir_arena_config *config,
                             const weir_arena_plan *plan, uint32_t generation)
{
    memset(header, 0, sizeof *header);
    header->layout_major = WEIR_LAYOUT_MAJOR;
    header->layout_minor = WEIR_LAYOUT_MINOR;
    header->generation = generation;
    memcpy(header->layout_digest, weir_layout_digest, sizeof header->layout_digest);
    header->manager_bytes = plan->manager_bytes;
    header->worker_bytes = plan->worker_bytes;
    header->ring_capacity = config->ring_capacity;
    header->request_release_capacity = plan->request_release_capacity;
    header->response_release_capacity = plan->response_release_capacity;
    header->request_class_count = config->request_class_count;
    header->response_class_count = config->response_class_count;
    header->region_count = WEIR_ARENA_REGIONS;
    memcpy(header->region, plan->region, sizeof plan->region);
    write_classes(header->request_class, &plan->request_map);
    write_classes(header->response_class, &plan->response_map);
    header->magic = WEIR_MANAGER_MAGIC;
}

static bool is_zero(const void *bytes, size_t count)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < count; i++) {
        if (at[i] != 0) {
            return false;
        }
    }
    return true;
}

static weir_status check_identity(const struct weir_manager_header *header, uint32_t generation,
                                  uint64_t manager_bytes, uint64_t worker_bytes, weir_error *error)
{
    if (header->magic != WEIR_MANAGER_MAGIC) {
        return REFUSE(error, "object A begins with 0x%016llx, not with 0x%016llx; it is no arena",
                      (ull)header->magic, (ull)WEIR_MANAGER_MAGIC);
    }
    if (header->layout_major != WEIR_LAYOUT_MAJOR) {
        weir_error_set(error,
                       "object A has layout major %u, this worker speaks %d; rebuild the "
                       "older side",
                       header->layout_major, WEIR_LAYOUT_MAJOR);
        return WEIR_INCOMPATIBLE;
    }
    if (header->generation != generation) {
        return REFUSE(error, "object A is of generation %u, WELCOME of %u", header->generation,
                      generation);
    }
    if (header->manager_bytes != manager_bytes) {
        return REFUSE(error, "the header gives object A %llu bytes, WELCOME %llu",
                      (ull)header->manager_bytes, (ull)manager_bytes);
    }
    if (header->worker_bytes != worker_bytes) {
        return REFUSE(error, "the header gives object B %llu bytes, WELCOME %llu",
                      (ull)header->worker_bytes, (ull)worker_bytes);
    }
    /* A newer minor may have put something there that this side need not know. */
    if (header->layout_minor <= WEIR_LAYOUT_MINOR &&
        !is_zero(header->reserved, sizeof header->reserved)) {
        return REFUSE(error, "the header's reserved bytes are not zero");
    }
    return WEIR_OK;
}

static weir_status read_classes(const char *pool, const struct weir_class_entry *from,
                                uint32_t count, weir_size_class *to, weir_error *error)
{
    if (count > WEIR_CLASS_COUNT_MAX) {
        return REFUSE(error, "the header has %u %s classes, at most %u are possible", count, pool,
                      WEIR_CLASS_COUNT_MAX);
    }
    for (uint32_t i = 0; i < count; i++) {
        to[i].slot_bytes = from[i].slot_bytes;
        to[i].slot_count = from[i].slot_count;
    }
    if (!is_zero(from + count, (WEIR_CLASS_COUNT_MAX - count) * sizeof *from)) {
        return REFUSE(error, "an unused %s class entry of the header is not zero", pool);
    }
    return WEIR_OK;
}

static weir_status check_class_offsets(const char *pool, const struct weir_class_entry *from,
                                       const weir_slot_map *map, weir_error *error)
{
    for (uint32_t i = 0; i < map->class_count; i++) {
        if (from[i].offset != map->classes[i].first_offset) {
            return REFUSE(error, "the header puts %s class %u at offset %llu, it belongs at %u",
                          pool, i, (ull)from[i].offset, map->classes[i].first_offset);
        }
    }
    return WEIR_OK;
}

/* The sizes, as a configuration that passes the same check as one's own. */
static weir_status read_config(const struct weir_manager_header *header, weir_arena_config *config,
                               weir_error *error)
{
    memset(config, 0, sizeof *config);
    config->ring_capacity = header->ring_capacity;
    config->request_class_count = header->request_class_count;
    config->response_class_count = header->response_class_count;
    weir_status status = read_classes("request", header->request_class, header->request_class_count,
                                      config->request_class, error);
    if (status == WEIR_OK) {
        status = read_classes("response", header->response_class, header->response_class_count,
                              config->response_class, error);
    }
    if (status != WEIR_OK) {
        return status;
    }
    weir_error reason;
    if (weir_arena_config_check(config, &reason) != WEIR_OK) {
        return REFUSE(error, "the header's sizes are impossible: %s", reason.text);
    }
    return WEIR_OK;
}

static weir_status check_capacity(const char *ring, uint32_t stated, uint32_t expected,
                                  weir_error *error)
{
    if (stated != expected) {
        return REFUSE(error, "the header gives the %s ring %u entries, its pool needs %u", ring,
                      stated, expected);
    }
    return WEIR_OK;
}

/* One entry by itself: its size must be the one that follows from the classes. */
static weir_status check_region(const struct weir_region_entry *entry,
                                const struct weir_region_entry *expected, uint64_t object_bytes,
                                weir_error *error)
{
    const char *name = weir_region_name(entry->kind);
    if (entry->reserved != 0) {
        return REFUSE(error, "the reserved field of region %s is not zero", name);
    }
    if (entry->bytes != expected->bytes) {
        return REFUSE(error, "region %s has %llu bytes, %llu follow from the sizes", name,
                      (ull)entry->bytes, (ull)expected->bytes);
    }
    if (entry->offset % WEIR_REGION_ALIGN_BYTES != 0) {
        return REFUSE(error, "region %s begins at %llu, which is not a multiple of %d", name,
                      (ull)entry->offset, WEIR_REGION_ALIGN_BYTES);
    }
    if (entry->offset > object_bytes || entry->bytes > object_bytes - entry->offset) {
        return REFUSE(error, "region %s ends at %llu, its object at %llu", name,
                      (ull)(entry->offset + entry->bytes), (ull)object_bytes);
    }
    return WEIR_OK;
}

/* No two regions of an object may overlap or touch: a whole unit between them holds the guard. */
static weir_status check_apart(const struct weir_region_entry *regions, uint32_t count,
                               weir_error *error)
{
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < count; k++) {
            const uint64_t pages = (regions[i].bytes + WEIR_REGION_ALIGN_BYTES - 1) /
                                   WEIR_REGION_ALIGN_BYTES * WEIR_REGION_ALIGN_BYTES;
            const uint64_t end = regions[i].offset + pages + WEIR_REGION_ALIGN_BYTES;
            if (i != k && regions[k].offset >= regions[i].offset && regions[k].offset < end) {
                return REFUSE(error, "regions %s and %s overlap or have no room for a guard",
                              weir_region_name(regions[i].kind), weir_region_name(regions[k].kind));
            }
        }
    }
    return WEIR_OK;
}

/* Takes the header's places into the plan, whose region sizes are already those that follow from
 * the classes. */
static weir_status read_regions(const struct weir_manager_header *header, weir_arena_plan *plan,
                                weir_error *error)
{
    if (header->region_count != WEIR_ARENA_REGIONS) {
        return REFUSE(error, "the header has %u regions, there are %d", header->region_count,
                      WEIR_ARENA_REGIONS);
    }
    bool is_seen[WEIR_ARENA_REGIONS] = {false};
    for (uint32_t i = 0; i < WEIR_ARENA_REGIONS; i++) {
        const struct weir_region_entry *entry = &header->region[i];
        if (entry->kind == WEIR_REGION_NONE || entry->kind > WEIR_REGION_MAX) {
            return REFUSE(error, "region entry %u has the unknown kind %u", i, entry->kind);
        }
        const uint32_t at = entry->kind - 1;
        if (is_seen[at]) {
            return REFUSE(error, "region %s occurs twice", weir_region_name(entry->kind));
        }
        is_seen[at] = true;
        const weir_status status = check_region(
            entry, &plan->region[at],
            at < WEIR_MANAGER_REGIONS ? header->manager_bytes : header->worker_bytes, error);
        if (status != WEIR_OK) {
            return status;
        }
        plan->region[at].offset = entry->offset;
    }
    const size_t used = WEIR_ARENA_REGIONS * sizeof header->region[0];
    if (!is_zero(header->region + WEIR_ARENA_REGIONS, sizeof header->region - used)) {
        return REFUSE(error, "an unused region entry of the header is not zero");
    }
    if (plan->region[WEIR_REGION_MANAGER_HEADER - 1].offset != 0) {
        return REFUSE(error, "the header places itself at %llu, it begins object A",
                      (ull)plan->region[WEIR_REGION_MANAGER_HEADER - 1].offset);
    }
    const weir_status status = check_apart(plan->region, WEIR_MANAGER_REGIONS, error);
    return status == WEIR_OK
               ? check_apart(plan->region + WEIR_MANAGER_REGIONS, WEIR_WORKER_REGIONS, error)
               : status;
}

weir_status weir_arena_header_check(const struct weir_manager_header *header, uint32_t generation,
                                    uint64_t manager_bytes, uint64_t worker_bytes,
                                    weir_arena_config *config, weir_arena_plan *plan,
                                    weir_error *error)
{
    weir_status status = check_identity(header, generation, manager_bytes, worker_bytes, error);
    if (status == WEIR_OK) {
        status = read_config(header, config, error);
    }
    if (status != WEIR_OK) {
        return status;
    }
    weir_arena_plan_init(plan, config);
    plan->manager_bytes = manager_bytes;
    plan->worker_bytes = worker_bytes;
    status = check_capacity("request_release", header->request_release_capacity,
                            plan->request_release_capacity, error);
    if (status == WEIR_OK) {
        status = check_capacity("response_release", header->response_release_capacity,
                                plan->response_release_capacity, error);
    }
    if (status == WEIR_OK) {
        status = check_class_offsets("request", header->request_class, &plan->request_map, error);
    }
    if (status == WEIR_OK) {
        status =
            check_class_offsets("response", header->response_class, &plan->response_map, error);
    }
    return status == WEIR_OK ? read_regions(header, plan, error) : status;
}
