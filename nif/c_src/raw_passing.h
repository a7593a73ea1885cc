/**
 * @file
 * Passing descriptors from a manager to a worker or peer.
 *
 * Purpose: a pair of connected SOCK_SEQPACKET sockets, one end for the manager, who sends, and one
 * for a worker or peer, who receives. A message is up to WEIR_NIF_PASSING_BYTES_MAX bytes and up to
 * WEIR_CONTROL_DESCRIPTORS_MAX descriptors; it arrives whole or not at all. A received descriptor
 * is a resource of the receiving process; the sender keeps its own.
 *
 * Trust: bytes and number of descriptors come from another process. A message that is too long, was
 * cut, or carries anything else than descriptors is refused, and every descriptor in it is closed.
 *
 * Threads: any. Blocking: never (MSG_DONTWAIT on every call).
 *
 * Source: unix(7), cmsg(3).
 */
#ifndef WEIR_NIF_RAW_PASSING_H
#define WEIR_NIF_RAW_PASSING_H

#include "nif_common.h"

#define WEIR_NIF_PASSING_FUNCTIONS(F)                                                              \
    F(passing_pair, 0, 0)                                                                          \
    F(passing_send, 3, 0)                                                                          \
    F(passing_receive, 1, 0)

#define WEIR_NIF_PASSING_BYTES_MAX 1024u

WEIR_NIF_PASSING_FUNCTIONS(WEIR_NIF_DECLARE)

#endif
