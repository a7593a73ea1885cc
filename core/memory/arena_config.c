#include "weir/arena_config.h"

#include <stdbool.h>
#include <string.h>

#include "layout/generated/weir_layout.h"
#include "memory/arena_plan.h"

_Static_assert(WEIR_SIZE_CLASSES_MAX == WEIR_CLASS_COUNT_MAX, "the public limit is the layout's");

static const weir_size_class default_classes[] = {
    {.slot_bytes = 256, .slot_count = 512},
    {.slot_bytes = 4096, .slot_count = 64},
    {.slot_bytes = 65536, .slot_count = 8},
    {.slot_bytes = 1048576, .slot_count = 2},
};

enum { DEFAULT_CLASS_COUNT = sizeof default_classes / sizeof default_classes[0] };

void weir_arena_config_default(weir_arena_config *config)
{
    memset(config, 0, sizeof *config);
    config->backing = WEIR_BACKING_MEMFD;
    config->ring_capacity = 512;
    config->request_class_count = DEFAULT_CLASS_COUNT;
    config->response_class_count = DEFAULT_CLASS_COUNT;
    memcpy(config->request_class, default_classes, sizeof default_classes);
    memcpy(config->response_class, default_classes, sizeof default_classes);
}

static weir_status check_class(const char *pool, uint32_t i, const weir_size_class *class,
                               weir_error *error)
{
    if (class->slot_bytes == 0 || class->slot_bytes % 64 != 0) {
        weir_error_set(error,
                       "%s_class %u has slots of %u bytes; choose a multiple of 64, at least 64",
                       pool, i, class->slot_bytes);
        return WEIR_INVALID;
    }
    if (class->slot_count == 0) {
        weir_error_set(error, "%s_class %u has no slots; give it at least 1 or leave the class out",
                       pool, i);
        return WEIR_INVALID;
    }
    if ((uint64_t) class->slot_bytes * class->slot_count > WEIR_OBJECT_BYTES_MAX) {
        weir_error_set(error,
                       "%s_class %u needs %llu bytes, a memory object has at most %llu; choose "
                       "fewer or smaller slots",
                       pool, i, (unsigned long long)class->slot_bytes * class->slot_count,
                       (unsigned long long)WEIR_OBJECT_BYTES_MAX);
        return WEIR_INVALID;
    }
    return WEIR_OK;
}

static weir_status check_pool(const char *pool, const weir_size_class *classes, uint32_t count,
                              weir_error *error)
{
    if (count == 0 || count > WEIR_SIZE_CLASSES_MAX) {
        weir_error_set(error, "%s_class_count is %u; choose 1 to %d", pool, count,
                       WEIR_SIZE_CLASSES_MAX);
        return WEIR_INVALID;
    }
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        const weir_status status = check_class(pool, i, &classes[i], error);
        if (status != WEIR_OK) {
            return status;
        }
        if (i > 0 && classes[i].slot_bytes <= classes[i - 1].slot_bytes) {
            weir_error_set(error,
                           "%s_class %u has slots of %u bytes after %u; order the classes by size, "
                           "each larger than the one before",
                           pool, i, classes[i].slot_bytes, classes[i - 1].slot_bytes);
            return WEIR_INVALID;
        }
        bytes += (uint64_t)classes[i].slot_bytes * classes[i].slot_count;
    }
    if (bytes > WEIR_OBJECT_BYTES_MAX) {
        weir_error_set(error,
                       "the %s classes together need %llu bytes, a memory object has at most "
                       "%llu; choose fewer or smaller slots",
                       pool, (unsigned long long)bytes, (unsigned long long)WEIR_OBJECT_BYTES_MAX);
        return WEIR_INVALID;
    }
    return WEIR_OK;
}

static weir_status check_object(const char *what, uint64_t bytes, weir_error *error)
{
    if (bytes > WEIR_OBJECT_BYTES_MAX) {
        weir_error_set(error,
                       "%s would be %llu bytes long, at most %llu are possible; choose fewer or "
                       "smaller slots",
                       what, (unsigned long long)bytes, (unsigned long long)WEIR_OBJECT_BYTES_MAX);
        return WEIR_INVALID;
    }
    return WEIR_OK;
}

weir_status weir_arena_config_check(const weir_arena_config *config, weir_error *error)
{
    if (config->backing > WEIR_BACKING_MAX) {
        weir_error_set(error, "backing is %u; choose %d (memfd) or %d (shm)", config->backing,
                       WEIR_BACKING_MEMFD, WEIR_BACKING_SHM);
        return WEIR_INVALID;
    }
    const uint32_t ring = config->ring_capacity;
    if (ring < WEIR_RING_CAPACITY_MIN || ring > WEIR_RING_CAPACITY_MAX ||
        (ring & (ring - 1)) != 0) {
        weir_error_set(error, "ring_capacity is %u; choose a power of two from %u to %u", ring,
                       WEIR_RING_CAPACITY_MIN, WEIR_RING_CAPACITY_MAX);
        return WEIR_INVALID;
    }
    weir_status status =
        check_pool("request", config->request_class, config->request_class_count, error);
    if (status == WEIR_OK) {
        status =
            check_pool("response", config->response_class, config->response_class_count, error);
    }
    if (status != WEIR_OK) {
        return status;
    }
    weir_arena_plan plan;
    weir_arena_plan_init(&plan, config);
    status = check_object("the manager's memory object", plan.manager_bytes, error);
    return status == WEIR_OK ? check_object("the worker's memory object", plan.worker_bytes, error)
                             : status;
}

uint64_t weir_arena_config_bytes(const weir_arena_config *config)
{
    if (weir_arena_config_check(config, NULL) != WEIR_OK) {
        return 0;
    }
    weir_arena_plan plan;
    weir_arena_plan_init(&plan, config);
    return plan.manager_bytes + plan.worker_bytes;
}
