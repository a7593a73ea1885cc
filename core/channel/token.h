/**
 * @file
 * The one-use token by which a worker shows that it is the one that was started.
 *
 * Purpose: make it, write it as the text of WEIR_TOKEN, read it back, compare it.
 *
 * Threads: pure functions. Blocking: weir_token_make asks the kernel for random bytes.
 *
 * Units: 32 bytes, 64 hexadecimal digits.
 */
#ifndef WEIR_CHANNEL_TOKEN_H
#define WEIR_CHANNEL_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "layout/generated/weir_layout.h"
#include "weir/status.h"

/** Room for a token's text with its final zero. */
#define WEIR_TOKEN_TEXT_BYTES (2 * WEIR_TOKEN_BYTES + 1)

/** Makes a token that nobody can guess. Returns WEIR_OK, WEIR_SYSTEM. */
weir_status weir_token_make(uint8_t token[WEIR_TOKEN_BYTES], weir_error *error) WEIR_MUST_CHECK;

/** Writes the token as lower-case hexadecimal digits. */
void weir_token_write(const uint8_t token[WEIR_TOKEN_BYTES], char text[WEIR_TOKEN_TEXT_BYTES]);

/** Reads a token's text. Returns WEIR_OK, WEIR_INVALID (the sentence does not repeat the text). */
weir_status weir_token_read(const char *text, uint8_t token[WEIR_TOKEN_BYTES],
                            weir_error *error) WEIR_MUST_CHECK;

/** True when equal; takes the same time wherever they differ. */
bool weir_token_equal(const uint8_t a[WEIR_TOKEN_BYTES], const uint8_t b[WEIR_TOKEN_BYTES]);

#endif
