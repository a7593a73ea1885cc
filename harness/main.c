/* The `weir` command: finds the subcommand and leaves the rest to it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "harness/commands.h"
#include "harness/options.h"

typedef struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *purpose;
} command;

static const command commands[] = {
    {"run", weir_cmd_run, "put a workload through a manager and its workers, verify everything"},
    {"stress", weir_cmd_stress, "the same in rounds with changing terms, for as long as you like"},
    {"bench", weir_cmd_bench, "measure ring, gate and jobs against references in the same run"},
    {"layout", weir_cmd_layout, "check, show, compare and generate from the shared layout"},
};

enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

static void print_help(FILE *out)
{
    fprintf(out, "Weir: jobs to worker processes through shared memory, and the harness that tries "
                 "to break it.\n\nUsage: weir COMMAND [options]\n\nCommands:\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].purpose);
    }
    fprintf(out, "  %-10s %s\n", "help", "`weir help COMMAND` is `weir COMMAND --help`");
    fprintf(out, "\nOptions:\n  --help     show this text\n  --version  show the version\n\n"
                 "Exit codes: 0 held, 1 a promise was broken, 2 usage, 3 the environment cannot do "
                 "this, 130 interrupted.\n\nExamples:\n  weir run\n  weir help stress\n");
}

static int complain(const char *word)
{
    const char *names[COMMAND_COUNT + 3];
    size_t count = 0;
    while (count < COMMAND_COUNT) {
        names[count] = commands[count].name;
        count++;
    }
    if (word[0] == '-') {
        names[0] = "--help";
        names[1] = "--version";
        count = 2;
    } else {
        names[count++] = "help";
    }
    fprintf(stderr, "weir: there is no %s %s; did you mean %s?\n",
            word[0] == '-' ? "option" : "command", word, weir_nearest_word(word, names, count));
    return WEIR_EXIT_USAGE;
}

static int run_command(int argc, char **argv)
{
    static char help_option[] = "--help";
    if (argc < 2) {
        print_help(stderr);
        return WEIR_EXIT_USAGE;
    }
    const char *word = argv[1];
    if (strcmp(word, "--version") == 0) {
        printf("weir %s\n", WEIR_VERSION);
        return WEIR_EXIT_HELD;
    }
    const int is_help = strcmp(word, "help") == 0;
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 ||
        (is_help && (argc == 2 || argv[2][0] == '-'))) {
        print_help(stdout);
        return WEIR_EXIT_HELD;
    }
    word = is_help ? argv[2] : word;
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(word, commands[i].name) == 0 && is_help) {
            char *help_arguments[] = {argv[2], help_option, NULL};
            return commands[i].run(2, help_arguments);
        }
        if (strcmp(word, commands[i].name) == 0) {
            return commands[i].run(argc - 1, argv + 1);
        }
    }
    return complain(word);
}

/* A standard stream that is closed would be the number of the first file opened, and what is said
 * would go there. What stands in for it here refuses to be written, so that it is noticed. */
static void fill_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", O_RDONLY) == -1) {
            return;
        }
    }
}

int main(int argc, char **argv)
{
    fill_standard_streams();
    const int code = run_command(argc, argv);
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == WEIR_EXIT_HELD) {
        fprintf(stderr,
                "weir: the output could not be written (%s); is it closed, or the disk full?\n",
                strerror(errno));
        return WEIR_EXIT_ENVIRONMENT;
    }
    return code;
}
