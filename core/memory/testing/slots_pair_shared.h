/**
 * @file
 * Two threads over one mapping: an owner fills slots, a reader reads them in place and gives them
 * back.
 *
 * Purpose: the body of slots_tsan.c and slots_planted_tsan.c. Payloads are written and read by
 * plain accesses, so ThreadSanitizer sees whether the release of a slot orders its last read before
 * its next write.
 */
#ifndef WEIR_MEMORY_TESTING_SLOTS_PAIR_SHARED_H
#define WEIR_MEMORY_TESTING_SLOTS_PAIR_SHARED_H

#include "memory/slots.h"

/** Exchanges some thousand slots; @p publish makes releases visible. Returns 0 when every payload
 * was whole. */
int slots_pair_run(void (*publish)(weir_release_writer *writer));

#endif
