#include "manager/schema_guard.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A REJECT holds 255 characters: the difference is cut so that the command behind it survives. */
#define DIFFERENCE_SHOWN 130

static weir_status refuse_breaking(const char *difference, weir_error *error)
{
    weir_error_set(error,
                   "the worker's layout does not fit: %.*s; see all with `weir layout diff OLD "
                   "NEW`, then rebuild the worker against the manager's layout",
                   DIFFERENCE_SHOWN, difference);
    return WEIR_INCOMPATIBLE;
}

weir_status weir_schema_guard_claim(const weir_schema_claim *claim, weir_schema_verdict *verdict,
                                    weir_error *error)
{
    *verdict = (weir_schema_verdict){.relation = WEIR_LAYOUT_BREAKING};
    if (claim->major != WEIR_LAYOUT_MAJOR) {
        snprintf(verdict->difference, sizeof verdict->difference, "major version %u instead of %u",
                 claim->major, WEIR_LAYOUT_MAJOR);
        return refuse_breaking(verdict->difference, error);
    }
    if (memcmp(claim->digest, weir_layout_digest, sizeof claim->digest) != 0) {
        return WEIR_EMPTY;
    }
    if (claim->minor != WEIR_LAYOUT_MINOR) {
        snprintf(verdict->difference, sizeof verdict->difference,
                 "same digest, but minor version %u instead of %u", claim->minor,
                 WEIR_LAYOUT_MINOR);
        return refuse_breaking(verdict->difference, error);
    }
    verdict->relation = WEIR_LAYOUT_IDENTICAL;
    verdict->minor = WEIR_LAYOUT_MINOR;
    return WEIR_OK;
}

/* Loads a peer's text and demands that it is what HELLO announced. */
static weir_status load_claimed(const weir_schema_claim *claim, const char *text, size_t bytes,
                                weir_layout **layout, weir_error *error)
{
    weir_error why = {.text = ""};
    weir_status status = weir_layout_load(text, bytes, "worker", NULL, layout, &why);
    if (status == WEIR_NO_MEMORY) {
        weir_error_set(error, "%s", why.text);
        return status;
    }
    if (status != WEIR_OK) {
        weir_error_set(error, "the worker's layout cannot be read: %.200s", why.text);
        return WEIR_PROTOCOL;
    }
    uint8_t digest[WEIR_LAYOUT_DIGEST_BYTES];
    uint16_t major = 0;
    uint16_t minor = 0;
    weir_layout_version(*layout, &major, &minor);
    status = weir_layout_digest_of(*layout, digest);
    if (status != WEIR_OK) {
        weir_error_set(error, "there is no memory to compare the worker's layout");
    } else if (memcmp(digest, claim->digest, sizeof digest) != 0) {
        weir_error_set(error, "the worker's layout has another digest than its HELLO said; "
                              "generate digest and text from one layout");
        status = WEIR_PROTOCOL;
    } else if (major != claim->major || minor != claim->minor) {
        weir_error_set(error,
                       "the worker's layout has version %u.%u and its HELLO said %u.%u; generate "
                       "both from one layout",
                       major, minor, claim->major, claim->minor);
        status = WEIR_PROTOCOL;
    }
    if (status != WEIR_OK) {
        weir_layout_free(*layout);
        *layout = NULL;
    }
    return status;
}

/* Compares the older with the newer. With the same minor version either may be the one that has
 * more; a breaking difference is told as what the worker did to the manager's layout. */
static void compare(const weir_layout *own, const weir_layout *peer, uint16_t peer_minor,
                    weir_layout_differences *differences)
{
    const uint16_t own_minor = WEIR_LAYOUT_MINOR;
    if (peer_minor < own_minor) {
        weir_layout_diff(peer, own, differences);
        return;
    }
    weir_layout_diff(own, peer, differences);
    if (differences->relation == WEIR_LAYOUT_BREAKING && peer_minor == own_minor) {
        weir_layout_differences other;
        weir_layout_diff(peer, own, &other);
        if (other.relation != WEIR_LAYOUT_BREAKING) {
            *differences = other;
        }
    }
}

weir_status weir_schema_guard_check(const weir_schema_claim *claim, const char *text, size_t bytes,
                                    weir_schema_verdict *verdict, weir_error *error)
{
    *verdict = (weir_schema_verdict){.relation = WEIR_LAYOUT_BREAKING};
    weir_layout *peer = NULL;
    weir_status status = load_claimed(claim, text, bytes, &peer, error);
    if (status != WEIR_OK) {
        return status;
    }
    weir_layout *own = NULL;
    status = weir_layout_load_builtin(&own, error);
    if (status != WEIR_OK) {
        weir_layout_free(peer);
        return status;
    }
    weir_layout_differences differences;
    compare(own, peer, claim->minor, &differences);
    verdict->relation = differences.relation;
    const uint16_t own_minor = WEIR_LAYOUT_MINOR;
    verdict->minor = claim->minor < own_minor ? claim->minor : own_minor;
    const weir_layout_difference *first = weir_layout_first_difference(&differences);
    if (first != NULL) {
        memcpy(verdict->difference, first->text, sizeof verdict->difference);
    }
    weir_layout_free(own);
    weir_layout_free(peer);
    return verdict->relation == WEIR_LAYOUT_BREAKING ? refuse_breaking(verdict->difference, error)
                                                     : WEIR_OK;
}

_Static_assert(sizeof(((weir_schema_verdict *)0)->difference) ==
                   sizeof(((weir_layout_difference *)0)->text),
               "a difference is copied whole");

weir_status weir_schema_check_request(uint16_t opcode, uint64_t request_bytes, weir_error *error)
{
    if (opcode >= WEIR_OPCODE_APPLICATION_FIRST) {
        return WEIR_OK;
    }
    const struct weir_opcode_schema *schema = weir_opcode_schema_find(opcode);
    if (schema == NULL) {
        weir_error_set(error,
                       "opcode %u is not in the layout; use one of those that `weir layout show` "
                       "lists, or one of your own from %u on",
                       opcode, WEIR_OPCODE_APPLICATION_FIRST);
        return WEIR_UNSUPPORTED;
    }
    if (request_bytes < schema->request_min || request_bytes > schema->request_max) {
        weir_error_set(
            error, "a %s request has %" PRIu64 " bytes; it must have %" PRIu64 " to %" PRIu64,
            weir_opcode_name(opcode), request_bytes, schema->request_min, schema->request_max);
        return WEIR_INCOMPATIBLE;
    }
    return WEIR_OK;
}
