#include "manager/output.h"

#include <errno.h>
#include <string.h>

#include "base/os.h"

#define READ_BYTES     4096
#define READS_PER_TURN 16
#define LINES_PER_TURN 32

void weir_output_init(weir_output *output, int fd)
{
    *output = (weir_output){.fd = fd};
}

static void end_line(weir_output *output, weir_output_line take, void *context, uint32_t *handed)
{
    if (output->used == 0) {
        output->is_cutting = false;
        return;
    }
    output->line[output->used] = '\0';
    output->lines++;
    if (*handed < LINES_PER_TURN) {
        (*handed)++;
        take(context, output->line);
    } else {
        output->dropped++;
    }
    output->used = 0;
    output->is_cutting = false;
}

static void take_bytes(weir_output *output, const char *bytes, size_t count, weir_output_line take,
                       void *context, uint32_t *handed)
{
    for (size_t i = 0; i < count; i++) {
        const unsigned char byte = (unsigned char)bytes[i];
        if (byte == '\n') {
            end_line(output, take, context, handed);
        } else if (!output->is_cutting) {
            /* A terminal's control characters in a log are somebody else's commands. */
            output->line[output->used++] = byte < 0x20 || byte == 0x7f ? '?' : (char)byte;
            output->is_cutting = output->used == WEIR_OUTPUT_LINE_BYTES - 1;
        }
    }
}

bool weir_output_pump(weir_output *output, weir_output_line take, void *context)
{
    uint32_t handed = 0;
    for (int turn = 0; turn < READS_PER_TURN && output->fd >= 0; turn++) {
        char bytes[READ_BYTES];
        const ssize_t got = weir_os()->read(output->fd, bytes, sizeof bytes);
        if (got > 0) {
            take_bytes(output, bytes, (size_t)got, take, context, &handed);
        } else if (got < 0 && errno == EINTR) {
            continue;
        } else {
            return false;
        }
    }
    return output->fd >= 0;
}

void weir_output_finish(weir_output *output, weir_output_line take, void *context)
{
    if (output->fd < 0) {
        return;
    }
    (void)weir_output_pump(output, take, context);
    uint32_t handed = 0;
    end_line(output, take, context, &handed);
    (void)weir_os()->close(output->fd);
    output->fd = -1;
}
