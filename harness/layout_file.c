#include "harness/layout_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/options.h"

int weir_layout_complain(int exit_code, const char *text)
{
    fprintf(stderr, "weir layout: %s\n", text);
    return exit_code;
}

static int complain_status(weir_status status, const weir_error *error)
{
    return weir_layout_complain(status == WEIR_NO_MEMORY ? WEIR_EXIT_ENVIRONMENT : WEIR_EXIT_USAGE,
                                error->text);
}

/* One byte more than the loader accepts, so that it is the loader that refuses a longer file. */
static weir_status read_file(const char *path, char **text, size_t *bytes, weir_error *error)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        weir_error_set(error, "cannot read %.300s: %s; name a layout file", path, strerror(errno));
        return WEIR_INVALID;
    }
    weir_status status = WEIR_OK;
    *text = malloc(WEIR_TOML_BYTES_MAX + 1);
    if (*text == NULL) {
        weir_error_set(error, "no memory to read %.300s; free some and try again", path);
        status = WEIR_NO_MEMORY;
    } else {
        *bytes = fread(*text, 1, WEIR_TOML_BYTES_MAX + 1, file);
        if (ferror(file)) {
            weir_error_set(error, "cannot read %.300s: %s; name a layout file", path,
                           strerror(errno));
            free(*text);
            *text = NULL;
            status = WEIR_INVALID;
        }
    }
    fclose(file);
    return status;
}

static void print_problems(const char *path, const weir_layout_problems *problems,
                           const weir_error *error)
{
    size_t kept =
        problems->found < WEIR_LAYOUT_PROBLEMS_MAX ? problems->found : WEIR_LAYOUT_PROBLEMS_MAX;
    if (kept == 0)
        fprintf(stderr, "%s\n", error->text);
    for (size_t i = 0; i < kept; i++)
        fprintf(stderr, "%s:%u:%u: %s\n", path, problems->item[i].line, problems->item[i].column,
                problems->item[i].text);
    if (problems->found > kept)
        fprintf(stderr, "%s: %zu more problems; correct these first\n", path,
                problems->found - kept);
}

int weir_layout_load_or_complain(const char *path, weir_layout **layout)
{
    weir_error error = {{0}};
    *layout = NULL;
    if (path == NULL) {
        weir_status status = weir_layout_load_builtin(layout, &error);
        return status == WEIR_OK ? WEIR_EXIT_HELD : complain_status(status, &error);
    }
    char *text = NULL;
    size_t bytes = 0;
    weir_status status = read_file(path, &text, &bytes, &error);
    if (status != WEIR_OK)
        return complain_status(status, &error);
    weir_layout_problems problems = {0};
    status = weir_layout_load(text, bytes, path, &problems, layout, &error);
    free(text);
    if (status == WEIR_OK)
        return WEIR_EXIT_HELD;
    if (status == WEIR_NO_MEMORY)
        return complain_status(status, &error);
    print_problems(path, &problems, &error);
    return WEIR_EXIT_BROKEN;
}
