#include "channel/token.h"

#include <errno.h>
#include <string.h>

#include "base/os.h"

weir_status weir_token_make(uint8_t token[WEIR_TOKEN_BYTES], weir_error *error)
{
    if (weir_os()->random_bytes(token, WEIR_TOKEN_BYTES) != 0) {
        return weir_error_system(error, errno, "asking the kernel for random bytes", NULL);
    }
    return WEIR_OK;
}

void weir_token_write(const uint8_t token[WEIR_TOKEN_BYTES], char text[WEIR_TOKEN_TEXT_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < WEIR_TOKEN_BYTES; i++) {
        text[2 * i] = digits[token[i] >> 4];
        text[2 * i + 1] = digits[token[i] & 15];
    }
    text[WEIR_TOKEN_TEXT_BYTES - 1] = '\0';
}

/* Value of a hexadecimal digit, or 16. */
static unsigned digit(char c)
{
    if (c >= '0' && c <= '9') {
        return (unsigned)(c - '0');
    }
    if (c >= 'a' && c <= 'f') {
        return (unsigned)(c - 'a') + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return (unsigned)(c - 'A') + 10;
    }
    return 16;
}

weir_status weir_token_read(const char *text, uint8_t token[WEIR_TOKEN_BYTES], weir_error *error)
{
    const size_t length = strlen(text);
    if (length != WEIR_TOKEN_TEXT_BYTES - 1) {
        weir_error_set(error,
                       "WEIR_TOKEN has %zu characters; it must be the %d hexadecimal digits that "
                       "the manager made",
                       length, WEIR_TOKEN_TEXT_BYTES - 1);
        return WEIR_INVALID;
    }
    for (size_t i = 0; i < WEIR_TOKEN_BYTES; i++) {
        const unsigned high = digit(text[2 * i]);
        const unsigned low = digit(text[2 * i + 1]);
        if (high > 15 || low > 15) {
            weir_error_set(error,
                           "WEIR_TOKEN has a character at position %zu that is no hexadecimal "
                           "digit; it must be the %d digits that the manager made",
                           2 * i + (high > 15 ? 1 : 2), WEIR_TOKEN_TEXT_BYTES - 1);
            return WEIR_INVALID;
        }
        token[i] = (uint8_t)(high << 4 | low);
    }
    return WEIR_OK;
}

bool weir_token_equal(const uint8_t a[WEIR_TOKEN_BYTES], const uint8_t b[WEIR_TOKEN_BYTES])
{
    uint8_t different = 0;
    for (size_t i = 0; i < WEIR_TOKEN_BYTES; i++) {
        different |= a[i] ^ b[i];
        /* The compiler knows nothing of the value, so it cannot leave at the first difference. */
        __asm__("" : "+r"(different));
    }
    return different == 0;
}
