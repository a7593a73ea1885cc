/* A reader of status pages and what it may find in their place: pages cut short, torn, forged, or
 * no pages at all. */
#include "manager/status_read.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/os.h"
#include "harness/testing/weir_test.h"

#define SEATS_AT  sizeof(struct weir_status_header)
#define EVENTS_AT (SEATS_AT + WEIR_STATUS_SEAT_MAX * sizeof(struct weir_status_seat))
#define LINKS_AT  (EVENTS_AT + WEIR_STATUS_EVENT_MAX * sizeof(struct weir_status_event))

/* A private directory of nobody with a page made by hand. */
typedef struct place {
    char base[64];
    char directory[80];
    char path[96];
    int fd;
} place;

static struct weir_status_header make_header(void)
{
    struct weir_status_header header = {
        .sequence = 2,
        .magic = WEIR_STATUS_MAGIC,
        .layout_major = WEIR_LAYOUT_MAJOR,
        .layout_minor = WEIR_LAYOUT_MINOR,
        .page_bytes = WEIR_STATUS_PAGE_BYTES,
        .seat_capacity = WEIR_STATUS_SEAT_MAX,
        .event_capacity = WEIR_STATUS_EVENT_MAX,
        .link_capacity = WEIR_STATUS_LINK_MAX,
        .name = "by-hand",
    };
    return header;
}

static void put(const place *place, uint64_t offset, const void *bytes, size_t count)
{
    WEIR_EXPECT_EQ(pwrite(place->fd, bytes, count, (off_t)offset), count);
}

static void open_place(place *place, const struct weir_status_header *header)
{
    memset(place, 0, sizeof *place);
    snprintf(place->base, sizeof place->base, "/tmp/weir-test-XXXXXX");
    WEIR_EXPECT_NOT_NULL(mkdtemp(place->base));
    snprintf(place->directory, sizeof place->directory, "%s/m-1-0", place->base);
    snprintf(place->path, sizeof place->path, "%s/status", place->directory);
    WEIR_EXPECT_EQ(mkdir(place->directory, 0700), 0);
    place->fd = open(place->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    WEIR_EXPECT_GE(place->fd, 0);
    WEIR_EXPECT_EQ(ftruncate(place->fd, (off_t)WEIR_STATUS_PAGE_BYTES), 0);
    put(place, 0, header, sizeof *header);
}

static void close_place(place *place)
{
    close(place->fd);
    unlink(place->path);
    WEIR_EXPECT_EQ(rmdir(place->directory), 0);
    WEIR_EXPECT_EQ(rmdir(place->base), 0);
}

static void expect_refused(const char *directory, weir_status status, const char *words)
{
    weir_status_snapshot *snapshot = NULL;
    weir_error error = {{0}};
    WEIR_EXPECT_STATUS(weir_status_open(directory, &snapshot, &error), status);
    WEIR_EXPECT_NULL(snapshot);
    WEIR_EXPECT_STR_HAS(error.text, words);
}

static weir_status_snapshot *look(const place *place)
{
    weir_status_snapshot *snapshot = NULL;
    weir_error error = {{0}};
    const weir_status status = weir_status_open(place->directory, &snapshot, &error);
    if (status != WEIR_OK) {
        weir_test_fail(__FILE__, __LINE__, "no picture: %s", error.text);
    }
    return snapshot;
}

/* ---- what is shown */

WEIR_TEST(status_read, shows_a_page_made_by_hand)
{
    place place;
    struct weir_status_header header = make_header();
    header.seat_count = 2;
    header.link_count = 1;
    open_place(&place, &header);
    const struct weir_status_seat seat = {.sequence = 8, .role = "far", .restarts = 7};
    const struct weir_status_event late = {.sequence = 2, .number = 9, .kind = "ready"};
    const struct weir_status_event early = {.sequence = 2, .number = 8, .kind = "spawned"};
    const struct weir_status_link link = {.sequence = 2, .from_seat = 3, .to_seat = 4, .state = 1};
    put(&place, SEATS_AT + sizeof seat, &seat, sizeof seat);
    put(&place, EVENTS_AT, &late, sizeof late);
    put(&place, EVENTS_AT + 5 * sizeof early, &early, sizeof early);
    put(&place, LINKS_AT, &link, sizeof link);
    weir_status_snapshot *seen = look(&place);
    WEIR_EXPECT_STR_EQ((const char *)seen->header->name, "by-hand");
    WEIR_EXPECT_EQ(seen->life, WEIR_MANAGER_DEAD);
    WEIR_EXPECT_FALSE(seen->is_torn);
    WEIR_EXPECT_STR_EQ((const char *)seen->seats[1].role, "far");
    WEIR_EXPECT_EQ(seen->seats[1].restarts, 7);
    WEIR_EXPECT_EQ(seen->event_count, 2);
    WEIR_EXPECT_STR_EQ((const char *)seen->events[0].kind, "spawned");
    WEIR_EXPECT_STR_EQ((const char *)seen->events[1].kind, "ready");
    WEIR_EXPECT_EQ(seen->links[0].to_seat, 4);
    weir_status_free(seen);
    close_place(&place);
}

WEIR_TEST(status_read, marks_what_a_stopped_writer_left_half_written)
{
    static const uint64_t odd = 77;
    for (int i = 0; i < 4; i++) {
        place place;
        struct weir_status_header header = make_header();
        header.seat_count = 2;
        header.link_count = 1;
        open_place(&place, &header);
        const uint64_t at[] = {0, SEATS_AT, EVENTS_AT + sizeof(struct weir_status_event), LINKS_AT};
        put(&place, at[i], &odd, sizeof odd);
        weir_status_snapshot *seen = look(&place);
        WEIR_EXPECT_TRUE(seen->is_torn);
        WEIR_EXPECT_EQ(seen->header->sequence & 1, i == 0);
        WEIR_EXPECT_EQ(seen->seats[0].sequence & 1, i == 1);
        WEIR_EXPECT_EQ(seen->seats[1].sequence & 1, 0);
        WEIR_EXPECT_EQ(seen->event_count, i == 2);
        WEIR_EXPECT_EQ(seen->links[0].sequence & 1, i == 3);
        WEIR_EXPECT_STR_EQ((const char *)seen->header->name, "by-hand");
        weir_status_free(seen);
        close_place(&place);
    }
}

WEIR_TEST(status_read, ends_texts_and_replaces_what_no_terminal_should_see)
{
    static const struct {
        const char *stored;
        const char *shown;
    } cases[] = {
        {"plain", "plain"},
        {"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x9f", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x9f"},
        {"a\x1b[2Jb\nc\x7f", "a?[2Jb?c?"},
        {"\xc0\xaf \xed\xa0\x80 \xf4\x90\x80\x80", "?? ??? ????"}, /* overlong, surrogate, beyond */
        {"\xc2\x9b", "??"},                                        /* CSI in Latin 1 */
        {"cut \xe2\x82", "cut ??"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t text[32] = {0};
        memcpy(text, cases[i].stored, strlen(cases[i].stored));
        weir_status_clean_text(text, sizeof text);
        WEIR_EXPECT_STR_EQ((const char *)text, cases[i].shown);
    }
    uint8_t full[4] = {'a', 'b', 'c', 'd'};
    weir_status_clean_text(full, sizeof full);
    WEIR_EXPECT_STR_EQ((const char *)full, "abc");
}

WEIR_TEST(status_read, asks_the_kernel_about_processes)
{
    const weir_process_view own = weir_status_look_at(getpid());
    WEIR_EXPECT_EQ(own.state, 'R');
    const weir_process_view nobody = weir_status_look_at(0);
    WEIR_EXPECT_EQ(nobody.state, 0);
    WEIR_EXPECT_EQ(nobody.cpu_ns, 0);
    const uint64_t until_ns = weir_deadline_in(60 * WEIR_NS_PER_MS);
    while (weir_os()->clock_ns() < until_ns || weir_status_look_at(getpid()).cpu_ns == 0) {
    }
    WEIR_EXPECT_GT(weir_status_look_at(getpid()).cpu_ns, 0);
}

/* ---- what is refused */

WEIR_TEST(status_read, refuses_files_of_a_wrong_size)
{
    static const off_t sizes[] = {1, 8, 4095, 4096, 5000, 524287, 524289, 1048576};
    place place;
    const struct weir_status_header header = make_header();
    open_place(&place, &header);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        WEIR_EXPECT_EQ(ftruncate(place.fd, sizes[i]), 0);
        expect_refused(place.directory, WEIR_CORRUPT, "bytes long instead of 524288");
    }
    WEIR_EXPECT_EQ(ftruncate(place.fd, 0), 0);
    expect_refused(place.directory, WEIR_EMPTY, "look again");
    close_place(&place);
}

/* Truncates the file in the middle of each reading. */
static int cut_fd;
static int reads_until_cut;
static ssize_t pread_and_cut(int fd, void *to, size_t bytes, off_t offset)
{
    if (reads_until_cut-- == 0) {
        WEIR_EXPECT_EQ(ftruncate(cut_fd, 100), 0);
    }
    return weir_os_linux()->pread(fd, to, bytes, offset);
}

WEIR_TEST(status_read, survives_a_truncation_at_any_step)
{
    place place;
    struct weir_status_header header = make_header();
    header.seat_count = 3;
    header.link_count = 2;
    open_place(&place, &header);
    weir_os_table table = *weir_os_linux();
    table.pread = pread_and_cut;
    cut_fd = place.fd;
    (void)weir_os_replace(&table);
    int refused = 0;
    for (int step = 0;; step++) {
        WEIR_EXPECT_EQ(ftruncate(place.fd, (off_t)WEIR_STATUS_PAGE_BYTES), 0);
        put(&place, 0, &header, sizeof header);
        reads_until_cut = step;
        weir_status_snapshot *seen = NULL;
        weir_error error = {{0}};
        const weir_status status = weir_status_open(place.directory, &seen, &error);
        weir_status_free(seen);
        if (reads_until_cut >= 0) { /* It was over before the cut. */
            WEIR_EXPECT_STATUS(status, WEIR_OK);
            break;
        }
        if (status != WEIR_CORRUPT) {
            weir_test_fail(__FILE__, __LINE__, "step %d: %s", step, weir_status_name(status));
        }
        WEIR_EXPECT_STR_HAS(error.text, "truncated");
        refused++;
    }
    (void)weir_os_replace(NULL);
    WEIR_EXPECT_GT(refused, 10);
    close_place(&place);
}

WEIR_TEST(status_read, refuses_headers_that_no_manager_writes)
{
    static const struct {
        size_t offset;
        size_t bytes;
        uint64_t value;
        weir_status status;
        const char *words;
    } cases[] = {
        {offsetof(struct weir_status_header, magic), 8, 0, WEIR_EMPTY, "just being made"},
        {offsetof(struct weir_status_header, magic), 8, 1, WEIR_CORRUPT, "magic"},
        {offsetof(struct weir_status_header, layout_major), 2, 2, WEIR_INCOMPATIBLE, "layout 2."},
        {offsetof(struct weir_status_header, page_bytes), 8, 4096, WEIR_CORRUPT, "sizes"},
        {offsetof(struct weir_status_header, seat_capacity), 4, 1025, WEIR_CORRUPT, "sizes"},
        {offsetof(struct weir_status_header, seat_count), 4, 1025, WEIR_CORRUPT, "sizes"},
        {offsetof(struct weir_status_header, event_capacity), 4, 0, WEIR_CORRUPT, "sizes"},
        {offsetof(struct weir_status_header, link_capacity), 4, 1 << 30, WEIR_CORRUPT, "sizes"},
        {offsetof(struct weir_status_header, link_count), 4, 65, WEIR_CORRUPT, "sizes"},
    };
    place place;
    const struct weir_status_header header = make_header();
    open_place(&place, &header);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        put(&place, 0, &header, sizeof header);
        put(&place, cases[i].offset, &cases[i].value, cases[i].bytes);
        expect_refused(place.directory, cases[i].status, cases[i].words);
    }
    close_place(&place);
}

WEIR_TEST(status_read, refuses_what_is_no_regular_file_without_waiting)
{
    place place;
    const struct weir_status_header header = make_header();
    open_place(&place, &header);
    WEIR_EXPECT_EQ(unlink(place.path), 0);
    expect_refused(place.directory, WEIR_NOT_FOUND, "that manager is gone");
    WEIR_EXPECT_EQ(mkfifo(place.path, 0600), 0);
    expect_refused(place.directory, WEIR_INVALID, "not a regular file");
    WEIR_EXPECT_EQ(unlink(place.path), 0);
    WEIR_EXPECT_EQ(symlink("/etc/passwd", place.path), 0);
    expect_refused(place.directory, WEIR_SYSTEM, "cannot open");
    WEIR_EXPECT_EQ(unlink(place.path), 0);
    WEIR_EXPECT_EQ(mkdir(place.path, 0700), 0);
    expect_refused(place.directory, WEIR_INVALID, "not a regular file");
    WEIR_EXPECT_EQ(rmdir(place.path), 0);
    close_place(&place);
}

WEIR_TEST(status_read, lists_nothing_in_directories_that_are_not_ours_alone)
{
    char base[] = "/tmp/weir-test-XXXXXX";
    weir_status_entry entry;
    size_t found = 1;
    weir_error error = {{0}};
    WEIR_EXPECT_NOT_NULL(mkdtemp(base));
    WEIR_EXPECT_STATUS(weir_status_list(base, &entry, 1, &found, &error), WEIR_OK);
    WEIR_EXPECT_EQ(found, 0);
    WEIR_EXPECT_EQ(chmod(base, 0755), 0);
    WEIR_EXPECT_STATUS(weir_status_list(base, &entry, 1, &found, &error), WEIR_INVALID);
    WEIR_EXPECT_STR_HAS(error.text, "chmod 700");
    WEIR_EXPECT_EQ(rmdir(base), 0);
    WEIR_EXPECT_STATUS(weir_status_list(base, &entry, 1, &found, &error), WEIR_NOT_FOUND);
    WEIR_EXPECT_STR_HAS(error.text, "no manager has run there");
    WEIR_EXPECT_EQ(access(base, F_OK), -1); /* Looking makes nothing. */
}

WEIR_TEST(status_read, lists_damaged_pages_with_the_reason)
{
    place place;
    const struct weir_status_header header = make_header();
    open_place(&place, &header);
    weir_status_entry entries[2];
    size_t found = 0;
    weir_error error = {{0}};
    WEIR_EXPECT_STATUS(weir_status_list(place.base, entries, 2, &found, &error), WEIR_OK);
    WEIR_EXPECT_EQ(found, 1);
    WEIR_EXPECT_STATUS(entries[0].status, WEIR_OK);
    WEIR_EXPECT_STR_EQ(entries[0].name, "by-hand");
    WEIR_EXPECT_EQ(ftruncate(place.fd, 100), 0);
    WEIR_EXPECT_STATUS(weir_status_list(place.base, entries, 2, &found, &error), WEIR_OK);
    WEIR_EXPECT_EQ(found, 1);
    WEIR_EXPECT_STATUS(entries[0].status, WEIR_CORRUPT);
    WEIR_EXPECT_STR_EQ(entries[0].name, "");
    WEIR_EXPECT_EQ(entries[0].pid, 1);
    close_place(&place);
}

/* ---- anything at all */

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void expect_ended(const uint8_t *text, size_t bytes)
{
    WEIR_EXPECT_NOT_NULL(memchr(text, 0, bytes));
}

static void expect_sound(const weir_status_snapshot *seen)
{
    WEIR_EXPECT_LE(seen->header->seat_count, WEIR_STATUS_SEAT_MAX);
    WEIR_EXPECT_LE(seen->header->link_count, WEIR_STATUS_LINK_MAX);
    WEIR_EXPECT_LE(seen->event_count, WEIR_STATUS_EVENT_MAX);
    expect_ended(seen->header->name, sizeof seen->header->name);
    for (uint32_t i = 0; i < seen->header->seat_count; i++) {
        expect_ended(seen->seats[i].role, sizeof seen->seats[i].role);
        expect_ended(seen->seats[i].language, sizeof seen->seats[i].language);
    }
    for (size_t i = 0; i < seen->event_count; i++) {
        expect_ended(seen->events[i].text, sizeof seen->events[i].text);
        WEIR_EXPECT_TRUE(i == 0 || seen->events[i - 1].number <= seen->events[i].number);
    }
}

WEIR_TEST(status_read, never_fails_on_random_pages)
{
    uint64_t random = weir_test_seed() | 1;
    static uint64_t noise[WEIR_STATUS_PAGE_BYTES / sizeof(uint64_t)];
    place place;
    const struct weir_status_header good = make_header();
    open_place(&place, &good);
    int shown = 0;
    for (int round = 0; round < 60; round++) {
        for (size_t i = 0; i < sizeof noise / sizeof noise[0]; i++) {
            noise[i] = next_random(&random);
        }
        put(&place, 0, noise, sizeof noise);
        /* Most rounds keep the gate open: a header that is accepted with random counts. */
        if (round % 4 != 0) {
            struct weir_status_header header = good;
            header.sequence = next_random(&random);
            header.seat_count = (uint32_t)(next_random(&random) % (WEIR_STATUS_SEAT_MAX + 10));
            header.link_count = (uint32_t)(next_random(&random) % (WEIR_STATUS_LINK_MAX + 2));
            put(&place, 0, &header, offsetof(struct weir_status_header, event_count));
        }
        weir_status_snapshot *seen = NULL;
        weir_error error = {{0}};
        const weir_status status = weir_status_open(place.directory, &seen, &error);
        if (status == WEIR_OK) {
            expect_sound(seen);
            shown++;
        } else {
            WEIR_EXPECT_NULL(seen);
            WEIR_EXPECT_GT(strlen(error.text), 0);
        }
        weir_status_free(seen);
    }
    WEIR_EXPECT_GT(shown, 10);
    close_place(&place);
}
