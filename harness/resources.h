/**
 * @file
 * What a process holds: descriptors, Weir's mappings, children, files.
 *
 * Purpose: a run takes one list before it makes its manager and one after it destroyed it; whatever
 * is in the second and not in the first was left behind, and is named.
 *
 * Threads: one list at a time; nothing else of the process may open or close meanwhile. Blocking:
 * reads /proc, /dev/shm and the runtime directory.
 */
#ifndef WEIR_HARNESS_RESOURCES_H
#define WEIR_HARNESS_RESOURCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness/ledger.h"

#define WEIR_RESOURCES_MAX     512
#define WEIR_RESOURCE_NAME_MAX 160

typedef enum weir_resource_kind {
    WEIR_RESOURCE_DESCRIPTOR,
    WEIR_RESOURCE_MAPPING,
    WEIR_RESOURCE_PROCESS,
    WEIR_RESOURCE_FILE,
    WEIR_RESOURCE_KINDS
} weir_resource_kind;

typedef struct weir_resource {
    weir_resource_kind kind;
    char name[WEIR_RESOURCE_NAME_MAX]; /**< "7 -> socket:[123]", "worker 4711", a path */
} weir_resource;

typedef struct weir_resources {
    size_t count;
    bool overflow; /**< more than fit: the comparison would lie */
    bool is_blind; /**< /proc could not be read: the comparison would say nothing */
    weir_resource item[WEIR_RESOURCES_MAX];
} weir_resources;

/** What was left behind, by kind. */
typedef struct weir_resources_left {
    uint64_t count[WEIR_RESOURCE_KINDS];
} weir_resources_left;

/** "descriptors", "mappings", "processes", "files". */
const char *weir_resource_kind_name(weir_resource_kind kind);

/** Reads the list. Of the runtime directory @p directory (may be NULL) only what carries this
 * process's id is listed, because others may run there as well. */
void weir_resources_read(weir_resources *resources, const char *directory);

/** Complains to the ledger about each resource of @p after that is not in @p before. */
void weir_resources_compare(const weir_resources *before, const weir_resources *after,
                            weir_ledger *ledger, weir_resources_left *left);

/** Where managers keep their files: $WEIR_RUNTIME_DIR, else $XDG_RUNTIME_DIR/weir, else
 * /tmp/weir-UID. */
void weir_runtime_directory(char *path, size_t bytes);

#endif
