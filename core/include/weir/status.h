/**
 * @file
 * Status codes and error texts.
 *
 * Purpose: every function of Weir that can fail says how in a weir_status, and, where a person will
 * have to act on it, in a sentence in a weir_error that names the cause and the fix.
 *
 * Threads: values and plain memory only; anybody may use them anywhere.
 *
 * Full, empty, timeout and the death of a peer are normal values, not disasters: callers are
 * expected to branch on them.
 */
#ifndef WEIR_STATUS_H
#define WEIR_STATUS_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Marks what the shared library exports. */
#define WEIR_API __attribute__((visibility("default")))

/** How a call went. Do not ignore it. */
typedef enum weir_status {
    WEIR_OK = 0,    /**< Done. */
    WEIR_FULL,      /**< No room now; room appears when the other side consumes or releases. */
    WEIR_EMPTY,     /**< Nothing to take now. */
    WEIR_TIMEOUT,   /**< The deadline passed first. */
    WEIR_PEER_DEAD, /**< The other process is gone or said goodbye. */
    WEIR_INVALID,   /**< An argument or a configuration makes no sense; nothing was changed. */
    WEIR_NO_MEMORY, /**< Memory could not be had. */
    WEIR_SYSTEM,   /**< The operating system refused a call; the text names the call and the reason.
                    */
    WEIR_PROTOCOL, /**< The other side broke the protocol; nothing more of it is believed. */
    WEIR_CORRUPT,  /**< Bytes do not match their checksum. */
    WEIR_INCOMPATIBLE, /**< Layouts, versions or schemas do not fit together. */
    WEIR_UNSUPPORTED,  /**< The operation is not offered here. */
    WEIR_OVERSIZE,     /**< Larger than any slot that could hold it. */
    WEIR_REFUSED,      /**< The other side said no; the text repeats its reason. */
    WEIR_NOT_FOUND,    /**< The thing named does not exist. */
    WEIR_CLOSED,       /**< The object is being shut down and takes nothing new. */
    WEIR_INTERRUPTED,  /**< A signal asked to stop. */
    WEIR_STATUS_COUNT  /**< Number of statuses; never returned. */
} weir_status;

/** A function whose status must be looked at. */
#define WEIR_MUST_CHECK __attribute__((warn_unused_result))

/** Name of a status as it appears in logs, for example "full"; "unknown" for values outside the
 * enumeration. */
WEIR_API const char *weir_status_name(weir_status status);

/** A sentence for a person: what went wrong and what to do about it. Owned by the caller, usually
 * on its stack. */
typedef struct weir_error {
    char text[512]; /**< Zero-terminated; empty when there is nothing to say. */
} weir_error;

/** Writes a sentence; does nothing when @p error is NULL. Text that does not fit is cut. */
WEIR_API void weir_error_set(weir_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/**
 * Writes "DOING: reason of @p error_number; FIX" and returns the matching status: WEIR_NO_MEMORY
 * for ENOMEM, else WEIR_SYSTEM. @p fix may be NULL when the reason already says what to do.
 */
WEIR_API weir_status weir_error_system(weir_error *error, int error_number, const char *doing,
                                       const char *fix);

#ifdef __cplusplus
}
#endif

#endif
