#include "memory/testing/intruder_shared.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static char complaint[256];

/* NULL when the call failed with this errno, else a sentence. */
static const char *expect(const char *call, bool failed, int expected)
{
    const int got = errno;
    if (failed && got == expected) {
        return NULL;
    }
    snprintf(complaint, sizeof complaint, "%s: %s, expected %s", call,
             failed ? strerrorname_np(got) : "was allowed", strerrorname_np(expected));
    return complaint;
}

const char *intruder_try_size(const intruder_target *target)
{
    const off_t bytes = (off_t)target->bytes;
    const char *bad = expect("ftruncate to 0", ftruncate(target->fd, 0) == -1, EPERM);
    if (bad == NULL) {
        bad =
            expect("ftruncate to one page less", ftruncate(target->fd, bytes - 4096) == -1, EPERM);
    }
    if (bad == NULL) {
        bad =
            expect("ftruncate to one page more", ftruncate(target->fd, bytes + 4096) == -1, EPERM);
    }
    if (bad == NULL) {
        bad =
            expect("fallocate behind the end", fallocate(target->fd, 0, bytes, 4096) == -1, EPERM);
    }
    return bad;
}

static bool map_fails(int fd, int protection, int flags, size_t offset)
{
    void *mapped = mmap(NULL, 4096, protection, flags, fd, (off_t)offset);
    if (mapped == MAP_FAILED) {
        return true;
    }
    munmap(mapped, 4096);
    return false;
}

/* A new description of the same object, as /proc gives it to anyone of the same user. */
static const char *try_reopened(const intruder_target *target)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", target->fd);
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd == -1) {
        return expect("open /proc/self/fd", true, EACCES); /* refused even earlier */
    }
    const char *bad =
        expect("mmap of a reopened descriptor",
               map_fails(fd, PROT_READ | PROT_WRITE, MAP_SHARED, target->offset), EPERM);
    if (bad == NULL) {
        bad = expect("write to a reopened descriptor", write(fd, "x", 1) == -1, EPERM);
    }
    if (bad == NULL) {
        bad = expect("ftruncate of a reopened descriptor", ftruncate(fd, 0) == -1, EPERM);
    }
    close(fd);
    return bad;
}

/* A mapping that begins harmless and is then to become writable. */
static const char *try_mprotect(void *mapping, const char *which)
{
    return expect(which, mprotect(mapping, 4096, PROT_READ | PROT_WRITE) == -1, EACCES);
}

static const char *try_fresh_mapping(const intruder_target *target)
{
    const char *bad =
        expect("mmap writable",
               map_fails(target->fd, PROT_READ | PROT_WRITE, MAP_SHARED, target->offset), EPERM);
    if (bad == NULL) {
        bad = expect("mmap write-only",
                     map_fails(target->fd, PROT_WRITE, MAP_SHARED, target->offset), EPERM);
    }
    if (bad != NULL) {
        return bad;
    }
    void *fresh = mmap(NULL, 4096, PROT_READ, MAP_SHARED, target->fd, (off_t)target->offset);
    if (fresh == MAP_FAILED) {
        return "a read-only mapping was refused";
    }
    bad = try_mprotect(fresh, "mprotect of a fresh read-only mapping");
    munmap(fresh, 4096);
    return bad;
}

const char *intruder_try_write(const intruder_target *target)
{
    const char *bad = try_fresh_mapping(target);
    if (bad == NULL && target->mapping != NULL) {
        bad = try_mprotect(target->mapping, "mprotect of the arena's mapping");
    }
    if (bad == NULL) {
        bad = expect("write", write(target->fd, "x", 1) == -1, EPERM);
    }
    if (bad == NULL) {
        bad = expect("pwrite", pwrite(target->fd, "x", 1, (off_t)target->offset) == -1, EPERM);
    }
    if (bad == NULL) {
        const int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
        bad = expect("punch a hole", fallocate(target->fd, mode, (off_t)target->offset, 4096) == -1,
                     EPERM);
    }
    if (bad == NULL && target->mapping != NULL) {
        /* MADV_REMOVE punches through a mapping. */
        bad = expect("madvise MADV_REMOVE", madvise(target->mapping, 4096, MADV_REMOVE) == -1,
                     EACCES);
    }
    if (bad == NULL) {
        bad = expect("add a seal", fcntl(target->fd, F_ADD_SEALS, F_SEAL_WRITE) == -1, EPERM);
    }
    return bad == NULL ? try_reopened(target) : bad;
}

union control {
    char bytes[CMSG_SPACE(2 * sizeof(int))];
    struct cmsghdr align;
};

int intruder_send(int socket, const void *bytes, size_t count, int first_fd, int second_fd)
{
    struct iovec part = {.iov_base = (void *)(size_t)bytes, .iov_len = count};
    union control control;
    memset(&control, 0, sizeof control);
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (first_fd >= 0) {
        const int fds[2] = {first_fd, second_fd};
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof fds);
        memcpy(CMSG_DATA(header), fds, sizeof fds);
    }
    return sendmsg(socket, &message, MSG_NOSIGNAL) == (ssize_t)count ? 0 : -1;
}

int intruder_receive(int socket, void *bytes, size_t count, int *first_fd, int *second_fd)
{
    struct iovec part = {.iov_base = bytes, .iov_len = count};
    union control control;
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != (ssize_t)count) {
        return -1;
    }
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (first_fd != NULL) {
        int fds[2];
        if (header == NULL || header->cmsg_len != CMSG_LEN(sizeof fds)) {
            return -1;
        }
        memcpy(fds, CMSG_DATA(header), sizeof fds);
        *first_fd = fds[0];
        *second_fd = fds[1];
    }
    return 0;
}
