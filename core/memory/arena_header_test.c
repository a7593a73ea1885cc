/* A worker believes nothing of the header that does not follow from the sizes. */
#include "memory/arena_header.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "harness/testing/weir_test.h"
#include "memory/testing/arena_fixture_shared.h"

#define FIELD(name)                                                                                \
    offsetof(struct weir_manager_header, name), sizeof(((struct weir_manager_header *)0)->name)
#define REGION(kind, name)                                                                         \
    offsetof(struct weir_manager_header, region) +                                                 \
        (WEIR_REGION_##kind - 1) * sizeof(struct weir_region_entry) +                              \
        offsetof(struct weir_region_entry, name),                                                  \
        sizeof(((struct weir_region_entry *)0)->name)
#define CLASS(pool, i, name)                                                                       \
    offsetof(struct weir_manager_header, pool##_class) + (i) * sizeof(struct weir_class_entry) +   \
        offsetof(struct weir_class_entry, name),                                                   \
        sizeof(((struct weir_class_entry *)0)->name)

typedef struct corruption {
    size_t at;
    size_t bytes;
    uint64_t value;
    weir_status status;
    const char *says;
} corruption;

/* Fixture sizes: rings of 64; 24 slots in classes 64 x 12, 192 x 8, 4096 x 4; regions at every
 * second 64 KiB. */
static const corruption corruptions[] = {
    {FIELD(magic), 0, WEIR_PROTOCOL, "object A begins with 0x0000000000000000"},
    {FIELD(magic), WEIR_WORKER_MAGIC, WEIR_PROTOCOL, "it is no arena"},
    {FIELD(layout_major), 2, WEIR_INCOMPATIBLE, "layout major 2, this worker speaks 1"},
    {FIELD(generation), 6, WEIR_PROTOCOL, "object A is of generation 6, WELCOME of 7"},
    {FIELD(manager_bytes), 65536, WEIR_PROTOCOL, "the header gives object A 65536 bytes"},
    {FIELD(worker_bytes), 65536, WEIR_PROTOCOL, "the header gives object B 65536 bytes"},
    {FIELD(ring_capacity), 63, WEIR_PROTOCOL, "impossible: ring_capacity is 63"},
    {FIELD(ring_capacity), 0, WEIR_PROTOCOL, "impossible: ring_capacity is 0"},
    {FIELD(ring_capacity), 0x80000000, WEIR_PROTOCOL, "impossible: ring_capacity is 2147483648"},
    {FIELD(ring_capacity), 128, WEIR_PROTOCOL, "region request_ring has 4096 bytes, 8192 follow"},
    {FIELD(request_release_capacity), 64, WEIR_PROTOCOL,
     "the request_release ring 64 entries, its pool needs 32"},
    {FIELD(response_release_capacity), 31, WEIR_PROTOCOL,
     "the response_release ring 31 entries, its pool needs 32"},
    {FIELD(request_class_count), 9, WEIR_PROTOCOL, "9 request classes, at most 8"},
    {FIELD(request_class_count), 0, WEIR_PROTOCOL, "unused request class entry"},
    {FIELD(request_class_count), 4, WEIR_PROTOCOL, "request_class 3 has slots of 0 bytes"},
    {FIELD(response_class_count), UINT32_MAX, WEIR_PROTOCOL, "4294967295 response classes"},
    {FIELD(response_class_count), 2, WEIR_PROTOCOL, "unused response class entry"},
    {CLASS(request, 0, slot_bytes), 63, WEIR_PROTOCOL, "request_class 0 has slots of 63 bytes"},
    {CLASS(request, 1, slot_bytes), 64, WEIR_PROTOCOL, "order the classes by size"},
    {CLASS(request, 2, slot_bytes), 8192, WEIR_PROTOCOL, "region request_payload has"},
    {CLASS(response, 1, slot_count), 0, WEIR_PROTOCOL, "response_class 1 has no slots"},
    {CLASS(response, 2, slot_count), UINT32_MAX, WEIR_PROTOCOL, "response_class 2 needs"},
    {CLASS(response, 2, slot_count), 5, WEIR_PROTOCOL, "region response_payload has"},
    {CLASS(request, 1, offset), 832, WEIR_PROTOCOL,
     "request class 1 at offset 832, it belongs at 768"},
    {CLASS(response, 2, offset), 0, WEIR_PROTOCOL, "response class 2 at offset 0"},
    {CLASS(request, 5, slot_count), 1, WEIR_PROTOCOL, "unused request class entry"},
    {FIELD(region_count), 10, WEIR_PROTOCOL, "the header has 10 regions, there are 11"},
    {FIELD(region_count), 12, WEIR_PROTOCOL, "the header has 12 regions, there are 11"},
    {REGION(TELEMETRY, kind), 0, WEIR_PROTOCOL, "unknown kind 0"},
    {REGION(TELEMETRY, kind), 12, WEIR_PROTOCOL, "unknown kind 12"},
    {REGION(TELEMETRY, kind), WEIR_REGION_WORKER_HEADER, WEIR_PROTOCOL,
     "region worker_header occurs twice"},
    {REGION(RESPONSE_RING, kind), WEIR_REGION_REQUEST_RING, WEIR_PROTOCOL,
     "region request_ring occurs twice"},
    {REGION(REQUEST_RING, reserved), 1, WEIR_PROTOCOL, "reserved field of region request_ring"},
    {REGION(REQUEST_RING, bytes), 4095, WEIR_PROTOCOL, "region request_ring has 4095 bytes"},
    {REGION(REQUEST_PAYLOAD, bytes), UINT64_MAX, WEIR_PROTOCOL, "region request_payload has"},
    {REGION(REQUEST_RING, offset), 266240, WEIR_PROTOCOL, "not a multiple of 65536"},
    {REGION(REQUEST_RING, offset), UINT64_C(0xFFFFFFFFFFFF0000), WEIR_PROTOCOL, "its object at"},
    {REGION(REQUEST_PAYLOAD, offset), UINT64_C(9) << 16, WEIR_PROTOCOL,
     "region request_payload ends"},
    {REGION(MANAGER_HEADER, offset), 65536, WEIR_PROTOCOL, "places itself at 65536"},
    {REGION(REQUEST_RING, offset), 0, WEIR_PROTOCOL, "overlap or have no room for a guard"},
    {REGION(REQUEST_RING, offset), 3 << 16, WEIR_PROTOCOL, "overlap or have no room for a guard"},
    {REGION(TELEMETRY, offset), 0, WEIR_PROTOCOL,
     "regions worker_header and telemetry overlap or have no room"},
    {offsetof(struct weir_manager_header, region) + 11 * sizeof(struct weir_region_entry), 4, 5,
     WEIR_PROTOCOL, "an unused region entry"},
    {offsetof(struct weir_manager_header, reserved) + 263, 1, 1, WEIR_PROTOCOL, "reserved bytes"},
};

static void create(weir_arena *arena)
{
    const weir_arena_config config = fixture_config(WEIR_BACKING_MEMFD);
    weir_error error = {{0}};
    if (weir_arena_create(&config, 7, arena, &error) != WEIR_OK) {
        weir_test_fail(__FILE__, __LINE__, "no arena: %s", error.text);
    }
}

WEIR_TEST(arena_header, is_refused_for_each_field_with_its_own_sentence)
{
    weir_arena manager;
    create(&manager);
    const struct weir_manager_header whole = *manager.manager_header;
    const fixture_holdings before = fixture_look();
    for (size_t i = 0; i < sizeof corruptions / sizeof corruptions[0]; i++) {
        const corruption *bad = &corruptions[i];
        weir_arena worker;
        weir_error error = {{0}};
        memcpy((uint8_t *)manager.manager_header + bad->at, &bad->value, bad->bytes);
        const weir_status status = fixture_attach(&manager, &worker, &error);
        *manager.manager_header = whole;
        if (status != bad->status || strstr(error.text, bad->says) == NULL) {
            weir_test_fail(__FILE__, __LINE__, "corruption %zu: %s, \"%s\"; expected %s, \"%s\"", i,
                           weir_status_name(status), error.text, weir_status_name(bad->status),
                           bad->says);
        }
        WEIR_EXPECT_EQ(fixture_look().descriptors, before.descriptors);
        WEIR_EXPECT_EQ(fixture_look().mappings, before.mappings);
        WEIR_EXPECT_EQ(fixture_look().forbidden_bytes, before.forbidden_bytes);
    }
    weir_arena worker;
    weir_error error;
    WEIR_EXPECT_STATUS(fixture_attach(&manager, &worker, &error), WEIR_OK);
    weir_arena_destroy(&worker);
    weir_arena_destroy(&manager);
}

static weir_status check(const struct weir_manager_header *header, const weir_arena *manager)
{
    weir_arena_config config;
    weir_arena_plan plan;
    return weir_arena_header_check(header, manager->generation, manager->manager_object.bytes,
                                   manager->worker_object.bytes, &config, &plan, NULL);
}

WEIR_TEST(arena_header, is_refused_when_any_single_bit_is_flipped)
{
    weir_arena manager;
    create(&manager);
    const struct weir_manager_header whole = *manager.manager_header;
    int flips = 0;
    for (size_t bit = 0; bit < sizeof whole * 8; bit++) {
        const size_t byte = bit / 8;
        const bool is_minor = byte >= offsetof(struct weir_manager_header, layout_minor) &&
                              byte < offsetof(struct weir_manager_header, generation);
        const bool is_digest = byte >= offsetof(struct weir_manager_header, layout_digest) &&
                               byte < offsetof(struct weir_manager_header, manager_bytes);
        if (is_minor || is_digest) {
            continue; /* the handshake judges these */
        }
        struct weir_manager_header copy = whole;
        ((uint8_t *)&copy)[byte] ^= (uint8_t)(1u << bit % 8);
        if (check(&copy, &manager) == WEIR_OK) {
            weir_test_fail(__FILE__, __LINE__, "bit %zu of byte %zu changes nothing", bit % 8,
                           byte);
        }
        flips++;
    }
    WEIR_EXPECT_EQ(flips, (int)(sizeof whole - 34) * 8);
    WEIR_EXPECT_STATUS(check(&whole, &manager), WEIR_OK);
    weir_arena_destroy(&manager);
}

WEIR_TEST(arena_header, of_a_newer_minor_may_use_reserved_bytes)
{
    weir_arena manager;
    create(&manager);
    struct weir_manager_header copy = *manager.manager_header;
    copy.reserved[0] = 1;
    WEIR_EXPECT_STATUS(check(&copy, &manager), WEIR_PROTOCOL);
    copy.layout_minor = WEIR_LAYOUT_MINOR + 1;
    WEIR_EXPECT_STATUS(check(&copy, &manager), WEIR_OK);
    weir_arena_destroy(&manager);
}

WEIR_TEST(arena_header, may_list_its_regions_in_any_order)
{
    weir_arena manager;
    create(&manager);
    struct weir_manager_header *header = manager.manager_header;
    for (int i = 0; i < WEIR_ARENA_REGIONS / 2; i++) {
        const struct weir_region_entry first = header->region[i];
        header->region[i] = header->region[WEIR_ARENA_REGIONS - 1 - i];
        header->region[WEIR_ARENA_REGIONS - 1 - i] = first;
    }
    weir_arena worker;
    weir_error error = {{0}};
    WEIR_EXPECT_STATUS(fixture_attach(&manager, &worker, &error), WEIR_OK);
    manager.manager_control->command = 5;
    WEIR_EXPECT_EQ(worker.manager_control->command, 5);
    weir_arena_destroy(&worker);
    weir_arena_destroy(&manager);
}

/* What WELCOME and the descriptors may get wrong. */
static void expect_refused(struct weir_welcome welcome, int manager_fd, int worker_fd,
                           weir_status status, const char *says)
{
    const int before = fixture_look().mappings;
    weir_arena worker;
    weir_error error = {{0}};
    WEIR_EXPECT_STATUS(weir_arena_attach(&welcome, manager_fd, worker_fd, &worker, &error), status);
    WEIR_EXPECT_STR_HAS(error.text, says);
    WEIR_EXPECT_EQ(fixture_look().mappings, before);
}

WEIR_TEST(arena_attach, refuses_a_welcome_that_makes_no_sense)
{
    weir_arena manager;
    create(&manager);
    const struct weir_welcome good = fixture_welcome(&manager);
    const int a = manager.manager_object.fd;
    const int b = manager.worker_object.fd;
    struct weir_welcome bad = good;
    bad.backing = 2;
    expect_refused(bad, dup(a), dup(b), WEIR_PROTOCOL, "unknown backing 2");
    expect_refused(good, -1, dup(b), WEIR_PROTOCOL, "does not carry them");
    expect_refused(good, dup(a), -1, WEIR_PROTOCOL, "does not carry them");
    bad = good;
    bad.backing = WEIR_BACKING_SHM;
    expect_refused(bad, dup(a), dup(b), WEIR_PROTOCOL, "carries memory descriptors as well");
    bad = good;
    bad.manager_bytes += 1;
    expect_refused(bad, dup(a), dup(b), WEIR_PROTOCOL, "a multiple of 65536");
    bad.manager_bytes = WEIR_OBJECT_BYTES_MAX + 65536;
    expect_refused(bad, dup(a), dup(b), WEIR_PROTOCOL, "up to 1073741824");
    bad = good;
    bad.worker_bytes = 0;
    expect_refused(bad, dup(a), dup(b), WEIR_PROTOCOL, "WELCOME gives object B 0 bytes");
    bad = good;
    bad.worker_bytes += 65536;
    expect_refused(bad, dup(a), dup(b), WEIR_PROTOCOL, "object B is");
    bad = good;
    bad.generation = 8;
    expect_refused(bad, dup(a), dup(b), WEIR_PROTOCOL, "generation 7, WELCOME of 8");
    weir_arena_destroy(&manager);
}

static int unsealed(size_t bytes, int seals)
{
    const int fd = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    WEIR_EXPECT_EQ(ftruncate(fd, (off_t)bytes), 0);
    WEIR_EXPECT_EQ(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

WEIR_TEST(arena_attach, demands_the_seals)
{
    weir_arena manager;
    create(&manager);
    const struct weir_welcome good = fixture_welcome(&manager);
    const int a = manager.manager_object.fd;
    const int b = manager.worker_object.fd;
    const size_t bytes = manager.manager_object.bytes;
    static const int too_few[] = {0, F_SEAL_SHRINK | F_SEAL_GROW,
                                  F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE,
                                  F_SEAL_GROW | F_SEAL_FUTURE_WRITE};
    for (size_t i = 0; i < sizeof too_few / sizeof too_few[0]; i++) {
        expect_refused(good, unsealed(bytes, too_few[i]), dup(b), WEIR_PROTOCOL,
                       "object A carries the seals");
    }
    expect_refused(good, dup(a), unsealed(manager.worker_object.bytes, F_SEAL_GROW), WEIR_PROTOCOL,
                   "object B carries the seals");
    /* Something that cannot be sealed at all. */
    const int shm = shm_open("/weir-test-unsealable", O_RDWR | O_CREAT | O_TRUNC, 0600);
    WEIR_EXPECT_EQ(shm_unlink("/weir-test-unsealable"), 0);
    WEIR_EXPECT_EQ(ftruncate(shm, (off_t)bytes), 0);
    expect_refused(good, shm, dup(b), WEIR_PROTOCOL, "object A carries the seals");
    weir_arena_destroy(&manager);
}

WEIR_TEST(arena_attach, refuses_shm_names_that_are_not_weirs)
{
    struct weir_welcome welcome = {.generation = 1,
                                   .backing = WEIR_BACKING_SHM,
                                   .manager_bytes = 65536,
                                   .worker_bytes = 65536};
    static const char *const names[] = {"", "/other", "weir-1", "/weir-/../x"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        memset(welcome.manager_name, 0, sizeof welcome.manager_name);
        memcpy(welcome.manager_name, names[i], strlen(names[i]));
        memcpy(welcome.worker_name, "/weir-b", 8);
        expect_refused(welcome, -1, -1, WEIR_PROTOCOL, "WELCOME's shared memory names");
    }
    memset(welcome.manager_name, 'x', sizeof welcome.manager_name);
    memcpy(welcome.manager_name, "/weir-", 6);
    expect_refused(welcome, -1, -1, WEIR_PROTOCOL, "WELCOME's shared memory names");
    memcpy(welcome.manager_name, "/weir-0-absent", 15);
    expect_refused(welcome, -1, -1, WEIR_SYSTEM,
                   "cannot open object A as shared memory /weir-0-absent");
}
