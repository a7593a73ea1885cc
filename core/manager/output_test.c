#include "manager/output.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "harness/testing/weir_test.h"

typedef struct sink {
    char lines[64][WEIR_OUTPUT_LINE_BYTES]; /**< The first ones. */
    char last[WEIR_OUTPUT_LINE_BYTES];
    size_t count;
} sink;

static sink seen;

static void take(void *context, const char *line)
{
    sink *sink = context;
    if (sink->count < 64) {
        snprintf(sink->lines[sink->count], sizeof sink->lines[0], "%s", line);
    }
    snprintf(sink->last, sizeof sink->last, "%s", line);
    sink->count++;
}

static int open_pipe(weir_output *output)
{
    int ends[2];
    WEIR_EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    WEIR_EXPECT_EQ(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    WEIR_EXPECT_EQ(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    weir_output_init(output, ends[0]);
    seen.count = 0;
    return ends[1];
}

static void say(int fd, const char *text, size_t bytes)
{
    WEIR_EXPECT_EQ(write(fd, text, bytes), (ssize_t)bytes);
}

WEIR_TEST(output, comes_line_by_line_and_waits_for_the_end_of_one)
{
    weir_output output;
    const int fd = open_pipe(&output);
    say(fd, "one\ntwo\n\nthr", 12);
    WEIR_EXPECT_FALSE(weir_output_pump(&output, take, &seen));
    WEIR_EXPECT_EQ(seen.count, 2);
    WEIR_EXPECT_STR_EQ(seen.lines[0], "one");
    WEIR_EXPECT_STR_EQ(seen.lines[1], "two");
    say(fd, "ee\n", 3);
    WEIR_EXPECT_FALSE(weir_output_pump(&output, take, &seen));
    WEIR_EXPECT_STR_EQ(seen.last, "three");
    close(fd);
    weir_output_finish(&output, take, &seen);
    WEIR_EXPECT_EQ(seen.count, 3);
    WEIR_EXPECT_EQ(output.fd, -1);
}

WEIR_TEST(output, hands_on_a_last_line_without_newline_at_the_end)
{
    weir_output output;
    const int fd = open_pipe(&output);
    say(fd, "last words", 10);
    weir_output_finish(&output, take, &seen);
    WEIR_EXPECT_EQ(seen.count, 1);
    WEIR_EXPECT_STR_EQ(seen.last, "last words");
    WEIR_EXPECT_STR_EQ(output.line, "last words");
    weir_output_finish(&output, take, &seen); /* Twice is once. */
    WEIR_EXPECT_EQ(seen.count, 1);
    close(fd);
}

WEIR_TEST(output, cuts_a_long_line_and_goes_on_with_the_next)
{
    static char text[5000];
    weir_output output;
    const int fd = open_pipe(&output);
    memset(text, 'a', sizeof text);
    text[sizeof text - 3] = '\n';
    text[sizeof text - 2] = 'b';
    text[sizeof text - 1] = '\n';
    say(fd, text, sizeof text);
    WEIR_EXPECT_FALSE(weir_output_pump(&output, take, &seen));
    WEIR_EXPECT_EQ(seen.count, 2);
    WEIR_EXPECT_EQ(strlen(seen.lines[0]), WEIR_OUTPUT_LINE_BYTES - 1);
    WEIR_EXPECT_STR_EQ(seen.lines[1], "b");
    close(fd);
    weir_output_finish(&output, take, &seen);
}

WEIR_TEST(output, shows_control_characters_as_question_marks)
{
    weir_output output;
    const int fd = open_pipe(&output);
    say(fd, "\x1b[2Jx\0y\r\tz\x7f\n", 13);
    WEIR_EXPECT_FALSE(weir_output_pump(&output, take, &seen));
    WEIR_EXPECT_STR_EQ(seen.last, "?[2Jx?y??z?");
    close(fd);
    weir_output_finish(&output, take, &seen);
}

WEIR_TEST(output, of_a_flood_is_taken_in_turns_and_counted)
{
    static char text[60000];
    weir_output output;
    const int fd = open_pipe(&output);
    for (size_t i = 0; i < sizeof text; i += 2) {
        text[i] = 'x';
        text[i + 1] = '\n';
    }
    uint64_t sent = 0;
    for (int round = 0; round < 20; round++) {
        const ssize_t wrote = write(fd, text, sizeof text);
        sent += wrote > 0 ? (uint64_t)wrote : 0;
        const size_t before = seen.count;
        while (weir_output_pump(&output, take, &seen)) {
        }
        WEIR_EXPECT_LE(seen.count - before, 3 * 32); /* A turn hands on 32 lines. */
    }
    close(fd);
    weir_output_finish(&output, take, &seen);
    WEIR_EXPECT_EQ(output.lines, sent / 2);
    WEIR_EXPECT_EQ(output.dropped + seen.count, output.lines);
    WEIR_EXPECT_GT(output.dropped, 0);
}
