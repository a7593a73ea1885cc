/**
 * @file
 * `weir bench`: what Weir costs, each number beside something bare in the same run.
 *
 * Purpose: measures the way of a job piece by piece between two pinned processes and holds the
 * ratios against their limits.
 *
 * Threads: the only thread of its process. Blocking: under two minutes with the default number of
 * rounds.
 *
 * Exit status: 0 measured (with --check: every limit held), 1 a limit was missed with --check or a
 * message was damaged, 2 usage, 3 fewer than two usable cores or no worker program, 130
 * interrupted.
 */
#ifndef WEIR_HARNESS_BENCH_BENCH_H
#define WEIR_HARNESS_BENCH_BENCH_H

/** @p argv[0] is the name of the subcommand. */
int weir_cmd_bench(int argc, char **argv);

#endif
