/* The only C++ file: toml++'s tree becomes the plain one of toml_document.h, in one block of
 * memory.
 *
 * toml++ is compiled with its own exceptions on, against the project's default: without them its
 * parser is noexcept and an allocation that fails ends the process. With them both kinds of failure
 * arrive here as exceptions and leave as statuses; nothing is thrown past weir_toml_parse. *
 * Its own assertions (and with NDEBUG its assumptions, which are undefined behaviour when they
 * fail) are reached by some malformed texts, such as the header `[=]` or the time 2026-01-01Tx:
 * they too become exceptions, in every build type. The guard refuses those known; this is the net
 * below it. */
#undef NDEBUG
namespace
{
struct parser_gave_up {
};

[[noreturn]] void give_up()
{
    throw parser_gave_up();
}
} // namespace
#define TOML_ASSERT(expression) ((expression) ? static_cast<void>(0) : give_up())
#undef TOML_EXCEPTIONS
#define TOML_EXCEPTIONS            1
#define TOML_ENABLE_FORMATTERS     0
#define TOML_ENABLE_WINDOWS_COMPAT 0

#include <toml++/toml.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "layout/toml_document.h"

struct weir_toml {
    weir_toml_node root;
};

namespace
{

struct tally {
    std::size_t nodes = 0;
    std::size_t bytes = 0;
};

/* Recursion is bounded: the guard limits brackets and dotted keys. */
void count(const toml::node &from, tally &sum)
{
    if (const auto *text = from.as_string()) {
        sum.bytes += text->get().size() + 1;
    } else if (const auto *array = from.as_array()) {
        sum.nodes += array->size();
        for (const toml::node &element : *array)
            count(element, sum);
    } else if (const auto *table = from.as_table()) {
        sum.nodes += table->size();
        for (const auto &[key, value] : *table) {
            sum.bytes += key.str().size() + 1;
            count(value, sum);
        }
    }
}

struct room {
    weir_toml_node *nodes;
    char *bytes;
};

weir_toml_position position(const toml::source_region &region)
{
    return {region.begin.line, region.begin.column};
}

const char *keep(room &left, std::string_view text)
{
    char *copy = left.bytes;
    std::memcpy(copy, text.data(), text.size());
    copy[text.size()] = '\0';
    left.bytes += text.size() + 1;
    return copy;
}

void fill(const toml::node &from, weir_toml_node &to, room &left);

void fill_table(const toml::table &from, weir_toml_node &to, room &left)
{
    weir_toml_node *children = left.nodes;
    left.nodes += from.size();
    weir_toml_node *next = children;
    for (const auto &[key, value] : from) {
        next->key = keep(left, key.str());
        next->key_at = position(key.source());
        fill(value, *next++, left);
    }
    /* toml++ sorts by key; people read from top to bottom. */
    std::sort(children, next, [](const weir_toml_node &a, const weir_toml_node &b) {
        return a.key_at.line != b.key_at.line ? a.key_at.line < b.key_at.line
                                              : a.key_at.column < b.key_at.column;
    });
    to.as.children.first = children;
    to.as.children.count = from.size();
}

void fill_array(const toml::array &from, weir_toml_node &to, room &left)
{
    weir_toml_node *children = left.nodes;
    left.nodes += from.size();
    weir_toml_node *next = children;
    for (const toml::node &element : from)
        fill(element, *next++, left);
    to.as.children.first = children;
    to.as.children.count = from.size();
}

void fill(const toml::node &from, weir_toml_node &to, room &left)
{
    to.at = position(from.source());
    if (const auto *text = from.as_string()) {
        to.type = WEIR_TOML_STRING;
        to.as.string.text = keep(left, text->get());
        to.as.string.bytes = text->get().size();
    } else if (const auto *integer = from.as_integer()) {
        to.type = WEIR_TOML_INTEGER;
        to.as.integer = integer->get();
    } else if (const auto *number = from.as_floating_point()) {
        to.type = WEIR_TOML_FLOAT;
        to.as.number = number->get();
    } else if (const auto *boolean = from.as_boolean()) {
        to.type = WEIR_TOML_BOOLEAN;
        to.as.boolean = boolean->get();
    } else if (const auto *array = from.as_array()) {
        to.type = WEIR_TOML_ARRAY;
        fill_array(*array, to, left);
    } else if (const auto *table = from.as_table()) {
        to.type = WEIR_TOML_TABLE;
        fill_table(*table, to, left);
    } else {
        to.type = WEIR_TOML_DATE;
    }
}

/* Throws std::bad_alloc when there is no memory for the block. */
weir_toml *convert(const toml::table &from)
{
    tally sum;
    count(from, sum);
    /* Nodes first, then the bytes of their texts: a node needs alignment and a text does not. */
    const std::size_t nodes_bytes = sum.nodes * sizeof(weir_toml_node);
    void *block = std::calloc(1, sizeof(weir_toml) + nodes_bytes + sum.bytes);
    if (block == nullptr)
        throw std::bad_alloc();
    auto *document = static_cast<weir_toml *>(block);
    auto *nodes = reinterpret_cast<weir_toml_node *>(document + 1);
    room left = {nodes, reinterpret_cast<char *>(nodes + sum.nodes)};
    fill(from, document->root, left);
    return document;
}

} // namespace

weir_status weir_toml_parse(const char *text, size_t bytes, const char *file_name,
                            weir_toml **document, weir_error *error)
{
    *document = nullptr;
    const weir_status guarded = weir_toml_guard(text, bytes, file_name, error);
    if (guarded != WEIR_OK)
        return guarded;
    try {
        const toml::table table = toml::parse(std::string_view(text, bytes));
        *document = convert(table);
        return WEIR_OK;
    } catch (const toml::parse_error &failure) {
        const auto &at = failure.source().begin;
        const std::string_view why = failure.description();
        weir_error_set(error, "%.160s:%u:%u: %.*s; correct the TOML there", file_name,
                       static_cast<unsigned>(at.line), static_cast<unsigned>(at.column),
                       static_cast<int>(std::min<std::size_t>(why.size(), 280)), why.data());
        return WEIR_INVALID;
    } catch (const parser_gave_up &) {
        weir_error_set(error,
                       "%.160s:1:1: malformed TOML whose place its parser cannot tell; look for a "
                       "malformed date or time",
                       file_name);
        return WEIR_INVALID;
    } catch (...) {
        weir_error_set(error, "no memory to parse %.160s; free some and try again", file_name);
        return WEIR_NO_MEMORY;
    }
}

void weir_toml_free(weir_toml *document)
{
    std::free(document);
}

const weir_toml_node *weir_toml_root(const weir_toml *document)
{
    return &document->root;
}
