#include "harness/cmd_layout.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "harness/layout_file.h"
#include "harness/layout_show.h"
#include "harness/options.h"
#include "layout/layout_gen.h"

enum { FILES_MAX = 2, WORDS_MAX = 16 };

/* What the command line of a subcommand says. */
typedef struct layout_call {
    const char *language;
    const char *directory;
    const char *file[FILES_MAX];
    size_t files;
} layout_call;

typedef struct subcommand {
    const char *name;
    size_t files_min;
    size_t files_max;
    size_t options; /* the first ones of option_table */
    int (*run)(const layout_call *call);
    weir_command_help help;
} subcommand;

static const char *const languages[] = {"c", "elixir", "rust", "zig", NULL};

static int no_memory(void)
{
    return weir_layout_complain(WEIR_EXIT_ENVIRONMENT,
                                "no memory for the result; free some and try again");
}

static void print_digest(const uint8_t digest[WEIR_LAYOUT_DIGEST_BYTES])
{
    for (size_t i = 0; i < WEIR_LAYOUT_DIGEST_BYTES; i++)
        printf("%02x", digest[i]);
    printf("\n");
}

static int run_check(const layout_call *call)
{
    weir_layout *layout;
    int code = weir_layout_load_or_complain(call->file[0], &layout);
    if (code != WEIR_EXIT_HELD)
        return code;
    size_t fields = 0;
    for (size_t i = 0; i < layout->struct_count; i++)
        fields += layout->structs[i].field_count;
    printf("%s: layout %s %u.%u is sound: %zu constants, %zu enums, %zu structs, %zu fields\n",
           call->file[0], layout->name, layout->major, layout->minor, layout->constant_count,
           layout->enum_count, layout->struct_count, fields);
    weir_layout_free(layout);
    return WEIR_EXIT_HELD;
}

static int run_show_or_digest(const layout_call *call, bool show)
{
    weir_layout *layout;
    int code = weir_layout_load_or_complain(call->file[0], &layout);
    if (code != WEIR_EXIT_HELD)
        return code;
    uint8_t digest[WEIR_LAYOUT_DIGEST_BYTES];
    if (weir_layout_digest_of(layout, digest) != WEIR_OK)
        code = no_memory();
    else if (show)
        weir_layout_show(stdout, layout, digest);
    else
        print_digest(digest);
    weir_layout_free(layout);
    return code;
}

static int run_show(const layout_call *call)
{
    return run_show_or_digest(call, true);
}

static int run_digest(const layout_call *call)
{
    return run_show_or_digest(call, false);
}

static int run_canonical(const layout_call *call)
{
    weir_layout *layout;
    int code = weir_layout_load_or_complain(call->file[0], &layout);
    if (code != WEIR_EXIT_HELD)
        return code;
    char *text;
    size_t bytes;
    if (weir_layout_canonical(layout, &text, &bytes) != WEIR_OK) {
        code = no_memory();
    } else {
        fwrite(text, 1, bytes, stdout);
        free(text);
    }
    weir_layout_free(layout);
    return code;
}

static int write_file(const char *path, const char *text, size_t bytes)
{
    FILE *file = fopen(path, "wb");
    bool failed = file == NULL;
    if (file != NULL) {
        failed = fwrite(text, 1, bytes, file) != bytes;
        failed = fclose(file) != 0 || failed;
    }
    if (!failed)
        return WEIR_EXIT_HELD;
    char sentence[512];
    snprintf(sentence, sizeof sentence, "cannot write %.300s: %s; choose another --out", path,
             strerror(errno));
    return weir_layout_complain(WEIR_EXIT_ENVIRONMENT, sentence);
}

static int generate(const weir_layout *layout, const weir_layout_artifact *artifact,
                    const char *directory)
{
    char *text;
    size_t bytes;
    if (artifact->generate(layout, &text, &bytes) != WEIR_OK)
        return no_memory();
    int code = WEIR_EXIT_HELD;
    if (directory == NULL) {
        fwrite(text, 1, bytes, stdout);
    } else {
        char path[4096];
        int used =
            snprintf(path, sizeof path, "%s/%s%s", directory, layout->name, artifact->suffix);
        if (used < 0 || (size_t)used >= sizeof path)
            code = weir_layout_complain(WEIR_EXIT_USAGE,
                                        "--out is longer than 4000 bytes; choose a shorter path");
        else if ((code = write_file(path, text, bytes)) == WEIR_EXIT_HELD)
            printf("%s\n", path);
    }
    free(text);
    return code;
}

static int run_gen(const layout_call *call)
{
    if (call->language == NULL)
        return weir_layout_complain(WEIR_EXIT_USAGE, "gen needs --lang c, elixir, rust or zig");
    weir_layout *layout;
    int code = weir_layout_load_or_complain(call->file[0], &layout);
    for (size_t i = 0; i < WEIR_LAYOUT_ARTIFACT_COUNT && code == WEIR_EXIT_HELD; i++) {
        if (strcmp(weir_layout_artifacts[i].language, call->language) == 0)
            code = generate(layout, &weir_layout_artifacts[i], call->directory);
    }
    weir_layout_free(layout);
    return code;
}

static void print_differences(const weir_layout_differences *differences)
{
    size_t kept = differences->found < WEIR_LAYOUT_DIFFERENCE_MAX ? differences->found
                                                                  : WEIR_LAYOUT_DIFFERENCE_MAX;
    const weir_layout_difference *first = weir_layout_first_difference(differences);
    printf("%s%s%s\n", weir_layout_relation_name(differences->relation), first == NULL ? "" : ": ",
           first == NULL ? "" : first->text);
    for (size_t i = 0; i < kept; i++)
        printf("  %-10s  %s\n", differences->item[i].breaking ? "breaking" : "compatible",
               differences->item[i].text);
    if (differences->found > kept)
        printf("  and %zu more\n", differences->found - kept);
    if (differences->raise_minor)
        printf("warning: the layout grew but its minor version did not; raise minor by one\n");
}

static int run_diff(const layout_call *call)
{
    weir_layout *from;
    weir_layout *to = NULL;
    int code = weir_layout_load_or_complain(call->file[0], &from);
    if (code == WEIR_EXIT_HELD)
        code = weir_layout_load_or_complain(call->file[1], &to);
    if (code == WEIR_EXIT_HELD) {
        weir_layout_differences differences;
        weir_layout_diff(from, to, &differences);
        print_differences(&differences);
        if (differences.relation == WEIR_LAYOUT_BREAKING)
            code = WEIR_EXIT_BROKEN;
    }
    weir_layout_free(from);
    weir_layout_free(to);
    return code;
}

static const subcommand subcommands[] = {
    {"check",
     1,
     1,
     0,
     run_check,
     {"weir layout check", "Says whether a layout is sound, and where and why it is not.", "FILE",
      NULL, "  weir layout check core/layout/07-layout.toml\n"}},
    {"show",
     0,
     1,
     0,
     run_show,
     {"weir layout show", "Draws the memory map: objects, regions, guard pages, structs, codes.",
      "[FILE]", "Without FILE: the layout that is built in, which has no docs.\n",
      "  weir layout show\n  weir layout show core/layout/07-layout.toml | less\n"}},
    {"digest",
     0,
     1,
     0,
     run_digest,
     {"weir layout digest", "Prints the digest that both sides of a handshake compare.", "[FILE]",
      "The digest is BLAKE2b-256 of the canonical text; comments and docs do not change it.\n",
      "  weir layout digest\n  weir layout canonical core/layout/07-layout.toml | b2sum -l 256\n"}},
    {"canonical",
     0,
     1,
     0,
     run_canonical,
     {"weir layout canonical", "Prints the canonical text, which is a layout itself.", "[FILE]",
      NULL, "  weir layout canonical > mine.toml\n"}},
    {"gen",
     0,
     1,
     2,
     run_gen,
     {"weir layout gen", "Writes the bindings of one language, with their static assertions.",
      "--lang LANG [--out DIR] [FILE]",
      "Without --out the files go to standard output, one behind the other. Without FILE: the\n"
      "layout that is built in, which gives bindings without comments.\n",
      "  weir layout gen --lang rust --out src core/layout/07-layout.toml\n"
      "  weir layout gen --lang c --out core/layout/generated core/layout/07-layout.toml\n"}},
    {"diff",
     2,
     2,
     0,
     run_diff,
     {"weir layout diff", "Says whether a change is identical, compatible or breaking.", "OLD NEW",
      "Exit code 1 says breaking: a peer with the old layout would misread the new one.\n",
      "  weir layout diff mine.toml core/layout/07-layout.toml\n"}},
};

#define SUBCOMMAND_COUNT (sizeof subcommands / sizeof subcommands[0])

static void print_overview(FILE *out)
{
    fputs("Works with the description of everything that two processes share.\n\n"
          "Usage: weir layout COMMAND [options]\n\nCommands:\n",
          out);
    for (size_t i = 0; i < SUBCOMMAND_COUNT; i++)
        fprintf(out, "  %-10s %s\n", subcommands[i].name, subcommands[i].help.purpose);
    fputs("\n`weir layout COMMAND --help` tells more.\n\nExamples:\n  weir layout show\n"
          "  weir layout check core/layout/07-layout.toml\n",
          out);
}

/* Files may stand anywhere; the option reader takes only options. @return false when there are too
 * many words. */
static bool sort_words(int argc, char **argv, char **options, int *option_count, layout_call *call)
{
    bool only_files = false;
    for (int i = 1; i < argc; i++) {
        bool value_follows = strcmp(argv[i], "--lang") == 0 || strcmp(argv[i], "--out") == 0;
        if (!only_files && strcmp(argv[i], "--") == 0) {
            only_files = true;
        } else if (!only_files && argv[i][0] == '-' && argv[i][1] != '\0') {
            if (*option_count + 2 >= WORDS_MAX)
                return false;
            options[(*option_count)++] = argv[i];
            if (value_follows && i + 1 < argc)
                options[(*option_count)++] = argv[++i];
        } else {
            if (call->files < FILES_MAX)
                call->file[call->files] = argv[i];
            call->files++;
        }
    }
    return true;
}

static int wrong_files(const subcommand *command, const layout_call *call)
{
    char sentence[256];
    snprintf(sentence, sizeof sentence, "%s: %zu files given; write `weir layout %s %s`",
             command->name, call->files, command->name, command->help.synopsis);
    return weir_layout_complain(WEIR_EXIT_USAGE, sentence);
}

static int run_subcommand(const subcommand *command, int argc, char **argv)
{
    layout_call call = {0};
    const weir_option option_table[] = {
        {.name = "lang",
         .kind = WEIR_OPTION_WORD,
         .argument = "LANG",
         .help = "c, elixir, rust or zig",
         .target = &call.language,
         .words = languages},
        {.name = "out",
         .kind = WEIR_OPTION_TEXT,
         .argument = "DIR",
         .help = "folder for the files; it must exist",
         .target = &call.directory},
    };
    char name[32];
    snprintf(name, sizeof name, "layout %s", command->name);
    char *words[WORDS_MAX + 1] = {name};
    int word_count = 1;
    bool help = false;
    weir_error error = {{0}};
    if (!sort_words(argc, argv, words, &word_count, &call))
        return weir_layout_complain(WEIR_EXIT_USAGE, "too many options; give each once");
    if (weir_options_parse(option_table, command->options, word_count, words, &help, &error) !=
        WEIR_OK)
        return weir_layout_complain(WEIR_EXIT_USAGE, error.text);
    if (help) {
        weir_options_print_help(stdout, &command->help, option_table, command->options);
        return WEIR_EXIT_HELD;
    }
    if (call.files < command->files_min || call.files > command->files_max)
        return wrong_files(command, &call);
    return command->run(&call);
}

int weir_cmd_layout(int argc, char **argv)
{
    if (argc < 2) {
        print_overview(stderr);
        return WEIR_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_overview(stdout);
        return WEIR_EXIT_HELD;
    }
    const char *names[SUBCOMMAND_COUNT + 1] = {NULL};
    for (size_t i = 0; i < SUBCOMMAND_COUNT; i++) {
        names[i] = subcommands[i].name;
        if (strcmp(argv[1], subcommands[i].name) == 0)
            return run_subcommand(&subcommands[i], argc - 1, argv + 1);
    }
    char sentence[256];
    snprintf(sentence, sizeof sentence,
             "unknown command `%.64s`; did you mean `%s`? See `weir layout --help`", argv[1],
             weir_nearest_word(argv[1], names, SUBCOMMAND_COUNT));
    return weir_layout_complain(WEIR_EXIT_USAGE, sentence);
}
