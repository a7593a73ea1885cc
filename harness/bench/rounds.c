#include "harness/bench/rounds.h"

#include <stdlib.h>

#include "base/os.h"

/* All rounds of one row, side by side; static because it is large and there is one bench. */
typedef struct series {
    double subject[WEIR_ROUNDS_MAX];
    double reference[WEIR_ROUNDS_MAX];
    double allowance[WEIR_ROUNDS_MAX];
    double ratio[WEIR_ROUNDS_MAX];
} series;

typedef struct round_samples {
    weir_sample subject;
    weir_sample reference;
    weir_sample allowance;
} round_samples;

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(const double *sorted, size_t count, double p)
{
    const double rank = p * (double)(count - 1);
    const size_t below = (size_t)rank;
    const size_t above = below + 1 < count ? below + 1 : below;
    return sorted[below] + (rank - (double)below) * (sorted[above] - sorted[below]);
}

weir_quartiles weir_quartiles_of(double *values, size_t count)
{
    if (count == 0) {
        return (weir_quartiles){0};
    }
    qsort(values, count, sizeof values[0], compare_doubles);
    return (weir_quartiles){
        .q1 = quantile(values, count, 0.25),
        .median = quantile(values, count, 0.5),
        .q3 = quantile(values, count, 0.75),
    };
}

static weir_status measure(const weir_probe *probe, weir_sample *sample, weir_error *error)
{
    *sample = (weir_sample){0};
    return probe->measure == NULL ? WEIR_OK : probe->measure(probe->context, sample, error);
}

static weir_status measure_round(const weir_rounds_plan *plan, bool reference_first,
                                 round_samples *samples, weir_error *error)
{
    weir_status status = WEIR_OK;
    if (reference_first) {
        status = measure(&plan->reference, &samples->reference, error);
    }
    if (status == WEIR_OK) {
        status = measure(&plan->subject, &samples->subject, error);
    }
    if (status == WEIR_OK && !reference_first) {
        status = measure(&plan->reference, &samples->reference, error);
    }
    return status == WEIR_OK ? measure(&plan->allowance, &samples->allowance, error) : status;
}

/* A hypervisor moves virtual processors about: a line that comes back this fast has not left its
 * core. */
static weir_status look_at_placing(const weir_rounds_plan *plan, bool *is_sharing,
                                   weir_error *error)
{
    weir_sample sample = {0};
    const weir_status status = measure(&plan->placing, &sample, error);
    *is_sharing = plan->placing.measure != NULL && sample.ns < plan->placing_least_ns;
    return status;
}

static bool was_disturbed(const round_samples *samples)
{
    return samples->subject.switches + samples->reference.switches + samples->allowance.switches >
           0;
}

/* Woken by a signal it simply ends early: the caller asks next whether to stop. */
static void pause_for(uint64_t ns)
{
    if (ns > 0) {
        (void)weir_os()->sleep_until(weir_deadline_in(ns));
    }
}

static weir_status collect(const weir_rounds_plan *plan, weir_rounds_result *result, series *all,
                           weir_error *error)
{
    round_samples samples;
    for (unsigned i = 0; i < plan->warm_ups; i++) {
        const weir_status status = measure_round(plan, i % 2 != 0, &samples, error);
        if (status != WEIR_OK) {
            return status;
        }
    }
    while (result->rounds < plan->rounds) {
        if (plan->is_stopped != NULL && plan->is_stopped()) {
            return WEIR_INTERRUPTED;
        }
        bool is_sharing = false;
        weir_status status = measure_round(plan, result->rounds % 2 != 0, &samples, error);
        if (status == WEIR_OK) {
            status = look_at_placing(plan, &is_sharing, error);
        }
        if (status != WEIR_OK) {
            return status;
        }
        if (is_sharing || was_disturbed(&samples)) {
            if (result->repeats < plan->repeats_max) {
                result->repeats++;
                pause_for(is_sharing ? plan->sharing_pause_ns : 0);
                continue;
            }
            result->disturbed += was_disturbed(&samples);
            result->sharing += is_sharing;
        }
        const unsigned i = result->rounds++;
        all->subject[i] = samples.subject.ns;
        all->reference[i] = samples.reference.ns;
        all->allowance[i] = samples.allowance.ns;
        all->ratio[i] = (samples.subject.ns - plan->allowance_factor * samples.allowance.ns) /
                        samples.reference.ns;
    }
    return WEIR_OK;
}

weir_status weir_rounds_run(const weir_rounds_plan *plan, weir_rounds_result *result,
                            weir_error *error)
{
    static series all;
    *result = (weir_rounds_result){0};
    if (plan->rounds < 1 || plan->rounds > WEIR_ROUNDS_MAX) {
        weir_error_set(error, "%u rounds are not possible; take 1 to %d", plan->rounds,
                       WEIR_ROUNDS_MAX);
        return WEIR_INVALID;
    }
    const weir_status status = collect(plan, result, &all, error);
    if (status == WEIR_OK || status == WEIR_INTERRUPTED) {
        result->subject_ns = weir_quartiles_of(all.subject, result->rounds);
        result->reference_ns = weir_quartiles_of(all.reference, result->rounds);
        result->allowance_ns = weir_quartiles_of(all.allowance, result->rounds);
        result->ratio = weir_quartiles_of(all.ratio, result->rounds);
    }
    return status;
}
