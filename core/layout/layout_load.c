/* From TOML to the model: the [layout] table, constants and enums. Structs follow in
 * layout_load_struct.c. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "layout/layout_loader.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const weir_loader_key root_keys[] = {
    {"layout", WEIR_TOML_TABLE, true},
    {"constant", WEIR_TOML_ARRAY, false},
    {"enum", WEIR_TOML_ARRAY, false},
    {"struct", WEIR_TOML_ARRAY, false},
};

static const weir_loader_key layout_keys[] = {
    {"name", WEIR_TOML_STRING, true},        {"major", WEIR_TOML_INTEGER, true},
    {"minor", WEIR_TOML_INTEGER, true},      {"endian", WEIR_TOML_STRING, true},
    {"line_bytes", WEIR_TOML_INTEGER, true}, {"region_align_bytes", WEIR_TOML_INTEGER, true},
    {"canonical", WEIR_TOML_BOOLEAN, false},
};

static const weir_loader_key constant_keys[] = {
    {"name", WEIR_TOML_STRING, true},
    {"type", WEIR_TOML_STRING, true},
    {"value", WEIR_TOML_INTEGER, true},
    {"doc", WEIR_TOML_STRING, false},
};

static const weir_loader_key enum_keys[] = {
    {"name", WEIR_TOML_STRING, true},  {"type", WEIR_TOML_STRING, true},
    {"kind", WEIR_TOML_STRING, false}, {"values", WEIR_TOML_ARRAY, true},
    {"doc", WEIR_TOML_STRING, false},
};

static const weir_loader_key value_keys[] = {
    {"name", WEIR_TOML_STRING, true},          {"value", WEIR_TOML_INTEGER, true},
    {"doc", WEIR_TOML_STRING, false},          {"request_min", WEIR_TOML_INTEGER, false},
    {"request_max", WEIR_TOML_INTEGER, false}, {"writer", WEIR_TOML_STRING, false},
    {"holds", WEIR_TOML_STRING, false},        {"count", WEIR_TOML_STRING, false},
};

static void expect_power_of_two(weir_loader *loader, const weir_toml_node *table, const char *key,
                                uint64_t value)
{
    if ((value & (value - 1)) != 0)
        weir_loader_problem(loader, weir_toml_get(table, key)->at,
                            "`%s` is %" PRIu64 ", not a power of two; choose one", key, value);
}

static void read_header(weir_loader *loader, const weir_toml_node *root)
{
    weir_layout *layout = loader->layout;
    const weir_toml_node *table = weir_loader_member(root, "layout", WEIR_TOML_TABLE);
    if (table == NULL)
        return;
    weir_loader_keys(loader, table, "[layout]", layout_keys, COUNT(layout_keys));
    const weir_toml_node *canonical = weir_loader_member(table, "canonical", WEIR_TOML_BOOLEAN);
    layout->canonical = canonical != NULL && canonical->as.boolean;
    layout->name = weir_loader_name(loader, table, false);
    layout->major = (uint16_t)weir_loader_number(loader, table, "major", 0, UINT16_MAX);
    layout->minor = (uint16_t)weir_loader_number(loader, table, "minor", 0, UINT16_MAX);
    layout->line_bytes = (uint32_t)weir_loader_number(loader, table, "line_bytes", 64, 4096);
    expect_power_of_two(loader, table, "line_bytes", layout->line_bytes);
    layout->region_align_bytes =
        (uint32_t)weir_loader_number(loader, table, "region_align_bytes", 4096, 1 << 24);
    expect_power_of_two(loader, table, "region_align_bytes", layout->region_align_bytes);
    const weir_toml_node *endian = weir_loader_member(table, "endian", WEIR_TOML_STRING);
    if (endian != NULL && strcmp(endian->as.string.text, "little") != 0)
        weir_loader_problem(loader, endian->at, "endian `%.16s` is not supported; write \"little\"",
                            endian->as.string.text);
}

static weir_layout_kind read_unsigned(weir_loader *loader, const weir_toml_node *table,
                                      const char *what)
{
    weir_layout_kind kind = WEIR_KIND_U64;
    const weir_toml_node *type = weir_loader_member(table, "type", WEIR_TOML_STRING);
    if (type == NULL)
        return kind;
    if (!weir_loader_scalar(type->as.string.text, type->as.string.bytes, &kind) ||
        weir_loader_unsigned_max(kind) == 0) {
        weir_loader_problem(loader, type->at, "unknown type `%.64s` of %s; use u8, u16, u32 or u64",
                            type->as.string.text, what);
        return WEIR_KIND_U64;
    }
    return kind;
}

/* A value that overflows its type is told apart from other numbers out of range: the fix may be the
 * type. */
static uint64_t read_value(weir_loader *loader, const weir_toml_node *table, weir_layout_kind kind,
                           uint64_t max, const char *what)
{
    const weir_toml_node *value = weir_loader_member(table, "value", WEIR_TOML_INTEGER);
    if (value == NULL)
        return 0;
    if (value->as.integer < 0 || (uint64_t)value->as.integer > max) {
        weir_loader_problem(loader, value->at,
                            "value %" PRId64 " of %s does not fit: %s ends at %" PRIu64
                            " here; change the value or the type",
                            value->as.integer, what, weir_layout_kind_name(kind), max);
        return 0;
    }
    return (uint64_t)value->as.integer;
}

static void read_constant(weir_loader *loader, const weir_toml_node *table,
                          weir_layout_constant *constant)
{
    weir_loader_keys(loader, table, "[[constant]]", constant_keys, COUNT(constant_keys));
    constant->at = table->at;
    constant->name = weir_loader_name(loader, table, true);
    char what[WEIR_LAYOUT_NAME_MAX + 16];
    snprintf(what, sizeof what, "constant %s", constant->name);
    constant->doc = weir_loader_doc(loader, table, what);
    constant->kind = read_unsigned(loader, table, what);
    constant->value =
        read_value(loader, table, constant->kind, weir_loader_unsigned_max(constant->kind), what);
}

void weir_loader_read_constants(weir_loader *loader, const weir_toml_node *root)
{
    size_t count;
    const weir_toml_node *tables =
        weir_loader_tables(loader, root, "constant", WEIR_LOADER_DEFINITIONS_MAX, &count);
    weir_layout *layout = loader->layout;
    layout->constants = weir_loader_take(loader, count, sizeof *layout->constants);
    for (size_t i = 0; i < count && !loader->no_memory; i++) {
        weir_layout_constant *constant = &layout->constants[i];
        read_constant(loader, &tables[i], constant);
        for (size_t k = 0; k < i && constant->name[0] != '\0'; k++) {
            if (strcasecmp(layout->constants[k].name, constant->name) == 0)
                weir_loader_problem(loader, weir_toml_get(&tables[i], "name")->at,
                                    "constant %s is already defined in line %u; rename one",
                                    constant->name, layout->constants[k].at.line);
        }
        layout->constant_count++;
    }
}

static void read_request(weir_loader *loader, const weir_toml_node *table, weir_layout_value *value)
{
    const weir_toml_node *min = weir_toml_get(table, "request_min");
    const weir_toml_node *max = weir_toml_get(table, "request_max");
    if (min == NULL && max == NULL)
        return;
    if (min == NULL || max == NULL) {
        weir_loader_problem(loader, table->at,
                            "value %s has only one of request_min and request_max; give both",
                            value->name);
        return;
    }
    value->has_request = true;
    value->request_min =
        weir_loader_number(loader, table, "request_min", 0, WEIR_LAYOUT_STRUCT_MAX);
    value->request_max =
        weir_loader_number(loader, table, "request_max", 0, WEIR_LAYOUT_STRUCT_MAX);
    if (value->request_min > value->request_max)
        weir_loader_problem(loader, min->at,
                            "request_min %" PRIu64 " of %s exceeds request_max %" PRIu64
                            "; exchange them",
                            value->request_min, value->name, value->request_max);
}

static void read_region(weir_loader *loader, const weir_toml_node *table, weir_layout_value *value)
{
    value->region.writer = weir_loader_writer(loader, table);
    value->region.holds = weir_loader_text(loader, table, "holds");
    value->region.count = weir_loader_text(loader, table, "count");
    bool writer = weir_toml_get(table, "writer") != NULL;
    bool holds = weir_toml_get(table, "holds") != NULL;
    bool count = weir_toml_get(table, "count") != NULL;
    if (writer != holds || holds != count)
        weir_loader_problem(loader, table->at,
                            "value %s describes a region in part; give writer, holds and count",
                            value->name);
}

static void read_enum_value(weir_loader *loader, const weir_toml_node *table,
                            const weir_layout_enum *list, weir_layout_value *value)
{
    weir_loader_keys(loader, table, "a value of [[enum]]", value_keys, COUNT(value_keys));
    value->at = table->at;
    value->name = weir_loader_name(loader, table, false);
    char what[2 * WEIR_LAYOUT_NAME_MAX + 16];
    snprintf(what, sizeof what, "value %s.%s", list->name, value->name);
    value->doc = weir_loader_doc(loader, table, what);
    uint64_t max = weir_loader_unsigned_max(list->kind);
    if (max > WEIR_LAYOUT_ENUM_VALUE_MAX)
        max = WEIR_LAYOUT_ENUM_VALUE_MAX;
    value->value = read_value(loader, table, list->kind, max, what);
    const weir_toml_node *number = weir_loader_member(table, "value", WEIR_TOML_INTEGER);
    if (list->flags && number != NULL && number->as.integer >= 0 &&
        (value->value == 0 || (value->value & (value->value - 1)) != 0))
        weir_loader_problem(loader, number->at,
                            "flag %s is %" PRIu64 ", not a single bit; use a power of two",
                            value->name, value->value);
    read_request(loader, table, value);
    read_region(loader, table, value);
}

static void check_duplicate_value(weir_loader *loader, const weir_toml_node *table,
                                  const weir_layout_enum *list, size_t index)
{
    const weir_layout_value *value = &list->values[index];
    const weir_toml_node *number = weir_loader_member(table, "value", WEIR_TOML_INTEGER);
    for (size_t k = 0; k < index; k++) {
        const weir_layout_value *other = &list->values[k];
        if (value->name[0] != '\0' && strcmp(other->name, value->name) == 0)
            weir_loader_problem(loader, weir_toml_get(table, "name")->at,
                                "value %s is already in enum %s; rename one", value->name,
                                list->name);
        if (number != NULL && other->value == value->value &&
            value->value == (uint64_t)number->as.integer)
            weir_loader_problem(loader, number->at,
                                "value %" PRIu64 " of %s is already taken by %s; choose another",
                                value->value, value->name, other->name);
    }
}

static void read_enum_values(weir_loader *loader, const weir_toml_node *table,
                             weir_layout_enum *list)
{
    size_t count;
    const weir_toml_node *values =
        weir_loader_tables(loader, table, "values", WEIR_LOADER_VALUES_MAX, &count);
    const weir_toml_node *array = weir_loader_member(table, "values", WEIR_TOML_ARRAY);
    if (array != NULL && array->as.children.count == 0)
        weir_loader_problem(loader, array->at, "enum %s has no values; add one", list->name);
    list->values = weir_loader_take(loader, count, sizeof *list->values);
    for (size_t i = 0; i < count && !loader->no_memory; i++) {
        read_enum_value(loader, &values[i], list, &list->values[i]);
        if (values[i].type == WEIR_TOML_TABLE)
            check_duplicate_value(loader, &values[i], list, i);
        list->value_count++;
    }
}

static void read_enum(weir_loader *loader, const weir_toml_node *table, weir_layout_enum *list)
{
    weir_loader_keys(loader, table, "[[enum]]", enum_keys, COUNT(enum_keys));
    list->at = table->at;
    list->name = weir_loader_name(loader, table, false);
    char what[WEIR_LAYOUT_NAME_MAX + 16];
    snprintf(what, sizeof what, "enum %s", list->name);
    list->doc = weir_loader_doc(loader, table, what);
    list->kind = read_unsigned(loader, table, what);
    const weir_toml_node *kind = weir_loader_member(table, "kind", WEIR_TOML_STRING);
    list->flags = kind != NULL && strcmp(kind->as.string.text, "flags") == 0;
    if (kind != NULL && !list->flags && strcmp(kind->as.string.text, "values") != 0)
        weir_loader_problem(loader, kind->at,
                            "kind `%.64s` of %s is unknown; use \"values\" or \"flags\"",
                            kind->as.string.text, what);
    read_enum_values(loader, table, list);
}

void weir_loader_read_enums(weir_loader *loader, const weir_toml_node *root)
{
    size_t count;
    const weir_toml_node *tables =
        weir_loader_tables(loader, root, "enum", WEIR_LOADER_DEFINITIONS_MAX, &count);
    weir_layout *layout = loader->layout;
    layout->enums = weir_loader_take(loader, count, sizeof *layout->enums);
    for (size_t i = 0; i < count && !loader->no_memory; i++) {
        weir_layout_enum *list = &layout->enums[i];
        read_enum(loader, &tables[i], list);
        const weir_layout_enum *other = weir_layout_find_enum(layout, list->name);
        if (other != NULL && list->name[0] != '\0')
            weir_loader_problem(loader, weir_toml_get(&tables[i], "name")->at,
                                "enum %s is already defined in line %u; rename one", list->name,
                                other->at.line);
        layout->enum_count++;
    }
}

static void read_all(weir_loader *loader, const weir_toml_node *root)
{
    weir_loader_keys(loader, root, "the file", root_keys, COUNT(root_keys));
    read_header(loader, root);
    weir_loader_read_constants(loader, root);
    weir_loader_read_enums(loader, root);
    weir_loader_read_structs(loader, root);
    /* Names and lines are compared only where the parts are sound: a fault is told once. */
    if (loader->problems->found == 0 && !loader->no_memory) {
        weir_loader_check_lines(loader);
        weir_loader_check_regions(loader);
        weir_loader_check_generated_names(loader);
    }
}

static weir_status finish(const weir_loader *loader, const char *file_name, weir_error *error)
{
    const weir_layout_problems *problems = loader->problems;
    if (loader->no_memory) {
        weir_error_set(error, "no memory to load the layout %.160s; free some and try again",
                       file_name);
        return WEIR_NO_MEMORY;
    }
    if (problems->found == 0)
        return WEIR_OK;
    weir_error_set(error, "%.160s:%u:%u: %s", file_name, problems->item[0].line,
                   problems->item[0].column, problems->item[0].text);
    return WEIR_INVALID;
}

weir_status weir_layout_load(const char *text, size_t bytes, const char *file_name,
                             weir_layout_problems *problems, weir_layout **layout,
                             weir_error *error)
{
    *layout = NULL;
    weir_layout_problems *own = problems == NULL ? calloc(1, sizeof *own) : problems;
    weir_loader loader = {.layout = calloc(1, sizeof *loader.layout), .problems = own};
    weir_toml *document = NULL;
    weir_status status = WEIR_NO_MEMORY;
    if (own != NULL && loader.layout != NULL) {
        own->found = 0;
        status = weir_toml_parse(text, bytes, file_name, &document, error);
    } else {
        weir_error_set(error, "no memory to load the layout %.160s; free some and try again",
                       file_name);
    }
    if (status == WEIR_OK) {
        read_all(&loader, weir_toml_root(document));
        status = finish(&loader, file_name, error);
    }
    weir_toml_free(document);
    if (problems == NULL)
        free(own);
    if (status != WEIR_OK)
        weir_layout_free(loader.layout);
    else
        *layout = loader.layout;
    return status;
}
