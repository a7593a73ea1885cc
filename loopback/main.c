/* weir-loopback: the reference worker. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loopback/jobs.h"

#define EXIT_USAGE       2
#define EXIT_ENVIRONMENT 3
#define VERSION          "0.1.0"

static const char help[] =
    "Usage: weir-loopback [--role NAME] [--opcodes LIST] [--socket PATH] [--correlation TEXT]\n"
    "\n"
    "The reference worker of Weir. A manager starts it; it takes jobs from shared memory,\n"
    "does them, and ends when the manager says so or is gone.\n"
    "\n"
    "  --role NAME         what the manager's registry calls it (default loopback)\n"
    "  --opcodes LIST      of echo,crc,simulate,pathfind,worldgen,analytics (default all)\n"
    "  --socket PATH       the manager's socket (default: environment WEIR_SOCKET)\n"
    "  --correlation TEXT  appears in the manager's log (default: environment WEIR_CORRELATION)\n"
    "  --help, --version\n"
    "\n"
    "The one-use token comes from the environment variable WEIR_TOKEN only.\n"
    "\n"
    "Exit status: 0 drained or shut down, 1 a promise was broken, 2 usage, 3 no manager.\n"
    "\n"
    "Example: weir run --workers 2        starts two of these and gives them work\n";

typedef struct arguments {
    const char *role;
    const char *opcodes;
    const char *socket;
    const char *correlation;
} arguments;

static const char **place_of(arguments *arguments, const char *name, size_t length)
{
    const struct {
        const char *name;
        const char **value;
    } options[] = {
        {"--role", &arguments->role},
        {"--opcodes", &arguments->opcodes},
        {"--socket", &arguments->socket},
        {"--correlation", &arguments->correlation},
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        if (strlen(options[i].name) == length && memcmp(options[i].name, name, length) == 0) {
            return options[i].value;
        }
    }
    return NULL;
}

/* Returns the exit status that ends the program now, or -1. */
static int read_arguments(int argc, char **argv, arguments *arguments)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            return fputs(help, stdout) < 0 ? EXIT_ENVIRONMENT : 0;
        }
        if (strcmp(argv[i], "--version") == 0) {
            return puts("weir-loopback " VERSION) < 0 ? EXIT_ENVIRONMENT : 0;
        }
        const size_t length = strcspn(argv[i], "=");
        const char **place = place_of(arguments, argv[i], length);
        if (place == NULL) {
            fprintf(stderr,
                    "weir-loopback: unknown option \"%s\"; weir-loopback --help lists them\n",
                    argv[i]);
            return EXIT_USAGE;
        }
        if (argv[i][length] == '=') {
            *place = argv[i] + length + 1;
        } else if (i + 1 < argc) {
            *place = argv[++i];
        } else {
            fprintf(stderr, "weir-loopback: %s needs a value; see weir-loopback --help\n", argv[i]);
            return EXIT_USAGE;
        }
    }
    return -1;
}

int main(int argc, char **argv)
{
    arguments arguments = {.role = "loopback"};
    const int ending = read_arguments(argc, argv, &arguments);
    if (ending >= 0) {
        return ending;
    }
    static loopback_jobs jobs;
    weir_error error = {.text = ""};
    if (loopback_jobs_choose(&jobs, arguments.opcodes, &error) != WEIR_OK) {
        fprintf(stderr, "weir-loopback: %s\n", error.text);
        return EXIT_USAGE;
    }
    if (arguments.socket == NULL && getenv("WEIR_SOCKET") == NULL) {
        fputs("weir-loopback: this is the worker that a Weir manager starts, and no manager named "
              "its socket (WEIR_SOCKET); start one with `weir run`\n",
              stderr);
        return EXIT_ENVIRONMENT;
    }
    const weir_worker_options options = {
        .role = arguments.role,
        .routines = jobs.table,
        .routine_count = jobs.count,
        .context = &jobs.memory,
        .socket_path = arguments.socket,
    };
    const int status = weir_worker_main(&options, argc, argv);
    loopback_jobs_free(&jobs);
    return status;
}
