/* What changed from one layout to another, and whether an old peer can live with it. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "layout/layout.h"

/* A full list gives up its last harmless entry for a breaking one, so that what matters is not
 * lost. */
static weir_layout_difference *next_entry(weir_layout_differences *out, bool breaking)
{
    size_t index = out->found++;
    if (index < WEIR_LAYOUT_DIFFERENCE_MAX)
        return &out->item[index];
    for (size_t i = WEIR_LAYOUT_DIFFERENCE_MAX; breaking && i > 0; i--) {
        if (!out->item[i - 1].breaking)
            return &out->item[i - 1];
    }
    return NULL;
}

__attribute__((format(printf, 3, 4))) static void note(weir_layout_differences *out, bool breaking,
                                                       const char *format, ...)
{
    if (breaking)
        out->relation = WEIR_LAYOUT_BREAKING;
    else if (out->relation == WEIR_LAYOUT_IDENTICAL)
        out->relation = WEIR_LAYOUT_COMPATIBLE;
    weir_layout_difference *entry = next_entry(out, breaking);
    if (entry == NULL)
        return;
    entry->breaking = breaking;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(entry->text, sizeof entry->text, format, arguments);
    va_end(arguments);
}

static void note_number(weir_layout_differences *out, const char *what, uint64_t from, uint64_t to)
{
    if (from != to)
        note(out, true, "%s %" PRIu64 " became %" PRIu64, what, from, to);
}

static void diff_header(const weir_layout *from, const weir_layout *to,
                        weir_layout_differences *out)
{
    if (strcmp(from->name, to->name) != 0)
        note(out, true, "layout name %s became %s", from->name, to->name);
    note_number(out, "layout major", from->major, to->major);
    note_number(out, "layout line_bytes", from->line_bytes, to->line_bytes);
    note_number(out, "layout region_align_bytes", from->region_align_bytes, to->region_align_bytes);
}

static void diff_constants(const weir_layout *from, const weir_layout *to,
                           weir_layout_differences *out)
{
    for (size_t i = 0; i < from->constant_count; i++) {
        const weir_layout_constant *old = &from->constants[i];
        const weir_layout_constant *new = weir_layout_find_constant(to, old->name);
        if (new == NULL) {
            note(out, true, "constant %s was removed", old->name);
            continue;
        }
        if (new->kind != old->kind)
            note(out, true, "constant %s: type %s became %s", old->name,
                 weir_layout_kind_name(old->kind), weir_layout_kind_name(new->kind));
        if (new->value != old->value)
            note(out, true, "constant %s: value %" PRIu64 " became %" PRIu64, old->name, old->value,
                 new->value);
    }
    for (size_t i = 0; i < to->constant_count; i++) {
        if (weir_layout_find_constant(from, to->constants[i].name) == NULL)
            note(out, false, "constant %s was added", to->constants[i].name);
    }
}

static void diff_value(const char *list, const weir_layout_value *old, const weir_layout_value *new,
                       weir_layout_differences *out)
{
    if (new->value != old->value)
        note(out, true, "enum %s, value %s: %" PRIu64 " became %" PRIu64, list, old->name,
             old->value, new->value);
    if (new->has_request != old->has_request)
        note(out, true, "enum %s, value %s: its request limits were %s", list, old->name,
             new->has_request ? "added" : "removed");
    if (new->request_min != old->request_min)
        note(out, true, "enum %s, value %s: request_min %" PRIu64 " became %" PRIu64, list,
             old->name, old->request_min, new->request_min);
    if (new->request_max != old->request_max)
        note(out, true, "enum %s, value %s: request_max %" PRIu64 " became %" PRIu64, list,
             old->name, old->request_max, new->request_max);
    if (new->region.writer != old->region.writer ||
        strcmp(new->region.holds, old->region.holds) != 0 ||
        strcmp(new->region.count, old->region.count) != 0)
        note(out, true, "enum %s, value %s: its region changed", list, old->name);
}

static void diff_enum(const weir_layout_enum *old, const weir_layout_enum *new,
                      weir_layout_differences *out)
{
    if (new->kind != old->kind)
        note(out, true, "enum %s: type %s became %s", old->name, weir_layout_kind_name(old->kind),
             weir_layout_kind_name(new->kind));
    if (new->flags != old->flags)
        note(out, true, "enum %s: kind %s became %s", old->name, old->flags ? "flags" : "values",
             new->flags ? "flags" : "values");
    for (size_t i = 0; i < old->value_count; i++) {
        const weir_layout_value *value = weir_layout_find_value(new, old->values[i].name);
        if (value == NULL)
            note(out, true, "enum %s: value %s was removed", old->name, old->values[i].name);
        else
            diff_value(old->name, &old->values[i], value, out);
    }
    for (size_t i = 0; i < new->value_count; i++) {
        if (weir_layout_find_value(old, new->values[i].name) == NULL)
            note(out, false, "enum %s: value %s = %" PRIu64 " was added", old->name,
                 new->values[i].name, new->values[i].value);
    }
}

static void diff_enums(const weir_layout *from, const weir_layout *to, weir_layout_differences *out)
{
    for (size_t i = 0; i < from->enum_count; i++) {
        const weir_layout_enum *new = weir_layout_find_enum(to, from->enums[i].name);
        if (new == NULL)
            note(out, true, "enum %s was removed", from->enums[i].name);
        else
            diff_enum(&from->enums[i], new, out);
    }
    for (size_t i = 0; i < to->enum_count; i++) {
        if (weir_layout_find_enum(from, to->enums[i].name) == NULL)
            note(out, false, "enum %s was added", to->enums[i].name);
    }
}

static void diff_field(const char *of, const weir_layout_field *old, const weir_layout_field *new,
                       weir_layout_differences *out)
{
    char old_type[WEIR_LAYOUT_NAME_MAX + 32];
    char new_type[WEIR_LAYOUT_NAME_MAX + 32];
    weir_layout_type_text(old, old_type);
    weir_layout_type_text(new, new_type);
    if (new->offset != old->offset)
        note(out, true, "struct %s, field %s: offset %" PRIu64 " became %" PRIu64, of, old->name,
             old->offset, new->offset);
    if (strcmp(old_type, new_type) != 0)
        note(out, true, "struct %s, field %s: type %s became %s", of, old->name, old_type,
             new_type);
    if (new->atomic != old->atomic)
        note(out, true, "struct %s, field %s: became %s", of, old->name,
             new->atomic ? "atomic" : "not atomic");
    if (new->writer != old->writer)
        note(out, true, "struct %s, field %s: writer %s became %s", of, old->name,
             old->writer == WEIR_WRITER_NONE ? "none" : weir_layout_writer_name(old->writer),
             new->writer == WEIR_WRITER_NONE ? "none" : weir_layout_writer_name(new->writer));
}

/* Fields stand in ascending order without gaps, so a new field is covered when every old field that
 * it touches is a reserved one of the same writer. */
static bool comes_from_reserved(const weir_layout_struct *old, const weir_layout_field *new)
{
    bool touched = false;
    for (size_t i = 0; i < old->field_count; i++) {
        const weir_layout_field *field = &old->fields[i];
        if (field->offset + field->bytes <= new->offset ||
            new->offset + new->bytes <= field->offset)
            continue;
        if (!weir_layout_is_reserved(field) || field->writer != new->writer)
            return false;
        touched = true;
    }
    return touched && new->offset + new->bytes <= old->size;
}

static void diff_struct(const weir_layout_struct *old, const weir_layout_struct *new,
                        weir_layout_differences *out)
{
    if (new->align != old->align)
        note(out, true, "struct %s: align %" PRIu64 " became %" PRIu64, old->name, old->align,
             new->align);
    if (new->size != old->size)
        note(out, true, "struct %s: size %" PRIu64 " became %" PRIu64, old->name, old->size,
             new->size);
    for (size_t i = 0; i < old->field_count; i++) {
        const weir_layout_field *field = &old->fields[i];
        if (weir_layout_is_reserved(field))
            continue;
        const weir_layout_field *now = weir_layout_find_field(new, field->name);
        if (now == NULL)
            note(out, true, "struct %s: field %s was removed", old->name, field->name);
        else
            diff_field(old->name, field, now, out);
    }
    for (size_t i = 0; i < new->field_count; i++) {
        const weir_layout_field *field = &new->fields[i];
        if (weir_layout_is_reserved(field)) {
            /* Bytes that are free now must have been free before; what was taken away is told
             * above. */
            const weir_layout_field *before = weir_layout_find_field(old, field->name);
            if (before != NULL && before->writer != field->writer)
                diff_field(old->name, before, field, out);
        } else if (weir_layout_find_field(old, field->name) == NULL) {
            bool fits = comes_from_reserved(old, field);
            note(out, !fits, "struct %s: field %s was added%s", old->name, field->name,
                 fits ? " from reserved bytes" : " outside the reserved bytes");
        }
    }
}

static void diff_structs(const weir_layout *from, const weir_layout *to,
                         weir_layout_differences *out)
{
    for (size_t i = 0; i < from->struct_count; i++) {
        const weir_layout_struct *new = weir_layout_find_struct(to, from->structs[i].name);
        if (new == NULL)
            note(out, true, "struct %s was removed", from->structs[i].name);
        else
            diff_struct(&from->structs[i], new, out);
    }
    for (size_t i = 0; i < to->struct_count; i++) {
        if (weir_layout_find_struct(from, to->structs[i].name) == NULL)
            note(out, false, "struct %s was added", to->structs[i].name);
    }
}

void weir_layout_diff(const weir_layout *from, const weir_layout *to,
                      weir_layout_differences *differences)
{
    memset(differences, 0, sizeof *differences);
    diff_header(from, to, differences);
    diff_constants(from, to, differences);
    diff_enums(from, to, differences);
    diff_structs(from, to, differences);
    /* Last, so that what made the version grow is told first. */
    if (to->minor != from->minor)
        note(differences, to->minor < from->minor, "layout minor %u became %u", from->minor,
             to->minor);
    differences->raise_minor =
        differences->relation == WEIR_LAYOUT_COMPATIBLE && from->minor == to->minor;
}

const weir_layout_difference *
weir_layout_first_difference(const weir_layout_differences *differences)
{
    size_t kept = differences->found < WEIR_LAYOUT_DIFFERENCE_MAX ? differences->found
                                                                  : WEIR_LAYOUT_DIFFERENCE_MAX;
    for (size_t i = 0; i < kept; i++) {
        if (differences->item[i].breaking)
            return &differences->item[i];
    }
    return kept > 0 ? &differences->item[0] : NULL;
}

const char *weir_layout_relation_name(weir_layout_relation relation)
{
    switch (relation) {
    case WEIR_LAYOUT_IDENTICAL:
        return "identical";
    case WEIR_LAYOUT_COMPATIBLE:
        return "compatible";
    case WEIR_LAYOUT_BREAKING:
        return "breaking";
    }
    return "unknown";
}
