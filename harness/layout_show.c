/* Structs as rows of cache lines, and lists of codes. */
#include "harness/layout_show.h"

#include <inttypes.h>
#include <string.h>

#include "harness/units.h"

enum { ROW_BYTES = 64, COLUMNS = 100, DOC_COLUMN = 55, BAR_COLUMNS = 72 };

static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/* Reserved bytes are dots; the others take the letters in turn. */
static char letter_of(const weir_layout_struct *of, const weir_layout_field *field)
{
    size_t index = 0;
    if (weir_layout_is_reserved(field))
        return '.';
    for (const weir_layout_field *before = of->fields; before < field; before++)
        index += !weir_layout_is_reserved(before);
    return letters[index % (sizeof letters - 1)];
}

static const weir_layout_field *field_at(const weir_layout_struct *of, uint64_t offset)
{
    for (size_t i = 0; i < of->field_count; i++) {
        const weir_layout_field *field = &of->fields[i];
        if (offset >= field->offset && offset < field->offset + field->bytes)
            return field;
    }
    return NULL;
}

static size_t fill_row(const weir_layout_struct *of, uint64_t offset, char bytes[ROW_BYTES + 1])
{
    size_t count = 0;
    for (; count < ROW_BYTES && offset + count < of->size; count++) {
        const weir_layout_field *field = field_at(of, offset + count);
        bytes[count] = field != NULL ? letter_of(of, field) : '?';
    }
    bytes[count] = '\0';
    return count;
}

static void print_row(FILE *out, const weir_layout *layout, const weir_layout_struct *of,
                      uint64_t offset, const char *bytes)
{
    const weir_layout_field *first = field_at(of, offset);
    if (offset % layout->line_bytes == 0)
        fprintf(out, "  line %-3" PRIu64 " %6" PRIu64 " ", offset / layout->line_bytes, offset);
    else
        fprintf(out, "  %8s %6" PRIu64 " ", "", offset);
    int columns = 0;
    for (size_t i = 0; bytes[i] != '\0'; i++) {
        columns += fprintf(out, "%s%c", i % 8 == 0 ? "│" : "", bytes[i]) - (i % 8 == 0 ? 2 : 0);
    }
    fputs("│", out);
    if (first != NULL && first->writer != WEIR_WRITER_NONE)
        fprintf(out, "%*s %s", BAR_COLUMNS - columns, "", weir_layout_writer_name(first->writer));
    fputs("\n", out);
}

/* Bytes of @p doc that fit into @p room without cutting a word. */
static size_t fitting(const char *doc, size_t room)
{
    size_t bytes = strlen(doc);
    if (bytes <= room)
        return bytes;
    for (bytes = room; bytes > 1 && doc[bytes] != ' '; bytes--) {
    }
    return bytes;
}

static const char *skip_blanks(const char *text)
{
    return text + strspn(text, " ");
}

/* The doc stands in its own column. */
static void print_field(FILE *out, const weir_layout_struct *of, const weir_layout_field *field)
{
    char type[WEIR_LAYOUT_NAME_MAX + 32];
    const char *doc = field->doc;
    int used =
        fprintf(out, "     %c %6" PRIu64 "  %-25s %s%s", letter_of(of, field), field->offset,
                field->name, weir_layout_type_text(field, type), field->atomic ? " atomic" : "");
    while (*doc != '\0') {
        int column = used + 2 > DOC_COLUMN ? used + 2 : DOC_COLUMN;
        size_t room = column + 20 < COLUMNS ? (size_t)(COLUMNS - column) : 20;
        size_t bytes = fitting(doc, room);
        fprintf(out, "%*s%.*s", column - used, "", (int)bytes, doc);
        doc = skip_blanks(doc + bytes);
        if (*doc != '\0')
            fputs("\n", out);
        used = 0;
    }
    fputs("\n", out);
}

/* Fields that begin in the line; reserved ones are the dots. */
static void print_fields(FILE *out, const weir_layout *layout, const weir_layout_struct *of,
                         uint64_t line)
{
    for (size_t i = 0; i < of->field_count; i++) {
        const weir_layout_field *field = &of->fields[i];
        if (!weir_layout_is_reserved(field) && field->offset >= line &&
            field->offset < line + layout->line_bytes)
            print_field(out, of, field);
    }
}

/* Rows from `offset` on that show the same bytes as this one and begin no field. */
static uint64_t equal_rows(const weir_layout_struct *of, uint64_t offset, const char *bytes)
{
    uint64_t rows = 0;
    for (uint64_t next = offset; next + ROW_BYTES <= of->size; next += ROW_BYTES, rows++) {
        char other[ROW_BYTES + 1];
        if (field_at(of, next) == NULL || field_at(of, next)->offset == next)
            break;
        fill_row(of, next, other);
        if (strcmp(other, bytes) != 0)
            break;
    }
    return rows;
}

static void print_title(FILE *out, const weir_layout_struct *of)
{
    char size[WEIR_UNITS_TEXT_MAX];
    fprintf(out, "\n%s: %s bytes, aligned to %" PRIu64 "%s%s\n", of->name,
            weir_units_count(of->size, size), of->align,
            of->writer == WEIR_WRITER_NONE ? "" : ", written by the ",
            weir_layout_writer_name(of->writer));
    for (const char *doc = of->doc; *doc != '\0';) {
        size_t bytes = fitting(doc, COLUMNS - 2);
        fprintf(out, "  %.*s\n", (int)bytes, doc);
        doc = skip_blanks(doc + bytes);
    }
}

void weir_layout_show_struct(FILE *out, const weir_layout *layout, const weir_layout_struct *of)
{
    print_title(out, of);
    uint64_t line = 0;
    for (uint64_t offset = 0; offset < of->size; offset += ROW_BYTES) {
        char bytes[ROW_BYTES + 1];
        fill_row(of, offset, bytes);
        print_row(out, layout, of, offset, bytes);
        uint64_t same = equal_rows(of, offset + ROW_BYTES, bytes);
        if (same > 2) {
            fprintf(out, "  %15s  ... %" PRIu64 " more rows like this\n", "", same);
            offset += same * ROW_BYTES;
        }
        if ((offset + ROW_BYTES) % layout->line_bytes == 0 || offset + ROW_BYTES >= of->size) {
            for (; line <= offset; line += layout->line_bytes)
                print_fields(out, layout, of, line);
        }
    }
}

static void show_enum(FILE *out, const weir_layout_enum *list)
{
    int column = fprintf(out, "  %-15s %-4s", list->name, weir_layout_kind_name(list->kind));
    for (size_t i = 0; i < list->value_count; i++) {
        char entry[WEIR_LAYOUT_NAME_MAX + 32];
        int bytes = snprintf(entry, sizeof entry, " %" PRIu64 " %s%s", list->values[i].value,
                             list->values[i].name, i + 1 < list->value_count ? "," : "");
        if (column + bytes > COLUMNS)
            column = fprintf(out, "\n%22s", "") - 1;
        fputs(entry, out);
        column += bytes;
    }
    fputs("\n", out);
}

void weir_layout_show(FILE *out, const weir_layout *layout,
                      const uint8_t digest[WEIR_LAYOUT_DIGEST_BYTES])
{
    char align[WEIR_UNITS_TEXT_MAX];
    fprintf(
        out,
        "Layout %s %u.%u, little-endian, lines of %u bytes, regions on multiples of %s\ndigest ",
        layout->name, layout->major, layout->minor, layout->line_bytes,
        weir_units_size(layout->region_align_bytes, align));
    for (size_t i = 0; i < WEIR_LAYOUT_DIGEST_BYTES; i++)
        fprintf(out, "%02x", digest[i]);
    fputs("\n", out);
    weir_layout_show_objects(out, layout);
    fputs("\nStructs: one letter for each byte, a dot for reserved ones, a stroke every 8 bytes, "
          "rows of 64\n",
          out);
    for (size_t i = 0; i < layout->struct_count; i++)
        weir_layout_show_struct(out, layout, &layout->structs[i]);
    fputs("\nCodes\n", out);
    for (size_t i = 0; i < layout->enum_count; i++)
        show_enum(out, &layout->enums[i]);
}
