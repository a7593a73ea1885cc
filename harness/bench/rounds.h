/**
 * @file
 * Short interleaved rounds: how two things are compared on a noisy machine.
 *
 * Purpose: measure a subject and its reference within the same round, one right after the other, in
 * alternating order, take the ratio of each round, and give the quartiles of the ratios. What the
 * machine does for longer than a round hits both alike; what it does for shorter is one outlier
 * that a median ignores.
 *
 * A round in which a process was switched out against its will is measured again. The number of
 * such repeats is bounded; when it is used up, disturbed rounds count and are reported.
 *
 * Threads: one. Blocking: as long as the probes take.
 *
 * Units: nanoseconds per operation. Statuses: WEIR_OK, WEIR_INTERRUPTED (the result holds the
 * rounds until then, maybe none), or what a probe returned.
 */
#ifndef WEIR_HARNESS_BENCH_ROUNDS_H
#define WEIR_HARNESS_BENCH_ROUNDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/status.h"

/** Most rounds of a row. */
#define WEIR_ROUNDS_MAX 2001
/** Fewest rounds whose median is held against a limit. */
#define WEIR_ROUNDS_CHECKED_MIN 31

/** One measurement. */
typedef struct weir_sample {
    double ns;         /**< Per operation. */
    uint64_t switches; /**< Involuntary context switches while it ran, of all processes in it. */
} weir_sample;

typedef weir_status (*weir_measure)(void *context, weir_sample *sample, weir_error *error);

/** Something that can be measured again and again. */
typedef struct weir_probe {
    weir_measure measure;
    void *context;
} weir_probe;

/** What is compared with what. */
typedef struct weir_rounds_plan {
    weir_probe subject;
    weir_probe reference;
    weir_probe allowance;     /**< Without measure: none. */
    double allowance_factor;  /**< ratio = (subject - factor * allowance) / reference. */
    unsigned rounds;          /**< 1 to WEIR_ROUNDS_MAX. */
    unsigned warm_ups;        /**< Rounds measured before and thrown away. */
    unsigned repeats_max;     /**< Over all rounds. */
    bool (*is_stopped)(void); /**< Asked before each round; may be NULL. */
    weir_probe placing; /**< Without measure: none. Faster than placing_least_ns: see sharing. */
    double placing_least_ns;
    uint64_t sharing_pause_ns; /**< Before a round is measured again because of it: a hypervisor's
                                  placement outlasts many rounds. */
} weir_rounds_plan;

typedef struct weir_quartiles {
    double q1;
    double median;
    double q3;
} weir_quartiles;

typedef struct weir_rounds_result {
    unsigned rounds;    /**< That count. */
    unsigned repeats;   /**< Measured again. */
    unsigned disturbed; /**< That count although a process was switched out. */
    unsigned sharing;   /**< That count although both processors were threads of one core then. */
    weir_quartiles subject_ns;
    weir_quartiles reference_ns;
    weir_quartiles allowance_ns;
    weir_quartiles ratio;
} weir_rounds_result;

weir_status weir_rounds_run(const weir_rounds_plan *plan, weir_rounds_result *result,
                            weir_error *error) WEIR_MUST_CHECK;

/**
 * Quartiles by linear interpolation between the closest ranks; sorts @p values in place. All zero
 * for no values. Source: Hyndman and Fan, "Sample Quantiles in Statistical Packages" (1996),
 * type 7.
 */
weir_quartiles weir_quartiles_of(double *values, size_t count);

#endif
