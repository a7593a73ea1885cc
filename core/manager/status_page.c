#include "manager/status_page.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "manager/registry.h"
#include "manager/status_seat.h"

#define PERIOD_NS        (100 * WEIR_NS_PER_MS)
#define SEATS_PER_UPDATE 256

#define SEATS_AT  sizeof(struct weir_status_header)
#define EVENTS_AT (SEATS_AT + WEIR_STATUS_SEAT_MAX * sizeof(struct weir_status_seat))
#define LINKS_AT  (EVENTS_AT + WEIR_STATUS_EVENT_MAX * sizeof(struct weir_status_event))

/* Only what has a meaning is written; the reserved rest stays as it was made, zero. */
#define HEADER_WORDS (offsetof(struct weir_status_header, reserved) / sizeof(uint64_t))
#define SEAT_WORDS   (offsetof(struct weir_status_seat, reserved) / sizeof(uint64_t))
#define EVENT_WORDS  (sizeof(struct weir_status_event) / sizeof(uint64_t))

_Static_assert(LINKS_AT + WEIR_STATUS_LINK_MAX * sizeof(struct weir_status_link) <=
                   WEIR_STATUS_PAGE_BYTES,
               "all blocks fit the page");
_Static_assert((WEIR_STATUS_PAGE_BYTES & (WEIR_STATUS_PAGE_BYTES - 1)) == 0,
               "the guard takes powers of two");
_Static_assert(offsetof(struct weir_status_header, reserved) % sizeof(uint64_t) == 0 &&
                   offsetof(struct weir_status_seat, reserved) % sizeof(uint64_t) == 0,
               "whole words only");
_Static_assert(WEIR_OUTCOME_CODES <= sizeof((struct weir_status_header *)0)->outcomes / 8,
               "room for each outcome");

/* Needs the page's lock. */
static void write_block(uint8_t *at, const void *block, size_t words)
{
    weir_word *to = (weir_word *)(void *)at;
    const uint8_t *from = block;
    uint64_t *sequence = (uint64_t *)(void *)at;
    const uint64_t odd = weir_load_relaxed_u64(sequence) | 1;
    weir_store_relaxed_u64(sequence, odd);
    for (size_t i = 1; i < words; i++) {
        uint64_t word = 0;
        memcpy(&word, from + i * sizeof word, sizeof word);
        /* SYNC(status.sequence): release, so that who sees this word sees the odd sequence before
         * it. */
        weir_store_release_u64((uint64_t *)(void *)&to[i], word);
    }
    /* SYNC(status.sequence): all words lie before the even sequence. */
    weir_store_release_u64(sequence, odd + 1);
}

/* ---- the file */

static weir_status allocate(int fd)
{
    static const uint8_t zeros[4096];
    if (weir_os()->fallocate(fd, 0, 0, WEIR_STATUS_PAGE_BYTES) == 0) {
        return WEIR_OK;
    }
    if (errno != EOPNOTSUPP) {
        return WEIR_SYSTEM;
    }
    /* A file system that cannot promise room gives it when it is written. */
    for (size_t done = 0; done < WEIR_STATUS_PAGE_BYTES;) {
        const ssize_t written = weir_os()->write(fd, zeros, sizeof zeros);
        if (written <= 0) {
            return WEIR_SYSTEM;
        }
        done += (size_t)written;
    }
    return WEIR_OK;
}

/* The guard wants the page at a multiple of its own size: take twice as much, give the rest back.
 */
static uint8_t *map_aligned(int fd)
{
    const size_t bytes = WEIR_STATUS_PAGE_BYTES;
    uint8_t *taken = weir_os()->mmap(NULL, 2 * bytes, PROT_NONE,
                                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (taken == MAP_FAILED) {
        return NULL;
    }
    const size_t head = (bytes - (uintptr_t)taken % bytes) % bytes;
    uint8_t *base = taken + head;
    if (weir_os()->mmap(base, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) ==
        MAP_FAILED) {
        const int code = errno;
        (void)weir_os()->munmap(taken, 2 * bytes);
        errno = code;
        return NULL;
    }
    if (head > 0) {
        (void)weir_os()->munmap(taken, head);
    }
    (void)weir_os()->munmap(base + bytes, bytes - head);
    /* A forked child of the program has no business here. */
    (void)weir_os()->madvise(base, bytes, MADV_DONTFORK);
    return base;
}

static weir_status make_file(const char *path, uint8_t **base, weir_error *error)
{
    static const char fix[] = "check space and permissions of the runtime directory";
    const int fd = weir_os()->open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return weir_error_system(error, errno, "cannot make the manager's status page", fix);
    }
    weir_status status = allocate(fd);
    if (status != WEIR_OK) {
        status = weir_error_system(error, errno, "cannot allocate the manager's status page", fix);
    } else if ((*base = map_aligned(fd)) == NULL) {
        status = weir_error_system(error, errno, "cannot map the manager's status page",
                                   "raise the limit on address space (ulimit -v)");
    }
    (void)weir_os()->close(fd);
    if (status != WEIR_OK) {
        (void)weir_os()->unlink(path);
    }
    return status;
}

static weir_status make_page(weir_manager *manager, weir_error *error)
{
    weir_status_page *page = &manager->status;
    char path[sizeof manager->directory + sizeof WEIR_STATUS_FILE];
    uint8_t *base = NULL;
    (void)snprintf(path, sizeof path, "%s/" WEIR_STATUS_FILE, manager->directory);
    weir_status status = make_file(path, &base, error);
    if (status != WEIR_OK) {
        return status;
    }
    status = weir_bus_guard_add(base, WEIR_STATUS_PAGE_BYTES, &page->guard, error);
    if (status != WEIR_OK) {
        (void)weir_os()->munmap(base, WEIR_STATUS_PAGE_BYTES);
        return status;
    }
    page->base = base;
    return WEIR_OK;
}

static void drop_page(weir_status_page *page)
{
    pthread_mutex_lock(&page->lock);
    uint8_t *base = page->base;
    page->base = NULL;
    pthread_mutex_unlock(&page->lock);
    weir_bus_guard_remove(page->guard);
    page->guard = NULL;
    (void)weir_os()->munmap(base, WEIR_STATUS_PAGE_BYTES);
}

/* Somebody truncated the file: what is mapped now is nobody's. One try, the picture is no duty. */
static void renew_page(weir_manager *manager)
{
    char path[sizeof manager->directory + sizeof WEIR_STATUS_FILE];
    weir_error ignored;
    drop_page(&manager->status);
    (void)snprintf(path, sizeof path, "%s/" WEIR_STATUS_FILE, manager->directory);
    (void)weir_os()->unlink(path);
    if (make_page(manager, &ignored) == WEIR_OK) {
        manager->status.next_seat = 0;
    }
}

/* ---- the blocks */

static void take_stats(weir_manager *manager, struct weir_status_header *header)
{
    weir_manager_stats stats;
    weir_manager_read_stats(manager, &stats);
    header->submitted = stats.submitted;
    memcpy(header->outcomes, stats.outcomes, sizeof stats.outcomes);
    header->sent = stats.sent;
    header->resent = stats.resent;
    header->deferred = stats.deferred;
    header->deferred_now = stats.deferred_now;
    header->in_flight = stats.in_flight;
    header->stray_replies = stats.stray_replies;
    header->protocol_errors = stats.protocol_errors;
    header->restarts = stats.restarts;
    header->slots_taken = stats.slots_taken;
    header->held_bytes = stats.held_bytes;
    header->bytes_copied = stats.bytes_copied;
    header->wakes_sent = stats.wakes_sent;
    header->parks = stats.parks;
    header->spin_hits = stats.spin_hits;
    header->mappings = stats.mappings;
}

static uint32_t count_seats(weir_manager *manager, uint32_t pool_count)
{
    uint32_t total = 0;
    for (uint32_t p = 0; p < pool_count; p++) {
        total += manager->pools[p]->seat_count;
    }
    return total;
}

static void write_header(weir_manager *manager, uint32_t pool_count, uint64_t now_ns,
                         uint32_t more_flags)
{
    weir_status_page *page = &manager->status;
    struct weir_status_header header = {
        .magic = WEIR_STATUS_MAGIC,
        .layout_major = WEIR_LAYOUT_MAJOR,
        .layout_minor = WEIR_LAYOUT_MINOR,
        .kind = manager->options.host != NULL ? WEIR_MANAGER_KIND_BEAM : WEIR_MANAGER_KIND_C,
        .pid = (uint32_t)weir_os()->getpid(),
        .started_ns = page->started_ns,
        .started_wall_ns = page->started_wall_ns,
        .updated_ns = now_ns,
        .page_bytes = WEIR_STATUS_PAGE_BYTES,
        .seat_capacity = WEIR_STATUS_SEAT_MAX,
        .seat_total = count_seats(manager, pool_count),
        .pool_count = pool_count,
        .event_capacity = WEIR_STATUS_EVENT_MAX,
        .link_capacity = WEIR_STATUS_LINK_MAX,
        .wake_strategy = manager->strategy,
    };
    header.flags =
        more_flags |
        (weir_load_relaxed_u32(&manager->is_closed) != 0 ? (uint32_t)WEIR_STATUS_FLAG_CLOSED : 0u);
    header.seat_count =
        header.seat_total < WEIR_STATUS_SEAT_MAX ? header.seat_total : WEIR_STATUS_SEAT_MAX;
    memcpy(header.layout_digest, weir_layout_digest, sizeof header.layout_digest);
    memcpy(header.name, page->name, sizeof header.name);
    take_stats(manager, &header);
    pthread_mutex_lock(&page->lock);
    header.event_count = page->event_count;
    write_block(page->base, &header, HEADER_WORDS);
    pthread_mutex_unlock(&page->lock);
}

/* A seat keeps its place in the page, so that a reader never meets it twice. Returns how many seats
 * there are. */
static uint32_t write_seats(weir_manager *manager, uint32_t pool_count, uint32_t first,
                            uint32_t end)
{
    weir_status_page *page = &manager->status;
    uint32_t index = 0;
    for (uint32_t p = 0; p < pool_count; p++) {
        weir_pool *pool = manager->pools[p];
        for (uint32_t s = 0; s < pool->seat_count && index < end; s++, index++) {
            if (index < first) {
                continue;
            }
            struct weir_status_seat block;
            weir_status_seat_describe(pool, s, &block);
            pthread_mutex_lock(&page->lock);
            write_block(page->base + SEATS_AT + index * sizeof block, &block, SEAT_WORDS);
            pthread_mutex_unlock(&page->lock);
        }
    }
    return index;
}

static void write_slice(weir_manager *manager, uint32_t pool_count)
{
    weir_status_page *page = &manager->status;
    const uint32_t first = page->next_seat;
    const uint32_t end = first + SEATS_PER_UPDATE < WEIR_STATUS_SEAT_MAX ? first + SEATS_PER_UPDATE
                                                                         : WEIR_STATUS_SEAT_MAX;
    const uint32_t reached = write_seats(manager, pool_count, first, end);
    const bool is_last = reached < end || end == WEIR_STATUS_SEAT_MAX;
    page->next_seat = is_last ? 0 : end;
    page->is_pending = !is_last;
}

void weir_status_page_write(weir_manager *manager, weir_status_page *page, uint64_t now_ns)
{
    if (page->base != NULL && weir_bus_guard_is_truncated(page->guard)) {
        renew_page(manager);
    }
    if (page->base == NULL) {
        page->is_pending = false;
        weir_store_relaxed_u64(&page->due_ns, WEIR_NEVER);
        return;
    }
    weir_store_relaxed_u64(&page->due_ns, now_ns + PERIOD_NS);
    /* SYNC(manager.pools): whoever sees the count sees the pools. */
    const uint32_t pool_count = weir_load_acquire_u32(&manager->pool_count);
    write_slice(manager, pool_count);
    write_header(manager, pool_count, now_ns, 0);
}

static void copy_text(uint8_t *to, size_t bytes, const char *text)
{
    /* The block is zeroed: a cut text ends where the room does. */
    memcpy(to, text, strnlen(text, bytes - 1));
}

void weir_status_page_note(weir_manager *manager, const weir_event *event, uint32_t pool)
{
    weir_status_page *page = &manager->status;
    struct weir_status_event block = {
        .time_ns = event->time_ns,
        .pool = pool,
        .seat = event->worker,
        .generation = event->generation,
        .pid = (uint32_t)event->pid,
    };
    copy_text(block.kind, sizeof block.kind, event->kind);
    copy_text(block.role, sizeof block.role, event->pool);
    copy_text(block.text, sizeof block.text, event->text);
    pthread_mutex_lock(&page->lock);
    if (page->base != NULL) {
        const uint64_t index = page->event_count % WEIR_STATUS_EVENT_MAX;
        block.number = ++page->event_count;
        write_block(page->base + EVENTS_AT + index * sizeof block, &block, EVENT_WORDS);
        weir_store_relaxed_u64(&page->due_ns, 0);
    }
    pthread_mutex_unlock(&page->lock);
}

/* ---- begin and end */

static weir_status take_name(weir_status_page *page, const char *name, weir_error *error)
{
    if (name == NULL) {
        (void)snprintf(page->name, sizeof page->name, "weir-%d", (int)weir_os()->getpid());
        return WEIR_OK;
    }
    size_t length = 0;
    while (length < sizeof page->name && name[length] > ' ' && name[length] <= '~') {
        length++;
    }
    if (length == 0 || length >= sizeof page->name || name[length] != '\0') {
        weir_error_set(error,
                       "the manager's name must have 1 to %zu printable characters without "
                       "spaces; choose another",
                       sizeof page->name - 1);
        return WEIR_INVALID;
    }
    memcpy(page->name, name, length);
    return WEIR_OK;
}

weir_status weir_status_page_open(weir_manager *manager, weir_error *error)
{
    weir_status_page *page = &manager->status;
    weir_status status = take_name(page, manager->options.name, error);
    if (status != WEIR_OK) {
        return status;
    }
    manager->options.name = page->name; /* The caller's string need not live on. */
    page->started_ns = weir_os()->clock_ns();
    page->started_wall_ns = weir_os()->wall_clock_ns();
    status = make_page(manager, error);
    if (status == WEIR_OK) {
        weir_status_page_write(manager, page, page->started_ns);
    }
    return status;
}

void weir_status_page_close(weir_manager *manager)
{
    if (manager->status.base != NULL) {
        write_header(manager, weir_load_acquire_u32(&manager->pool_count), weir_os()->clock_ns(),
                     WEIR_STATUS_FLAG_ENDED);
        drop_page(&manager->status);
    }
}
