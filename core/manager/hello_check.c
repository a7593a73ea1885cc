#include "manager/hello_check.h"

#include <assert.h>
#include <string.h>

static weir_status check_token(weir_handshake *h, const struct weir_hello *hello, weir_error *error)
{
    h->terms = h->find(h->context, hello->token);
    if (h->terms == NULL) {
        weir_error_set(error, "the token is not one that the manager waits for, or it was used "
                              "before; let the manager start the worker");
        return weir_handshake_note(h, WEIR_ERROR_CODE_TOKEN, WEIR_REFUSED);
    }
    assert(h->terms->generation != 0 && h->terms->arena != NULL);
    if (h->terms->correlation != NULL && strcmp(h->terms->correlation, h->correlation) != 0) {
        weir_error_set(error,
                       "the correlation is \"%s\" and the token belongs to \"%s\"; pass "
                       "WEIR_CORRELATION on unchanged",
                       h->correlation, h->terms->correlation);
        return weir_handshake_note(h, WEIR_ERROR_CODE_TOKEN, WEIR_REFUSED);
    }
    return WEIR_OK;
}

/* Keeps the announced opcodes in ascending order and each once. */
static bool take_opcodes(weir_handshake *h, const struct weir_hello *hello)
{
    if (hello->opcode_count == 0 || hello->opcode_count > WEIR_OPCODE_COUNT_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < hello->opcode_count; i++) {
        const uint16_t opcode = hello->opcode[i];
        uint32_t at = h->opcode_count;
        if (opcode == WEIR_OPCODE_NONE) {
            return false;
        }
        while (at > 0 && h->opcode[at - 1] > opcode) {
            at--;
        }
        if (at > 0 && h->opcode[at - 1] == opcode) {
            continue;
        }
        memmove(&h->opcode[at + 1], &h->opcode[at], (h->opcode_count - at) * sizeof h->opcode[0]);
        h->opcode[at] = opcode;
        h->opcode_count++;
    }
    return true;
}

static weir_status check_role(weir_handshake *h, const struct weir_hello *hello, weir_error *error)
{
    if (h->role[0] == '\0') {
        weir_error_set(error, "the worker has no role; give it one in its options");
        return weir_handshake_note(h, WEIR_ERROR_CODE_ROLE, WEIR_REFUSED);
    }
    if (h->terms->role != NULL && strcmp(h->terms->role, h->role) != 0) {
        weir_error_set(error,
                       "the worker's role is \"%s\" and a \"%s\" was expected; start the right "
                       "program or change the pool's role",
                       h->role, h->terms->role);
        return weir_handshake_note(h, WEIR_ERROR_CODE_ROLE, WEIR_REFUSED);
    }
    if (!take_opcodes(h, hello)) {
        weir_error_set(error,
                       "the worker announces %u opcodes; it must announce 1 to %u, none of them 0",
                       hello->opcode_count, WEIR_OPCODE_COUNT_MAX);
        return weir_handshake_note(h, WEIR_ERROR_CODE_ROLE, WEIR_REFUSED);
    }
    h->wake_strategies =
        hello->wake_strategies & h->terms->wake_strategies & WEIR_HANDSHAKE_STRATEGIES;
    if (h->wake_strategies == 0) {
        weir_error_set(error,
                       "the worker sleeps with wake strategies 0x%x and the manager wakes with "
                       "0x%x; allow one that both have",
                       hello->wake_strategies, h->terms->wake_strategies);
        return weir_handshake_note(h, WEIR_ERROR_CODE_ROLE, WEIR_REFUSED);
    }
    return WEIR_OK;
}

/* Compression needs both sides; payload checksums are used unless both go without. */
static uint32_t agree(uint32_t mine, uint32_t theirs)
{
    const uint32_t both = WEIR_CAPABILITY_LZ4 | WEIR_CAPABILITY_ZSTD;
    return (mine & theirs & both) | ((mine | theirs) & WEIR_CAPABILITY_PAYLOAD_CRC);
}

weir_status weir_hello_check_terms(weir_handshake *h, const struct weir_hello *hello,
                                   weir_error *error)
{
    weir_status status = check_token(h, hello, error);
    if (status == WEIR_OK) {
        status = check_role(h, hello, error);
    }
    if (status == WEIR_OK) {
        h->capabilities = agree(h->terms->capabilities, hello->capabilities);
    }
    return status;
}
