/* Every kind of resource: T(name, destructor, stop, down). NULL where there is no such callback. */
#ifndef WEIR_NIF_KINDS_H
#define WEIR_NIF_KINDS_H

#include "raw_kinds.h"

#define WEIR_NIF_KINDS(T) WEIR_NIF_RAW_KINDS(T)

#endif
