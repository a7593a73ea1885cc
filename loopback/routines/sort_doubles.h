/**
 * Sorts finite doubles in ascending order, in time that does not depend on their order: requests
 * are foreign and could otherwise be built to make the sort slow.
 *
 * Callers: any thread. Blocking: never. Ownership: both arrays are the caller's, of `count` values
 * each; the result is in `values`, `spare` is overwritten. There must be no -0.0 and no NAN.
 */
#ifndef LOOPBACK_ROUTINES_SORT_DOUBLES_H
#define LOOPBACK_ROUTINES_SORT_DOUBLES_H

#include <stddef.h>

void sort_doubles(double *values, double *spare, size_t count);

#endif
