/**
 * @file
 * How much of its work a turn of the loop may do.
 *
 * Purpose: a host lends its threads only for a bounded time, and time is bounded by work. The
 * budget is handed through the stations of a turn; each takes what it is about to do from it and
 * stops when it is spent. A manager with a thread of its own works without limits.
 *
 * Threads: one turn's, on its stack.
 *
 * Units: jobs and payload bytes.
 */
#ifndef WEIR_MANAGER_BUDGET_H
#define WEIR_MANAGER_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

typedef struct weir_budget {
    uint64_t jobs;      /**< Left; UINT64_MAX at the start for no limit. */
    uint64_t bytes;     /**< Left. */
    bool may_take_long; /**< Supervision is allowed. */
    bool is_fresh;      /**< Nothing was taken from it yet. */
    bool has_stopped;   /**< Something was left undone for want of budget. */
    bool has_large;     /**< A payload alone is larger than a fresh budget. */
} weir_budget;

static inline weir_budget weir_budget_unlimited(void)
{
    return (weir_budget){
        .jobs = UINT64_MAX, .bytes = UINT64_MAX, .may_take_long = true, .is_fresh = true};
}

/** True when a job of @p bytes could be taken; remembers when it could not. */
static inline bool weir_budget_fits(weir_budget *budget, uint64_t bytes)
{
    if (budget->jobs > 0 && bytes <= budget->bytes) {
        return true;
    }
    budget->has_stopped = true;
    budget->has_large |= budget->is_fresh && bytes > budget->bytes;
    return false;
}

/** Takes one job of @p bytes; false, and nothing taken, when it does not fit. */
static inline bool weir_budget_take(weir_budget *budget, uint64_t bytes)
{
    if (!weir_budget_fits(budget, bytes)) {
        return false;
    }
    budget->jobs--;
    budget->bytes -= bytes;
    budget->is_fresh = false;
    return true;
}

/** Takes @p jobs jobs without payload, or what is left of the budget. */
static inline void weir_budget_take_jobs(weir_budget *budget, uint64_t jobs)
{
    budget->jobs -= jobs < budget->jobs ? jobs : budget->jobs;
    budget->is_fresh = budget->is_fresh && jobs == 0;
}

#endif
