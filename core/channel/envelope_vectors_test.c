/* The envelopes that C and Elixir must agree on: docs/vectors/envelope.txt. */
#include "channel/envelope.h"
#include "harness/testing/weir_test.h"
#include "harness/testing/weir_test_vectors.h"

#define FILE_OF_VECTORS WEIR_SOURCE_DIR "/docs/vectors/envelope.txt"

static void check_encoding(const weir_test_vectors *v)
{
    struct weir_envelope envelope = {
        .magic = WEIR_ENVELOPE_MAGIC,
        .version = (uint16_t)weir_test_vectors_number(v, "version"),
        .flags = (uint16_t)weir_test_vectors_number(v, "flags"),
        .opcode = (uint16_t)weir_test_vectors_number(v, "opcode"),
        .status = (uint16_t)weir_test_vectors_number(v, "status"),
        .generation = (uint32_t)weir_test_vectors_number(v, "generation"),
        .job_id = weir_test_vectors_number(v, "job_id"),
        .correlation_id = weir_test_vectors_number(v, "correlation_id"),
        .payload_offset = (uint32_t)weir_test_vectors_number(v, "payload_offset"),
        .payload_bytes = (uint32_t)weir_test_vectors_number(v, "payload_bytes"),
        .payload_crc = (uint32_t)weir_test_vectors_number(v, "payload_crc"),
        .original_bytes = (uint32_t)weir_test_vectors_number(v, "original_bytes"),
        .deadline_ns = weir_test_vectors_number(v, "deadline_ns"),
    };
    struct weir_envelope wanted;
    weir_test_vectors_bytes(v, "bytes", &wanted, sizeof wanted);
    weir_envelope_seal(&envelope, weir_test_vectors_number(v, "index"));
    if (memcmp(&envelope, &wanted, sizeof wanted) != 0) {
        weir_test_vectors_fail(v, "%s is encoded otherwise", weir_test_vectors_text(v, "name"));
    }
}

static enum weir_error_code check_reading(const weir_test_vectors *v)
{
    struct weir_envelope copy;
    weir_test_vectors_bytes(v, "bytes", &copy, sizeof copy);
    const uint64_t index = weir_test_vectors_number(v, "index");
    const weir_envelope_terms terms = {
        .generation = (uint32_t)weir_test_vectors_number(v, "generation"),
        .version = (uint16_t)weir_test_vectors_number(v, "version"),
        .capabilities = (uint16_t)weir_test_vectors_number(v, "capabilities"),
    };
    const enum weir_error_code reason = strcmp(weir_test_vectors_text(v, "as"), "request") == 0
                                            ? weir_envelope_check_request(&copy, index, &terms)
                                            : weir_envelope_check_response(&copy, index, &terms);
    const char *wanted = weir_test_vectors_text(v, "reason");
    if (strcmp(weir_error_code_name(reason), wanted) != 0) {
        weir_test_vectors_fail(v, "%s: %s, expected %s", weir_test_vectors_text(v, "name"),
                               weir_error_code_name(reason), wanted);
    }
    return reason;
}

WEIR_TEST(envelope_vectors, are_encoded_and_refused_as_the_shared_file_says)
{
    weir_test_vectors v;
    unsigned encoded = 0;
    unsigned met[WEIR_ERROR_CODE_COUNT] = {0};
    weir_test_vectors_open(&v, FILE_OF_VECTORS);
    while (weir_test_vectors_next(&v)) {
        if (weir_test_vectors_is(&v, "encode")) {
            check_encoding(&v);
            encoded++;
        } else if (weir_test_vectors_is(&v, "check")) {
            met[check_reading(&v)]++;
        } else {
            weir_test_vectors_fail(&v, "%s is no kind of case", v.word);
        }
    }
    WEIR_EXPECT_GE(encoded, 5);
    static const enum weir_error_code reasons[] = {
        WEIR_ERROR_CODE_NONE,     WEIR_ERROR_CODE_MAGIC,         WEIR_ERROR_CODE_HEADER_CRC,
        WEIR_ERROR_CODE_SEQUENCE, WEIR_ERROR_CODE_VERSION,       WEIR_ERROR_CODE_GENERATION,
        WEIR_ERROR_CODE_FLAGS,    WEIR_ERROR_CODE_PAYLOAD_RANGE, WEIR_ERROR_CODE_REPLY_STATUS,
        WEIR_ERROR_CODE_OPCODE,
    };
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        if (met[reasons[i]] == 0) {
            weir_test_fail(__FILE__, __LINE__, "no case of the file is refused for %s",
                           weir_error_code_name(reasons[i]));
        }
    }
}
