#include "base/crc.h"

#include <isa-l/crc.h>
#include <limits.h>

/*
 * ISA-L's AVX kernels may return with the upper halves of the vector registers in use. As long as
 * they are, some processors stop for dozens of cycles at each change between AVX and the SSE code
 * that a compiler makes of any struct assignment: measured here, more than everything else in a
 * small job together. Source: Intel 64 and IA-32 Architectures Optimization Reference Manual,
 * "Mixing AVX Code with SSE Code".
 */
static inline void leave_vector_unit_clean(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx")) {
        __asm__ __volatile__("vzeroupper"
                             :
                             :
                             : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                               "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
                               "xmm15");
    }
#endif
}

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
    leave_vector_unit_clean();
    return ~state;
}

uint32_t weir_crc32c(const void *data, size_t bytes)
{
    return weir_crc32c_extend(0, data, bytes);
}
