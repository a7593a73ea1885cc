/**
 * All routines under one signature, so that a worker or a harness can pick one by name or by
 * number.
 *
 * Callers: any thread, each with its own routine_memory. The entries are constant. What run,
 * reply_bytes and verify do, their codes and limits are in each routine's own header.
 */
#ifndef LOOPBACK_ROUTINES_CATALOGUE_H
#define LOOPBACK_ROUTINES_CATALOGUE_H

#include "loopback/routines/pathfind.h"
#include "loopback/routines/routine.h"

/** The memory that all routines of one thread keep between calls. Starts as `{0}`. */
typedef struct routine_memory {
    routine_scratch plain;
    pathfind_scratch pathfind;
} routine_memory;

void routine_memory_free(routine_memory *memory);

typedef enum routine_id {
    ROUTINE_ECHO,
    ROUTINE_CRC,
    ROUTINE_SIMULATE,
    ROUTINE_PATHFIND,
    ROUTINE_WORLDGEN,
    ROUTINE_ANALYTICS,
    ROUTINE_COUNT,
} routine_id;

typedef struct routine {
    const char *name;
    /** Room that the reply needs (exact, except for pathfind: at most). */
    routine_result (*reply_bytes)(const void *request, size_t request_bytes);
    routine_result (*run)(routine_memory *memory, const void *request, size_t request_bytes,
                          void *reply, size_t reply_capacity);
    /** NULL when the reply is right, else a static sentence. */
    const char *(*verify)(const void *request, size_t request_bytes, const void *reply,
                          size_t reply_bytes);
} routine;

/** Indexed by routine_id. */
extern const routine routine_catalogue[ROUTINE_COUNT];

/** The routine of this name, or NULL. */
const routine *routine_by_name(const char *name);

#endif
