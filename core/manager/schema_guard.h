/**
 * @file
 * What the manager lets in: peers whose layout fits, requests whose length fits.
 *
 * Purpose: a worker whose layout has another digest sends its canonical text; the guard says
 * whether both can work together and at which minor version. The dispatcher asks the guard whether
 * a request has a length that its opcode allows.
 *
 * Threads: pure functions; any thread.
 *
 * Blocking: none; weir_schema_guard_check parses TOML, which takes milliseconds and memory, and
 * runs only for a peer with another digest. weir_schema_check_request is for the hot path.
 *
 * Units: bytes.
 */
#ifndef WEIR_MANAGER_SCHEMA_GUARD_H
#define WEIR_MANAGER_SCHEMA_GUARD_H

#include <stddef.h>
#include <stdint.h>

#include "layout/generated/weir_layout.h"
#include "weir/layout.h"
#include "weir/status.h"

/** What a peer says about its layout. */
typedef struct weir_schema_claim {
    uint16_t major;
    uint16_t minor;
    uint8_t digest[WEIR_DIGEST_BYTES];
} weir_schema_claim;

/** What came out of a comparison. */
typedef struct weir_schema_verdict {
    weir_layout_relation relation;
    uint16_t minor;       /**< Agreed, the older of both; only when not breaking. */
    char difference[240]; /**< The first one; empty when identical. */
} weir_schema_verdict;

/**
 * Judges a peer by its claim alone. Returns WEIR_OK (same digest; @p verdict is identical),
 * WEIR_EMPTY (the text is needed), WEIR_INCOMPATIBLE (another major version, or the same digest
 * with another version).
 */
weir_status weir_schema_guard_claim(const weir_schema_claim *claim, weir_schema_verdict *verdict,
                                    weir_error *error) WEIR_MUST_CHECK;

/**
 * Compares the own layout with @p bytes bytes of a peer's canonical text.
 *
 * Returns WEIR_OK (identical or compatible), WEIR_INCOMPATIBLE (breaking: the sentence names the
 * first field that differs and the command to run), WEIR_PROTOCOL (the text is no layout or not the
 * one claimed), WEIR_NO_MEMORY.
 */
weir_status weir_schema_guard_check(const weir_schema_claim *claim, const char *text, size_t bytes,
                                    weir_schema_verdict *verdict,
                                    weir_error *error) WEIR_MUST_CHECK;

/**
 * May a request of @p opcode be @p request_bytes long? Opcodes of applications are bounded by the
 * slots alone.
 *
 * Returns WEIR_OK, WEIR_UNSUPPORTED (no such opcode), WEIR_INCOMPATIBLE (too short or too long).
 */
weir_status weir_schema_check_request(uint16_t opcode, uint64_t request_bytes,
                                      weir_error *error) WEIR_MUST_CHECK;

#endif
