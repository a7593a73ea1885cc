/* The low-level part of the NIF: its functions and kinds of resource. */
#ifndef WEIR_NIF_RAW_H
#define WEIR_NIF_RAW_H

#include "raw_descriptor.h"
#include "raw_worker.h"

#define WEIR_NIF_RAW_FUNCTIONS(F)                                                                  \
    WEIR_NIF_DESCRIPTOR_FUNCTIONS(F)                                                               \
    WEIR_NIF_WORKER_FUNCTIONS(F)

#endif
