/**
 * @file
 * Counts heap allocations of the process.
 *
 * Purpose: show that a job costs none; runners of the layers above borrow it (BORROWS in
 * core/CMakeLists.txt). Plain builds define malloc, calloc and realloc in front of the C library's;
 * under AddressSanitizer, which has its own, its hook counts. Threads: any. Blocking: none.
 */
#ifndef WEIR_BASE_TESTING_ALLOCATIONS_H
#define WEIR_BASE_TESTING_ALLOCATIONS_H

#include <stdint.h>

/** Calls of malloc, calloc and realloc since the program began; the first call may start the
 * counting. */
uint64_t allocations_so_far(void);

#endif
