#include "manager/status_read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "base/os.h"
#include "manager/runtime_directory.h"
#include "manager/status_page.h"

/* A block is written in less than a microsecond: who fails this often meets a stopped writer. */
#define READ_TRIES 16

/* proc(5) counts processor time in these, on every architecture that Weir runs on. */
#define NS_PER_TICK (10 * WEIR_NS_PER_MS)

/* ---- blocks */

static bool read_all(int fd, uint64_t offset, void *to, size_t bytes)
{
    size_t done = 0;
    while (done < bytes) {
        const ssize_t got =
            weir_os()->pread(fd, (uint8_t *)to + done, bytes - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return false;
        }
        done += (size_t)got;
    }
    return true;
}

weir_status weir_status_read_block(int fd, uint64_t offset, void *block, size_t bytes)
{
    for (int i = 0; i < READ_TRIES; i++) {
        uint64_t before = 0;
        uint64_t after = 0;
        if (i > 0) {
            weir_os()->yield();
        }
        if (!read_all(fd, offset, &before, sizeof before)) {
            return WEIR_CORRUPT;
        }
        /* SYNC(status.sequence): the words of the block that has this sequence are visible behind
         * the fence. */
        weir_fence_full();
        if (!read_all(fd, offset, block, bytes)) {
            return WEIR_CORRUPT;
        }
        /* SYNC(status.sequence): a newer word in the copy brings its odd sequence along. */
        weir_fence_full();
        if (!read_all(fd, offset, &after, sizeof after)) {
            return WEIR_CORRUPT;
        }
        if ((before & 1) == 0 && before == after) {
            memcpy(block, &before, sizeof before);
            return WEIR_OK;
        }
    }
    uint64_t sequence = 0;
    memcpy(&sequence, block, sizeof sequence);
    sequence |= 1;
    memcpy(block, &sequence, sizeof sequence);
    return WEIR_OK;
}

/* ---- texts */

/* Length of the well-formed UTF-8 sequence at @p at, 0 when there is none (RFC 3629, section 4). */
static size_t sequence_bytes(const uint8_t *at, size_t left)
{
    const uint8_t lead = at[0];
    if (lead < 0x80) {
        return lead >= 0x20 && lead != 0x7f ? 1 : 0;
    }
    const size_t bytes = lead >= 0xc2 && lead <= 0xdf   ? 2
                         : lead >= 0xe0 && lead <= 0xef ? 3
                         : lead >= 0xf0 && lead <= 0xf4 ? 4
                                                        : 0;
    if (bytes == 0 || bytes > left) {
        return 0;
    }
    const uint8_t lowest = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    const uint8_t highest = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (at[1] < lowest || at[1] > highest || (bytes == 2 && lead == 0xc2 && at[1] < 0xa0)) {
        return 0; /* Overlong, a surrogate, too large, or a control character of Latin 1. */
    }
    for (size_t i = 2; i < bytes; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return bytes;
}

void weir_status_clean_text(uint8_t *text, size_t bytes)
{
    text[bytes - 1] = '\0';
    const size_t length = strlen((const char *)text);
    for (size_t i = 0; i < length;) {
        const size_t good = sequence_bytes(&text[i], length - i);
        if (good == 0) {
            text[i] = '?';
        }
        i += good == 0 ? 1 : good;
    }
    memset(&text[length], 0, bytes - length);
}

/* ---- the header */

static weir_status check_header(const struct weir_status_header *header, const char *path,
                                weir_error *error)
{
    if (header->magic == 0) {
        weir_error_set(error, "%s is just being made; look again", path);
        return WEIR_EMPTY;
    }
    if (header->magic != WEIR_STATUS_MAGIC) {
        weir_error_set(error, "%s is no status page: it does not begin with the magic word", path);
        return WEIR_CORRUPT;
    }
    if (header->layout_major != WEIR_LAYOUT_MAJOR) {
        weir_error_set(error,
                       "%s has layout %u.%u and this program reads %u.x; use the tools of the "
                       "version that the manager runs",
                       path, header->layout_major, header->layout_minor, WEIR_LAYOUT_MAJOR);
        return WEIR_INCOMPATIBLE;
    }
    if (header->page_bytes != WEIR_STATUS_PAGE_BYTES ||
        header->seat_capacity != WEIR_STATUS_SEAT_MAX ||
        header->event_capacity != WEIR_STATUS_EVENT_MAX ||
        header->link_capacity != WEIR_STATUS_LINK_MAX ||
        header->seat_count > WEIR_STATUS_SEAT_MAX || header->link_count > WEIR_STATUS_LINK_MAX) {
        weir_error_set(error,
                       "%s is damaged: its header names sizes that no page has; it goes away with "
                       "its manager",
                       path);
        return WEIR_CORRUPT;
    }
    return WEIR_OK;
}

static weir_status check_file(int fd, const char *path, weir_error *error)
{
    struct stat info;
    if (weir_os()->fstat(fd, &info) != 0) {
        return weir_error_system(error, errno, "cannot look at a status page", NULL);
    }
    if (!S_ISREG(info.st_mode) || info.st_uid != weir_os()->geteuid()) {
        weir_error_set(error, "%s is not a regular file of yours; remove it", path);
        return WEIR_INVALID;
    }
    if (info.st_size == 0) {
        weir_error_set(error, "%s is empty: just being made, or truncated; look again", path);
        return WEIR_EMPTY;
    }
    if (info.st_size != (off_t)WEIR_STATUS_PAGE_BYTES) {
        weir_error_set(error, "%s is damaged: %lld bytes long instead of %llu", path,
                       (long long)info.st_size, (unsigned long long)WEIR_STATUS_PAGE_BYTES);
        return WEIR_CORRUPT;
    }
    return WEIR_OK;
}

weir_status weir_status_read_header(const char *directory, int *fd,
                                    struct weir_status_header *header, weir_error *error)
{
    char path[512];
    *fd = -1;
    if ((size_t)snprintf(path, sizeof path, "%s/" WEIR_STATUS_FILE, directory) >= sizeof path) {
        weir_error_set(error, "the path of the status page is too long");
        return WEIR_INVALID;
    }
    /* Nonblocking: a pipe that somebody put there would wait for its writer. */
    const int opened = weir_os()->open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
    if (opened < 0) {
        const int code = errno;
        if (code == ENOENT) {
            weir_error_set(error, "there is no %s; that manager is gone", path);
            return WEIR_NOT_FOUND;
        }
        return weir_error_system(error, code, "cannot open a manager's status page",
                                 "run as the user that runs the manager");
    }
    weir_status status = check_file(opened, path, error);
    if (status == WEIR_OK) {
        status = weir_status_read_block(opened, 0, header, sizeof *header);
        if (status != WEIR_OK) {
            weir_error_set(error, "%s was truncated while it was read", path);
        }
    }
    if (status == WEIR_OK) {
        status = check_header(header, path, error);
    }
    if (status != WEIR_OK) {
        (void)weir_os()->close(opened);
        return status;
    }
    weir_status_clean_text(header->name, sizeof header->name);
    *fd = opened;
    return WEIR_OK;
}

/* ---- processes */

weir_process_view weir_status_look_at(int32_t pid)
{
    weir_process_view view = {0};
    char path[64];
    char text[1024];
    if (pid <= 0) {
        return view;
    }
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    const int fd = weir_os()->open(path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0) {
        return view;
    }
    const ssize_t got = weir_os()->read(fd, text, sizeof text - 1);
    (void)weir_os()->close(fd);
    text[got > 0 ? got : 0] = '\0';
    /* The name stands in parentheses and may hold any character, those included. */
    const char *end = strrchr(text, ')');
    unsigned long long user = 0;
    unsigned long long kernel = 0;
    char state = 0;
    if (end != NULL && sscanf(end + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu",
                              &state, &user, &kernel) == 3) {
        view.state = state;
        view.cpu_ns = (user + kernel) * NS_PER_TICK;
    }
    return view;
}
