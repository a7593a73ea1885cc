/**
 * `echo`: the reply is the request, byte for byte. See routine.h for the calling rules.
 * Codes: ROUTINE_OK, ROUTINE_REPLY_TOO_SMALL.
 */
#ifndef LOOPBACK_ROUTINES_ECHO_H
#define LOOPBACK_ROUTINES_ECHO_H

#include "loopback/routines/routine.h"

routine_result echo_reply_bytes(const void *request, size_t request_bytes);
routine_result echo_run(const void *request, size_t request_bytes, void *reply,
                        size_t reply_capacity);

/** Returns NULL when the reply is right, else a static sentence that says what is wrong. */
const char *echo_verify(const void *request, size_t request_bytes, const void *reply,
                        size_t reply_bytes);

#endif
