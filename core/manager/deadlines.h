/**
 * @file
 * The end of jobs whose deadline has passed.
 *
 * Purpose: end them as timeout, wherever they are; a worker that had begun one is watched for
 * progress from then on. The table is only walked when the earliest known deadline has come, so the
 * steady state costs one comparison.
 *
 * Threads: the manager's thread. Blocking: the callers' done functions only.
 */
#ifndef WEIR_MANAGER_DEADLINES_H
#define WEIR_MANAGER_DEADLINES_H

#include "manager/budget.h"
#include "manager/registry.h"

/** Ends jobs of the pool whose deadline is at or before @p now_ns, a table's walk at a time as far
 * as the budget allows; updates the pool's next deadline. */
void weir_deadlines_expire(weir_pool *pool, uint64_t now_ns, weir_budget *budget);

#endif
