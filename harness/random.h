/**
 * @file
 * Random numbers that follow from a seed.
 *
 * Purpose: every random choice of a run is a pure function of the printed seed and a number (a job,
 * a round), so that any thread can make any job and a run can be repeated.
 *
 * Threads: plain values; each stream belongs to one thread. Never blocks.
 *
 * Source: G. L. Steele, D. Lea, C. H. Flood, "Fast Splittable Pseudorandom Number Generators",
 * OOPSLA 2014 (splitmix64).
 */
#ifndef WEIR_HARNESS_RANDOM_H
#define WEIR_HARNESS_RANDOM_H

#include <stdint.h>

/** A stream of numbers; any start value is as good as another. */
typedef struct weir_random {
    uint64_t state;
} weir_random;

static inline uint64_t weir_random_mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/** The stream number @p number of @p seed. */
static inline weir_random weir_random_of(uint64_t seed, uint64_t number)
{
    return (weir_random){.state = weir_random_mix(seed + UINT64_C(0x9e3779b97f4a7c15)) ^
                                  weir_random_mix(number + UINT64_C(0xd1b54a32d192ed03))};
}

static inline uint64_t weir_random_next(weir_random *random)
{
    random->state += UINT64_C(0x9e3779b97f4a7c15);
    return weir_random_mix(random->state);
}

__extension__ typedef unsigned __int128 weir_random_wide; /* both compilers have it */

/** A number from 0 to @p bound - 1; @p bound is not 0. */
static inline uint64_t weir_random_below(weir_random *random, uint64_t bound)
{
    return (uint64_t)(((weir_random_wide)weir_random_next(random) * bound) >> 64);
}

/** A number from @p lowest to @p highest, both included. */
static inline uint64_t weir_random_between(weir_random *random, uint64_t lowest, uint64_t highest)
{
    const uint64_t span = highest - lowest;
    return span == UINT64_MAX ? weir_random_next(random)
                              : lowest + weir_random_below(random, span + 1);
}

/** A number from 0 (included) to 1 (not included). */
static inline double weir_random_unit(weir_random *random)
{
    return (double)(weir_random_next(random) >> 11) * 0x1p-53;
}

#endif
