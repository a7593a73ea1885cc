/* A file of vectors that lost its cases fails the tests that read it
 * (harness/testing/weir_test_vectors.h). */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "harness/testing/weir_test.h"
#include "harness/testing/weir_test_vectors.h"

static const char *const files[] = {"envelope", "ring", "backoff", "layout"};

/* Reads all cases as the tests do. */
static void read_all(void *path)
{
    weir_test_vectors v;
    weir_test_vectors_open(&v, path);
    while (weir_test_vectors_next(&v)) {
        const bool has_text = weir_test_vectors_is(&v, "layout");
        for (const char *line = has_text ? weir_test_vectors_raw(&v) : NULL;
             line != NULL && strcmp(line, "end_layout") != 0; line = weir_test_vectors_raw(&v)) {
        }
    }
}

static int read_in_child(char *path)
{
    return weir_test_wait(weir_test_fork(read_all, path), weir_test_deadline(20));
}

/* The text in a file of its own, read in a child: how the child ended. */
static int read_text(const char *text, size_t bytes)
{
    char path[] = "/tmp/weir-vectors-XXXXXX";
    const int fd = mkstemp(path);
    WEIR_EXPECT_GE(fd, 0);
    WEIR_EXPECT_EQ(write(fd, text, bytes), (ssize_t)bytes);
    close(fd);
    const int ended = read_in_child(path);
    unlink(path);
    return ended;
}

static void expect_refused(const char *text)
{
    WEIR_EXPECT_EQ(read_text(text, strlen(text)), WEIR_TEST_CHILD_FAILED);
}

WEIR_TEST(vectors, are_read_to_their_counted_end)
{
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/docs/vectors/%s.txt", WEIR_SOURCE_DIR, files[i]);
        WEIR_EXPECT_EQ(read_in_child(path), 0);
    }
}

WEIR_TEST(vectors, that_lost_a_case_or_their_end_fail_the_test)
{
    const char *sound = "# two\nring name=a capacity=2\nroom free=2\nend cases=2\n";
    WEIR_EXPECT_EQ(read_text(sound, strlen(sound)), 0);
    expect_refused("");
    expect_refused("# nothing\n");
    expect_refused("end cases=0\n");
    expect_refused("ring name=a capacity=2\nend cases=2\n");
    expect_refused("ring name=a capacity=2\nroom free=2\nroom free=2\nend cases=2\n");
    expect_refused("ring name=a capacity=2\nroom free=2\n");
    expect_refused("ring name=a capacity=2\nroom free\nend cases=2\n");
    expect_refused("ring name=a capacity=2\nroom free=2\nend cases=two\n");
}

WEIR_TEST(vectors, that_are_missing_fail_the_test)
{
    char missing[] = "/tmp/weir-vectors-that-are-not-there.txt";
    WEIR_EXPECT_EQ(read_in_child(missing), WEIR_TEST_CHILD_FAILED);
}
