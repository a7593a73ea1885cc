/* Checks over the whole model: writers within a line, what regions hold, names that would meet in
 * generated code. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layout/layout_loader.h"

/* Two fields can share a line when the struct's place in its line is unknown and they lie closer
 * than one line, or when it is known and they touch the same one. */
static bool can_share_line(const weir_layout *layout, const weir_layout_struct *of,
                           const weir_layout_field *first, const weir_layout_field *second)
{
    uint64_t last = first->offset + first->bytes - 1;
    if (of->align >= layout->line_bytes)
        return last / layout->line_bytes == second->offset / layout->line_bytes;
    return second->offset - last < layout->line_bytes;
}

void weir_loader_check_lines(weir_loader *loader)
{
    const weir_layout *layout = loader->layout;
    for (size_t i = 0; i < layout->struct_count; i++) {
        const weir_layout_struct *of = &layout->structs[i];
        const weir_layout_field *before = NULL;
        for (size_t k = 0; k < of->field_count; k++) {
            const weir_layout_field *field = &of->fields[k];
            if (field->writer == WEIR_WRITER_NONE)
                continue;
            if (before != NULL && before->writer != field->writer &&
                can_share_line(layout, of, before, field))
                weir_loader_problem(loader, field->at,
                                    "%s is written by %s and %s by %s within one line of %u bytes; "
                                    "put `reserved` bytes between them",
                                    before->name, weir_layout_writer_name(before->writer),
                                    field->name, weir_layout_writer_name(field->writer),
                                    layout->line_bytes);
            before = field;
        }
    }
}

static bool is_region_count(const char *text)
{
    static const char *const known[] = {"one", "ring_capacity", "release_capacity", "slots"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(text, known[i]) == 0)
            return true;
    }
    return false;
}

static void check_region(weir_loader *loader, const weir_layout_value *value)
{
    const weir_layout_region *region = &value->region;
    const weir_layout_struct *of = weir_layout_find_struct(loader->layout, region->holds);
    if (of == NULL && strcmp(region->holds, "u32") != 0 && strcmp(region->holds, "bytes") != 0)
        weir_loader_problem(
            loader, value->at,
            "region %s holds `%.64s`, which is no struct; name one, or u32 or bytes", value->name,
            region->holds);
    else if (of != NULL && of->writer != WEIR_WRITER_NONE && of->writer != region->writer)
        weir_loader_problem(loader, value->at,
                            "region %s is written by %s but struct %s by %s; agree on one writer",
                            value->name, weir_layout_writer_name(region->writer), of->name,
                            weir_layout_writer_name(of->writer));
    if (!is_region_count(region->count))
        weir_loader_problem(loader, value->at,
                            "count `%.64s` of region %s is unknown; use one, ring_capacity, "
                            "release_capacity or slots",
                            region->count, value->name);
}

void weir_loader_check_regions(weir_loader *loader)
{
    const weir_layout *layout = loader->layout;
    for (size_t i = 0; i < layout->enum_count; i++) {
        for (size_t k = 0; k < layout->enums[i].value_count; k++) {
            if (layout->enums[i].values[k].region.writer != WEIR_WRITER_NONE)
                check_region(loader, &layout->enums[i].values[k]);
        }
    }
}

/* A name as the C header spells it, without the prefix. */
typedef struct generated_name {
    char text[2 * WEIR_LAYOUT_NAME_MAX + 16];
    weir_toml_position at;
} generated_name;

typedef struct name_list {
    generated_name *item;
    size_t count;
} name_list;

static void add_name(name_list *list, weir_toml_position at, const char *first, const char *second)
{
    generated_name *name = &list->item[list->count++];
    snprintf(name->text, sizeof name->text, "%s%s%s", first, second[0] == '\0' ? "" : "_", second);
    for (char *letter = name->text; *letter != '\0'; letter++) {
        if (*letter >= 'a' && *letter <= 'z')
            *letter = (char)(*letter - 'a' + 'A');
    }
    name->at = at;
}

static int by_text_then_place(const void *left, const void *right)
{
    const generated_name *a = left;
    const generated_name *b = right;
    int order = strcmp(a->text, b->text);
    if (order != 0)
        return order;
    return a->at.line != b->at.line ? (a->at.line < b->at.line ? -1 : 1)
                                    : (a->at.column > b->at.column) - (a->at.column < b->at.column);
}

static void report_doubles(weir_loader *loader, name_list *list, const char *what)
{
    qsort(list->item, list->count, sizeof *list->item, by_text_then_place);
    for (size_t i = 1; i < list->count; i++) {
        const generated_name *before = &list->item[i - 1];
        const generated_name *name = &list->item[i];
        if (strcmp(before->text, name->text) != 0)
            continue;
        if (before->at.line == 0)
            weir_loader_problem(loader, name->at,
                                "the %s %s is taken by the generated code itself; rename it", what,
                                name->text);
        else
            weir_loader_problem(loader, name->at,
                                "the %s %s would be generated twice, also for line %u; rename one",
                                what, name->text, before->at.line);
    }
}

/* Constants and enumerators share one name space. Line 0 marks the names that the generators add.
 */
static void collect_constants(const weir_layout *layout, name_list *list)
{
    static const weir_toml_position own = {0, 0};
    static const char *const taken[] = {
        "LAYOUT_MAJOR", "LAYOUT_MINOR",    "LINE_BYTES", "REGION_ALIGN_BYTES", "LAYOUT_ASSERT",
        "LAYOUT_ALIGN", "LAYOUT_ALIGN_OF", "LAYOUT_API", "LAYOUT_GENERATED_H"};
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        add_name(list, own, taken[i], "");
    for (size_t i = 0; i < layout->constant_count; i++)
        add_name(list, layout->constants[i].at, layout->constants[i].name, "");
    for (size_t i = 0; i < layout->enum_count; i++) {
        const weir_layout_enum *of = &layout->enums[i];
        add_name(list, of->at, of->name, "COUNT");
        add_name(list, of->at, of->name, of->flags ? "ALL" : "MAX");
        for (size_t k = 0; k < of->value_count; k++)
            add_name(list, of->values[k].at, of->name, of->values[k].name);
    }
}

/* Tags of enums and structs share one name space in C, also with those of the runtime's own
 * headers. */
static void collect_tags(const weir_layout *layout, name_list *list)
{
    static const weir_toml_position own = {0, 0};
    static const char *const taken[] = {"layout", "status", "error", "opcode_schema",
                                        /* functions of the Elixir module */
                                        "version", "digest", "structs", "size", "align", "fields",
                                        "field", "offset", "constant", "request_limits"};
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        add_name(list, own, taken[i], "");
    for (size_t i = 0; i < layout->enum_count; i++)
        add_name(list, layout->enums[i].at, layout->enums[i].name, "");
    for (size_t i = 0; i < layout->struct_count; i++)
        add_name(list, layout->structs[i].at, layout->structs[i].name, "");
}

void weir_loader_check_generated_names(weir_loader *loader)
{
    const weir_layout *layout = loader->layout;
    size_t room = 32 + layout->constant_count + layout->struct_count;
    for (size_t i = 0; i < layout->enum_count; i++)
        room += 3 + layout->enums[i].value_count;
    name_list list = {calloc(room, sizeof *list.item), 0};
    if (list.item == NULL) {
        loader->no_memory = true;
        return;
    }
    collect_constants(layout, &list);
    report_doubles(loader, &list, "constant");
    list.count = 0;
    collect_tags(layout, &list);
    report_doubles(loader, &list, "type");
    free(list.item);
}
