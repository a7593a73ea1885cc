/**
 * @file
 * `weir layout`: check, show, digest, canonical, gen, diff.
 *
 * Threads: the main thread. Blocking: as reading and writing files does.
 */
#ifndef WEIR_HARNESS_CMD_LAYOUT_H
#define WEIR_HARNESS_CMD_LAYOUT_H

/**
 * Runs the subcommand that argv[1] names; argv[0] is "layout".
 *
 * @return the process's exit code: 0 held, 1 the check failed or the change is breaking, 2 usage
 * (unreadable files included), 3 no memory or a file that cannot be written.
 */
int weir_cmd_layout(int argc, char **argv);

#endif
