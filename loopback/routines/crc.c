#include "loopback/routines/crc.h"

#include <isa-l.h>
#include <string.h>

#include "layout/generated/weir_layout.h"

/** ISA-L takes the length as an int, so longer input goes through in pieces. */
#define PIECE_BYTES ((size_t)1 << 30)

routine_result crc_reply_bytes(const void *request, size_t request_bytes)
{
    (void)request;
    (void)request_bytes;
    return routine_done(sizeof(struct weir_crc_reply));
}

static uint32_t crc32c_isal(const unsigned char *bytes, size_t count)
{
    uint32_t crc = UINT32_MAX;
    while (count > 0) {
        const size_t piece = count < PIECE_BYTES ? count : PIECE_BYTES;
        /* The parameter is not const in ISA-L 2.30, but the buffer is only read. */
        crc = crc32_iscsi((unsigned char *)(uintptr_t)bytes, (int)piece, crc);
        bytes += piece;
        count -= piece;
    }
    return ~crc;
}

routine_result crc_run(const void *request, size_t request_bytes, void *reply,
                       size_t reply_capacity)
{
    if (reply_capacity < sizeof(struct weir_crc_reply)) {
        return routine_reply_too_small();
    }
    const struct weir_crc_reply answer = {
        .bytes = request_bytes,
        .crc32c = crc32c_isal(request, request_bytes),
    };
    memcpy(reply, &answer, sizeof(answer));
    return routine_done(sizeof(answer));
}

/** Half a byte at a time, from the reflected polynomial 0x82F63B78: slow, and easy to check by eye.
 */
static uint32_t crc32c_plain(const unsigned char *bytes, size_t count)
{
    static const uint32_t nibble[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
        0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        crc = crc >> 4 ^ nibble[crc & 15];
        crc = crc >> 4 ^ nibble[crc & 15];
    }
    return ~crc;
}

const char *crc_verify(const void *request, size_t request_bytes, const void *reply,
                       size_t reply_bytes)
{
    struct weir_crc_reply answer;
    if (reply_bytes != sizeof(answer)) {
        return "the crc reply has a wrong length";
    }
    memcpy(&answer, reply, sizeof(answer));
    if (answer.bytes != request_bytes) {
        return "the crc reply counts other bytes than the request has";
    }
    if (answer.crc32c != crc32c_plain(request, request_bytes)) {
        return "the crc reply states a wrong CRC32C";
    }
    return answer.reserved == 0 ? NULL : "the crc reply's reserved field is not zero";
}
