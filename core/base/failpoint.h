/**
 * @file
 * Named steps at which a fault can be injected.
 *
 * Purpose: `WEIR_FAILPOINT(dispatch_before_publish)` marks a step of the way of a job. In the chaos
 * build a plan can stop, slow or kill the process exactly there; in every other build the line is
 * no code at all. The list of names is core/base/failpoints.def, and plans, kill points and reports
 * read the same list.
 *
 * Threads: any. Blocking: only what the handler does.
 *
 * Source: libfiu's fiu_fail(3) decides whether a point fires.
 */
#ifndef WEIR_BASE_FAILPOINT_H
#define WEIR_BASE_FAILPOINT_H

#include <stddef.h>

typedef enum weir_failpoint {
#define WEIR_FAILPOINT_NAME(id, text) WEIR_FAILPOINT_##id,
#include "base/failpoints.def"
#undef WEIR_FAILPOINT_NAME
    WEIR_FAILPOINT_COUNT
} weir_failpoint;

/** The name that plans use, for example "dispatch.before_publish"; NULL past the end of the list.
 */
const char *weir_failpoint_name(size_t index);

#ifdef WEIR_FAILPOINTS
/** What a fired point does; the default ends the process with SIGKILL. */
typedef void (*weir_failpoint_handler)(const char *name);
void weir_failpoint_set_handler(weir_failpoint_handler handler);
void weir_failpoint_reached(weir_failpoint point);
#define WEIR_FAILPOINT(id) weir_failpoint_reached(WEIR_FAILPOINT_##id)
#else
#define WEIR_FAILPOINT(id) ((void)0)
#endif

#endif
