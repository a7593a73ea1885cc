#include "loopback/routines/routine.h"

#include <stdlib.h>

void *routine_scratch_reserve(routine_scratch *scratch, size_t bytes)
{
    if (bytes <= scratch->bytes && scratch->memory != NULL) {
        return scratch->memory;
    }
    /* The old content is worth nothing, so it is freed first: the peak stays at one block. */
    routine_scratch_free(scratch);
    scratch->memory = calloc(1, bytes > 0 ? bytes : 1);
    scratch->bytes = scratch->memory != NULL ? bytes : 0;
    return scratch->memory;
}

void routine_scratch_free(routine_scratch *scratch)
{
    free(scratch->memory);
    *scratch = (routine_scratch){0};
}
