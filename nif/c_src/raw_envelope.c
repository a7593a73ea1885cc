#include <string.h>

#include "base/crc.h"
#include "channel/envelope.h"
#include "raw_codec.h"

/* Every field that is the caller's; magic, sequence and checksum are the codec's. */
#define FIELDS(X)                                                                                  \
    X(version, UINT16_MAX)                                                                         \
    X(flags, UINT16_MAX)                                                                           \
    X(opcode, UINT16_MAX)                                                                          \
    X(status, UINT16_MAX)                                                                          \
    X(generation, UINT32_MAX)                                                                      \
    X(job_id, UINT64_MAX)                                                                          \
    X(correlation_id, UINT64_MAX)                                                                  \
    X(payload_offset, UINT32_MAX)                                                                  \
    X(payload_bytes, UINT32_MAX)                                                                   \
    X(payload_crc, UINT32_MAX)                                                                     \
    X(original_bytes, UINT32_MAX)                                                                  \
    X(deadline_ns, UINT64_MAX)

/* A field that is absent is 0. */
static bool get_field(ErlNifEnv *env, ERL_NIF_TERM map, const char *name, uint64_t most,
                      uint64_t *value)
{
    ERL_NIF_TERM term;
    *value = 0;
    return !weir_nif_map_get(env, map, name, &term) || weir_nif_get_u64(env, term, 0, most, value);
}

ERL_NIF_TERM weir_nif_envelope_encode(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    struct weir_envelope envelope = {.magic = WEIR_ENVELOPE_MAGIC};
    uint64_t index = 0;
    uint64_t value = 0;
    if (enif_is_map(env, argv[0]) == 0 || !weir_nif_get_u64(env, argv[1], 0, UINT64_MAX, &index)) {
        return enif_make_badarg(env);
    }
#define GET(name, most)                                                                            \
    if (!get_field(env, argv[0], #name, most, &value)) {                                           \
        return enif_make_badarg(env);                                                              \
    }                                                                                              \
    envelope.name = (__typeof__(envelope.name))value;
    FIELDS(GET)
#undef GET
    weir_envelope_seal(&envelope, index);
    return weir_nif_bytes(env, &envelope, sizeof envelope);
}

static bool get_envelope(ErlNifEnv *env, ERL_NIF_TERM term, struct weir_envelope *envelope)
{
    ErlNifBinary bytes;
    if (enif_inspect_binary(env, term, &bytes) == 0 || bytes.size != sizeof *envelope) {
        return false;
    }
    memcpy(envelope, bytes.data, sizeof *envelope);
    return true;
}

static ERL_NIF_TERM fields(ErlNifEnv *env, const struct weir_envelope *envelope)
{
    ERL_NIF_TERM map = enif_make_new_map(env);
#define PUT(name, most) weir_nif_map_put(env, &map, #name, enif_make_uint64(env, envelope->name));
    FIELDS(PUT)
#undef PUT
    return map;
}

ERL_NIF_TERM weir_nif_envelope_decode(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    struct weir_envelope envelope;
    return get_envelope(env, argv[0], &envelope) ? fields(env, &envelope) : enif_make_badarg(env);
}

static bool get_terms(ErlNifEnv *env, ERL_NIF_TERM map, weir_envelope_terms *terms)
{
    uint64_t generation = 0;
    uint64_t version = 0;
    uint64_t capabilities = 0;
    if (enif_is_map(env, map) == 0 || !get_field(env, map, "generation", UINT32_MAX, &generation) ||
        !get_field(env, map, "version", UINT16_MAX, &version) ||
        !get_field(env, map, "capabilities", UINT16_MAX, &capabilities)) {
        return false;
    }
    *terms = (weir_envelope_terms){.generation = (uint32_t)generation,
                                   .version = (uint16_t)version,
                                   .capabilities = (uint16_t)capabilities};
    return true;
}

ERL_NIF_TERM weir_nif_envelope_check(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    struct weir_envelope envelope;
    weir_envelope_terms terms;
    uint64_t index = 0;
    char kind[16];
    if (!get_envelope(env, argv[0], &envelope) ||
        !weir_nif_get_u64(env, argv[1], 0, UINT64_MAX, &index) ||
        enif_get_atom(env, argv[2], kind, sizeof kind, ERL_NIF_LATIN1) == 0 ||
        !get_terms(env, argv[3], &terms)) {
        return enif_make_badarg(env);
    }
    enum weir_error_code reason;
    if (strcmp(kind, "request") == 0) {
        reason = weir_envelope_check_request(&envelope, index, &terms);
    } else if (strcmp(kind, "response") == 0) {
        reason = weir_envelope_check_response(&envelope, index, &terms);
    } else {
        return enif_make_badarg(env);
    }
    return reason == WEIR_ERROR_CODE_NONE
               ? weir_nif_ok(env, fields(env, &envelope))
               : enif_make_tuple2(env, enif_make_atom(env, "bad"),
                                  enif_make_atom(env, weir_error_code_name(reason)));
}

ERL_NIF_TERM weir_nif_crc32c(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    ErlNifBinary bytes;
    if (enif_inspect_binary(env, argv[0], &bytes) == 0 || bytes.size > WEIR_NIF_BYTES_MAX) {
        return enif_make_badarg(env);
    }
    return enif_make_uint(env, weir_crc32c(bytes.data, bytes.size));
}

ERL_NIF_TERM weir_nif_crc32c_large(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    ErlNifBinary bytes;
    if (enif_inspect_binary(env, argv[0], &bytes) == 0 || bytes.size > WEIR_OBJECT_BYTES_MAX) {
        return enif_make_badarg(env);
    }
    return enif_make_uint(env, weir_crc32c(bytes.data, bytes.size));
}
