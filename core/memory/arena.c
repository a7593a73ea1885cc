#include "memory/arena.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/atomic.h"
#include "base/os.h"
#include "memory/arena_header.h"
#include "memory/object.h"

static const struct weir_region_entry *worker_regions(const weir_arena_plan *plan)
{
    return plan->region + WEIR_MANAGER_REGIONS;
}

static uint8_t *at(const weir_object *object, const weir_arena_plan *plan, enum weir_region kind)
{
    return object->base + plan->region[kind - 1].offset;
}

/* The length of a slice is that of the region in the private plan: a header that was read may say
 * where a region lies, but its length follows from the checked configuration. */
static weir_envelope_slice ring_at(const weir_object *object, const weir_arena_plan *plan,
                                   enum weir_region kind)
{
    return (weir_envelope_slice){
        .at = (void *)at(object, plan, kind),
        .count = (uint32_t)(plan->region[kind - 1].bytes / sizeof(struct weir_envelope))};
}

static weir_release_slice release_at(const weir_object *object, const weir_arena_plan *plan,
                                     enum weir_region kind)
{
    return (weir_release_slice){.at = (void *)at(object, plan, kind),
                                .count =
                                    (uint32_t)(plan->region[kind - 1].bytes / sizeof(uint32_t))};
}

static weir_byte_slice payload_at(const weir_object *object, const weir_arena_plan *plan,
                                  enum weir_region kind)
{
    return (weir_byte_slice){.at = at(object, plan, kind), .bytes = plan->region[kind - 1].bytes};
}

/* Gives the arena its private sizes, its typed pointers and its slices. */
static void fill(weir_arena *arena, const weir_arena_config *config, const weir_arena_plan *plan,
                 uint32_t generation)
{
    const weir_object *a = &arena->manager_object;
    const weir_object *b = &arena->worker_object;
    arena->generation = generation;
    arena->config = *config;

    arena->manager_header = (void *)at(a, plan, WEIR_REGION_MANAGER_HEADER);
    arena->manager_control = (void *)at(a, plan, WEIR_REGION_MANAGER_CONTROL);
    arena->request_ring = ring_at(a, plan, WEIR_REGION_REQUEST_RING);
    arena->response_release = release_at(a, plan, WEIR_REGION_RESPONSE_RELEASE);
    arena->request_payload = payload_at(a, plan, WEIR_REGION_REQUEST_PAYLOAD);

    arena->worker_header = (void *)at(b, plan, WEIR_REGION_WORKER_HEADER);
    arena->worker_control = (void *)at(b, plan, WEIR_REGION_WORKER_CONTROL);
    arena->telemetry = (void *)at(b, plan, WEIR_REGION_TELEMETRY);
    arena->response_ring = ring_at(b, plan, WEIR_REGION_RESPONSE_RING);
    arena->request_release = release_at(b, plan, WEIR_REGION_REQUEST_RELEASE);
    arena->response_payload = payload_at(b, plan, WEIR_REGION_RESPONSE_PAYLOAD);
}

/* Guards are 64 KiB; a larger page could not be protected on its own. */
static weir_status check_page(weir_error *error)
{
    const long bytes = weir_os()->page_bytes();
    if (bytes <= 0 || WEIR_REGION_ALIGN_BYTES % bytes != 0) {
        weir_error_set(error,
                       "this machine has pages of %ld bytes; use a kernel with pages of at "
                       "most %d bytes",
                       bytes, WEIR_REGION_ALIGN_BYTES);
        return WEIR_SYSTEM;
    }
    return WEIR_OK;
}

/* One object of the manager's: made, allocated, mapped, its size sealed. */
static weir_status make(weir_object *object, uint32_t backing, const char *name, size_t bytes,
                        const struct weir_region_entry *regions, uint32_t count, bool is_writable,
                        weir_error *error)
{
    weir_status status = weir_object_create(object, backing, name, bytes, error);
    if (status == WEIR_OK) {
        status = weir_object_allocate(object, regions, count, error);
    }
    if (status == WEIR_OK) {
        status = weir_object_reserve(object, error);
    }
    if (status == WEIR_OK) {
        status = weir_object_map(object, regions, count, is_writable, error);
    }
    return status == WEIR_OK ? weir_object_seal(object, WEIR_SEALS_SIZE, error) : status;
}

static weir_status make_both(const weir_arena_config *config, const weir_arena_plan *plan,
                             uint32_t generation, weir_arena *arena, weir_error *error)
{
    uint64_t nonce;
    if (weir_os()->random_bytes(&nonce, sizeof nonce) == -1) {
        weir_error_set(error,
                       "cannot get random bytes for the names of memory objects (getrandom)");
        return WEIR_SYSTEM;
    }
    char name[sizeof arena->manager_object.name];
    const int pid = (int)weir_os()->getpid();
    snprintf(name, sizeof name, "/weir-%d-%" PRIu32 "-%016" PRIx64 "-a", pid, generation, nonce);
    weir_status status = make(&arena->manager_object, config->backing, name, plan->manager_bytes,
                              plan->region, WEIR_MANAGER_REGIONS, true, error);
    if (status != WEIR_OK) {
        return status;
    }
    name[strlen(name) - 1] = 'b';
    return make(&arena->worker_object, config->backing, name, plan->worker_bytes,
                worker_regions(plan), WEIR_WORKER_REGIONS, false, error);
}

weir_status weir_arena_create(const weir_arena_config *config, uint32_t generation,
                              weir_arena *arena, weir_error *error)
{
    memset(arena, 0, sizeof *arena);
    if (generation == 0) {
        weir_error_set(error, "the generation is 0; the first is 1");
        return WEIR_INVALID;
    }
    weir_status status = weir_arena_config_check(config, error);
    if (status == WEIR_OK) {
        status = check_page(error);
    }
    if (status != WEIR_OK) {
        return status;
    }
    weir_arena_plan plan;
    weir_arena_plan_init(&plan, config);
    status = make_both(config, &plan, generation, arena, error);
    if (status == WEIR_OK) {
        fill(arena, config, &plan, generation);
        weir_arena_header_write(arena->manager_header, config, &plan, generation);
        /* The one writer has it mapped and the worker has not seen it yet. */
        status = weir_object_seal(&arena->manager_object, WEIR_SEALS_WRITE, error);
    }
    if (status != WEIR_OK) {
        weir_arena_destroy(arena);
    }
    return status;
}

static weir_status check_stated_bytes(const char *what, uint64_t bytes, weir_error *error)
{
    if (bytes == 0 || bytes > WEIR_OBJECT_BYTES_MAX || bytes % WEIR_REGION_ALIGN_BYTES != 0) {
        weir_error_set(error,
                       "WELCOME gives %s %llu bytes; a multiple of %d up to %llu is possible", what,
                       (unsigned long long)bytes, WEIR_REGION_ALIGN_BYTES,
                       (unsigned long long)WEIR_OBJECT_BYTES_MAX);
        return WEIR_PROTOCOL;
    }
    return WEIR_OK;
}

static bool is_shm_name(const uint8_t *name, size_t bytes)
{
    static const char prefix[] = "/weir-";
    return memchr(name, 0, bytes) != NULL && memcmp(name, prefix, sizeof prefix - 1) == 0 &&
           strchr((const char *)name + 1, '/') == NULL;
}

static weir_status check_welcome(const struct weir_welcome *welcome, int manager_fd, int worker_fd,
                                 weir_error *error)
{
    if (welcome->backing > WEIR_BACKING_MAX) {
        weir_error_set(error, "WELCOME names the unknown backing %u", welcome->backing);
        return WEIR_PROTOCOL;
    }
    const bool is_memfd = welcome->backing == WEIR_BACKING_MEMFD;
    if (is_memfd && (manager_fd < 0 || worker_fd < 0)) {
        weir_error_set(error, "WELCOME promises two memory descriptors and does not carry them");
        return WEIR_PROTOCOL;
    }
    if (!is_memfd && (manager_fd >= 0 || worker_fd >= 0)) {
        weir_error_set(error, "WELCOME names shared memory and carries memory descriptors as well");
        return WEIR_PROTOCOL;
    }
    if (!is_memfd && (!is_shm_name(welcome->manager_name, sizeof welcome->manager_name) ||
                      !is_shm_name(welcome->worker_name, sizeof welcome->worker_name))) {
        weir_error_set(error,
                       "WELCOME's shared memory names do not begin with /weir- or do not end");
        return WEIR_PROTOCOL;
    }
    const weir_status status = check_stated_bytes("object A", welcome->manager_bytes, error);
    return status == WEIR_OK ? check_stated_bytes("object B", welcome->worker_bytes, error)
                             : status;
}

/* Maps the header alone, copies it once, and never looks at it again. */
static weir_status read_header(weir_arena *arena, struct weir_manager_header *copy,
                               weir_error *error)
{
    const struct weir_region_entry place = {.kind = WEIR_REGION_MANAGER_HEADER,
                                            .bytes = sizeof *copy};
    weir_object *object = &arena->manager_object;
    const weir_status status = weir_object_map(object, &place, 1, false, error);
    if (status != WEIR_OK) {
        return status;
    }
    _Static_assert(sizeof *copy % sizeof(uint64_t) == 0, "a header is whole words");
    weir_copy_words_in((uint64_t *)copy, (const uint64_t *)object->base,
                       sizeof *copy / sizeof(uint64_t));
    if (weir_object_is_truncated(object)) {
        weir_error_set(error, "object A was truncated while its header was read");
        return WEIR_PROTOCOL;
    }
    return WEIR_OK;
}

static weir_status open_both(const struct weir_welcome *welcome, weir_arena *arena,
                             weir_error *error)
{
    /* weir_arena_attach has put the descriptors there, so that every way out closes them. */
    weir_object *a = &arena->manager_object;
    weir_object *b = &arena->worker_object;
    const int worker_fd = b->fd;
    weir_status status =
        weir_object_open(a, "object A", a->fd, (const char *)welcome->manager_name, false,
                         welcome->manager_bytes, WEIR_SEALS_SIZE | F_SEAL_FUTURE_WRITE, error);
    if (status == WEIR_OK) {
        status = weir_object_open(b, "object B", worker_fd, (const char *)welcome->worker_name,
                                  true, welcome->worker_bytes, WEIR_SEALS_SIZE, error);
    }
    if (status == WEIR_OK) {
        status = weir_object_reserve(a, error);
    }
    return status == WEIR_OK ? weir_object_reserve(b, error) : status;
}

static weir_status attach(const struct weir_welcome *welcome, weir_arena *arena, weir_error *error)
{
    struct weir_manager_header copy;
    weir_arena_config config;
    weir_arena_plan plan;
    weir_status status = open_both(welcome, arena, error);
    if (status == WEIR_OK) {
        status = read_header(arena, &copy, error);
    }
    if (status == WEIR_OK) {
        status = weir_arena_header_check(&copy, welcome->generation, welcome->manager_bytes,
                                         welcome->worker_bytes, &config, &plan, error);
    }
    if (status == WEIR_OK) {
        status = weir_object_map(&arena->manager_object, plan.region, WEIR_MANAGER_REGIONS, false,
                                 error);
    }
    if (status == WEIR_OK) {
        status = weir_object_map(&arena->worker_object, worker_regions(&plan), WEIR_WORKER_REGIONS,
                                 true, error);
    }
    if (status == WEIR_OK) {
        config.backing = welcome->backing;
        fill(arena, &config, &plan, welcome->generation);
    }
    return status;
}

/* A descriptor in the arena's hands before anything is known about it. */
static void adopt(weir_object *object, int fd)
{
    object->fd = fd;
    object->bytes = fd >= 0 ? 1 : 0;
    object->owner_pid = (int32_t)weir_os()->getpid();
}

weir_status weir_arena_attach(const struct weir_welcome *welcome, int manager_fd, int worker_fd,
                              weir_arena *arena, weir_error *error)
{
    memset(arena, 0, sizeof *arena);
    adopt(&arena->manager_object, manager_fd);
    adopt(&arena->worker_object, worker_fd);
    weir_status status = check_welcome(welcome, manager_fd, worker_fd, error);
    if (status == WEIR_OK) {
        status = check_page(error);
    }
    if (status == WEIR_OK) {
        status = attach(welcome, arena, error);
    }
    if (status != WEIR_OK) {
        weir_arena_destroy(arena);
    }
    return status;
}

weir_status weir_arena_seal_worker_object(weir_arena *arena, weir_error *error)
{
    weir_object *b = &arena->worker_object;
    if (b->backing == WEIR_BACKING_SHM) {
        const weir_status status = weir_object_unlink(&arena->manager_object, error);
        return status == WEIR_OK ? weir_object_unlink(b, error) : status;
    }
    weir_status status = weir_object_seal(b, WEIR_SEALS_WRITE, error);
    if (status != WEIR_OK) {
        return status;
    }
    /* A read-only mapping made before the seal could still be turned writable; one made now cannot.
     */
    weir_arena_plan plan;
    weir_arena_plan_init(&plan, &arena->config);
    return weir_object_map(b, worker_regions(&plan), WEIR_WORKER_REGIONS, false, error);
}

void weir_arena_close_descriptors(weir_arena *arena)
{
    weir_object_close(&arena->manager_object);
    weir_object_close(&arena->worker_object);
}

bool weir_arena_is_truncated(const weir_arena *arena)
{
    return weir_object_is_truncated(&arena->manager_object) ||
           weir_object_is_truncated(&arena->worker_object);
}

void weir_arena_destroy(weir_arena *arena)
{
    weir_object_destroy(&arena->manager_object);
    weir_object_destroy(&arena->worker_object);
    memset(arena, 0, sizeof *arena);
    arena->manager_object.fd = -1;
    arena->worker_object.fd = -1;
}
