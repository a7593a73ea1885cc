/* `weir layout` as a person meets it: exit codes, sentences, the memory map. */
#include "harness/cmd_layout.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/layout_show.h"
#include "harness/testing/weir_test.h"
#include "memory/arena_plan.h"

static char layout_path[] = WEIR_SOURCE_DIR "/core/layout/07-layout.toml";

typedef struct spoken {
    int code;
    char out[256 * 1024];
    char err[16 * 1024];
} spoken;

static void take_back(int fd, int saved, FILE *file, char *text, size_t room)
{
    dup2(saved, fd);
    close(saved);
    rewind(file);
    text[fread(text, 1, room - 1, file)] = '\0';
    fclose(file);
}

/* Runs the command with both outputs in files. */
static void say(spoken *heard, int argc, char **argv)
{
    FILE *out = tmpfile();
    FILE *err = tmpfile();
    WEIR_EXPECT_TRUE(out != NULL && err != NULL);
    fflush(stdout);
    fflush(stderr);
    int saved_out = dup(STDOUT_FILENO);
    int saved_err = dup(STDERR_FILENO);
    dup2(fileno(out), STDOUT_FILENO);
    dup2(fileno(err), STDERR_FILENO);
    heard->code = weir_cmd_layout(argc, argv);
    fflush(stdout);
    fflush(stderr);
    take_back(STDOUT_FILENO, saved_out, out, heard->out, sizeof heard->out);
    take_back(STDERR_FILENO, saved_err, err, heard->err, sizeof heard->err);
}

static spoken heard;

#define SAY(...)                                                                                   \
    say(&heard, (int)(sizeof(char *[]){"layout", __VA_ARGS__} / sizeof(char *)),                   \
        (char *[]){"layout", __VA_ARGS__, NULL})

WEIR_TEST(cmd_layout, accepts_the_committed_layout)
{
    SAY("check", layout_path);
    WEIR_EXPECT_EQ(heard.code, 0);
    WEIR_EXPECT_STR_HAS(heard.out, "layout weir 1.");
    WEIR_EXPECT_STR_HAS(heard.out, "is sound");
    WEIR_EXPECT_STR_EQ(heard.err, "");
}

WEIR_TEST(cmd_layout, file_and_built_in_layout_have_one_digest)
{
    SAY("digest", layout_path);
    WEIR_EXPECT_EQ(heard.code, 0);
    WEIR_EXPECT_EQ(strlen(heard.out), (size_t)65);
    char digest[66];
    strcpy(digest, heard.out);
    SAY("digest");
    WEIR_EXPECT_STR_EQ(heard.out, digest);
}

WEIR_TEST(cmd_layout, usage_errors_are_one_sentence_and_exit_code_2)
{
    static const struct {
        char *argv[4];
        int argc;
        const char *words;
    } wrong[] = {
        {{"layout", "chek"}, 2, "did you mean `check`"},
        {{"layout", "check"}, 2, "weir layout check FILE"},
        {{"layout", "diff", "one"}, 3, "weir layout diff OLD NEW"},
        {{"layout", "gen"}, 2, "gen needs --lang"},
        {{"layout", "gen", "--lang", "cobol"}, 4, "cobol"},
        {{"layout", "gen", "--land"}, 3, "--lang"},
        {{"layout", "show", "--out"}, 3, "--out"},
        {{"layout", "check", "/nowhere/at-all.toml"}, 3, "cannot read /nowhere/at-all.toml"},
        {{"layout", "check", "/"}, 3, "cannot read /"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char *argv[5] = {wrong[i].argv[0], wrong[i].argv[1], wrong[i].argv[2], wrong[i].argv[3]};
        say(&heard, wrong[i].argc, argv);
        WEIR_EXPECT_EQ(heard.code, 2);
        WEIR_EXPECT_STR_HAS(heard.err, wrong[i].words);
        WEIR_EXPECT_TRUE(strchr(heard.err, '\n') == heard.err + strlen(heard.err) - 1);
        WEIR_EXPECT_STR_EQ(heard.out, "");
    }
}

WEIR_TEST(cmd_layout, every_command_helps)
{
    static char *const names[] = {"check", "show", "digest", "canonical", "gen", "diff"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        SAY(names[i], "--help");
        WEIR_EXPECT_EQ(heard.code, 0);
        WEIR_EXPECT_STR_HAS(heard.out, "Usage: weir layout ");
        WEIR_EXPECT_STR_HAS(heard.out, "Examples:");
    }
    SAY("--help");
    WEIR_EXPECT_EQ(heard.code, 0);
    WEIR_EXPECT_STR_HAS(heard.out, "canonical");
}

/* Writes @p text into a new file. @return its path, in a buffer of the caller. */
static void write_temporary(char path[64], const char *text)
{
    strcpy(path, "/tmp/weir-layout-XXXXXX");
    int fd = mkstemp(path);
    WEIR_EXPECT_GE(fd, 0);
    WEIR_EXPECT_EQ(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

WEIR_TEST(cmd_layout, a_faulty_layout_is_told_with_its_place_and_exit_code_1)
{
    char path[64];
    write_temporary(path, "[layout]\nname = \"t\"\nmajor = 1\nminor = 0\nendian = \"middle\"\n"
                          "line_bytes = 96\nregion_align_bytes = 65536\n");
    SAY("check", path);
    unlink(path);
    WEIR_EXPECT_EQ(heard.code, 1);
    WEIR_EXPECT_STR_HAS(heard.err, ":5:10: endian `middle` is not supported");
    WEIR_EXPECT_STR_HAS(heard.err, ":6:14: `line_bytes` is 96");
}

WEIR_TEST(cmd_layout, diff_says_compatible_with_0_and_breaking_with_1)
{
    char path[64];
    SAY("canonical");
    const char *addition = "\n[[constant]]\nname = \"ZZ\"\ntype = \"u8\"\nvalue = 1\n";
    char *grown = malloc(strlen(heard.out) + strlen(addition) + 1);
    WEIR_EXPECT_NOT_NULL(grown);
    strcpy(grown, heard.out);
    strcat(grown, addition);
    write_temporary(path, grown);
    free(grown);
    SAY("diff", layout_path, path);
    WEIR_EXPECT_EQ(heard.code, 0);
    WEIR_EXPECT_STR_HAS(heard.out, "compatible: constant ZZ was added\n");
    WEIR_EXPECT_STR_HAS(heard.out, "raise minor");
    SAY("diff", path, layout_path);
    unlink(path);
    WEIR_EXPECT_EQ(heard.code, 1);
    WEIR_EXPECT_STR_HAS(heard.out, "breaking: constant ZZ was removed\n");
    SAY("diff", layout_path, layout_path);
    WEIR_EXPECT_EQ(heard.code, 0);
    WEIR_EXPECT_STR_EQ(heard.out, "identical\n");
}

WEIR_TEST(cmd_layout, gen_writes_files_and_names_them)
{
    char folder[] = "/tmp/weir-layout-XXXXXX";
    WEIR_EXPECT_NOT_NULL(mkdtemp(folder));
    SAY("gen", "--lang", "zig", "--out", folder, layout_path);
    char path[128];
    snprintf(path, sizeof path, "%s/weir_layout.zig\n", folder);
    WEIR_EXPECT_STR_EQ(heard.out, path);
    path[strlen(path) - 1] = '\0';
    WEIR_EXPECT_EQ(unlink(path), 0);
    WEIR_EXPECT_EQ(rmdir(folder), 0);
    SAY("gen", "--lang=zig", "--out", folder);
    WEIR_EXPECT_EQ(heard.code, 3);
    WEIR_EXPECT_STR_HAS(heard.err, "cannot write ");
}

/* Columns of a line of UTF-8. */
static size_t columns(const char *line, size_t bytes)
{
    size_t count = 0;
    for (size_t i = 0; i < bytes; i++)
        count += ((unsigned char)line[i] & 0xc0) != 0x80;
    return count;
}

WEIR_TEST(cmd_layout, show_fits_into_100_columns)
{
    SAY("show", layout_path);
    WEIR_EXPECT_EQ(heard.code, 0);
    for (const char *line = heard.out; *line != '\0';) {
        size_t bytes = strcspn(line, "\n");
        if (columns(line, bytes) > 100)
            weir_test_fail(__FILE__, __LINE__, "too long: %.*s", (int)bytes, line);
        line += bytes + 1;
    }
}

/* The map is drawn from the layout; the arena computes its places on its own. Both must agree. */
WEIR_TEST(cmd_layout, show_places_regions_where_the_arena_does)
{
    weir_arena_config config;
    weir_arena_plan plan;
    weir_arena_config_default(&config);
    weir_arena_plan_init(&plan, &config);
    SAY("show");
    const char *place = heard.out;
    for (size_t i = 0; i < WEIR_ARENA_REGIONS; i++) {
        char row[64];
        snprintf(row, sizeof row, "│ 0x%06llX ", (unsigned long long)plan.region[i].offset);
        const char *found = strstr(place, row);
        const char *name = weir_region_name(plan.region[i].kind);
        if (found == NULL)
            weir_test_fail(__FILE__, __LINE__, "no region %s at %s", name, row);
        const char *end = strchr(found, '\n');
        const char *named = strstr(found, name);
        WEIR_EXPECT_TRUE(named != NULL && named < end);
        place = end;
    }
}

WEIR_TEST(cmd_layout, show_gives_every_byte_of_a_struct_its_letter)
{
    SAY("show");
    WEIR_EXPECT_STR_HAS(heard.out,
                        "│aaaabbcc│ddeeffff│gggggggg│hhhhhhhh│iiiijjjj│kkkkllll│mmmmmmmm│"
                        "nnnnoooo│");
    WEIR_EXPECT_STR_HAS(heard.out,
                        "worker_control: 768 bytes, aligned to 128, written by the worker");
}
