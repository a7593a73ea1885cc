/* The functions of Weir.Native: each file's list stands in its header. F(name, arity, flags) is
 * implemented by weir_nif_NAME and appears as Weir.Native.NAME/ARITY; flags is 0 or
 * ERL_NIF_DIRTY_JOB_CPU_BOUND / _IO_BOUND. */
#ifndef WEIR_NIF_FUNCTIONS_H
#define WEIR_NIF_FUNCTIONS_H

#include "batches.h"
#include "callers.h"
#include "chaos.h"
#include "jobs.h"
#include "manager.h"
#include "raw.h"
#include "status_pages.h"
#include "turns.h"

#define WEIR_NIF_LIBRARY_FUNCTIONS(F)                                                              \
    F(version, 0, 0)                                                                               \
    F(trace, 0, 0)                                                                                 \
    F(trace_clear, 0, 0)                                                                           \
    F(resources, 0, 0)                                                                             \
    F(call_times, 0, 0)

#define WEIR_NIF_FUNCTIONS(F)                                                                      \
    WEIR_NIF_LIBRARY_FUNCTIONS(F)                                                                  \
    WEIR_NIF_CHAOS_FUNCTIONS(F)                                                                    \
    WEIR_NIF_STATUS_FUNCTIONS(F)                                                                   \
    WEIR_NIF_RAW_FUNCTIONS(F)                                                                      \
    WEIR_NIF_MANAGER_FUNCTIONS(F)                                                                  \
    WEIR_NIF_TURN_FUNCTIONS(F)                                                                     \
    WEIR_NIF_CALLER_FUNCTIONS(F)                                                                   \
    WEIR_NIF_JOB_FUNCTIONS(F)                                                                      \
    WEIR_NIF_BATCH_FUNCTIONS(F)

#endif
