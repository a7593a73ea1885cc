/* Layouts as maps: what LayoutLoader keeps. */
#include "layout/layout.h"
#include "raw_codec.h"

static ERL_NIF_TERM named(ErlNifEnv *env, const char *name)
{
    return weir_nif_text(env, name);
}

/* map[name] = value under a binary, since the name came from a text. */
static void put_named(ErlNifEnv *env, ERL_NIF_TERM *map, const char *name, ERL_NIF_TERM value)
{
    (void)enif_make_map_put(env, *map, named(env, name), value, map);
}

static ERL_NIF_TERM constants(ErlNifEnv *env, const weir_layout *layout)
{
    ERL_NIF_TERM map = enif_make_new_map(env);
    for (size_t i = 0; i < layout->constant_count; i++) {
        const weir_layout_constant *constant = &layout->constants[i];
        put_named(env, &map, constant->name, enif_make_uint64(env, constant->value));
    }
    return map;
}

static ERL_NIF_TERM enums(ErlNifEnv *env, const weir_layout *layout)
{
    ERL_NIF_TERM all = enif_make_new_map(env);
    for (size_t i = 0; i < layout->enum_count; i++) {
        const weir_layout_enum *list = &layout->enums[i];
        ERL_NIF_TERM values = enif_make_new_map(env);
        for (size_t k = 0; k < list->value_count; k++) {
            put_named(env, &values, list->values[k].name,
                      enif_make_uint64(env, list->values[k].value));
        }
        put_named(env, &all, list->name, values);
    }
    return all;
}

static ERL_NIF_TERM field(ErlNifEnv *env, const weir_layout_field *of)
{
    char type[WEIR_LAYOUT_NAME_MAX + 32];
    ERL_NIF_TERM map = enif_make_new_map(env);
    weir_nif_map_put(env, &map, "name", named(env, of->name));
    weir_nif_map_put(env, &map, "type", named(env, weir_layout_type_text(of, type)));
    weir_nif_map_put(env, &map, "offset", enif_make_uint64(env, of->offset));
    weir_nif_map_put(env, &map, "bytes", enif_make_uint64(env, of->bytes));
    weir_nif_map_put(env, &map, "writer", named(env, weir_layout_writer_name(of->writer)));
    return map;
}

static ERL_NIF_TERM structs(ErlNifEnv *env, const weir_layout *layout)
{
    ERL_NIF_TERM all = enif_make_new_map(env);
    for (size_t i = 0; i < layout->struct_count; i++) {
        const weir_layout_struct *of = &layout->structs[i];
        ERL_NIF_TERM list = enif_make_list(env, 0);
        for (size_t k = of->field_count; k > 0; k--) {
            list = enif_make_list_cell(env, field(env, &of->fields[k - 1]), list);
        }
        ERL_NIF_TERM map = enif_make_new_map(env);
        weir_nif_map_put(env, &map, "bytes", enif_make_uint64(env, of->size));
        weir_nif_map_put(env, &map, "align", enif_make_uint64(env, of->align));
        weir_nif_map_put(env, &map, "fields", list);
        put_named(env, &all, of->name, map);
    }
    return all;
}

static ERL_NIF_TERM described(ErlNifEnv *env, weir_layout *layout)
{
    uint8_t digest[WEIR_LAYOUT_DIGEST_BYTES];
    if (weir_layout_digest_of(layout, digest) != WEIR_OK) {
        return weir_nif_refusal(env, WEIR_NO_MEMORY, "no memory for a layout");
    }
    ERL_NIF_TERM map = enif_make_new_map(env);
    weir_nif_map_put(env, &map, "name", named(env, layout->name));
    weir_nif_map_put(env, &map, "version",
                     enif_make_tuple2(env, enif_make_uint(env, layout->major),
                                      enif_make_uint(env, layout->minor)));
    weir_nif_map_put(env, &map, "digest", weir_nif_bytes(env, digest, sizeof digest));
    weir_nif_map_put(env, &map, "constants", constants(env, layout));
    weir_nif_map_put(env, &map, "enums", enums(env, layout));
    weir_nif_map_put(env, &map, "structs", structs(env, layout));
    return weir_nif_ok(env, map);
}

ERL_NIF_TERM weir_nif_layout_load(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    ErlNifBinary text;
    char file_name[256];
    if (enif_inspect_binary(env, argv[0], &text) == 0 || text.size > WEIR_NIF_LAYOUT_BYTES_MAX ||
        !weir_nif_get_text(env, argv[1], file_name, sizeof file_name)) {
        return enif_make_badarg(env);
    }
    weir_layout *layout = NULL;
    weir_error error = {.text = ""};
    const weir_status status =
        weir_layout_load((const char *)text.data, text.size, file_name, NULL, &layout, &error);
    if (status != WEIR_OK) {
        return weir_nif_status(env, status, &error);
    }
    const ERL_NIF_TERM result = described(env, layout);
    weir_layout_free(layout);
    return result;
}

ERL_NIF_TERM weir_nif_layout_load_builtin(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    (void)argv;
    weir_layout *layout = NULL;
    weir_error error = {.text = ""};
    const weir_status status = weir_layout_load_builtin(&layout, &error);
    if (status != WEIR_OK) {
        return weir_nif_status(env, status, &error);
    }
    const ERL_NIF_TERM result = described(env, layout);
    weir_layout_free(layout);
    return result;
}

static ERL_NIF_TERM compared(ErlNifEnv *env, const weir_layout *from, const weir_layout *to)
{
    weir_layout_differences *found = enif_alloc(sizeof *found);
    if (found == NULL) {
        return weir_nif_refusal(env, WEIR_NO_MEMORY, "no memory for a comparison");
    }
    weir_layout_diff(from, to, found);
    const weir_layout_difference *first = weir_layout_first_difference(found);
    const ERL_NIF_TERM result = enif_make_tuple3(
        env, weir_nif_atoms.ok_, enif_make_atom(env, weir_layout_relation_name(found->relation)),
        named(env, first == NULL ? "" : first->text));
    enif_free(found);
    return result;
}

ERL_NIF_TERM weir_nif_layout_diff(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    ErlNifBinary text[2];
    for (int i = 0; i < 2; i++) {
        if (enif_inspect_binary(env, argv[i], &text[i]) == 0 ||
            text[i].size > WEIR_NIF_LAYOUT_BYTES_MAX) {
            return enif_make_badarg(env);
        }
    }
    static const char *const names[] = {"old", "new"};
    weir_layout *layout[2] = {NULL, NULL};
    weir_error error = {.text = ""};
    weir_status status = WEIR_OK;
    for (int i = 0; i < 2 && status == WEIR_OK; i++) {
        status = weir_layout_load((const char *)text[i].data, text[i].size, names[i], NULL,
                                  &layout[i], &error);
    }
    const ERL_NIF_TERM result = status == WEIR_OK ? compared(env, layout[0], layout[1])
                                                  : weir_nif_status(env, status, &error);
    weir_layout_free(layout[0]);
    weir_layout_free(layout[1]);
    return result;
}
