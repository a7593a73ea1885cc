/* What a process holds: the part of house.h that measures. */
#include <dirent.h>
#include <stdio.h>

#include "manager/testing/house.h"

size_t house_file_bytes(const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return 0;
    }
    fseek(file, 0, SEEK_END);
    const long bytes = ftell(file);
    fclose(file);
    return bytes > 0 ? (size_t)bytes : 0;
}

static size_t count_lines(const char *path, const char *part)
{
    FILE *file = fopen(path, "r");
    char line[1024];
    size_t count = 0;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        count += strstr(line, part) != NULL;
    }
    if (file != NULL) {
        fclose(file);
    }
    return count;
}

static size_t count_entries(const char *path)
{
    DIR *directory = opendir(path);
    size_t count = 0;
    while (directory != NULL && readdir(directory) != NULL) {
        count++;
    }
    if (directory != NULL) {
        closedir(directory);
    }
    return count;
}

/* The kernel lists children by the thread that started them. */
static size_t count_children(void)
{
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *task;
    size_t count = 0;
    while (tasks != NULL && (task = readdir(tasks)) != NULL) {
        char path[320];
        snprintf(path, sizeof path, "/proc/self/task/%s/children", task->d_name);
        FILE *file = fopen(path, "r");
        int pid = 0;
        while (file != NULL && fscanf(file, "%d", &pid) == 1) {
            count++;
        }
        if (file != NULL) {
            fclose(file);
        }
    }
    if (tasks != NULL) {
        closedir(tasks);
    }
    return count;
}

house_footprint house_measure(void)
{
    return (house_footprint){
        .mappings = count_lines("/proc/self/maps", "memfd:") +
                    count_lines("/proc/self/maps", "/dev/shm/weir-"),
        .descriptors = count_entries("/proc/self/fd"),
        .children = count_children(),
    };
}

void house_expect_same(const house_footprint *before)
{
    const house_footprint now = house_measure();
    WEIR_EXPECT_EQ(now.mappings, before->mappings);
    WEIR_EXPECT_EQ(now.descriptors, before->descriptors);
    WEIR_EXPECT_EQ(now.children, before->children);
}
