#include "base/crc.h"

#include <isa-l/crc.h>
#include <limits.h>

uint32_t weir_crc32c_extend(uint32_t crc, const void *data, size_t bytes)
{
    /* ISA-L counts in int and takes a non-const pointer that it only reads through. */
    const unsigned char *at = data;
    uint32_t state = ~crc;
    while (bytes > 0) {
        const int part = bytes > INT_MAX ? INT_MAX : (int)bytes;
        state = crc32_iscsi((unsigned char *)(uintptr_t)at, part, state);
        at += part;
        bytes -= (size_t)part;
    }
    return ~state;
}

uint32_t weir_crc32c(const void *data, size_t bytes)
{
    return weir_crc32c_extend(0, data, bytes);
}
