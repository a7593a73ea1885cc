/* The low-level part's kinds of resource, for nif_kinds.h. */
#ifndef WEIR_NIF_RAW_KINDS_H
#define WEIR_NIF_RAW_KINDS_H

#define WEIR_NIF_RAW_KINDS(T)                                                                      \
    T(descriptor, weir_nif_descriptor_free, weir_nif_stop, weir_nif_descriptor_down)               \
    T(worker, weir_nif_worker_free, weir_nif_stop, weir_nif_worker_down)                           \
    T(memory, weir_nif_memory_free, NULL, weir_nif_memory_down)                                    \
    T(arena, weir_nif_arena_free, weir_nif_stop, weir_nif_arena_down)                              \
    T(listener, weir_nif_listener_free, weir_nif_stop, weir_nif_listener_down)                     \
    T(handshake, weir_nif_handshake_free, weir_nif_stop, weir_nif_handshake_down)

#endif
