/**
 * What all routines of the loopback worker have in common: the way they are called, the way they
 * answer, and the memory that they keep between calls.
 *
 * A routine is a pure function from request bytes to reply bytes. It knows nothing of rings, slots
 * or workers: `NAME_reply_bytes` says how much room the reply to a request needs, so that a worker
 * can reserve the reply slot first, and `NAME_run` then writes the reply in place.
 *
 * Callers: any thread; two threads may run the same routine at once if each has its own scratch
 * memory. Blocking: never; run time is bounded by the limits that each header states. Ownership:
 * request and reply belong to the caller and must be 8-byte aligned (they may not overlap). The
 * request is foreign: each header field is read once, checked, and nothing outside `request_bytes`
 * is read.
 */
#ifndef LOOPBACK_ROUTINES_ROUTINE_H
#define LOOPBACK_ROUTINES_ROUTINE_H

#include <stddef.h>
#include <stdint.h>

typedef enum routine_code {
    ROUTINE_OK = 0,
    ROUTINE_BAD_REQUEST = 1,     /**< the request breaks its format or a stated limit */
    ROUTINE_REPLY_TOO_SMALL = 2, /**< the reply buffer has less room than NAME_reply_bytes said */
    ROUTINE_NO_MEMORY = 3,       /**< the scratch memory could not grow */
} routine_code;

/** The outcome of a call. `reason` is NULL when the code is ROUTINE_OK, else a static sentence. */
typedef struct routine_result {
    routine_code code;
    size_t bytes; /**< room needed (NAME_reply_bytes) or bytes written (NAME_run); 0 on failure */
    const char *reason;
} routine_result;

/** Memory that a routine keeps between calls. Starts as `{0}`; grows to the largest request and
 * stays. */
typedef struct routine_scratch {
    void *memory;
    size_t bytes;
} routine_scratch;

/**
 * Makes sure that `scratch` holds at least `bytes`; fresh memory is zero, old content is lost when
 * it grows. Returns the memory, or NULL when there is none (the scratch is then empty).
 */
void *routine_scratch_reserve(routine_scratch *scratch, size_t bytes);

/** Gives the memory back; the scratch can be used again. */
void routine_scratch_free(routine_scratch *scratch);

static inline routine_result routine_done(size_t bytes)
{
    return (routine_result){.code = ROUTINE_OK, .bytes = bytes, .reason = NULL};
}

static inline routine_result routine_failed(routine_code code, const char *reason)
{
    return (routine_result){.code = code, .bytes = 0, .reason = reason};
}

static inline routine_result routine_bad_request(const char *reason)
{
    return routine_failed(ROUTINE_BAD_REQUEST, reason);
}

static inline routine_result routine_reply_too_small(void)
{
    return routine_failed(ROUTINE_REPLY_TOO_SMALL, "the reply buffer is smaller than the reply");
}

static inline routine_result routine_no_memory(void)
{
    return routine_failed(ROUTINE_NO_MEMORY, "no memory for the routine's scratch space");
}

#endif
