#include "nif/launcher/frames.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define HEAD_BYTES 2

static void put_number(unsigned char *bytes, uint32_t number)
{
    for (int i = 0; i < 4; i++) {
        bytes[i] = (unsigned char)(number >> (24 - 8 * i));
    }
}

static uint32_t get_number(const unsigned char *bytes)
{
    uint32_t number = 0;
    for (int i = 0; i < 4; i++) {
        number = number << 8 | bytes[i];
    }
    return number;
}

static bool write_all(int fd, const unsigned char *bytes, size_t count)
{
    while (count > 0) {
        const ssize_t wrote = write(fd, bytes, count);
        if (wrote > 0) {
            bytes += wrote;
            count -= (size_t)wrote;
        } else if (wrote == 0 || errno != EINTR) {
            return false;
        }
    }
    return true;
}

bool launch_frame_send(int fd, enum launch_frame kind, const void *body, size_t bytes)
{
    unsigned char frame[HEAD_BYTES + LAUNCH_FRAME_BYTES];
    bytes = bytes > LAUNCH_FRAME_BYTES - 1 ? LAUNCH_FRAME_BYTES - 1 : bytes;
    frame[0] = (unsigned char)((bytes + 1) >> 8);
    frame[1] = (unsigned char)(bytes + 1);
    frame[HEAD_BYTES] = (unsigned char)kind;
    if (bytes > 0) {
        memcpy(frame + HEAD_BYTES + 1, body, bytes);
    }
    return write_all(fd, frame, HEAD_BYTES + 1 + bytes);
}

bool launch_frame_send_number(int fd, enum launch_frame kind, uint32_t number)
{
    unsigned char bytes[4];
    put_number(bytes, number);
    return launch_frame_send(fd, kind, bytes, sizeof bytes);
}

bool launch_commands_read(launch_commands *commands, int fd)
{
    const size_t room = sizeof commands->bytes - commands->used;
    if (room == 0) {
        return true;
    }
    const ssize_t got = read(fd, commands->bytes + commands->used, room);
    if (got > 0) {
        commands->used += (size_t)got;
    }
    return got > 0 || (got < 0 && (errno == EINTR || errno == EAGAIN));
}

static launch_command understand(const unsigned char *body, size_t bytes)
{
    if (bytes == 5 && body[0] == LAUNCH_CREDIT) {
        return (launch_command){.kind = LAUNCH_CREDIT, .number = get_number(body + 1)};
    }
    if (bytes == 2 && body[0] == LAUNCH_SIGNAL) {
        return (launch_command){.kind = LAUNCH_SIGNAL, .number = body[1]};
    }
    if (bytes == 1 && body[0] == LAUNCH_KILL) {
        return (launch_command){.kind = LAUNCH_KILL};
    }
    return (launch_command){.kind = LAUNCH_BROKEN};
}

launch_command launch_commands_next(launch_commands *commands)
{
    if (commands->used < HEAD_BYTES) {
        return (launch_command){.kind = LAUNCH_NONE};
    }
    const size_t bytes = (size_t)commands->bytes[0] << 8 | commands->bytes[1];
    if (bytes > sizeof commands->bytes - HEAD_BYTES) {
        return (launch_command){.kind = LAUNCH_BROKEN};
    }
    if (commands->used < HEAD_BYTES + bytes) {
        return (launch_command){.kind = LAUNCH_NONE};
    }
    const launch_command command = understand(commands->bytes + HEAD_BYTES, bytes);
    commands->used -= HEAD_BYTES + bytes;
    memmove(commands->bytes, commands->bytes + HEAD_BYTES + bytes, commands->used);
    return command;
}
