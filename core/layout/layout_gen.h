/**
 * @file
 * Bindings generated from a layout.
 *
 * Purpose: one function per generated file. The committed ones live in core/layout/generated; a
 * test generates them again and compares byte for byte. Docs become comments; a canonical layout
 * has none.
 *
 * Threads: as weir_layout_canonical. Ownership: release the text with free().
 */
#ifndef WEIR_LAYOUT_GEN_H
#define WEIR_LAYOUT_GEN_H

#include "layout/layout.h"

typedef weir_status weir_layout_generator(const weir_layout *layout, char **text, size_t *bytes);

weir_layout_generator weir_layout_gen_c_header;
weir_layout_generator weir_layout_gen_c_data;
weir_layout_generator weir_layout_gen_elixir;
weir_layout_generator weir_layout_gen_rust;
weir_layout_generator weir_layout_gen_zig;

/** One generated file: its language, what follows the layout's name in its name, and who writes it.
 */
typedef struct weir_layout_artifact {
    const char *language;
    const char *suffix; /**< for example "_layout.h" */
    weir_layout_generator *generate;
} weir_layout_artifact;

#define WEIR_LAYOUT_ARTIFACT_COUNT 5

/** All generated files; C has two. */
extern const weir_layout_artifact weir_layout_artifacts[WEIR_LAYOUT_ARTIFACT_COUNT];

#endif
