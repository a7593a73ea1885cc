/**
 * @file
 * A manager from Elixir: made, given pools and an owner, looked at, closed.
 *
 * Threads: any process may call any of these; the owner is the ingestor. Calls that map memory or
 * touch the file system are dirty. Blocking: never; closing goes on behind the call.
 */
#ifndef WEIR_NIF_MANAGER_H
#define WEIR_NIF_MANAGER_H

#include "manager_home.h"
#include "nif_common.h"

#define WEIR_NIF_MANAGER_FUNCTIONS(F)                                                              \
    F(manager_create, 1, ERL_NIF_DIRTY_JOB_IO_BOUND)                                               \
    F(manager_add_pool, 2, ERL_NIF_DIRTY_JOB_IO_BOUND)                                             \
    F(manager_adopt, 2, 0)                                                                         \
    F(start_worker, 3, 0)                                                                          \
    F(start_failed, 5, 0)                                                                          \
    F(drain_begin, 1, 0)                                                                           \
    F(is_drained, 1, 0)                                                                            \
    F(reload, 2, 0)                                                                                \
    F(manager_close, 1, 0)                                                                         \
    F(stats, 1, 0)                                                                                 \
    F(workers, 1, ERL_NIF_DIRTY_JOB_CPU_BOUND)

WEIR_NIF_MANAGER_FUNCTIONS(WEIR_NIF_DECLARE)

#endif
