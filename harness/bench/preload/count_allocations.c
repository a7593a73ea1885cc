/*
 * weir-allocations.so: preloaded, it counts this process's heap allocations into the file that the
 * environment names. Freeing is left alone.
 *
 * glibc exports its own allocator under a second name (__libc_malloc and so on), so the counting
 * functions need no dlsym, which would allocate itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/atomic.h"
#include "harness/bench/allocations.h"

#define EXPORTED __attribute__((visibility("default")))

extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *memory, size_t bytes);
extern void *__libc_memalign(size_t alignment, size_t bytes);

/* Until the file is open, and where there is none. */
static uint64_t calls_without_file;
static uint64_t *calls = &calls_without_file;

static void count(void)
{
    (void)weir_fetch_add_relaxed_u64(calls, 1);
}

__attribute__((constructor)) static void open_file(void)
{
    const char *path = getenv(WEIR_ALLOCATIONS_VARIABLE);
    const int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) {
        return;
    }
    weir_allocations *file = mmap(NULL, sizeof *file, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (file == MAP_FAILED) {
        return;
    }
    const uint32_t place = weir_fetch_add_relaxed_u32(&file->process_count, 1);
    if (place < WEIR_ALLOCATIONS_PROCESSES) {
        calls = &file->processes[place].calls;
        weir_store_relaxed_u64(&file->processes[place].pid, (uint64_t)getpid());
    }
}

/* The parameters bear the names of the C library's own declarations. */

EXPORTED void *malloc(size_t __size)
{
    count();
    return __libc_malloc(__size);
}

EXPORTED void *calloc(size_t __nmemb, size_t __size)
{
    count();
    return __libc_calloc(__nmemb, __size);
}

EXPORTED void *realloc(void *__ptr, size_t __size)
{
    count();
    return __libc_realloc(__ptr, __size);
}

EXPORTED void *aligned_alloc(size_t __alignment, size_t __size)
{
    count();
    return __libc_memalign(__alignment, __size);
}

EXPORTED int posix_memalign(void **__memptr, size_t __alignment, size_t __size)
{
    count();
    void *taken = __libc_memalign(__alignment, __size);
    if (taken == NULL) {
        return ENOMEM;
    }
    *__memptr = taken;
    return 0;
}
