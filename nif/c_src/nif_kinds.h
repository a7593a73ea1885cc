/* Every kind of resource: T(name, destructor, stop, down). NULL where there is no such callback. */
#ifndef WEIR_NIF_KINDS_H
#define WEIR_NIF_KINDS_H

#define WEIR_NIF_KINDS(T)                                                                          \
    T(descriptor, weir_nif_descriptor_free, weir_nif_descriptor_stop, weir_nif_descriptor_down)

#endif
