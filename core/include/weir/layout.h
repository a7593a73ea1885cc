/**
 * @file
 * Layouts: the description of everything that two processes share.
 *
 * Purpose: load a layout from TOML, say what is wrong with it, take its digest, write its canonical
 * text, compare two layouts, generate bindings. The manager's schema guard and `weir layout` stand
 * on this header; the core itself compiles against the generated weir_layout.h and needs none of
 * it.
 *
 * Threads: a loaded layout never changes; any number of threads may read it. Nothing here blocks.
 *
 * Texts may come from a peer: they are bounded (256 KiB, see the loader's limits) and checked,
 * never trusted.
 */
#ifndef WEIR_LAYOUT_H
#define WEIR_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_LAYOUT_DIGEST_BYTES 32 /**< BLAKE2b, 256 bits. */
#define WEIR_LAYOUT_PROBLEMS_MAX 20 /**< Problems kept per load; more are only counted. */
#define WEIR_LAYOUT_DIFFERENCE_MAX                                                                 \
    64 /**< Differences kept per comparison; more are only counted. */

/** A layout that was loaded and found sound. */
typedef struct weir_layout weir_layout;

/** One fault of a layout text. Lines and columns count from 1. */
typedef struct weir_layout_problem {
    uint32_t line;
    uint32_t column;
    char text[320]; /**< what is wrong; what to do */
} weir_layout_problem;

/** What a load found, in the order of the checks. */
typedef struct weir_layout_problems {
    size_t found; /**< may exceed WEIR_LAYOUT_PROBLEMS_MAX */
    weir_layout_problem item[WEIR_LAYOUT_PROBLEMS_MAX];
} weir_layout_problems;

/**
 * Loads a layout from @p bytes bytes of TOML. @p file_name is only for messages. @p problems may be
 * NULL; it receives every fault of a text that is TOML (a text that is not has its one fault in @p
 * error alone).
 *
 * Ownership: free the layout with weir_layout_free.
 *
 * @return WEIR_OK; WEIR_INVALID with the first problem as "file:line:column: what is wrong; what to
 * do" in @p error; WEIR_NO_MEMORY.
 */
WEIR_API WEIR_MUST_CHECK weir_status weir_layout_load(const char *text, size_t bytes,
                                                      const char *file_name,
                                                      weir_layout_problems *problems,
                                                      weir_layout **layout, weir_error *error);

/** Loads the canonical text that is compiled into the library. @return as weir_layout_load. */
WEIR_API WEIR_MUST_CHECK weir_status weir_layout_load_builtin(weir_layout **layout,
                                                              weir_error *error);

/** Releases a layout; NULL is allowed. */
WEIR_API void weir_layout_free(weir_layout *layout);

/** The layout's version. A peer with another major cannot talk to this one. */
WEIR_API void weir_layout_version(const weir_layout *layout, uint16_t *major, uint16_t *minor);

/**
 * The canonical text: TOML with one order of keys, without comments and docs. Loading it gives a
 * layout with the same digest. Definitions keep their order, so moving one changes the digest
 * though not the meaning.
 *
 * Ownership: release @p text with free(). @p bytes does not count the final zero.
 *
 * @return WEIR_OK or WEIR_NO_MEMORY.
 */
WEIR_API WEIR_MUST_CHECK weir_status weir_layout_canonical(const weir_layout *layout, char **text,
                                                           size_t *bytes);

/**
 * BLAKE2b-256 of the canonical text, so `weir layout canonical FILE | b2sum -l 256` shows the same
 * (RFC 7693).
 *
 * @return WEIR_OK or WEIR_NO_MEMORY.
 */
WEIR_API WEIR_MUST_CHECK weir_status
weir_layout_digest_of(const weir_layout *layout, uint8_t digest[WEIR_LAYOUT_DIGEST_BYTES]);

/** How a new layout relates to an old one. */
typedef enum weir_layout_relation {
    WEIR_LAYOUT_IDENTICAL = 0, /**< same meaning */
    WEIR_LAYOUT_COMPATIBLE,    /**< a peer with the old one can go on at the old minor version */
    WEIR_LAYOUT_BREAKING       /**< a peer with the old one would misread something */
} weir_layout_relation;

/** One difference between two layouts. */
typedef struct weir_layout_difference {
    bool breaking;
    char text[240]; /**< for example "struct envelope, field flags: offset 6 became 8" */
} weir_layout_difference;

/** The result of a comparison. */
typedef struct weir_layout_differences {
    weir_layout_relation relation;
    size_t
        found; /**< may exceed WEIR_LAYOUT_DIFFERENCE_MAX; breaking ones are kept in preference */
    bool raise_minor; /**< compatible, but both have the same minor version: raise the new one's */
    weir_layout_difference
        item[WEIR_LAYOUT_DIFFERENCE_MAX]; /**< layout, constants, enums, structs */
} weir_layout_differences;

/**
 * Compares @p from (older) with @p to (newer). Compatible is: the same name, major, byte order and
 * lines, a minor that is not smaller, and nothing but added constants, enums, enum values and
 * structs, and fields taken from `reserved` ones at the same total size. Everything else is
 * breaking.
 */
WEIR_API void weir_layout_diff(const weir_layout *from, const weir_layout *to,
                               weir_layout_differences *differences);

/** The difference to tell first: the first breaking one, else the first; NULL when there is none.
 */
WEIR_API const weir_layout_difference *
weir_layout_first_difference(const weir_layout_differences *differences);

/** "identical", "compatible" or "breaking". */
WEIR_API const char *weir_layout_relation_name(weir_layout_relation relation);

#ifdef __cplusplus
}
#endif

#endif
