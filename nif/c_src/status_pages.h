/**
 * @file
 * The status pages of all managers of this user, as terms.
 *
 * Purpose: `Weir.Inspect` shows managers of other processes as well as those of this node, busy,
 * stopped or dead. Everything comes from weir/status_page.h.
 *
 * Threads: any; nothing is shared. Blocking: files are read, hence a dirty scheduler.
 */
#ifndef WEIR_NIF_STATUS_PAGES_H
#define WEIR_NIF_STATUS_PAGES_H

#include "nif_common.h"

#define WEIR_NIF_STATUS_FUNCTIONS(F)                                                               \
    F(status_list, 1, ERL_NIF_DIRTY_JOB_IO_BOUND)                                                  \
    F(status_read, 2, ERL_NIF_DIRTY_JOB_IO_BOUND)

WEIR_NIF_STATUS_FUNCTIONS(WEIR_NIF_DECLARE)

#endif
