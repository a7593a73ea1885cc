/* Peers whose canonical layout does not come as it should. */
#include "harness/testing/weir_test.h"
#include "manager/handshake.h"
#include "manager/testing/handshake_bench.h"

/* Sends one part and demands its refusal. */
static void expect_part_refused(handshake_bench *bench, int fd, struct weir_schema *part,
                                uint32_t error_code, const char *reason)
{
    weir_error error = {.text = ""};
    WEIR_EXPECT_STATUS(bench_say(bench, fd, WEIR_MESSAGE_SCHEMA, part, &error), WEIR_PROTOCOL);
    bench_expect_told(bench, fd, error_code, reason);
    WEIR_EXPECT_NULL(bench->h.schema);
    bench_renew(bench);
}

WEIR_TEST(handshake_layout, takes_the_layout_only_in_whole_parts_and_in_order)
{
    static const struct {
        uint32_t total;
        uint32_t offset;
        uint32_t part;
        const char *reason;
    } cases[] = {
        {0, 0, 0, "has 0 bytes; it must have 1 to 262144"},
        {262145, 0, 32768, "has 262145 bytes"},
        {UINT32_MAX, 0, 32768, "has 4294967295 bytes"},
        {40000, 0, 32767, "offset 0 and 32768 bytes were asked for"},
        {40000, 0, 40000, "offset 0 and 32768 bytes were asked for"},
        {40000, 32768, 7232, "offset 0 and 32768 bytes were asked for"},
        {100, 0, 101, "offset 0 and 100 bytes were asked for"},
        {100, 0, 0, "offset 0 and 100 bytes were asked for"},
        {100, UINT32_MAX, 100, "offset 0 and 100 bytes were asked for"},
    };
    handshake_bench bench;
    struct weir_schema part;
    weir_control_message message;
    bench_open(&bench, WEIR_BACKING_MEMFD);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        memset(&part, 0, sizeof part);
        part.total_bytes = cases[i].total;
        part.offset = cases[i].offset;
        part.part_bytes = cases[i].part;
        expect_part_refused(&bench, bench_reach_schema(&bench), &part, WEIR_ERROR_CODE_MESSAGE,
                            cases[i].reason);
    }
    for (uint32_t wrong = 0; wrong < 2; wrong++) {
        const int fd = bench_reach_schema(&bench);
        memset(&part, 0, sizeof part);
        part.total_bytes = 40000;
        part.part_bytes = 32768;
        WEIR_EXPECT_STATUS(bench_say(&bench, fd, WEIR_MESSAGE_SCHEMA, &part, NULL), WEIR_EMPTY);
        bench_expect(fd, WEIR_MESSAGE_SCHEMA_REQUEST, &message);
        WEIR_EXPECT_EQ(message.schema_request.offset, 32768);
        part.total_bytes += wrong;
        expect_part_refused(&bench, fd, &part, WEIR_ERROR_CODE_MESSAGE,
                            wrong == 0 ? "offset 32768 and 7232 bytes were asked for"
                                       : "had 40000 bytes and has 40001 now");
    }
    bench_close(&bench);
}

WEIR_TEST(handshake_layout, refuses_a_layout_that_is_none_or_another_than_announced)
{
    handshake_bench bench;
    struct weir_schema part;
    bench_open(&bench, WEIR_BACKING_MEMFD);
    memset(&part, 0, sizeof part);
    part.total_bytes = 3;
    part.part_bytes = 3;
    memcpy(part.text, "[[\003", 3);
    expect_part_refused(&bench, bench_reach_schema(&bench), &part, WEIR_ERROR_CODE_LAYOUT,
                        "cannot be read");
    WEIR_EXPECT_LE(weir_layout_canonical_bytes, sizeof part.text);
    memset(&part, 0, sizeof part);
    part.total_bytes = (uint32_t)weir_layout_canonical_bytes;
    part.part_bytes = part.total_bytes;
    memcpy(part.text, weir_layout_canonical_text, part.part_bytes);
    expect_part_refused(&bench, bench_reach_schema(&bench), &part, WEIR_ERROR_CODE_LAYOUT,
                        "another digest than its HELLO said");
    bench_close(&bench);
}
