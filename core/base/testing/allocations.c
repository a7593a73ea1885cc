#include "base/testing/allocations.h"

#include <stddef.h>

#include "base/atomic.h"

static uint64_t allocations;

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEIR_UNDER_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define WEIR_UNDER_ASAN 1
#endif

#ifdef WEIR_UNDER_ASAN

#include <sanitizer/allocator_interface.h>

static void on_malloc(const volatile void *block, size_t bytes)
{
    (void)block;
    (void)bytes;
    (void)weir_fetch_add_relaxed_u64(&allocations, 1);
}

static void on_free(const volatile void *block)
{
    (void)block;
}

__attribute__((constructor)) static void start_counting(void)
{
    (void)__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
}

#else

/* The C library's own entry points, by the names that it keeps for this (glibc, malloc/malloc.c).
 */
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *block, size_t bytes);
void *malloc(size_t bytes);
void *calloc(size_t count, size_t bytes);
void *realloc(void *block, size_t bytes);

__attribute__((visibility("default"))) void *malloc(size_t bytes)
{
    (void)weir_fetch_add_relaxed_u64(&allocations, 1);
    return __libc_malloc(bytes);
}

__attribute__((visibility("default"))) void *calloc(size_t count, size_t bytes)
{
    (void)weir_fetch_add_relaxed_u64(&allocations, 1);
    return __libc_calloc(count, bytes);
}

__attribute__((visibility("default"))) void *realloc(void *block, size_t bytes)
{
    (void)weir_fetch_add_relaxed_u64(&allocations, 1);
    return __libc_realloc(block, bytes);
}

#endif

uint64_t allocations_so_far(void)
{
    return weir_load_relaxed_u64(&allocations);
}
