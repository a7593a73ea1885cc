#include "nif/launcher/lines.h"

#include <errno.h>
#include <unistd.h>

#define READ_BYTES     4096
#define READS_PER_TURN 16
#define TURNS_AT_END   16

static bool end_line(launch_lines *lines)
{
    const size_t used = lines->used;
    lines->used = 0;
    lines->is_cutting = false;
    if (used == 0) {
        return true;
    }
    if (lines->credit == 0) {
        lines->dropped += lines->dropped < UINT32_MAX;
        return true;
    }
    lines->credit--;
    return launch_frame_send(lines->frames_fd, LAUNCH_LINE, lines->line, used);
}

static bool take_bytes(launch_lines *lines, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const unsigned char byte = (unsigned char)bytes[i];
        if (byte == '\n') {
            if (!end_line(lines)) {
                return false;
            }
        } else if (!lines->is_cutting) {
            /* A terminal's control characters in a log are somebody else's commands. */
            const bool is_control = (byte < 0x20 && byte != '\t') || byte == 0x7f;
            lines->line[lines->used++] = is_control ? '?' : (char)byte;
            lines->is_cutting = lines->used == LAUNCH_LINE_BYTES;
        }
    }
    return true;
}

static bool tell_dropped(launch_lines *lines)
{
    const uint32_t dropped = lines->dropped;
    lines->dropped = 0;
    return dropped == 0 || launch_frame_send_number(lines->frames_fd, LAUNCH_DROPPED, dropped);
}

bool launch_lines_credit(launch_lines *lines, uint32_t more)
{
    lines->credit = more > UINT32_MAX - lines->credit ? UINT32_MAX : lines->credit + more;
    return tell_dropped(lines);
}

bool launch_lines_pump(launch_lines *lines)
{
    for (int turn = 0; turn < READS_PER_TURN && lines->fd >= 0; turn++) {
        char bytes[READ_BYTES];
        const ssize_t got = read(lines->fd, bytes, sizeof bytes);
        if (got > 0) {
            if (!take_bytes(lines, bytes, (size_t)got)) {
                return false;
            }
        } else if (got < 0 && errno == EAGAIN) {
            return true;
        } else if (got == 0 || errno != EINTR) {
            (void)close(lines->fd);
            lines->fd = -1;
        }
    }
    return true;
}

bool launch_lines_finish(launch_lines *lines)
{
    for (int turn = 0; turn < TURNS_AT_END && lines->fd >= 0; turn++) {
        if (!launch_lines_pump(lines)) {
            return false;
        }
    }
    return end_line(lines) && tell_dropped(lines);
}
