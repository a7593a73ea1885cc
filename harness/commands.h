/**
 * @file
 * The commands of `weir`, each with its own options; argv[0] is the command's name.
 *
 * Threads: the main thread, once. Blocking: until the command is done. Return: the exit code.
 */
#ifndef WEIR_HARNESS_COMMANDS_H
#define WEIR_HARNESS_COMMANDS_H

int weir_cmd_run(int argc, char **argv);
int weir_cmd_stress(int argc, char **argv);
int weir_cmd_bench(int argc, char **argv);
int weir_cmd_layout(int argc, char **argv);

#endif
