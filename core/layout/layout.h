/**
 * @file
 * The parsed layout, open to its readers: canonical form, comparison, generators, `weir layout
 * show`.
 *
 * Threads: written by the loader alone; afterwards it never changes and anybody may read it.
 * Ownership: everything reached from a weir_layout lives in its pool and ends with
 * weir_layout_free. Units: offsets, sizes and alignments in bytes.
 */
#ifndef WEIR_LAYOUT_MODEL_H
#define WEIR_LAYOUT_MODEL_H

#include "layout/toml_document.h"
#include "weir/layout.h"

#define WEIR_LAYOUT_NAME_MAX 64  /**< longest identifier */
#define WEIR_LAYOUT_DOC_MAX  400 /**< longest doc */
#define WEIR_LAYOUT_STRUCT_MAX                                                                     \
    ((uint64_t)1 << 30) /**< largest struct, like the largest memory object */
#define WEIR_LAYOUT_ENUM_VALUE_MAX ((uint64_t)0x7fffffff) /**< an enumerator of C is an int */

/** Scalar types, and structs that were defined earlier. */
typedef enum weir_layout_kind {
    WEIR_KIND_U8,
    WEIR_KIND_U16,
    WEIR_KIND_U32,
    WEIR_KIND_U64,
    WEIR_KIND_I8,
    WEIR_KIND_I16,
    WEIR_KIND_I32,
    WEIR_KIND_I64,
    WEIR_KIND_F32,
    WEIR_KIND_F64,
    WEIR_KIND_STRUCT
} weir_layout_kind;

typedef enum weir_layout_writer {
    WEIR_WRITER_NONE,
    WEIR_WRITER_MANAGER,
    WEIR_WRITER_WORKER
} weir_layout_writer;

typedef struct weir_layout_constant {
    const char *name; /**< upper case */
    const char *doc;  /**< empty in a canonical layout; so are all docs */
    weir_layout_kind kind;
    uint64_t value;
    weir_toml_position at;
} weir_layout_constant;

/** What a region enumerator says about its region. */
typedef struct weir_layout_region {
    weir_layout_writer writer; /**< WEIR_WRITER_NONE: the value is no region */
    const char *holds;         /**< a struct's name, "u32" or "bytes" */
    const char *count;         /**< "one", "ring_capacity", "release_capacity" or "slots" */
} weir_layout_region;

typedef struct weir_layout_value {
    const char *name;
    const char *doc;
    uint64_t value;
    bool has_request; /**< request_min and request_max are given */
    uint64_t request_min;
    uint64_t request_max;
    weir_layout_region region;
    weir_toml_position at;
} weir_layout_value;

typedef struct weir_layout_enum {
    const char *name;
    const char *doc;
    weir_layout_kind kind;
    bool flags; /**< values are single bits that can be combined */
    weir_layout_value *values;
    size_t value_count;
    weir_toml_position at;
} weir_layout_enum;

typedef struct weir_layout_struct weir_layout_struct;

typedef struct weir_layout_field {
    const char *name;
    const char *doc;
    weir_layout_kind kind;
    const weir_layout_struct *of; /**< for WEIR_KIND_STRUCT */
    uint64_t count;               /**< elements; 0 when the field is no array */
    uint64_t offset;              /**< derived, and equal to the stated one in a sound layout */
    uint64_t bytes;               /**< of the whole field */
    uint64_t align;               /**< natural alignment of an element */
    bool atomic;
    weir_layout_writer own_writer; /**< stated at the field */
    weir_layout_writer writer;     /**< own, else the struct's, else the nested struct's */
    weir_toml_position at;
} weir_layout_field;

struct weir_layout_struct {
    const char *name;
    const char *doc;
    uint64_t align;
    uint64_t size;
    uint64_t natural_align; /**< largest alignment of a field */
    weir_layout_writer writer;
    weir_layout_field *fields;
    size_t field_count;
    weir_toml_position at;
};

struct weir_layout {
    const char *name;
    uint16_t major;
    uint16_t minor;
    uint32_t line_bytes;
    uint32_t region_align_bytes;
    bool canonical; /**< docs may be missing */
    weir_layout_constant *constants;
    size_t constant_count;
    weir_layout_enum *enums;
    size_t enum_count;
    weir_layout_struct *structs;
    size_t struct_count;
    struct weir_layout_chunk *pool;
};

/** Size of a scalar in bytes, which is also its alignment; 0 for WEIR_KIND_STRUCT. */
uint64_t weir_layout_kind_bytes(weir_layout_kind kind);

/** "u8" ... "f64", "struct". */
const char *weir_layout_kind_name(weir_layout_kind kind);

/** "manager", "worker" or "". */
const char *weir_layout_writer_name(weir_layout_writer writer);

/** The type as the layout writes it, for example "u8[32]" or "region_entry[12]". @return @p text.
 */
char *weir_layout_type_text(const weir_layout_field *field, char text[WEIR_LAYOUT_NAME_MAX + 32]);

const weir_layout_constant *weir_layout_find_constant(const weir_layout *layout, const char *name);
const weir_layout_enum *weir_layout_find_enum(const weir_layout *layout, const char *name);
const weir_layout_value *weir_layout_find_value(const weir_layout_enum *list, const char *name);
const weir_layout_struct *weir_layout_find_struct(const weir_layout *layout, const char *name);
const weir_layout_field *weir_layout_find_field(const weir_layout_struct *of, const char *name);

/** The field keeps bytes free for later: its name starts with "reserved". */
bool weir_layout_is_reserved(const weir_layout_field *field);

/** Zeroed memory that ends with the layout; NULL when there is none. */
void *weir_layout_take(weir_layout *layout, size_t bytes);

#endif
