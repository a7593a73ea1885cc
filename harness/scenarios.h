/**
 * @file
 * Requests for the computing routines, with replies that are known to be right.
 *
 * Purpose: verifying a simulation or a path costs more than computing it, so a run prepares a set
 * of different requests for each entry of its mix at the start, has each reply checked once by the
 * routine's naive oracle (which shares nothing with the routine), and then compares every reply of
 * every worker with it byte by byte.
 *
 * Threads: constant once made. Blocking: making a set computes for some tenths of a second.
 *
 * Ownership: the set owns its memory; weir_scenarios_free gives it back.
 */
#ifndef WEIR_HARNESS_SCENARIOS_H
#define WEIR_HARNESS_SCENARIOS_H

#include <stddef.h>
#include <stdint.h>

#include "harness/random.h"
#include "harness/workload.h"

#define WEIR_SCENARIOS_MAX 32

typedef struct weir_scenario {
    void *request;
    void *reply;
    uint32_t request_bytes;
    uint32_t reply_bytes;
    double path_length; /**< pathfind: the optimal length, negative when there is no path */
} weir_scenario;

typedef struct weir_scenarios {
    routine_id routine;
    uint32_t count;
    weir_scenario item[WEIR_SCENARIOS_MAX];
} weir_scenarios;

/** A size of the distribution. */
uint32_t weir_size_pick(const weir_size_spec *size, weir_random *random);

/**
 * Makes the scenarios of one entry of a mix from @p random. Returns WEIR_OK, WEIR_NO_MEMORY, or
 * WEIR_CORRUPT when a routine of this build disagrees with its own oracle.
 */
weir_status weir_scenarios_make(const weir_mix_entry *entry, weir_random random,
                                weir_scenarios *scenarios, weir_error *error) WEIR_MUST_CHECK;

void weir_scenarios_free(weir_scenarios *scenarios);

/** NULL when the reply is right, else a static sentence. */
const char *weir_scenario_check(const weir_scenarios *scenarios, uint32_t number, const void *reply,
                                size_t reply_bytes);

#endif
