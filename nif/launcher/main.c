/* weir-launch: starts one worker for the Erlang virtual machine and ends it with all that it
 * started. */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nif/launcher/launch.h"

#define EXIT_USAGE 2

static const char help[] =
    "Usage: weir-launch [--credit LINES] PROGRAM [ARGUMENT...]\n"
    "\n"
    "Starts a worker for Weir's Elixir manager, which talks to it through standard input and\n"
    "output in frames (an Erlang port with {packet, 2}). When standard input ends, the worker and\n"
    "everything that it started is killed.\n"
    "\n"
    "  --credit LINES  how many lines of the worker's output to pass on before more are asked for\n"
    "                  (default 0)\n"
    "\n"
    "Exit status: 0 the worker has ended or could not be started, and that was told; 1 something\n"
    "that it started could not be killed; 2 usage; 3 the kernel refuses what is needed.\n"
    "\n"
    "Not meant to be typed: Weir.PortSupervisor starts it.\n";

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        return fputs(help, stdout) < 0 ? EXIT_USAGE : 0;
    }
    unsigned long credit = 0;
    char **command = argv + 1;
    if (argc > 3 && strcmp(argv[1], "--credit") == 0) {
        char *end = NULL;
        errno = 0;
        credit = strtoul(argv[2], &end, 10);
        const bool is_number =
            isdigit((unsigned char)argv[2][0]) != 0 && *end == '\0' && errno == 0;
        command = is_number ? argv + 3 : NULL;
    }
    if (argc < 2 || command == NULL || command[0][0] == '-') {
        fputs("weir-launch: name the program to start; see weir-launch --help\n", stderr);
        return EXIT_USAGE;
    }
    /* Whatever else the virtual machine left open is not the worker's. */
    (void)close_range(STDERR_FILENO + 1, ~0U, 0);
    return launch_run(STDIN_FILENO, STDOUT_FILENO,
                      credit > UINT32_MAX ? UINT32_MAX : (uint32_t)credit, command);
}
