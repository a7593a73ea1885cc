/* The low-level part of the NIF: its functions and kinds of resource. */
#ifndef WEIR_NIF_RAW_H
#define WEIR_NIF_RAW_H

#include "raw_arena.h"
#include "raw_codec.h"
#include "raw_descriptor.h"
#include "raw_listener.h"
#include "raw_memory.h"
#include "raw_passing.h"
#include "raw_worker.h"

#define WEIR_NIF_RAW_FUNCTIONS(F)                                                                  \
    WEIR_NIF_DESCRIPTOR_FUNCTIONS(F)                                                               \
    WEIR_NIF_PASSING_FUNCTIONS(F)                                                                  \
    WEIR_NIF_MEMORY_FUNCTIONS(F)                                                                   \
    WEIR_NIF_ARENA_FUNCTIONS(F)                                                                    \
    WEIR_NIF_LISTENER_FUNCTIONS(F)                                                                 \
    WEIR_NIF_CODEC_FUNCTIONS(F)                                                                    \
    WEIR_NIF_WORKER_FUNCTIONS(F)

#endif
