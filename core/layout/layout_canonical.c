/* The canonical text and its digest: one order of keys, decimal numbers, no comments and no docs.
 */
#include <blake2.h>
#include <inttypes.h>
#include <stdlib.h>

#include "layout/layout_text.h"

static void add_constants(weir_layout_text *text, const weir_layout *layout)
{
    for (size_t i = 0; i < layout->constant_count; i++) {
        const weir_layout_constant *constant = &layout->constants[i];
        weir_layout_text_add(
            text, "\n[[constant]]\nname = \"%s\"\ntype = \"%s\"\nvalue = %" PRIu64 "\n",
            constant->name, weir_layout_kind_name(constant->kind), constant->value);
    }
}

static void add_value(weir_layout_text *text, const weir_layout_value *value)
{
    weir_layout_text_add(text, "  { name = \"%s\", value = %" PRIu64, value->name, value->value);
    if (value->has_request)
        weir_layout_text_add(text, ", request_min = %" PRIu64 ", request_max = %" PRIu64,
                             value->request_min, value->request_max);
    if (value->region.writer != WEIR_WRITER_NONE)
        weir_layout_text_add(text, ", writer = \"%s\", holds = \"%s\", count = \"%s\"",
                             weir_layout_writer_name(value->region.writer), value->region.holds,
                             value->region.count);
    weir_layout_text_add(text, " },\n");
}

static void add_enums(weir_layout_text *text, const weir_layout *layout)
{
    for (size_t i = 0; i < layout->enum_count; i++) {
        const weir_layout_enum *list = &layout->enums[i];
        weir_layout_text_add(text, "\n[[enum]]\nname = \"%s\"\ntype = \"%s\"\nkind = \"%s\"\n",
                             list->name, weir_layout_kind_name(list->kind),
                             list->flags ? "flags" : "values");
        weir_layout_text_add(text, "values = [\n");
        for (size_t k = 0; k < list->value_count; k++)
            add_value(text, &list->values[k]);
        weir_layout_text_add(text, "]\n");
    }
}

static void add_field(weir_layout_text *text, const weir_layout_field *field)
{
    char type[WEIR_LAYOUT_NAME_MAX + 32];
    weir_layout_text_add(text, "  { name = \"%s\", type = \"%s\", offset = %" PRIu64, field->name,
                         weir_layout_type_text(field, type), field->offset);
    if (field->atomic)
        weir_layout_text_add(text, ", atomic = true");
    if (field->own_writer != WEIR_WRITER_NONE)
        weir_layout_text_add(text, ", writer = \"%s\"", weir_layout_writer_name(field->own_writer));
    weir_layout_text_add(text, " },\n");
}

static void add_structs(weir_layout_text *text, const weir_layout *layout)
{
    for (size_t i = 0; i < layout->struct_count; i++) {
        const weir_layout_struct *of = &layout->structs[i];
        weir_layout_text_add(
            text, "\n[[struct]]\nname = \"%s\"\nalign = %" PRIu64 "\nsize = %" PRIu64 "\n",
            of->name, of->align, of->size);
        if (of->writer != WEIR_WRITER_NONE)
            weir_layout_text_add(text, "writer = \"%s\"\n", weir_layout_writer_name(of->writer));
        weir_layout_text_add(text, "fields = [\n");
        for (size_t k = 0; k < of->field_count; k++)
            add_field(text, &of->fields[k]);
        weir_layout_text_add(text, "]\n");
    }
}

weir_status weir_layout_canonical(const weir_layout *layout, char **text, size_t *bytes)
{
    weir_layout_text out = {0};
    weir_layout_text_add(&out,
                         "[layout]\ncanonical = true\nname = \"%s\"\nmajor = %u\nminor = %u\n"
                         "endian = \"little\"\nline_bytes = %u\nregion_align_bytes = %u\n",
                         layout->name, layout->major, layout->minor, layout->line_bytes,
                         layout->region_align_bytes);
    add_constants(&out, layout);
    add_enums(&out, layout);
    add_structs(&out, layout);
    return weir_layout_text_finish(&out, text, bytes);
}

weir_status weir_layout_digest_of(const weir_layout *layout,
                                  uint8_t digest[WEIR_LAYOUT_DIGEST_BYTES])
{
    char *text;
    size_t bytes;
    weir_status status = weir_layout_canonical(layout, &text, &bytes);
    if (status != WEIR_OK)
        return status;
    int failed = blake2b(digest, text, NULL, WEIR_LAYOUT_DIGEST_BYTES, bytes, 0);
    free(text);
    return failed == 0 ? WEIR_OK : WEIR_INVALID;
}
