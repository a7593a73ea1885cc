/**
 * Perlin's improved noise in three dimensions, double precision.
 *
 * Pure function; any thread; never blocks. Bit-identical on every build: only +, -, *, and floor of
 * IEEE doubles, in the order written, without contraction (-ffp-contract=off). Source: K. Perlin,
 * "Improving Noise", SIGGRAPH 2002; the permutation is the one of its reference implementation.
 * noise(3.14, 42, 7) = 0.13691995878400012.
 */
#ifndef LOOPBACK_ROUTINES_PERLIN_H
#define LOOPBACK_ROUTINES_PERLIN_H

/** Coordinates beyond this magnitude are the caller's mistake. */
#define PERLIN_MAX_COORDINATE 1073741824.0

/** Noise at a point, about -1 to 1; 0 at whole coordinates. |x|, |y|, |z| <= PERLIN_MAX_COORDINATE.
 */
double perlin_noise(double x, double y, double z);

#endif
