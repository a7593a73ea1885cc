/* Identifiers that every generated language can use as they stand. */
#include <stdio.h>
#include <string.h>

#include "layout/layout_loader.h"

typedef struct reserved_words {
    const char *language;
    const char *words; /* each between blanks */
} reserved_words;

/* ISO C17 6.4.1; ISO C++17 [lex.key] and [lex.digraph]; the Elixir syntax reference; the Rust
 * reference, "Keywords"; the Zig 0.13 language reference, "Keyword Reference". Only words that are
 * identifiers here (lower case). */
static const reserved_words tables[] = {
    {"C",
     " auto break case char const continue default do double else enum extern float for goto if "
     "inline int long register restrict return short signed sizeof static struct switch "
     "typedef union unsigned void volatile while "},
    {"C++",
     " alignas alignof and and_eq asm bitand bitor bool catch char16_t char32_t class compl "
     "const_cast constexpr decltype delete dynamic_cast explicit export false friend mutable "
     "namespace new noexcept not not_eq nullptr operator or or_eq private protected public "
     "reinterpret_cast static_assert static_cast template this thread_local throw true try "
     "typeid typename using virtual wchar_t xor xor_eq "},
    {"Elixir", " after end fn in nil rescue when "},
    {"Rust",
     " abstract as async await become box crate dyn final fn impl in let loop macro match mod "
     "move mut override priv pub ref self super trait type typeof unsized use where yield gen "},
    {"Zig", " addrspace align allowzero anyframe anytype callconv comptime defer errdefer error "
            "linksection noalias noinline nosuspend opaque orelse packed resume suspend test "
            "threadlocal unreachable usingnamespace var "},
};

const char *weir_loader_reserved_by(const char *word)
{
    char wanted[WEIR_LAYOUT_NAME_MAX + 3];
    if (strlen(word) > WEIR_LAYOUT_NAME_MAX)
        return NULL;
    snprintf(wanted, sizeof wanted, " %s ", word);
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        if (strstr(tables[i].words, wanted) != NULL)
            return tables[i].language;
    }
    return NULL;
}

bool weir_loader_is_identifier(const char *text, size_t length, bool upper)
{
    char first = upper ? 'A' : 'a';
    if (length == 0 || length > WEIR_LAYOUT_NAME_MAX || text[0] < first || text[0] > first + 25)
        return false;
    for (size_t i = 1; i < length; i++) {
        bool letter = text[i] >= first && text[i] <= first + 25;
        bool digit = text[i] >= '0' && text[i] <= '9';
        if (!letter && !digit && text[i] != '_')
            return false;
        if (text[i] == '_' && (text[i - 1] == '_' || i + 1 == length))
            return false; /* C++ reserves double underscores; CamelCase would lose them */
    }
    return true;
}

bool weir_loader_scalar(const char *text, size_t length, weir_layout_kind *kind)
{
    for (int i = WEIR_KIND_U8; i < WEIR_KIND_STRUCT; i++) {
        const char *name = weir_layout_kind_name((weir_layout_kind)i);
        if (strlen(name) == length && memcmp(name, text, length) == 0) {
            *kind = (weir_layout_kind)i;
            return true;
        }
    }
    return false;
}

uint64_t weir_loader_unsigned_max(weir_layout_kind kind)
{
    switch (kind) {
    case WEIR_KIND_U8:
        return UINT8_MAX;
    case WEIR_KIND_U16:
        return UINT16_MAX;
    case WEIR_KIND_U32:
        return UINT32_MAX;
    case WEIR_KIND_U64:
        return INT64_MAX; /* TOML's integers end there */
    default:
        return 0;
    }
}
