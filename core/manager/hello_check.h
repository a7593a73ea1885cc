/**
 * @file
 * Whether a HELLO fits what the manager expects; a part of handshake.c.
 *
 * Purpose: token, correlation, role, opcodes, wake strategies and capabilities, in this order.
 *
 * Threads and blocking: as weir_handshake_step.
 */
#ifndef WEIR_MANAGER_HELLO_CHECK_H
#define WEIR_MANAGER_HELLO_CHECK_H

#include "manager/handshake.h"

/** The strategies that this side knows, as bits. */
#define WEIR_HANDSHAKE_STRATEGIES                                                                  \
    (1u << WEIR_WAKE_STRATEGY_FUTEX | 1u << WEIR_WAKE_STRATEGY_EVENTFD |                           \
     1u << WEIR_WAKE_STRATEGY_SIGNAL)

/** Notes the code of a refusal whose sentence is in the error already; returns @p status. */
static inline weir_status weir_handshake_note(weir_handshake *h, uint32_t error_code,
                                              weir_status status)
{
    h->error_code = error_code;
    return status;
}

/**
 * Finds the incarnation by its token and fills in the results. The names of @p h are already those
 * of @p hello.
 *
 * Returns WEIR_OK, WEIR_REFUSED.
 */
weir_status weir_hello_check_terms(weir_handshake *h, const struct weir_hello *hello,
                                   weir_error *error) WEIR_MUST_CHECK;

#endif
