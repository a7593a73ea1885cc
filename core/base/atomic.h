/**
 * @file
 * The only vocabulary for memory order.
 *
 * Purpose: every access to memory that another process or thread may touch at the same time goes
 * through one of these functions, so that each carries its order in its name, no compiler loads a
 * foreign word twice, and a test build can put its own scheduler and memory model underneath
 * (define WEIR_ATOMIC_SEAM to the header that replaces this one's bodies).
 *
 * Use: an ordering edge has two ends. Both carry the comment `SYNC(tag)` with the same tag and one
 * line that says why the order suffices; docs/memory-model.md lists the tags. Relaxed accesses need
 * no tag: they order nothing.
 *
 * Threads: all functions are lock-free and may be used on memory shared between processes.
 *
 * Ordering: C11 7.17.3. The full fence is the one that a sleeper and a waker need between their
 * store and their load (store buffering); acquire and release do not give it.
 */
#ifndef WEIR_BASE_ATOMIC_H
#define WEIR_BASE_ATOMIC_H

#include <stddef.h>
#include <stdint.h>

#ifdef WEIR_ATOMIC_SEAM
#include WEIR_ATOMIC_SEAM
#else

_Static_assert(__GCC_ATOMIC_INT_LOCK_FREE == 2, "32-bit atomics must be lock-free");
_Static_assert(__GCC_ATOMIC_LONG_LOCK_FREE == 2, "64-bit atomics must be lock-free");

/* The four plain accesses for each width, and the read-modify-writes that private memory needs. */
#define WEIR_ATOMIC_DEFINE(suffix, type)                                                           \
    static inline type weir_load_relaxed_##suffix(const type *address)                             \
    {                                                                                              \
        return __atomic_load_n(address, __ATOMIC_RELAXED);                                         \
    }                                                                                              \
    static inline type weir_load_acquire_##suffix(const type *address)                             \
    {                                                                                              \
        return __atomic_load_n(address, __ATOMIC_ACQUIRE);                                         \
    }                                                                                              \
    static inline void weir_store_relaxed_##suffix(type *address, type value)                      \
    {                                                                                              \
        __atomic_store_n(address, value, __ATOMIC_RELAXED);                                        \
    }                                                                                              \
    static inline void weir_store_release_##suffix(type *address, type value)                      \
    {                                                                                              \
        __atomic_store_n(address, value, __ATOMIC_RELEASE);                                        \
    }                                                                                              \
    static inline type weir_fetch_add_relaxed_##suffix(type *address, type value)                  \
    {                                                                                              \
        return __atomic_fetch_add(address, value, __ATOMIC_RELAXED);                               \
    }                                                                                              \
    static inline type weir_fetch_or_acq_rel_##suffix(type *address, type value)                   \
    {                                                                                              \
        return __atomic_fetch_or(address, value, __ATOMIC_ACQ_REL);                                \
    }                                                                                              \
    static inline type weir_fetch_add_acq_rel_##suffix(type *address, type value)                  \
    {                                                                                              \
        return __atomic_fetch_add(address, value, __ATOMIC_ACQ_REL);                               \
    }                                                                                              \
    static inline type weir_exchange_acq_rel_##suffix(type *address, type value)                   \
    {                                                                                              \
        return __atomic_exchange_n(address, value, __ATOMIC_ACQ_REL);                              \
    }

WEIR_ATOMIC_DEFINE(u32, uint32_t)
WEIR_ATOMIC_DEFINE(u64, uint64_t)

#undef WEIR_ATOMIC_DEFINE

/** Nothing before it is seen after anything behind it, by anybody. */
static inline void weir_fence_full(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

#endif /* WEIR_ATOMIC_SEAM */

/** A 64-bit word of a struct that is copied whole; it may alias the struct's fields. */
typedef uint64_t weir_word __attribute__((may_alias));

/**
 * Copies @p words 64-bit words out of memory that the other side may be writing. Each word is
 * loaded exactly once; the copy as a whole may be torn, so it is validated, not trusted. Order
 * comes from an acquire before it.
 */
static inline void weir_copy_words_in(void *to, const void *from, size_t words)
{
    weir_word *copy = to;
    const weir_word *shared = from;
    for (size_t i = 0; i < words; i++) {
        copy[i] = weir_load_relaxed_u64((const uint64_t *)&shared[i]);
    }
}

/** Copies @p words 64-bit words into memory that the other side may be reading; order comes from a
 * release behind it. */
static inline void weir_copy_words_out(void *to, const void *from, size_t words)
{
    weir_word *shared = to;
    const weir_word *copy = from;
    for (size_t i = 0; i < words; i++) {
        weir_store_relaxed_u64((uint64_t *)&shared[i], copy[i]);
    }
}

/** Tells the processor that this is a spin loop. */
static inline void weir_cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

#endif
