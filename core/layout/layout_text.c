#include "layout/layout_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_COLUMNS = 100 };

static bool reserve(weir_layout_text *text, size_t bytes)
{
    if (text->no_memory)
        return false;
    if (text->room - text->used > bytes)
        return true;
    size_t room = text->room == 0 ? 4096 : text->room;
    while (room - text->used <= bytes)
        room *= 2;
    char *grown = realloc(text->bytes, room);
    if (grown == NULL) {
        text->no_memory = true;
        return false;
    }
    text->bytes = grown;
    text->room = room;
    return true;
}

void weir_layout_text_add(weir_layout_text *text, const char *format, ...)
{
    va_list arguments;
    va_list again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int bytes = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (bytes > 0 && reserve(text, (size_t)bytes)) {
        vsnprintf(text->bytes + text->used, text->room - text->used, format, again);
        text->used += (size_t)bytes;
    }
    va_end(again);
}

void weir_layout_text_fill(weir_layout_text *text, const char *pattern, const char *const values[])
{
    for (const char *mark = strchr(pattern, '$'); mark != NULL; mark = strchr(pattern, '$')) {
        weir_layout_text_add(text, "%.*s%s", (int)(mark - pattern), pattern, values[mark[1] - '1']);
        pattern = mark + 2;
    }
    weir_layout_text_add(text, "%s", pattern);
}

void weir_layout_text_wrap(weir_layout_text *text, const char *lead, const char *doc)
{
    size_t room = LINE_COLUMNS - strlen(lead);
    while (*doc != '\0') {
        size_t bytes = strlen(doc);
        if (bytes > room) {
            bytes = room;
            while (bytes > 0 && doc[bytes] != ' ')
                bytes--;
            if (bytes == 0) /* a word longer than the line is not cut */
                bytes = strcspn(doc, " ");
        }
        weir_layout_text_add(text, "%s%.*s\n", lead, (int)bytes, doc);
        doc += bytes;
        while (*doc == ' ')
            doc++;
    }
}

weir_status weir_layout_text_finish(weir_layout_text *text, char **bytes, size_t *count)
{
    *bytes = NULL;
    *count = 0;
    if (!reserve(text, 0)) {
        free(text->bytes);
        return WEIR_NO_MEMORY;
    }
    text->bytes[text->used] = '\0';
    *bytes = text->bytes;
    *count = text->used;
    return WEIR_OK;
}

static char to_upper(char letter)
{
    return letter >= 'a' && letter <= 'z' ? (char)(letter - 'a' + 'A') : letter;
}

char *weir_layout_upper(const char *name, char upper[WEIR_LAYOUT_NAME_MAX + 1])
{
    size_t i = 0;
    for (; name[i] != '\0' && i < WEIR_LAYOUT_NAME_MAX; i++)
        upper[i] = to_upper(name[i]);
    upper[i] = '\0';
    return upper;
}

char *weir_layout_camel(const char *name, char camel[WEIR_LAYOUT_NAME_MAX + 1])
{
    size_t used = 0;
    bool start = true;
    for (; *name != '\0' && used < WEIR_LAYOUT_NAME_MAX; name++) {
        if (*name == '_') {
            start = true;
            continue;
        }
        camel[used++] = start ? to_upper(*name) : *name;
        start = false;
    }
    camel[used] = '\0';
    return camel;
}
