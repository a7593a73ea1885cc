#include "channel/envelope.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "channel/testing/ring_box_shared.h"
#include "harness/testing/weir_test.h"

static const uint64_t index_here = 41;

static const weir_envelope_terms terms = {
    .generation = 7,
    .version = 3,
    .capabilities = WEIR_CAPABILITY_LZ4 | WEIR_CAPABILITY_ZSTD | WEIR_CAPABILITY_PAYLOAD_CRC,
};
static const weir_envelope_terms plain_terms = {.generation = 7, .version = 3};

static const struct weir_envelope request = {
    .magic = WEIR_ENVELOPE_MAGIC,
    .version = 3,
    .flags = WEIR_ENVELOPE_FLAG_PAYLOAD_CRC | WEIR_ENVELOPE_FLAG_IDEMPOTENT,
    .opcode = WEIR_OPCODE_CRC,
    .generation = 7,
    .job_id = UINT64_C(0x1122334455667788),
    .correlation_id = UINT64_C(0x99AABBCCDDEEFF00),
    .payload_offset = 4096,
    .payload_bytes = 1000,
    .payload_crc = 0x12345678,
    .original_bytes = 1000,
    .deadline_ns = UINT64_C(123456789012345),
};

static struct weir_envelope as_response(void)
{
    struct weir_envelope envelope = request;
    envelope.status = WEIR_REPLY_STATUS_OK;
    return envelope;
}

typedef enum weir_error_code (*check)(const struct weir_envelope *, uint64_t,
                                      const weir_envelope_terms *);

static void expect_reason(const char *what, enum weir_error_code got, enum weir_error_code wanted)
{
    if (got != wanted) {
        weir_test_fail(__FILE__, __LINE__, "%s: %s, expected %s", what, weir_error_code_name(got),
                       weir_error_code_name(wanted));
    }
}

WEIR_TEST(envelope, keeps_every_field_and_adds_only_sequence_and_checksum)
{
    struct weir_envelope sealed = request;
    weir_envelope_seal(&sealed, index_here);
    WEIR_EXPECT_EQ(sealed.sequence, 42);
    WEIR_EXPECT_EQ(sealed.header_crc, weir_crc32c(&sealed, 60));
    expect_reason("request", weir_envelope_check_request(&sealed, index_here, &terms),
                  WEIR_ERROR_CODE_NONE);
    sealed.sequence = sealed.header_crc = 0;
    WEIR_EXPECT_MEM_EQ(&sealed, &request, sizeof sealed);
}

WEIR_TEST(envelope, lies_in_memory_byte_for_byte_as_the_protocol_says)
{
    struct weir_envelope sealed = request;
    weir_envelope_seal(&sealed, index_here);
    static const uint8_t bytes[60] = {
        'W',  'E',  'I',  'R',  3,    0,    9,    0,    2,    0,    0,    0,    7,    0,    0,
        0,    0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0x00, 0xFF, 0xEE, 0xDD, 0xCC, 0xBB,
        0xAA, 0x99, 0x00, 0x10, 0,    0,    0xE8, 0x03, 0,    0,    0x78, 0x56, 0x34, 0x12, 0xE8,
        0x03, 0,    0,    0x79, 0xDF, 0x0D, 0x86, 0x48, 0x70, 0,    0,    42,   0,    0,    0,
    };
    WEIR_EXPECT_MEM_EQ(&sealed, bytes, sizeof bytes);
}

WEIR_TEST(envelope, numbers_slots_by_the_low_half_of_their_index_plus_one)
{
    WEIR_EXPECT_EQ(weir_envelope_sequence(0), 1);
    WEIR_EXPECT_EQ(weir_envelope_sequence(UINT64_C(0xFFFFFFFE)), UINT32_MAX);
    WEIR_EXPECT_EQ(weir_envelope_sequence(UINT64_C(0xFFFFFFFF)), 0);
    WEIR_EXPECT_EQ(weir_envelope_sequence(UINT64_C(0x100000000)), 1);
    WEIR_EXPECT_EQ(weir_envelope_sequence(UINT64_MAX), 0);
}

/* CRC32C finds every single-bit error; the magic word comes first because a foreign message should
 * be called that. */
static void flip_every_bit(const struct weir_envelope *envelope, check check_it)
{
    struct weir_envelope valid = *envelope;
    weir_envelope_seal(&valid, index_here);
    expect_reason("unchanged", check_it(&valid, index_here, &terms), WEIR_ERROR_CODE_NONE);
    for (size_t bit = 0; bit < 8 * sizeof valid; bit++) {
        struct weir_envelope flipped = valid;
        ((uint8_t *)&flipped)[bit / 8] ^= (uint8_t)(1u << bit % 8);
        char what[32];
        snprintf(what, sizeof what, "bit %zu", bit);
        const enum weir_error_code wanted =
            bit < 32 ? WEIR_ERROR_CODE_MAGIC : WEIR_ERROR_CODE_HEADER_CRC;
        expect_reason(what, check_it(&flipped, index_here, &terms), wanted);
        expect_reason(what, check_it(&flipped, index_here, &terms), wanted);
    }
}

WEIR_TEST(envelope, notices_every_single_flipped_bit)
{
    const struct weir_envelope response = as_response();
    flip_every_bit(&request, weir_envelope_check_request);
    flip_every_bit(&response, weir_envelope_check_response);
}

WEIR_TEST(envelope, notices_every_pair_of_flipped_bits)
{
    struct weir_envelope valid = request;
    weir_envelope_seal(&valid, index_here);
    for (size_t a = 0; a < 8 * sizeof valid; a++) {
        for (size_t b = a + 1; b < 8 * sizeof valid; b++) {
            struct weir_envelope flipped = valid;
            ((uint8_t *)&flipped)[a / 8] ^= (uint8_t)(1u << a % 8);
            ((uint8_t *)&flipped)[b / 8] ^= (uint8_t)(1u << b % 8);
            WEIR_EXPECT_EQ(weir_envelope_check_request(&flipped, index_here, &terms),
                           a < 32 ? WEIR_ERROR_CODE_MAGIC : WEIR_ERROR_CODE_HEADER_CRC);
        }
    }
}

/* ---- crafted: valid checksums around wrong contents ---- */

#define AS_REQUEST  weir_envelope_check_request
#define AS_RESPONSE weir_envelope_check_response

typedef struct crafted {
    const char *what;
    check check_it; /* says the direction */
    const weir_envelope_terms *terms;
    size_t at; /* field and width to overwrite */
    size_t bytes;
    uint64_t value;
    size_t at2;
    size_t bytes2;
    uint64_t value2;
    enum weir_error_code reason;
} crafted;

#define FIELD(name)      offsetof(struct weir_envelope, name), sizeof(request.name)
#define SET(name, v)     FIELD(name), (v), 0, 0, 0
#define BOTH(a, v, b, w) FIELD(a), (v), FIELD(b), (w)
#define FLAG(name)       WEIR_ENVELOPE_FLAG_##name
#define WHY(name)        WEIR_ERROR_CODE_##name

/* clang-format off */
static const crafted table[] = {
    {"untouched request",          AS_REQUEST,  &terms, SET(job_id, 0),               WHY(NONE)},
    {"untouched response",         AS_RESPONSE, &terms, SET(status, 1),               WHY(NONE)},
    {"zero magic",                 AS_REQUEST,  &terms, SET(magic, 0),                WHY(MAGIC)},
    {"big-endian magic",           AS_REQUEST,  &terms, SET(magic, 0x57454952),       WHY(MAGIC)},
    {"control message's magic",    AS_REQUEST,  &terms, SET(magic, WEIR_MESSAGE_MAGIC), WHY(MAGIC)},
    {"older version",              AS_REQUEST,  &terms, SET(version, 2),              WHY(VERSION)},
    {"newer version",              AS_RESPONSE, &terms, SET(version, 4),              WHY(VERSION)},
    {"version before generation",  AS_REQUEST,  &terms, BOTH(version, 0, generation, 0), WHY(VERSION)},
    {"incarnation before",         AS_REQUEST,  &terms, SET(generation, 6),           WHY(GENERATION)},
    {"incarnation before",         AS_RESPONSE, &terms, SET(generation, 6),           WHY(GENERATION)},
    {"generation 0",               AS_RESPONSE, &terms, SET(generation, 0),           WHY(GENERATION)},
    {"generation before flags",    AS_REQUEST,  &terms, BOTH(generation, 0, flags, 0xFFFF), WHY(GENERATION)},
    {"unknown flag",               AS_REQUEST,  &terms, SET(flags, FLAG(PAYLOAD_CRC) | 16),     WHY(FLAGS)},
    {"highest flag",               AS_REQUEST,  &terms, SET(flags, FLAG(PAYLOAD_CRC) | 0x8000), WHY(FLAGS)},
    {"two compressions",           AS_REQUEST,  &terms, SET(flags, FLAG(PAYLOAD_CRC) | FLAG(LZ4) | FLAG(ZSTD)), WHY(FLAGS)},
    {"LZ4 not agreed",             AS_REQUEST,  &plain_terms, SET(flags, FLAG(PAYLOAD_CRC) | FLAG(LZ4)),  WHY(FLAGS)},
    {"Zstandard not agreed",       AS_RESPONSE, &plain_terms, SET(flags, FLAG(PAYLOAD_CRC) | FLAG(ZSTD)), WHY(FLAGS)},
    {"LZ4",                        AS_REQUEST,  &terms, BOTH(flags, FLAG(PAYLOAD_CRC) | FLAG(LZ4), original_bytes, 5000), WHY(NONE)},
    {"Zstandard",                  AS_RESPONSE, &terms, BOTH(flags, FLAG(PAYLOAD_CRC) | FLAG(ZSTD), original_bytes, 5000), WHY(NONE)},
    {"no checksum, though agreed", AS_REQUEST,  &terms, BOTH(flags, 0, payload_crc, 0), WHY(FLAGS)},
    {"no checksum, as agreed",     AS_REQUEST,  &plain_terms, BOTH(flags, 0, payload_crc, 0), WHY(NONE)},
    {"checksum without its flag",  AS_REQUEST,  &plain_terms, SET(flags, 0),          WHY(FLAGS)},
    {"checksum, though not needed", AS_REQUEST, &plain_terms, SET(job_id, 1),         WHY(NONE)},
    {"lengths differ",             AS_REQUEST,  &terms, SET(original_bytes, 1001),    WHY(PAYLOAD_RANGE)},
    {"stored length 0 only",       AS_REQUEST,  &terms, SET(payload_bytes, 0),        WHY(PAYLOAD_RANGE)},
    {"no payload",                 AS_REQUEST,  &terms, BOTH(payload_bytes, 0, original_bytes, 0), WHY(NONE)},
    {"compressed nothing",         AS_REQUEST,  &terms, BOTH(flags, FLAG(PAYLOAD_CRC) | FLAG(LZ4), payload_bytes, 0), WHY(PAYLOAD_RANGE)},
    {"compressed into nothing",    AS_REQUEST,  &terms, BOTH(flags, FLAG(PAYLOAD_CRC) | FLAG(LZ4), original_bytes, 0), WHY(PAYLOAD_RANGE)},
    {"longest payload",            AS_REQUEST,  &terms, BOTH(payload_bytes, UINT32_MAX, original_bytes, UINT32_MAX), WHY(NONE)},
    {"opcode 0",                   AS_REQUEST,  &terms, SET(opcode, 0),               WHY(OPCODE)},
    {"any other opcode",           AS_REQUEST,  &terms, SET(opcode, 0xFFFF),          WHY(NONE)},
    {"request with a status",      AS_REQUEST,  &terms, SET(status, 1),               WHY(REPLY_STATUS)},
    {"status before opcode",       AS_REQUEST,  &terms, BOTH(status, 1, opcode, 0),   WHY(REPLY_STATUS)},
    {"response without a status",  AS_RESPONSE, &terms, SET(status, 0),               WHY(REPLY_STATUS)},
    {"last known status",          AS_RESPONSE, &terms, SET(status, WEIR_REPLY_STATUS_MAX), WHY(NONE)},
    {"first unknown status",       AS_RESPONSE, &terms, SET(status, WEIR_REPLY_STATUS_MAX + 1), WHY(REPLY_STATUS)},
    {"status 65535",               AS_RESPONSE, &terms, SET(status, 0xFFFF),          WHY(REPLY_STATUS)},
};
/* clang-format on */

static void put(struct weir_envelope *envelope, size_t at, size_t bytes, uint64_t value)
{
    memcpy((uint8_t *)envelope + at, &value, bytes); /* little-endian, as the layout demands */
}

WEIR_TEST(envelope, names_the_exact_reason_against_a_crafted_one)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const crafted *one = &table[i];
        struct weir_envelope envelope = one->check_it == AS_REQUEST ? request : as_response();
        put(&envelope, one->at, one->bytes, one->value);
        put(&envelope, one->at2, one->bytes2, one->value2);
        weir_envelope_seal(&envelope, index_here);
        expect_reason(one->what, one->check_it(&envelope, index_here, one->terms), one->reason);
    }
}

WEIR_TEST(envelope, refuses_one_that_was_sealed_for_another_position)
{
    struct weir_envelope sealed = request;
    weir_envelope_seal(&sealed, index_here);
    static const uint64_t others[] = {0, 40, 42, 41 + 64, UINT64_MAX};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        expect_reason("position", weir_envelope_check_request(&sealed, others[i], &terms),
                      WEIR_ERROR_CODE_SEQUENCE);
    }
    /* The same slot 2^32 laps of envelopes later carries the same sequence: the generation and the
     * manager's table of jobs in flight stand behind it. */
    expect_reason("position",
                  weir_envelope_check_request(&sealed, index_here + (UINT64_C(1) << 32), &terms),
                  WEIR_ERROR_CODE_NONE);
}

WEIR_TEST(envelope, refuses_random_bytes_even_with_a_correct_checksum)
{
    uint64_t state = weir_test_seed() | 1;
    uint32_t reasons[WEIR_ERROR_CODE_COUNT] = {0};
    for (int round = 0; round < 200000; round++) {
        struct weir_envelope envelope;
        for (size_t i = 0; i < sizeof envelope; i += 8) {
            const uint64_t word = ring_box_random(&state);
            memcpy((uint8_t *)&envelope + i, &word, 8);
        }
        /* From the front, the longer the rarer, fields that are right. */
        const uint64_t right = ring_box_random(&state) % 5;
        envelope.magic = right > 0 ? WEIR_ENVELOPE_MAGIC : envelope.magic;
        envelope.version = right > 1 ? terms.version : envelope.version;
        envelope.generation = right > 2 ? terms.generation : envelope.generation;
        envelope.flags = right > 3 ? FLAG(PAYLOAD_CRC) : envelope.flags;
        weir_envelope_seal(&envelope, index_here);
        const enum weir_error_code reason =
            weir_envelope_check_request(&envelope, index_here, &terms);
        WEIR_EXPECT_LT(reason, WEIR_ERROR_CODE_COUNT);
        WEIR_EXPECT_NE(reason, WEIR_ERROR_CODE_NONE);
        reasons[reason]++;
    }
    static const enum weir_error_code met[] = {WHY(MAGIC), WHY(VERSION), WHY(GENERATION),
                                               WHY(FLAGS), WHY(PAYLOAD_RANGE)};
    for (size_t i = 0; i < sizeof met / sizeof met[0]; i++) {
        WEIR_EXPECT_GT(reasons[met[i]], 1000);
    }
}

WEIR_TEST(envelope, is_never_read_outside_its_64_bytes)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *base =
        mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    WEIR_EXPECT_TRUE(base != MAP_FAILED);
    WEIR_EXPECT_EQ(mprotect(base, page, PROT_NONE), 0);
    WEIR_EXPECT_EQ(mprotect(base + 2 * page, page, PROT_NONE), 0);
    struct weir_envelope *const places[] = {
        (struct weir_envelope *)(void *)(base + page),
        (struct weir_envelope *)(void *)(base + 2 * page - sizeof(struct weir_envelope)),
    };
    for (size_t i = 0; i < 2; i++) {
        struct weir_envelope *place = places[i];
        *place = request;
        weir_envelope_seal(place, index_here);
        expect_reason("request", weir_envelope_check_request(place, index_here, &terms),
                      WEIR_ERROR_CODE_NONE);
        *place = as_response();
        weir_envelope_seal(place, index_here);
        expect_reason("response", weir_envelope_check_response(place, index_here, &terms),
                      WEIR_ERROR_CODE_NONE);
        place->payload_bytes = UINT32_MAX;
        expect_reason("response", weir_envelope_check_response(place, index_here, &terms),
                      WEIR_ERROR_CODE_HEADER_CRC);
    }
    munmap(base, 3 * page);
}
