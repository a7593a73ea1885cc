/* Every kind of resource: T(name, destructor, stop, down). NULL where there is no such callback. */
#ifndef WEIR_NIF_KINDS_H
#define WEIR_NIF_KINDS_H

#include "raw_kinds.h"

#define WEIR_NIF_KINDS(T)                                                                          \
    WEIR_NIF_RAW_KINDS(T)                                                                          \
    T(manager, weir_nif_manager_free, weir_nif_manager_stop, weir_nif_manager_down)                \
    T(caller, weir_nif_caller_free, NULL, weir_nif_caller_down)                                    \
    T(batch, weir_nif_batch_free, NULL, NULL)                                                      \
    T(held, weir_nif_held_free, NULL, NULL)

#endif
