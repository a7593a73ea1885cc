/**
 * @file
 * The memory map of a layout as text.
 *
 * Purpose: `weir layout show`. Both objects with their regions and guard pages at the default
 * sizes, every struct as rows of 64 bytes with a letter for each byte, every list of codes; at most
 * 100 columns.
 *
 * Threads: any; the layout is only read. Blocking: as writing to @p out does.
 */
#ifndef WEIR_HARNESS_LAYOUT_SHOW_H
#define WEIR_HARNESS_LAYOUT_SHOW_H

#include <stdio.h>

#include "layout/layout.h"

/** Draws the whole layout. */
void weir_layout_show(FILE *out, const weir_layout *layout,
                      const uint8_t digest[WEIR_LAYOUT_DIGEST_BYTES]);

/** The two objects alone. */
void weir_layout_show_objects(FILE *out, const weir_layout *layout);

/** One struct alone. */
void weir_layout_show_struct(FILE *out, const weir_layout *layout, const weir_layout_struct *of);

#endif
