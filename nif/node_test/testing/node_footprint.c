#include "nif/node_test/testing/node_footprint.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "nif/node_test/testing/node_wait.h"

static size_t count_entries(const char *path)
{
    size_t count = 0;
    DIR *directory = opendir(path);
    if (directory == NULL) {
        return 0;
    }
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        count += entry->d_name[0] != '.';
    }
    closedir(directory);
    return count;
}

static size_t count_files(const char *path)
{
    size_t count = 0;
    DIR *directory = opendir(path);
    if (directory == NULL) {
        return 0;
    }
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        if (entry->d_type != DT_DIR) {
            count++;
            continue;
        }
        char below[1024];
        (void)snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
        count += count_files(below);
    }
    closedir(directory);
    return count;
}

static size_t count_mappings(pid_t pid, const char *part, const char *other)
{
    char path[64];
    char line[1024];
    size_t count = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "re");
    if (maps == NULL) {
        return 0;
    }
    while (fgets(line, sizeof line, maps) != NULL) {
        count += strstr(line, part) != NULL || (other != NULL && strstr(line, other) != NULL);
    }
    (void)fclose(maps);
    return count;
}

static void add_children(pid_t pid, pid_t *pids, size_t most, size_t *count)
{
    char path[320];
    (void)snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    if (tasks == NULL) {
        return;
    }
    for (struct dirent *task; (task = readdir(tasks)) != NULL;) {
        (void)snprintf(path, sizeof path, "/proc/%d/task/%s/children", (int)pid, task->d_name);
        FILE *children = task->d_name[0] == '.' ? NULL : fopen(path, "re");
        if (children == NULL) {
            continue;
        }
        for (int child; *count < most && fscanf(children, "%d", &child) == 1;) {
            pids[(*count)++] = child;
        }
        (void)fclose(children);
    }
    closedir(tasks);
}

size_t node_descendants(pid_t pid, pid_t *pids, size_t most)
{
    size_t count = 0;
    add_children(pid, pids, most, &count);
    for (size_t next = 0; next < count; next++) {
        add_children(pids[next], pids, most, &count);
    }
    return count;
}

size_t node_programs(const node_host *node, const char *name, pid_t *pids, size_t most)
{
    pid_t all[256];
    size_t found = 0;
    const size_t count = node_descendants(node->pid, all, 256);
    for (size_t i = 0; i < count && found < most; i++) {
        char path[64];
        char comm[32] = "";
        (void)snprintf(path, sizeof path, "/proc/%d/comm", (int)all[i]);
        FILE *file = fopen(path, "re");
        if (file == NULL) {
            continue;
        }
        if (fgets(comm, sizeof comm, file) != NULL) {
            comm[strcspn(comm, "\n")] = '\0';
        }
        (void)fclose(file);
        if (strcmp(comm, name) == 0) {
            pids[found++] = all[i];
        }
    }
    return found;
}

size_t node_files(const node_host *node)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/run", node->directory);
    return count_files(path);
}

node_footprint node_footprint_read(const node_host *node)
{
    char path[128];
    pid_t below[256];
    node_footprint found;
    (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)node->pid);
    found.descriptors = count_entries(path);
    (void)snprintf(path, sizeof path, "/proc/%d/task", (int)node->pid);
    found.threads = count_entries(path);
    found.mappings = count_mappings(node->pid, "/memfd:", "/dev/shm/");
    found.processes = node_descendants(node->pid, below, 256);
    found.files = node_files(node);
    return found;
}

static void show(char *text, size_t size, const node_footprint *of)
{
    (void)snprintf(text, size,
                   "%zu descriptors, %zu mappings, %zu threads, %zu processes, %zu files",
                   of->descriptors, of->mappings, of->threads, of->processes, of->files);
}

void node_footprint_await_at(const char *file, int line, const node_host *node,
                             const node_footprint *before)
{
    const uint64_t deadline_ns = weir_test_deadline(10);
    node_footprint now = node_footprint_read(node);
    while (memcmp(&now, before, sizeof now) != 0) {
        if (node_is_past(deadline_ns)) {
            char had[160];
            char has[160];
            show(had, sizeof had, before);
            show(has, sizeof has, &now);
            weir_test_fail(file, line, "the node held %s; now %s", had, has);
        }
        node_nap();
        now = node_footprint_read(node);
    }
}

bool node_maps(const node_host *node, const char *name)
{
    return count_mappings(node->pid, name, NULL) > 0;
}
