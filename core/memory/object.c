#include "memory/object.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/os.h"
#include "memory/bus_guard.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* linux/memfd.h, since Linux 6.3 */
#endif

static double mebibytes(size_t bytes)
{
    return (double)bytes / (1024.0 * 1024.0);
}

/* Says why memory of this size could not be had, and what makes it smaller. */
static weir_status refuse_memory(weir_error *error, int reason, const char *doing, size_t bytes)
{
    char text[128];
    const bool is_shortage =
        reason == ENOMEM || reason == ENOSPC || reason == EFBIG || reason == EDQUOT;
    weir_error_set(error, "%s: cannot %s %zu bytes (%.1f MiB): %s%s",
                   is_shortage ? "no memory for an arena" : "cannot set up an arena", doing, bytes,
                   mebibytes(bytes), strerror_r(reason, text, sizeof text),
                   is_shortage ? "; configure fewer or smaller size classes, or free memory" : "");
    return is_shortage ? WEIR_NO_MEMORY : WEIR_SYSTEM;
}

static int create_memfd(const char *name)
{
    const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    const int fd = weir_os()->memfd_create(name, flags | MFD_NOEXEC_SEAL);
    if (fd == -1 && errno == EINVAL) {
        return weir_os()->memfd_create(name, flags); /* a kernel before 6.3 */
    }
    return fd;
}

weir_status weir_object_create(weir_object *object, uint32_t backing, const char *name,
                               size_t bytes, weir_error *error)
{
    memset(object, 0, sizeof *object);
    object->backing = backing;
    object->owner_pid = (int32_t)weir_os()->getpid();
    const bool is_shm = backing == WEIR_BACKING_SHM;
    object->fd = is_shm ? weir_os()->shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600)
                        : create_memfd(name + 1);
    if (object->fd == -1) {
        return weir_error_system(error, errno,
                                 is_shm ? "cannot make a shared memory object (shm_open)"
                                        : "cannot make a memory object (memfd_create)",
                                 is_shm ? "check that /dev/shm is mounted and writable, and the "
                                          "limit on open files (ulimit -n)"
                                        : "check the limit on open files (ulimit -n)");
    }
    object->bytes = bytes;
    if (is_shm) {
        strncpy(object->name, name, sizeof object->name - 1);
    }
    if (weir_os()->ftruncate(object->fd, (off_t)bytes) == -1) {
        return refuse_memory(error, errno, "size an object of", bytes);
    }
    return WEIR_OK;
}

weir_status weir_object_allocate(const weir_object *object, const struct weir_region_entry *regions,
                                 uint32_t count, weir_error *error)
{
    for (uint32_t i = 0; i < count; i++) {
        if (weir_os()->fallocate(object->fd, 0, (off_t)regions[i].offset,
                                 (off_t)regions[i].bytes) == -1) {
            return refuse_memory(error, errno, "allocate all of an object of", object->bytes);
        }
    }
    return WEIR_OK;
}

static weir_status check_opened(const weir_object *object, const char *what, size_t bytes,
                                int seals, weir_error *error)
{
    struct stat found;
    if (weir_os()->fstat(object->fd, &found) == -1) {
        return weir_error_system(error, errno, "cannot ask for the size of a memory object", NULL);
    }
    if (found.st_size != (off_t)bytes) {
        weir_error_set(error, "%s is %lld bytes long, WELCOME says %zu; the manager is broken",
                       what, (long long)found.st_size, bytes);
        return WEIR_PROTOCOL;
    }
    if (object->backing == WEIR_BACKING_SHM) {
        return WEIR_OK;
    }
    const int carried = weir_os()->get_seals(object->fd);
    if (carried == -1 || (carried & seals) != seals) {
        weir_error_set(error,
                       "%s carries the seals 0x%x, 0x%x are needed; the manager must seal it "
                       "before it hands it over",
                       what, carried == -1 ? 0u : (unsigned)carried, (unsigned)seals);
        return WEIR_PROTOCOL;
    }
    return WEIR_OK;
}

weir_status weir_object_open(weir_object *object, const char *what, int fd, const char *name,
                             bool is_writable, size_t bytes, int seals, weir_error *error)
{
    memset(object, 0, sizeof *object);
    object->owner_pid = (int32_t)weir_os()->getpid();
    object->backing = fd >= 0 ? WEIR_BACKING_MEMFD : WEIR_BACKING_SHM;
    object->fd = fd >= 0 ? fd : weir_os()->shm_open(name, is_writable ? O_RDWR : O_RDONLY, 0);
    if (object->fd == -1) {
        char doing[160];
        snprintf(doing, sizeof doing, "cannot open %s as shared memory %s", what, name);
        return weir_error_system(error, errno, doing,
                                 "the manager and the worker must share /dev/shm");
    }
    object->bytes = bytes;
    return check_opened(object, what, bytes, seals, error);
}

/* The smallest power of two that holds the object and a guard behind it. */
static size_t range_bytes(size_t object_bytes)
{
    size_t bytes = 2 * (size_t)WEIR_REGION_ALIGN_BYTES;
    while (bytes < object_bytes + WEIR_REGION_ALIGN_BYTES) {
        bytes *= 2;
    }
    return bytes;
}

/*
 * The range must begin at a multiple of its own size, with a guard in front. mmap promises only
 * page alignment, so take enough to contain such a place and give the rest back.
 */
weir_status weir_object_reserve(weir_object *object, weir_error *error)
{
    const size_t guard = WEIR_REGION_ALIGN_BYTES;
    const size_t range = range_bytes(object->bytes);
    const size_t taken_bytes = 2 * range + guard;
    uint8_t *taken = weir_os()->mmap(NULL, taken_bytes, PROT_NONE,
                                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (taken == MAP_FAILED) {
        return refuse_memory(error, errno, "reserve address space of", taken_bytes);
    }
    const uintptr_t first = (uintptr_t)taken + guard;
    uint8_t *base = taken + guard + ((range - first % range) % range);
    const size_t head = (size_t)(base - guard - taken);
    const size_t tail = taken_bytes - head - guard - range;
    const bool is_trimmed = (head == 0 || weir_os()->munmap(taken, head) == 0) &&
                            (tail == 0 || weir_os()->munmap(base + range, tail) == 0);
    if (!is_trimmed) {
        const int reason = errno;
        weir_os()->munmap(taken, taken_bytes);
        return refuse_memory(error, reason, "trim address space of", taken_bytes);
    }
    object->base = base;
    object->reserved_bytes = range;
    if (object->backing == WEIR_BACKING_SHM) {
        return weir_bus_guard_add(base, range, &object->guard, error);
    }
    return WEIR_OK;
}

weir_status weir_object_map(const weir_object *object, const struct weir_region_entry *regions,
                            uint32_t count, bool is_writable, weir_error *error)
{
    const int protection = PROT_READ | (is_writable ? PROT_WRITE : 0);
    for (uint32_t i = 0; i < count; i++) {
        const void *mapped =
            weir_os()->mmap(object->base + regions[i].offset, (size_t)regions[i].bytes, protection,
                            MAP_SHARED | MAP_FIXED, object->fd, (off_t)regions[i].offset);
        if (mapped == MAP_FAILED) {
            return refuse_memory(error, errno, "map a region of", (size_t)regions[i].bytes);
        }
    }
    /* Each MAP_FIXED made a new mapping without the mark, so mark the whole range, guards included.
     */
    const size_t guard = WEIR_REGION_ALIGN_BYTES;
    if (weir_os()->madvise(object->base - guard, guard + object->reserved_bytes, MADV_DONTFORK) ==
        -1) {
        return weir_error_system(
            error, errno, "cannot keep a memory object from forked children (madvise)", NULL);
    }
    return WEIR_OK;
}

weir_status weir_object_seal(const weir_object *object, int seals, weir_error *error)
{
    if (object->backing == WEIR_BACKING_SHM) {
        return WEIR_OK;
    }
    const bool is_added = weir_os()->add_seals(object->fd, seals) == 0;
    const int reason = errno;
    const int carried = weir_os()->get_seals(object->fd);
    if (carried != -1 && (carried & seals) == seals) {
        return WEIR_OK; /* whoever put them there, they hold */
    }
    if (!is_added && reason == EPERM) {
        weir_error_set(error,
                       "a memory object cannot be sealed: its seals are 0x%x and closed against "
                       "more; the other side has sealed it itself, do not use that worker",
                       carried == -1 ? 0u : (unsigned)carried);
        return WEIR_PROTOCOL;
    }
    return weir_error_system(error, is_added ? EINVAL : reason,
                             "cannot seal a memory object (F_ADD_SEALS)",
                             "F_SEAL_FUTURE_WRITE needs Linux 5.1 or later");
}

weir_status weir_object_unlink(weir_object *object, weir_error *error)
{
    if (object->name[0] == '\0') {
        return WEIR_OK;
    }
    if (weir_os()->shm_unlink(object->name) == -1 && errno != ENOENT) {
        return weir_error_system(error, errno, "cannot unlink shared memory (shm_unlink)",
                                 "remove the weir-* files from /dev/shm");
    }
    object->name[0] = '\0';
    return WEIR_OK;
}

void weir_object_close(weir_object *object)
{
    if (object->bytes != 0 && object->fd != -1) {
        weir_os()->close(object->fd);
        object->fd = -1;
    }
}

bool weir_object_is_truncated(const weir_object *object)
{
    return object->guard != NULL && weir_bus_guard_is_truncated(object->guard);
}

void weir_object_destroy(weir_object *object)
{
    if (object->bytes == 0) {
        return;
    }
    weir_object_close(object);
    /* A forked child has none of the mappings, and the name is its parent's. */
    if (object->owner_pid == (int32_t)weir_os()->getpid()) {
        if (object->guard != NULL) {
            weir_bus_guard_remove(object->guard);
        }
        if (object->base != NULL) {
            const size_t guard = WEIR_REGION_ALIGN_BYTES;
            weir_os()->munmap(object->base - guard, guard + object->reserved_bytes);
        }
        if (weir_object_unlink(object, NULL) != WEIR_OK) {
            object->name[0] =
                '\0'; /* nothing more can be done; the sweep at the next start finds it */
        }
    }
    memset(object, 0, sizeof *object);
    object->fd = -1;
}
