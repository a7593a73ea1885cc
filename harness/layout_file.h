/**
 * @file
 * Layout files for `weir layout`: read, load, and say on standard error what is wrong.
 *
 * Threads: the main thread. Blocking: as reading a file does.
 */
#ifndef WEIR_HARNESS_LAYOUT_FILE_H
#define WEIR_HARNESS_LAYOUT_FILE_H

#include "layout/layout.h"

/** Prints "weir layout: TEXT". @return @p exit_code. */
int weir_layout_complain(int exit_code, const char *text);

/**
 * Loads a file, or the built-in layout for NULL. The caller frees @p layout, which is NULL when
 * anything failed; what is wrong has then been printed.
 *
 * @return an exit code: 0, 1 for a faulty layout, 2 for an unreadable file, 3 without memory.
 */
int weir_layout_load_or_complain(const char *path, weir_layout **layout);

#endif
