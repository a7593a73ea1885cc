/* Structs: every offset, size and alignment is derived here and compared with the stated one. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "layout/layout_loader.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const weir_loader_key struct_keys[] = {
    {"name", WEIR_TOML_STRING, true},  {"align", WEIR_TOML_INTEGER, true},
    {"size", WEIR_TOML_INTEGER, true}, {"writer", WEIR_TOML_STRING, false},
    {"fields", WEIR_TOML_ARRAY, true}, {"doc", WEIR_TOML_STRING, false},
};

static const weir_loader_key field_keys[] = {
    {"name", WEIR_TOML_STRING, true},    {"type", WEIR_TOML_STRING, true},
    {"offset", WEIR_TOML_INTEGER, true}, {"atomic", WEIR_TOML_BOOLEAN, false},
    {"writer", WEIR_TOML_STRING, false}, {"doc", WEIR_TOML_STRING, false},
};

/* A field that is being read, with what its messages need. */
typedef struct reading {
    weir_loader *loader;
    const weir_toml_node *root;
    const weir_toml_node *table;
    const weir_layout_struct *of;
    weir_layout_field *field;
} reading;

/* "u8[32]" is base "u8" and count 32; false when the brackets are malformed or the count is 0 or
 * absurd. */
static bool split_type(const weir_toml_node *type, size_t *base_bytes, uint64_t *count)
{
    const char *text = type->as.string.text;
    const char *bracket = strchr(text, '[');
    *base_bytes = bracket == NULL ? type->as.string.bytes : (size_t)(bracket - text);
    *count = 0;
    if (bracket == NULL)
        return true;
    const char *next = bracket + 1;
    if (*next < '1' || *next > '9')
        return false;
    for (; *next >= '0' && *next <= '9'; next++) {
        *count = *count * 10 + (uint64_t)(*next - '0');
        if (*count > WEIR_LAYOUT_STRUCT_MAX)
            return false;
    }
    return strcmp(next, "]") == 0 && (size_t)(next + 1 - text) == type->as.string.bytes;
}

static bool is_defined_later(const reading *at, const char *name)
{
    const weir_toml_node *structs = weir_loader_member(at->root, "struct", WEIR_TOML_ARRAY);
    for (size_t i = 0; structs != NULL && i < structs->as.children.count; i++) {
        const weir_toml_node *other =
            weir_loader_member(&structs->as.children.first[i], "name", WEIR_TOML_STRING);
        if (other != NULL && strcmp(other->as.string.text, name) == 0)
            return true;
    }
    return false;
}

static void report_type(const reading *at, const weir_toml_node *type, const char *name)
{
    if (strcmp(name, at->of->name) == 0)
        weir_loader_problem(at->loader, type->at,
                            "struct %s contains itself; store an offset instead", name);
    else if (is_defined_later(at, name))
        weir_loader_problem(at->loader, type->at,
                            "struct %s is used before its definition; move the definition up",
                            name);
    else
        weir_loader_problem(at->loader, type->at,
                            "unknown type `%.64s`; use u8 to u64, i8 to i64, f32, f64, a struct "
                            "defined above, or TYPE[COUNT]",
                            type->as.string.text);
}

static bool read_type(const reading *at)
{
    weir_layout_field *field = at->field;
    const weir_toml_node *type = weir_loader_member(at->table, "type", WEIR_TOML_STRING);
    if (type == NULL)
        return false;
    size_t base_bytes;
    char name[WEIR_LAYOUT_NAME_MAX + 1] = "";
    if (!split_type(type, &base_bytes, &field->count)) {
        weir_loader_problem(
            at->loader, type->at,
            "array type `%.64s` is malformed; write TYPE[COUNT] with a count from 1",
            type->as.string.text);
        return false;
    }
    if (base_bytes <= WEIR_LAYOUT_NAME_MAX)
        memcpy(name, type->as.string.text, base_bytes);
    uint64_t element;
    if (weir_loader_scalar(name, base_bytes, &field->kind)) {
        element = weir_layout_kind_bytes(field->kind);
        field->align = element;
    } else {
        field->of = weir_layout_find_struct(at->loader->layout, name);
        field->kind = WEIR_KIND_STRUCT;
        if (name[0] == '\0' || field->of == NULL) {
            field->of = NULL;
            report_type(at, type, name);
            return false;
        }
        element = field->of->size;
        field->align = field->of->align;
    }
    /* Both factors are at most 2^30, so the product cannot wrap. */
    field->bytes = element * (field->count == 0 ? 1 : field->count);
    if (field->bytes > WEIR_LAYOUT_STRUCT_MAX) {
        weir_loader_problem(at->loader, type->at,
                            "field %s takes %" PRIu64 " bytes, at most %" PRIu64
                            " are allowed; shorten the array",
                            field->name, field->bytes, WEIR_LAYOUT_STRUCT_MAX);
        return false;
    }
    return true;
}

/* Only 4 and 8 byte integers are lock-free on every target that Weir supports. */
static void read_atomic(const reading *at)
{
    const weir_toml_node *atomic = weir_loader_member(at->table, "atomic", WEIR_TOML_BOOLEAN);
    at->field->atomic = atomic != NULL && atomic->as.boolean;
    if (!at->field->atomic)
        return;
    uint64_t bytes = weir_layout_kind_bytes(at->field->kind);
    bool is_float = at->field->kind == WEIR_KIND_F32 || at->field->kind == WEIR_KIND_F64;
    if (is_float || (bytes != 4 && bytes != 8))
        weir_loader_problem(at->loader, atomic->at,
                            "field %s of type %s cannot be atomic; use u32, u64, i32 or i64",
                            at->field->name, weir_layout_kind_name(at->field->kind));
}

static void read_writer(const reading *at)
{
    weir_layout_field *field = at->field;
    field->own_writer = weir_loader_writer(at->loader, at->table);
    field->writer = field->own_writer != WEIR_WRITER_NONE ? field->own_writer : at->of->writer;
    if (field->of == NULL)
        return;
    if (field->writer == WEIR_WRITER_NONE)
        field->writer = field->of->writer;
    for (size_t i = 0; i < field->of->field_count; i++) {
        const weir_layout_field *inner = &field->of->fields[i];
        if (field->writer == WEIR_WRITER_NONE)
            field->writer = inner->writer;
        if (inner->writer != WEIR_WRITER_NONE && inner->writer != field->writer) {
            weir_loader_problem(
                at->loader, at->table->at,
                "field %s is written by %s but its %s.%s by %s; agree on one writer", field->name,
                weir_layout_writer_name(field->writer), field->of->name, inner->name,
                weir_layout_writer_name(inner->writer));
            return;
        }
    }
}

/* Compares the stated offset with the end of the field before; @return where the next field may
 * begin. */
static uint64_t place(const reading *at, const weir_layout_field *before, uint64_t end)
{
    weir_layout_field *field = at->field;
    const weir_toml_node *stated = weir_loader_member(at->table, "offset", WEIR_TOML_INTEGER);
    field->offset = weir_loader_number(at->loader, at->table, "offset", 0, WEIR_LAYOUT_STRUCT_MAX);
    if (stated == NULL || stated->as.integer != (int64_t)field->offset)
        field->offset = end;
    else if (field->offset % field->align != 0)
        weir_loader_problem(at->loader, stated->at,
                            field->atomic
                                ? "atomic field %s at offset %" PRIu64
                                  " crosses its natural alignment; use a multiple of %" PRIu64
                                : "field %s at offset %" PRIu64
                                  " is misaligned; use a multiple of %" PRIu64,
                            field->name, field->offset, field->align);
    else if (field->offset < end)
        weir_loader_problem(at->loader, stated->at,
                            "field %s at offset %" PRIu64 " overlaps %s, which ends at %" PRIu64
                            "; move it there",
                            field->name, field->offset, before->name, end);
    else if (field->offset > end)
        weir_loader_problem(at->loader, stated->at,
                            "gap of %" PRIu64 " bytes before field %s: offset should be %" PRIu64
                            "; name the gap `reserved`",
                            field->offset - end, field->name, end);
    uint64_t next = field->offset + field->bytes;
    return next > end ? next : end;
}

static bool read_field(const reading *at)
{
    weir_layout_field *field = at->field;
    weir_loader_keys(at->loader, at->table, "a field", field_keys, COUNT(field_keys));
    field->at = at->table->at;
    field->align = 1;
    field->name = weir_loader_name(at->loader, at->table, false);
    char what[2 * WEIR_LAYOUT_NAME_MAX + 16];
    snprintf(what, sizeof what, "field %s.%s", at->of->name, field->name);
    field->doc = weir_loader_doc(at->loader, at->table, what);
    bool known = read_type(at);
    if (known)
        read_atomic(at);
    read_writer(at);
    const weir_layout_field *other = weir_layout_find_field(at->of, field->name);
    if (other != NULL && field->name[0] != '\0')
        weir_loader_problem(at->loader, weir_toml_get(at->table, "name")->at,
                            "field %s is already in struct %s, line %u; rename one", field->name,
                            at->of->name, other->at.line);
    return known;
}

static void check_align(weir_loader *loader, const weir_toml_node *table, weir_layout_struct *of)
{
    const weir_toml_node *stated = weir_loader_member(table, "align", WEIR_TOML_INTEGER);
    if (stated == NULL)
        return;
    if ((of->align & (of->align - 1)) != 0)
        weir_loader_problem(loader, stated->at,
                            "align %" PRIu64 " of %s is not a power of two; choose one", of->align,
                            of->name);
    else if (of->align < of->natural_align)
        weir_loader_problem(loader, stated->at,
                            "align %" PRIu64 " of %s is less than its fields need; use %" PRIu64,
                            of->align, of->name, of->natural_align);
}

/* @p end is where the last field ends; @p sound says that every field's type was known. */
static void check_size(weir_loader *loader, const weir_toml_node *table, weir_layout_struct *of,
                       uint64_t end, bool sound)
{
    const weir_toml_node *stated = weir_loader_member(table, "size", WEIR_TOML_INTEGER);
    if (stated == NULL || stated->as.integer != (int64_t)of->size || !sound)
        return;
    if (of->size < end)
        weir_loader_problem(loader, stated->at,
                            "wrong size %" PRIu64 " of %s: its fields end at %" PRIu64
                            "; correct the size",
                            of->size, of->name, end);
    else if (of->size > end)
        weir_loader_problem(loader, stated->at,
                            "wrong size %" PRIu64 " of %s: gap of %" PRIu64
                            " bytes at the end; add a `reserved` field at offset %" PRIu64,
                            of->size, of->name, of->size - end, end);
    else if (of->align != 0 && of->size % of->align != 0)
        weir_loader_problem(loader, stated->at,
                            "wrong size %" PRIu64 " of %s: no multiple of its alignment %" PRIu64
                            "; add a `reserved` field",
                            of->size, of->name, of->align);
}

static void read_fields(weir_loader *loader, const weir_toml_node *root,
                        const weir_toml_node *table, weir_layout_struct *of)
{
    size_t count;
    const weir_toml_node *fields =
        weir_loader_tables(loader, table, "fields", WEIR_LOADER_FIELDS_MAX, &count);
    const weir_toml_node *array = weir_loader_member(table, "fields", WEIR_TOML_ARRAY);
    if (array != NULL && array->as.children.count == 0)
        weir_loader_problem(loader, array->at, "struct %s has no fields; add one", of->name);
    of->fields = weir_loader_take(loader, count, sizeof *of->fields);
    of->natural_align = 1;
    uint64_t end = 0;
    bool sound = true;
    for (size_t i = 0; i < count && !loader->no_memory; i++) {
        reading at = {loader, root, &fields[i], of, &of->fields[i]};
        bool known = read_field(&at);
        sound = sound && known;
        /* Behind a field of unknown size nothing can be derived. */
        if (sound)
            end = place(&at, i == 0 ? at.field : &of->fields[i - 1], end);
        if (at.field->align > of->natural_align)
            of->natural_align = at.field->align;
        of->field_count++;
    }
    check_align(loader, table, of);
    check_size(loader, table, of, end, sound && count > 0);
}

static void read_struct(weir_loader *loader, const weir_toml_node *root,
                        const weir_toml_node *table, weir_layout_struct *of)
{
    weir_loader_keys(loader, table, "[[struct]]", struct_keys, COUNT(struct_keys));
    of->at = table->at;
    of->name = weir_loader_name(loader, table, false);
    char what[WEIR_LAYOUT_NAME_MAX + 16];
    snprintf(what, sizeof what, "struct %s", of->name);
    of->doc = weir_loader_doc(loader, table, what);
    of->align = weir_loader_number(loader, table, "align", 1, 65536);
    of->size = weir_loader_number(loader, table, "size", 1, WEIR_LAYOUT_STRUCT_MAX);
    of->writer = weir_loader_writer(loader, table);
    read_fields(loader, root, table, of);
}

void weir_loader_read_structs(weir_loader *loader, const weir_toml_node *root)
{
    size_t count;
    const weir_toml_node *tables =
        weir_loader_tables(loader, root, "struct", WEIR_LOADER_DEFINITIONS_MAX, &count);
    weir_layout *layout = loader->layout;
    layout->structs = weir_loader_take(loader, count, sizeof *layout->structs);
    for (size_t i = 0; i < count && !loader->no_memory; i++) {
        weir_layout_struct *of = &layout->structs[i];
        read_struct(loader, root, &tables[i], of);
        const weir_layout_struct *other = weir_layout_find_struct(layout, of->name);
        if (other != NULL && of->name[0] != '\0')
            weir_loader_problem(loader, weir_toml_get(&tables[i], "name")->at,
                                "struct %s is already defined in line %u; rename one", of->name,
                                other->at.line);
        layout->struct_count++;
    }
}
