/* Memory and look-ups of the parsed layout. */
#include "layout/layout.h"

#include <inttypes.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layout/generated/weir_layout.h"

enum { CHUNK_BYTES = 16 * 1024 };

struct weir_layout_chunk {
    struct weir_layout_chunk *next;
    size_t used;
    size_t room;
    alignas(max_align_t) unsigned char bytes[];
};

void *weir_layout_take(weir_layout *layout, size_t bytes)
{
    size_t need = (bytes + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
    struct weir_layout_chunk *chunk = layout->pool;
    if (chunk == NULL || chunk->room - chunk->used < need) {
        size_t room = need > CHUNK_BYTES ? need : CHUNK_BYTES;
        chunk = calloc(1, sizeof *chunk + room);
        if (chunk == NULL)
            return NULL;
        chunk->room = room;
        chunk->next = layout->pool;
        layout->pool = chunk;
    }
    void *memory = chunk->bytes + chunk->used;
    chunk->used += need;
    return memory;
}

void weir_layout_free(weir_layout *layout)
{
    if (layout == NULL)
        return;
    struct weir_layout_chunk *chunk = layout->pool;
    while (chunk != NULL) {
        struct weir_layout_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
    free(layout);
}

void weir_layout_version(const weir_layout *layout, uint16_t *major, uint16_t *minor)
{
    *major = layout->major;
    *minor = layout->minor;
}

weir_status weir_layout_load_builtin(weir_layout **layout, weir_error *error)
{
    return weir_layout_load(weir_layout_canonical_text, weir_layout_canonical_bytes,
                            "built-in layout", NULL, layout, error);
}

uint64_t weir_layout_kind_bytes(weir_layout_kind kind)
{
    static const uint8_t bytes[] = {1, 2, 4, 8, 1, 2, 4, 8, 4, 8, 0};
    return bytes[kind];
}

const char *weir_layout_kind_name(weir_layout_kind kind)
{
    static const char *const names[] = {"u8",  "u16", "u32", "u64", "i8",    "i16",
                                        "i32", "i64", "f32", "f64", "struct"};
    return names[kind];
}

const char *weir_layout_writer_name(weir_layout_writer writer)
{
    static const char *const names[] = {"", "manager", "worker"};
    return names[writer];
}

char *weir_layout_type_text(const weir_layout_field *field, char text[WEIR_LAYOUT_NAME_MAX + 32])
{
    const char *base = field->of != NULL ? field->of->name : weir_layout_kind_name(field->kind);
    if (field->count == 0)
        snprintf(text, WEIR_LAYOUT_NAME_MAX + 32, "%s", base);
    else
        snprintf(text, WEIR_LAYOUT_NAME_MAX + 32, "%s[%" PRIu64 "]", base, field->count);
    return text;
}

const weir_layout_constant *weir_layout_find_constant(const weir_layout *layout, const char *name)
{
    for (size_t i = 0; i < layout->constant_count; i++) {
        if (strcmp(layout->constants[i].name, name) == 0)
            return &layout->constants[i];
    }
    return NULL;
}

const weir_layout_enum *weir_layout_find_enum(const weir_layout *layout, const char *name)
{
    for (size_t i = 0; i < layout->enum_count; i++) {
        if (strcmp(layout->enums[i].name, name) == 0)
            return &layout->enums[i];
    }
    return NULL;
}

const weir_layout_value *weir_layout_find_value(const weir_layout_enum *list, const char *name)
{
    for (size_t i = 0; i < list->value_count; i++) {
        if (strcmp(list->values[i].name, name) == 0)
            return &list->values[i];
    }
    return NULL;
}

const weir_layout_struct *weir_layout_find_struct(const weir_layout *layout, const char *name)
{
    for (size_t i = 0; i < layout->struct_count; i++) {
        if (strcmp(layout->structs[i].name, name) == 0)
            return &layout->structs[i];
    }
    return NULL;
}

const weir_layout_field *weir_layout_find_field(const weir_layout_struct *of, const char *name)
{
    for (size_t i = 0; i < of->field_count; i++) {
        if (strcmp(of->fields[i].name, name) == 0)
            return &of->fields[i];
    }
    return NULL;
}

bool weir_layout_is_reserved(const weir_layout_field *field)
{
    return strncmp(field->name, "reserved", strlen("reserved")) == 0;
}
