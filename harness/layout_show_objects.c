/* The two memory objects: regions, guard pages, default sizes. */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "harness/layout_show.h"
#include "harness/units.h"
#include "weir/arena_config.h"

enum { INNER_COLUMNS = 94, PAGE_BYTES = 4096 };

static uint64_t align_up(uint64_t value, uint64_t align)
{
    return (value + align - 1) / align * align;
}

static void repeat(FILE *out, const char *piece, int count)
{
    for (int i = 0; i < count; i++)
        fputs(piece, out);
}

static void rule(FILE *out, const char *left, const char *piece, const char *right)
{
    fprintf(out, "  %s", left);
    repeat(out, piece, INNER_COLUMNS);
    fprintf(out, "%s\n", right);
}

/* ASCII only, so that bytes are columns. */
__attribute__((format(printf, 2, 3))) static void row(FILE *out, const char *format, ...)
{
    char text[INNER_COLUMNS + 1];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fprintf(out, "  │%-*s│\n", INNER_COLUMNS, text);
}

/* From the first page behind the region to the next region. */
static void guard_row(FILE *out, uint64_t from, uint64_t to)
{
    char text[INNER_COLUMNS + 1];
    char bytes[WEIR_UNITS_TEXT_MAX];
    int used = snprintf(text, sizeof text, " 0x%06" PRIX64 " %11s  guard pages, no access ", from,
                        weir_units_count(to - from, bytes));
    fprintf(out, "  ├%s", text);
    repeat(out, "╌", INNER_COLUMNS - used);
    fputs("┤\n", out);
}

/* "4 KiB": slot sizes are round numbers. */
static const char *short_size(uint64_t bytes, char text[WEIR_UNITS_TEXT_MAX])
{
    if (bytes % (1 << 20) == 0)
        snprintf(text, WEIR_UNITS_TEXT_MAX, "%" PRIu64 " MiB", bytes >> 20);
    else if (bytes % 1024 == 0)
        snprintf(text, WEIR_UNITS_TEXT_MAX, "%" PRIu64 " KiB", bytes / 1024);
    else
        snprintf(text, WEIR_UNITS_TEXT_MAX, "%" PRIu64 " B", bytes);
    return text;
}

static uint64_t slots_bytes(const weir_size_class *classes, uint32_t count, uint64_t *slots)
{
    uint64_t bytes = 0;
    *slots = 0;
    for (uint32_t i = 0; i < count; i++) {
        bytes += (uint64_t)classes[i].slot_bytes * classes[i].slot_count;
        *slots += classes[i].slot_count;
    }
    return bytes;
}

/* The pool whose slots a region holds or gives back. */
static void pool_of(const weir_arena_config *config, const weir_layout_region *region,
                    const weir_size_class **classes, uint32_t *count)
{
    bool releases = strcmp(region->count, "release_capacity") == 0;
    bool request = (region->writer == WEIR_WRITER_MANAGER) != releases;
    *classes = request ? config->request_class : config->response_class;
    *count = request ? config->request_class_count : config->response_class_count;
}

static uint64_t element_bytes(const weir_layout *layout, const weir_layout_region *region)
{
    const weir_layout_struct *of = weir_layout_find_struct(layout, region->holds);
    if (of != NULL)
        return of->size;
    return strcmp(region->holds, "u32") == 0 ? 4 : 1;
}

static void slots_text(const weir_size_class *classes, uint32_t count, char *text, size_t room)
{
    size_t used = 0;
    for (uint32_t i = 0; i < count && used < room; i++) {
        char size[WEIR_UNITS_TEXT_MAX];
        used += (size_t)snprintf(text + used, room - used, "%s%" PRIu32 " x %s", i == 0 ? "" : ", ",
                                 classes[i].slot_count, short_size(classes[i].slot_bytes, size));
    }
}

/* What the region holds, as a formula and at the default sizes. @return its bytes. */
static uint64_t describe(const weir_layout *layout, const weir_arena_config *config,
                         const weir_layout_region *region, char *text, size_t room)
{
    const weir_size_class *classes;
    uint32_t count;
    uint64_t slots;
    uint64_t each = element_bytes(layout, region);
    pool_of(config, region, &classes, &count);
    uint64_t payload = slots_bytes(classes, count, &slots);
    if (strcmp(region->count, "slots") == 0) {
        slots_text(classes, count, text, room);
        return payload;
    }
    if (strcmp(region->count, "one") == 0) {
        snprintf(text, room, "%s", region->holds);
        return each;
    }
    uint64_t elements = config->ring_capacity;
    if (strcmp(region->count, "release_capacity") == 0) {
        for (elements = 1; elements < slots; elements *= 2) {
        }
    }
    char count_text[WEIR_UNITS_TEXT_MAX];
    snprintf(text, room, "%s[%s], default %s", region->holds, region->count,
             weir_units_count(elements, count_text));
    return elements * each;
}

static void show_region(FILE *out, const char *name, uint64_t offset, uint64_t bytes,
                        const char *content)
{
    char count[WEIR_UNITS_TEXT_MAX];
    row(out, " 0x%06" PRIX64 " %11s  %-17s %s", offset, weir_units_count(bytes, count), name,
        content);
}

static void show_object(FILE *out, const weir_layout *layout, const weir_layout_enum *regions,
                        weir_layout_writer writer)
{
    bool manager = writer == WEIR_WRITER_MANAGER;
    weir_arena_config config;
    weir_arena_config_default(&config);
    char size[WEIR_UNITS_TEXT_MAX];
    fprintf(out, "\nObject %s: the %s writes, the %s reads\n", manager ? "A" : "B",
            manager ? "manager" : "worker", manager ? "worker" : "manager");
    rule(out, "┌", "─", "┐");
    row(out, " %-8s %11s  %-17s %s", "offset", "bytes", "region", "content");
    rule(out, "├", "─", "┤");
    uint64_t align = layout->region_align_bytes;
    uint64_t offset = 0;
    uint64_t end = 0;
    for (size_t i = 0; i < regions->value_count; i++) {
        const weir_layout_value *value = &regions->values[i];
        if (value->region.writer != writer)
            continue;
        if (end != 0) {
            offset = align_up(end, align) + align;
            guard_row(out, align_up(end, PAGE_BYTES), offset);
        }
        char content[96];
        uint64_t bytes = describe(layout, &config, &value->region, content, sizeof content);
        show_region(out, value->name, offset, bytes, content);
        end = offset + bytes;
    }
    rule(out, "└", "─", "┘");
    fprintf(out, "  %s at the default sizes, pages of 4 KiB\n",
            weir_units_size(align_up(end, align), size));
}

void weir_layout_show_objects(FILE *out, const weir_layout *layout)
{
    const weir_layout_enum *regions = weir_layout_find_enum(layout, "region");
    if (regions == NULL) {
        fputs("\nThe layout names no regions.\n", out);
        return;
    }
    show_object(out, layout, regions, WEIR_WRITER_MANAGER);
    show_object(out, layout, regions, WEIR_WRITER_WORKER);
}
