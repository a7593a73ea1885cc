/* Lists and pictures of managers, for weir/status_page.h. */
#include <stdlib.h>
#include <string.h>

#include "base/os.h"
#include "manager/runtime_directory.h"
#include "manager/status_read.h"

#define SEATS_AT  sizeof(struct weir_status_header)
#define EVENTS_AT (SEATS_AT + WEIR_STATUS_SEAT_MAX * sizeof(struct weir_status_seat))
#define LINKS_AT  (EVENTS_AT + WEIR_STATUS_EVENT_MAX * sizeof(struct weir_status_event))

const char *weir_manager_life_name(weir_manager_life life)
{
    static const char *const names[] = {"running", "stopped", "dead"};
    return (unsigned)life < sizeof names / sizeof names[0] ? names[life] : "unknown";
}

static weir_manager_life life_of(const char *directory, weir_process_view process)
{
    if (!weir_runtime_directory_is_alive(directory)) {
        return WEIR_MANAGER_DEAD;
    }
    return process.state == 'T' || process.state == 't' ? WEIR_MANAGER_STOPPED
                                                        : WEIR_MANAGER_RUNNING;
}

/* ---- list */

typedef struct listing {
    weir_status_entry *entries;
    size_t capacity;
    size_t found;
} listing;

static bool describe(const char *path, weir_status_entry *entry)
{
    struct weir_status_header header;
    weir_error ignored;
    int fd = -1;
    memset(entry, 0, sizeof *entry);
    strncpy(entry->directory, path, sizeof entry->directory - 1);
    entry->status = weir_status_read_header(path, &fd, &header, &ignored);
    if (entry->status == WEIR_NOT_FOUND || entry->status == WEIR_EMPTY) {
        return false;
    }
    entry->pid = weir_runtime_directory_pid(path);
    entry->life = life_of(path, weir_status_look_at(entry->pid));
    if (entry->status == WEIR_OK) {
        memcpy(entry->name, header.name, sizeof entry->name);
        entry->kind = header.kind;
        (void)weir_os()->close(fd);
    }
    return true;
}

static bool add(void *context, const char *path)
{
    listing *list = context;
    weir_status_entry entry;
    if (describe(path, &entry)) {
        if (list->found < list->capacity) {
            list->entries[list->found] = entry;
        }
        list->found++;
    }
    return true;
}

static int by_directory(const void *left, const void *right)
{
    return strcmp(((const weir_status_entry *)left)->directory,
                  ((const weir_status_entry *)right)->directory);
}

weir_status weir_status_list(const char *base, weir_status_entry *entries, size_t capacity,
                             size_t *found, weir_error *error)
{
    listing list = {.entries = entries, .capacity = capacity};
    *found = 0;
    const weir_status status = weir_runtime_directory_walk(base, add, &list, error);
    if (status == WEIR_OK) {
        const size_t kept = list.found < capacity ? list.found : capacity;
        if (kept > 1) {
            qsort(entries, kept, sizeof *entries, by_directory);
        }
        *found = list.found;
    }
    return status;
}

weir_status weir_status_directory(const char *base, char *path, size_t path_bytes,
                                  weir_error *error)
{
    return weir_runtime_directory_name(base, path, path_bytes, error);
}

/* ---- picture */

static weir_status_snapshot *make_snapshot(uint32_t seat_count, uint32_t link_count)
{
    weir_status_snapshot *made = calloc(1, sizeof *made);
    if (made != NULL) {
        made->header = calloc(1, sizeof *made->header);
        /* One more than needed: calloc of nothing may be NULL. */
        made->seats = aligned_alloc(64, (seat_count + 1) * sizeof *made->seats);
        made->workers = calloc(seat_count + 1, sizeof *made->workers);
        made->events = aligned_alloc(64, WEIR_STATUS_EVENT_MAX * sizeof *made->events);
        made->links = aligned_alloc(64, (link_count + 1) * sizeof *made->links);
    }
    if (made == NULL || made->header == NULL || made->seats == NULL || made->workers == NULL ||
        made->events == NULL || made->links == NULL) {
        weir_status_free(made);
        return NULL;
    }
    return made;
}

void weir_status_free(weir_status_snapshot *snapshot)
{
    if (snapshot != NULL) {
        free(snapshot->header);
        free(snapshot->seats);
        free(snapshot->workers);
        free(snapshot->events);
        free(snapshot->links);
        free(snapshot);
    }
}

static weir_status read_seats(int fd, weir_status_snapshot *into)
{
    weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < into->header->seat_count && status == WEIR_OK; i++) {
        struct weir_status_seat *seat = &into->seats[i];
        status = weir_status_read_block(fd, SEATS_AT + i * sizeof *seat, seat, sizeof *seat);
        if (status != WEIR_OK) {
            break;
        }
        weir_status_clean_text(seat->role, sizeof seat->role);
        weir_status_clean_text(seat->language, sizeof seat->language);
        into->is_torn |= (seat->sequence & 1) != 0;
        if (into->life != WEIR_MANAGER_DEAD && seat->pid <= INT32_MAX) {
            /* The manager has not reaped it: the number is not another process's yet. */
            into->workers[i] = weir_status_look_at((int32_t)seat->pid);
        }
    }
    return status;
}

static int by_number(const void *left, const void *right)
{
    const uint64_t a = ((const struct weir_status_event *)left)->number;
    const uint64_t b = ((const struct weir_status_event *)right)->number;
    return (a > b) - (a < b);
}

/* The header's count may be older than the events, so each speaks for itself. */
static weir_status read_events(int fd, weir_status_snapshot *into)
{
    weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < WEIR_STATUS_EVENT_MAX && status == WEIR_OK; i++) {
        struct weir_status_event *event = &into->events[into->event_count];
        status = weir_status_read_block(fd, EVENTS_AT + i * sizeof *event, event, sizeof *event);
        if (status == WEIR_OK && event->sequence != 0) {
            weir_status_clean_text(event->kind, sizeof event->kind);
            weir_status_clean_text(event->role, sizeof event->role);
            weir_status_clean_text(event->text, sizeof event->text);
            into->is_torn |= (event->sequence & 1) != 0;
            into->event_count++;
        }
    }
    qsort(into->events, into->event_count, sizeof *into->events, by_number);
    return status;
}

static weir_status read_links(int fd, weir_status_snapshot *into)
{
    weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < into->header->link_count && status == WEIR_OK; i++) {
        struct weir_status_link *link = &into->links[i];
        status = weir_status_read_block(fd, LINKS_AT + i * sizeof *link, link, sizeof *link);
        into->is_torn |= (link->sequence & 1) != 0;
    }
    return status;
}

static weir_status take_picture(int fd, const char *directory,
                                const struct weir_status_header *header, weir_status_snapshot **out,
                                weir_error *error)
{
    weir_status_snapshot *into = make_snapshot(header->seat_count, header->link_count);
    if (into == NULL) {
        weir_error_set(error, "no memory for a picture of a status page; free some and try again");
        return WEIR_NO_MEMORY;
    }
    *into->header = *header;
    into->is_torn = (header->sequence & 1) != 0;
    into->process = weir_status_look_at(weir_runtime_directory_pid(directory));
    into->life = life_of(directory, into->process);
    into->read_ns = weir_os()->clock_ns();
    weir_status status = read_seats(fd, into);
    if (status == WEIR_OK) {
        status = read_events(fd, into);
    }
    if (status == WEIR_OK) {
        status = read_links(fd, into);
    }
    if (status != WEIR_OK) {
        weir_error_set(error, "the status page in %s was truncated while it was read", directory);
        weir_status_free(into);
        return status;
    }
    *out = into;
    return WEIR_OK;
}

weir_status weir_status_open(const char *directory, weir_status_snapshot **out, weir_error *error)
{
    struct weir_status_header header;
    int fd = -1;
    *out = NULL;
    weir_status status = weir_status_read_header(directory, &fd, &header, error);
    if (status == WEIR_OK) {
        status = take_picture(fd, directory, &header, out, error);
        (void)weir_os()->close(fd);
    }
    return status;
}
