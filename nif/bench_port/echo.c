/*
 * The other side of the comparison in mix ipc.bench: a port program that sends each packet back.
 *
 * Packets are those of an Erlang port with {packet, 4}: four bytes of length, most significant
 * first, then the bytes. It reads as much as there is, and writes all complete packets at once, so
 * that as few system calls as possible stand between two processes.
 *
 * Usage: weir-port-echo [PIPE_BYTES]   enlarges both pipes first (F_SETPIPE_SZ)
 * Ends at end of file with 0; 1 when the pipes fail, 2 for a wrong argument, 3 for a packet above
 * 64 MiB.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEADER_BYTES 4u
#define PACKET_MAX   (UINT32_C(64) << 20)

typedef struct buffer {
    uint8_t *bytes;
    size_t capacity;
    size_t used;
} buffer;

static uint32_t length_at(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Bytes of all complete packets at the beginning; @p wanted is the size of the next, incomplete
 * one, 0 when its header is not there. */
static size_t complete_bytes(const buffer *in, size_t *wanted)
{
    size_t at = 0;
    *wanted = 0;
    while (in->used - at >= HEADER_BYTES) {
        const size_t packet = HEADER_BYTES + length_at(in->bytes + at);
        if (in->used - at < packet) {
            *wanted = packet;
            break;
        }
        at += packet;
    }
    return at;
}

static int write_all(const uint8_t *bytes, size_t count)
{
    while (count > 0) {
        const ssize_t written = write(STDOUT_FILENO, bytes, count);
        if (written < 0 && errno != EINTR) {
            return -1;
        }
        if (written > 0) {
            bytes += written;
            count -= (size_t)written;
        }
    }
    return 0;
}

static int make_room(buffer *in, size_t bytes)
{
    if (bytes <= in->capacity) {
        return 0;
    }
    uint8_t *larger = realloc(in->bytes, bytes);
    if (larger == NULL) {
        return -1;
    }
    in->bytes = larger;
    in->capacity = bytes;
    return 0;
}

static int echo(buffer *in)
{
    for (;;) {
        const ssize_t got = read(STDIN_FILENO, in->bytes + in->used, in->capacity - in->used);
        if (got == 0) {
            return 0;
        }
        if (got < 0) {
            if (errno == EINTR) {
                continue;
            }
            return 1;
        }
        in->used += (size_t)got;
        size_t wanted = 0;
        const size_t done = complete_bytes(in, &wanted);
        if (wanted > PACKET_MAX) {
            return 3;
        }
        if (done > 0 && write_all(in->bytes, done) != 0) {
            return 1;
        }
        in->used -= done;
        memmove(in->bytes, in->bytes + done, in->used);
        if (make_room(in, wanted) != 0) {
            return 1;
        }
    }
}

int main(int argc, char **argv)
{
    buffer in = {.capacity = 1u << 20};
    if (argc > 1) {
        const long pipe_bytes = strtol(argv[1], NULL, 10);
        if (pipe_bytes <= 0) {
            fprintf(stderr, "weir-port-echo: \"%s\" is no number of bytes\n", argv[1]);
            return 2;
        }
        /* What the limit in /proc/sys/fs/pipe-max-size refuses stays as it is. */
        (void)fcntl(STDIN_FILENO, F_SETPIPE_SZ, (int)pipe_bytes);
        (void)fcntl(STDOUT_FILENO, F_SETPIPE_SZ, (int)pipe_bytes);
    }
    in.bytes = malloc(in.capacity);
    if (in.bytes == NULL) {
        return 1;
    }
    const int status = echo(&in);
    free(in.bytes);
    return status;
}
