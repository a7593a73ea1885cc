#include "nif_common.h"

#include <string.h>

weir_nif_atom_table weir_nif_atoms;

void weir_nif_atoms_open(ErlNifEnv *env)
{
#define WEIR_NIF_ATOM_MAKE(name) weir_nif_atoms.name##_ = enif_make_atom(env, #name);
    WEIR_NIF_ATOMS(WEIR_NIF_ATOM_MAKE)
#undef WEIR_NIF_ATOM_MAKE
    for (int i = 0; i < WEIR_STATUS_COUNT; i++) {
        weir_nif_atoms.status[i] = enif_make_atom(env, weir_status_name((weir_status)i));
    }
}

ERL_NIF_TERM weir_nif_ok(ErlNifEnv *env, ERL_NIF_TERM value)
{
    return enif_make_tuple2(env, weir_nif_atoms.ok_, value);
}

ERL_NIF_TERM weir_nif_status(ErlNifEnv *env, weir_status status, const weir_error *error)
{
    if (status == WEIR_OK) {
        return weir_nif_atoms.ok_;
    }
    const bool says_why = error != NULL && error->text[0] != '\0';
    return weir_nif_refusal(env, status, says_why ? error->text : weir_status_name(status));
}

ERL_NIF_TERM weir_nif_refusal(ErlNifEnv *env, weir_status status, const char *sentence)
{
    return enif_make_tuple3(env, weir_nif_atoms.error_, weir_nif_atoms.status[status],
                            weir_nif_text(env, sentence));
}

ERL_NIF_TERM weir_nif_bool(bool value)
{
    return value ? weir_nif_atoms.true_ : weir_nif_atoms.false_;
}

ERL_NIF_TERM weir_nif_bytes(ErlNifEnv *env, const void *bytes, size_t length)
{
    ERL_NIF_TERM term;
    unsigned char *to = enif_make_new_binary(env, length, &term);
    if (length > 0) {
        memcpy(to, bytes, length);
    }
    return term;
}

ERL_NIF_TERM weir_nif_text(ErlNifEnv *env, const char *text)
{
    return weir_nif_bytes(env, text, strlen(text));
}

void weir_nif_map_put(ErlNifEnv *env, ERL_NIF_TERM *map, const char *name, ERL_NIF_TERM value)
{
    /* Fails only when *map is no map, which would be our own mistake. */
    (void)enif_make_map_put(env, *map, enif_make_atom(env, name), value, map);
}

bool weir_nif_get_u64(ErlNifEnv *env, ERL_NIF_TERM term, uint64_t least, uint64_t most,
                      uint64_t *value)
{
    ErlNifUInt64 read = 0;
    if (enif_get_uint64(env, term, &read) == 0 || read < least || read > most) {
        return false;
    }
    *value = read;
    return true;
}

bool weir_nif_get_u32(ErlNifEnv *env, ERL_NIF_TERM term, uint32_t least, uint32_t most,
                      uint32_t *value)
{
    uint64_t read = 0;
    if (!weir_nif_get_u64(env, term, least, most, &read)) {
        return false;
    }
    *value = (uint32_t)read;
    return true;
}

bool weir_nif_get_bool(ErlNifEnv *env, ERL_NIF_TERM term, bool *value)
{
    (void)env;
    if (enif_is_identical(term, weir_nif_atoms.true_)) {
        *value = true;
        return true;
    }
    if (enif_is_identical(term, weir_nif_atoms.false_)) {
        *value = false;
        return true;
    }
    return false;
}

bool weir_nif_get_text(ErlNifEnv *env, ERL_NIF_TERM term, char *text, size_t size)
{
    ErlNifBinary binary;
    if (enif_inspect_binary(env, term, &binary) == 0 || binary.size >= size ||
        memchr(binary.data, 0, binary.size) != NULL) {
        return false;
    }
    memcpy(text, binary.data, binary.size);
    text[binary.size] = '\0';
    return true;
}

bool weir_nif_map_get(ErlNifEnv *env, ERL_NIF_TERM map, const char *name, ERL_NIF_TERM *value)
{
    return enif_get_map_value(env, map, enif_make_atom(env, name), value) != 0;
}
