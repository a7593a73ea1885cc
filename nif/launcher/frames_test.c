#include "nif/launcher/frames.h"

#include <fcntl.h>
#include <unistd.h>

#include "harness/testing/weir_test.h"

static void feed(launch_commands *commands, const void *bytes, size_t count)
{
    int ends[2];
    WEIR_EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    WEIR_EXPECT_EQ(write(ends[1], bytes, count), (ssize_t)count);
    WEIR_EXPECT_TRUE(launch_commands_read(commands, ends[0]));
    (void)close(ends[0]);
    (void)close(ends[1]);
}

WEIR_TEST(frames, understands_commands_that_come_in_pieces)
{
    const unsigned char stream[] = {0, 5, 'C', 0, 1, 2, 3, 0, 1, 'K', 0, 2, 'S', 15};
    launch_commands commands = {0};
    launch_command got[3];
    size_t count = 0;
    for (size_t i = 0; i < sizeof stream; i++) {
        feed(&commands, stream + i, 1);
        const launch_command command = launch_commands_next(&commands);
        if (command.kind != LAUNCH_NONE) {
            WEIR_EXPECT_LT(count, 3);
            got[count++] = command;
        }
    }
    WEIR_EXPECT_EQ(count, 3);
    WEIR_EXPECT_EQ(got[0].kind, LAUNCH_CREDIT);
    WEIR_EXPECT_EQ(got[0].number, 0x00010203);
    WEIR_EXPECT_EQ(got[1].kind, LAUNCH_KILL);
    WEIR_EXPECT_EQ(got[2].kind, LAUNCH_SIGNAL);
    WEIR_EXPECT_EQ(got[2].number, 15);
}

WEIR_TEST(frames, understands_several_commands_that_come_at_once)
{
    const unsigned char stream[] = {0, 1, 'K', 0, 2, 'S', 9, 0, 1};
    launch_commands commands = {0};
    feed(&commands, stream, sizeof stream);
    WEIR_EXPECT_EQ(launch_commands_next(&commands).kind, LAUNCH_KILL);
    WEIR_EXPECT_EQ(launch_commands_next(&commands).number, 9);
    WEIR_EXPECT_EQ(launch_commands_next(&commands).kind, LAUNCH_NONE);
}

WEIR_TEST(frames, calls_everything_else_broken)
{
    const struct {
        unsigned char bytes[8];
        size_t count;
    } cases[] = {
        {{0, 0}, 2},                    /* empty */
        {{0, 1, 'C'}, 3},               /* credit without a number */
        {{0, 2, 'K', 0}, 4},            /* a kill with something behind it */
        {{0, 1, 0}, 3},                 /* no such kind */
        {{0xff, 0xff}, 2},              /* longer than any command */
        {{0, 63}, 2},                   /* just too long */
        {{0, 6, 'C', 0, 0, 0, 0, 1}, 8} /* a number too long */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        launch_commands commands = {0};
        feed(&commands, cases[i].bytes, cases[i].count);
        WEIR_EXPECT_EQ(launch_commands_next(&commands).kind, LAUNCH_BROKEN);
    }
}

WEIR_TEST(frames, says_when_nobody_sends_or_reads)
{
    int ends[2];
    launch_commands commands = {0};
    WEIR_EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    (void)close(ends[1]);
    WEIR_EXPECT_FALSE(launch_commands_read(&commands, ends[0]));
    (void)close(ends[0]);
    WEIR_EXPECT_FALSE(launch_frame_send_number(-1, LAUNCH_STARTED, 1));
}
