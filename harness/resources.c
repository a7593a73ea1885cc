#include "harness/resources.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *weir_resource_kind_name(weir_resource_kind kind)
{
    static const char *const names[WEIR_RESOURCE_KINDS] = {"descriptors", "mappings", "processes",
                                                           "files"};
    return names[kind];
}

static void add(weir_resources *resources, weir_resource_kind kind, const char *name,
                const char *between, const char *detail)
{
    if (resources->count == WEIR_RESOURCES_MAX) {
        resources->overflow = true;
        return;
    }
    weir_resource *item = &resources->item[resources->count++];
    item->kind = kind;
    snprintf(item->name, sizeof item->name, "%.70s%.4s%.80s", name, between, detail);
}

static void read_descriptors(weir_resources *resources)
{
    DIR *directory = opendir("/proc/self/fd");
    if (directory == NULL) {
        resources->is_blind = true;
        return;
    }
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char target[256];
        if (entry->d_name[0] == '.' || atoi(entry->d_name) == dirfd(directory)) {
            continue;
        }
        const ssize_t length =
            readlinkat(dirfd(directory), entry->d_name, target, sizeof target - 1);
        target[length < 0 ? 0 : length] = '\0';
        add(resources, WEIR_RESOURCE_DESCRIPTOR, entry->d_name, " -> ", target);
    }
    closedir(directory);
}

static void read_mappings(weir_resources *resources)
{
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "re");
    if (maps == NULL) {
        resources->is_blind = true;
        return;
    }
    while (fgets(line, sizeof line, maps) != NULL) {
        const char *path = strchr(line, '/');
        line[strcspn(line, "\n")] = '\0';
        if (path != NULL &&
            (strncmp(path, "/memfd:weir-", 12) == 0 || strncmp(path, "/dev/shm/weir-", 14) == 0)) {
            line[strcspn(line, " ")] = '\0';
            add(resources, WEIR_RESOURCE_MAPPING, line, " ", path);
        }
    }
    fclose(maps);
}

static void read_children_of(weir_resources *resources, const char *task)
{
    char path[300];
    char pid[32];
    snprintf(path, sizeof path, "/proc/self/task/%s/children", task);
    FILE *children = fopen(path, "re");
    if (children == NULL) {
        return;
    }
    while (fscanf(children, "%31s", pid) == 1) {
        char name[64] = "?";
        snprintf(path, sizeof path, "/proc/%s/comm", pid);
        FILE *comm = fopen(path, "re");
        if (comm != NULL) {
            if (fscanf(comm, "%63[^\n]", name) != 1) {
                strcpy(name, "?");
            }
            fclose(comm);
        }
        add(resources, WEIR_RESOURCE_PROCESS, pid, " ", name);
    }
    fclose(children);
}

static void read_children(weir_resources *resources)
{
    DIR *tasks = opendir("/proc/self/task");
    if (tasks == NULL) {
        return;
    }
    for (struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
        if (entry->d_name[0] != '.') {
            read_children_of(resources, entry->d_name);
        }
    }
    closedir(tasks);
}

/* Whether a number stands in a name as a whole: 12 in "weir-12-3" but not in "weir-123". */
static bool has_number(const char *name, const char *number)
{
    const size_t length = strlen(number);
    for (const char *at = name; (at = strstr(at, number)) != NULL; at++) {
        if ((at == name || !isdigit((unsigned char)at[-1])) &&
            !isdigit((unsigned char)at[length])) {
            return true;
        }
    }
    return false;
}

static void read_files(weir_resources *resources, const char *path, const char *prefix)
{
    char pid[16];
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    DIR *directory = opendir(path);
    if (directory == NULL) {
        return;
    }
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (entry->d_name[0] != '.' && strncmp(entry->d_name, prefix, strlen(prefix)) == 0 &&
            has_number(entry->d_name, pid)) {
            add(resources, WEIR_RESOURCE_FILE, path, "/", entry->d_name);
        }
    }
    closedir(directory);
}

void weir_resources_read(weir_resources *resources, const char *directory)
{
    resources->count = 0;
    resources->overflow = false;
    resources->is_blind = false;
    read_descriptors(resources);
    read_mappings(resources);
    read_children(resources);
    read_files(resources, "/dev/shm", "weir-");
    if (directory != NULL) {
        read_files(resources, directory, "");
    }
}

void weir_resources_compare(const weir_resources *before, const weir_resources *after,
                            weir_ledger *ledger, weir_resources_left *left)
{
    static const char *const what[WEIR_RESOURCE_KINDS] = {"descriptor", "mapping", "process",
                                                          "file"};
    *left = (weir_resources_left){0};
    if (after->is_blind) {
        weir_ledger_complain(ledger, "what was left behind is unknown: /proc/self cannot be read");
    }
    if (after->overflow) {
        weir_ledger_complain(ledger, "the process holds more than %d resources after the run",
                             WEIR_RESOURCES_MAX);
    }
    for (size_t i = 0; i < after->count; i++) {
        const weir_resource *one = &after->item[i];
        size_t k = 0;
        while (k < before->count && (before->item[k].kind != one->kind ||
                                     strcmp(before->item[k].name, one->name) != 0)) {
            k++;
        }
        if (k == before->count) {
            left->count[one->kind]++;
            weir_ledger_complain(ledger, "a %s was left behind: %s", what[one->kind], one->name);
        }
    }
}

void weir_runtime_directory(char *path, size_t bytes)
{
    const char *own = getenv("WEIR_RUNTIME_DIR");
    const char *session = getenv("XDG_RUNTIME_DIR");
    if (own != NULL && own[0] != '\0') {
        snprintf(path, bytes, "%s", own);
    } else if (session != NULL && session[0] != '\0') {
        snprintf(path, bytes, "%s/weir", session);
    } else {
        snprintf(path, bytes, "/tmp/weir-%u", (unsigned)geteuid());
    }
}
