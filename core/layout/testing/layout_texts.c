#include "layout/testing/layout_texts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/testing/weir_test.h"

void weir_expect_malformed(const weir_malformed_layout *malformed)
{
    weir_layout *layout = NULL;
    weir_layout_problems problems = {0};
    weir_error error = {{0}};
    weir_status status = weir_layout_load(malformed->text, strlen(malformed->text), "t.toml",
                                          &problems, &layout, &error);
    if (status != WEIR_INVALID || problems.found == 0)
        weir_test_fail(__FILE__, __LINE__, "%s: status %s with %zu problems (%s)", malformed->name,
                       weir_status_name(status), problems.found, error.text);
    WEIR_EXPECT_NULL(layout);
    const weir_layout_problem *first = &problems.item[0];
    if (first->line != malformed->line || first->column != malformed->column ||
        strncmp(first->text, malformed->words, strlen(malformed->words)) != 0)
        weir_test_fail(__FILE__, __LINE__, "%s: %u:%u: %s\nexpected %u:%u: %s", malformed->name,
                       first->line, first->column, first->text, malformed->line, malformed->column,
                       malformed->words);
    /* The cause is followed by what to do. */
    WEIR_EXPECT_STR_HAS(first->text, "; ");
    char place[64];
    snprintf(place, sizeof place, "t.toml:%u:%u: ", malformed->line, malformed->column);
    WEIR_EXPECT_STR_HAS(error.text, place);
}

weir_layout *weir_load_sound(const char *text)
{
    weir_layout *layout = NULL;
    weir_error error = {{0}};
    weir_status status = weir_layout_load(text, strlen(text), "t.toml", NULL, &layout, &error);
    if (status != WEIR_OK)
        weir_test_fail(__FILE__, __LINE__, "%s\n%s", error.text, text);
    return layout;
}

char *weir_read_source(const char *path, size_t *bytes)
{
    char full[4096];
    snprintf(full, sizeof full, "%s/%s", WEIR_SOURCE_DIR, path);
    FILE *file = fopen(full, "rb");
    if (file == NULL)
        weir_test_fail(__FILE__, __LINE__, "%s is missing: restore it from the repository", full);
    enum { ROOM = 1 << 20 };
    char *text = malloc(ROOM);
    WEIR_EXPECT_NOT_NULL(text);
    *bytes = fread(text, 1, ROOM - 1, file);
    fclose(file);
    WEIR_EXPECT_LT(*bytes, (size_t)(ROOM - 1));
    text[*bytes] = '\0';
    return text;
}
