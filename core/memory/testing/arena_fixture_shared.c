#include "memory/testing/arena_fixture_shared.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Address spaces of sanitizers lie below it and change as they like; mmap without a hint lies
 * above. */
#define MMAP_AREA UINT64_C(0x700000000000)

static const weir_size_class fixture_classes[] = {{64, 12}, {192, 8}, {4096, 4}};

weir_arena_config fixture_config(uint32_t backing)
{
    weir_arena_config config;
    memset(&config, 0, sizeof config);
    config.backing = backing;
    config.ring_capacity = 64;
    config.request_class_count = 3;
    config.response_class_count = 3;
    memcpy(config.request_class, fixture_classes, sizeof fixture_classes);
    memcpy(config.response_class, fixture_classes, sizeof fixture_classes);
    return config;
}

struct weir_welcome fixture_welcome(const weir_arena *manager)
{
    struct weir_welcome welcome;
    memset(&welcome, 0, sizeof welcome);
    welcome.generation = manager->generation;
    welcome.layout_major = WEIR_LAYOUT_MAJOR;
    welcome.layout_minor = WEIR_LAYOUT_MINOR;
    welcome.backing = manager->config.backing;
    welcome.manager_bytes = manager->manager_object.bytes;
    welcome.worker_bytes = manager->worker_object.bytes;
    memcpy(welcome.manager_name, manager->manager_object.name, sizeof welcome.manager_name);
    memcpy(welcome.worker_name, manager->worker_object.name, sizeof welcome.worker_name);
    return welcome;
}

weir_status fixture_attach(const weir_arena *manager, weir_arena *worker, weir_error *error)
{
    const struct weir_welcome welcome = fixture_welcome(manager);
    const bool is_memfd = welcome.backing == WEIR_BACKING_MEMFD;
    return weir_arena_attach(&welcome, is_memfd ? dup(manager->manager_object.fd) : -1,
                             is_memfd ? dup(manager->worker_object.fd) : -1, worker, error);
}

void fixture_regions(const weir_arena *arena, fixture_region regions[FIXTURE_REGIONS])
{
    const fixture_region all[FIXTURE_REGIONS] = {
        {"manager_header", (uint8_t *)arena->manager_header, sizeof *arena->manager_header, true},
        {"manager_control", (uint8_t *)arena->manager_control, sizeof *arena->manager_control,
         true},
        {"request_ring", (uint8_t *)arena->request_ring.at,
         arena->request_ring.count * sizeof(struct weir_envelope), true},
        {"response_release", (uint8_t *)arena->response_release.at,
         arena->response_release.count * sizeof(uint32_t), true},
        {"request_payload", arena->request_payload.at, arena->request_payload.bytes, true},
        {"worker_header", (uint8_t *)arena->worker_header, sizeof *arena->worker_header, false},
        {"worker_control", (uint8_t *)arena->worker_control, sizeof *arena->worker_control, false},
        {"telemetry", (uint8_t *)arena->telemetry, sizeof *arena->telemetry, false},
        {"response_ring", (uint8_t *)arena->response_ring.at,
         arena->response_ring.count * sizeof(struct weir_envelope), false},
        {"request_release", (uint8_t *)arena->request_release.at,
         arena->request_release.count * sizeof(uint32_t), false},
        {"response_payload", arena->response_payload.at, arena->response_payload.bytes, false},
    };
    memcpy(regions, all, sizeof all);
}

static int count_entries(const char *path, const char *prefix)
{
    DIR *directory = opendir(path);
    if (directory == NULL) {
        return -1;
    }
    int count = 0;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        count += strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
    }
    closedir(directory);
    return count;
}

fixture_holdings fixture_look(void)
{
    fixture_holdings holdings = {.descriptors = count_entries("/proc/self/fd", "")};
    char names[32];
    snprintf(names, sizeof names, "weir-%d-", (int)getpid());
    holdings.names = count_entries("/dev/shm", names);
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[1024];
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        uint64_t begin = 0;
        uint64_t end = 0;
        char mode[8] = "";
        holdings.mappings +=
            strstr(line, "memfd:weir") != NULL || strstr(line, "/dev/shm/weir") != NULL;
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s", &begin, &end, mode) == 3 &&
            begin >= MMAP_AREA && strncmp(mode, "---", 3) == 0) {
            holdings.forbidden_bytes += end - begin;
        }
    }
    if (maps != NULL) {
        fclose(maps);
    }
    return holdings;
}
