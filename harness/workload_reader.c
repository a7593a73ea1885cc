#include "harness/workload_reader.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "harness/names.h"
#include "harness/options.h"
#include "harness/units.h"

enum { KEYS_MAX = 24 };

weir_status weir_reader_complain(const weir_reader *reader, weir_toml_position at,
                                 const char *format, ...)
{
    char sentence[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    weir_error_set(reader->error, "%s:%" PRIu32 ":%" PRIu32 ": %s", reader->file_name, at.line,
                   at.column, sentence);
    return WEIR_INVALID;
}

static weir_status expect_type(const weir_reader *reader, const weir_toml_node *node,
                               weir_toml_type type, const char *example)
{
    if (node->type == type) {
        return WEIR_OK;
    }
    return weir_reader_complain(reader, node->at, "%s is %s; write %s%s%s", node->key,
                                weir_toml_type_name(node->type), weir_toml_type_name(type),
                                example != NULL ? ", such as " : "",
                                example != NULL ? example : "");
}

static weir_status read_text(const weir_reader *reader, const weir_toml_node *node,
                             const weir_key *key)
{
    const weir_status status = expect_type(reader, node, WEIR_TOML_STRING, "\"text\"");
    if (status != WEIR_OK) {
        return status;
    }
    const size_t bytes = node->as.string.bytes;
    if (bytes == 0 || bytes >= key->maximum || strlen(node->as.string.text) != bytes) {
        return weir_reader_complain(reader, node->at, "%s has %zu characters; write 1 to %" PRIu64,
                                    key->name, bytes, key->maximum - 1);
    }
    memcpy(key->target, node->as.string.text, bytes + 1);
    return WEIR_OK;
}

static weir_status read_count(const weir_reader *reader, const weir_toml_node *node,
                              const weir_key *key)
{
    const weir_status status = expect_type(reader, node, WEIR_TOML_INTEGER, "8");
    if (status != WEIR_OK) {
        return status;
    }
    const int64_t value = node->as.integer;
    if (value < 0 || (uint64_t)value < key->minimum || (uint64_t)value > key->maximum) {
        return weir_reader_complain(reader, node->at,
                                    "%s is %" PRId64 "; it may be %" PRIu64 " to %" PRIu64,
                                    key->name, value, key->minimum, key->maximum);
    }
    *(uint64_t *)key->target = (uint64_t)value;
    return WEIR_OK;
}

static weir_status read_duration(const weir_reader *reader, const weir_toml_node *node,
                                 const weir_key *key)
{
    uint64_t value = 0;
    const weir_status status = expect_type(reader, node, WEIR_TOML_STRING, "\"10s\"");
    if (status != WEIR_OK) {
        return status;
    }
    if (!weir_units_parse_duration(node->as.string.text, &value) || value < key->minimum ||
        value > key->maximum) {
        char lowest[WEIR_UNITS_TEXT_MAX];
        char highest[WEIR_UNITS_TEXT_MAX];
        return weir_reader_complain(
            reader, node->at, "%s is \"%.40s\"; write a duration from \"%s\" to \"%s\"", key->name,
            node->as.string.text, weir_units_option_duration(key->minimum, lowest),
            weir_units_option_duration(key->maximum, highest));
    }
    *(uint64_t *)key->target = value;
    return WEIR_OK;
}

static weir_status read_word(const weir_reader *reader, const weir_toml_node *node,
                             const weir_key *key)
{
    char example[72];
    snprintf(example, sizeof example, "\"%s\"", key->words[0]);
    const weir_status status = expect_type(reader, node, WEIR_TOML_STRING, example);
    if (status != WEIR_OK) {
        return status;
    }
    const int index = weir_word_index(node->as.string.text, key->words);
    if (index < 0) {
        char list[200] = "";
        for (size_t i = 0; key->words[i] != NULL; i++) {
            const size_t used = strlen(list);
            snprintf(list + used, sizeof list - used, "%s%s", i > 0 ? ", " : "", key->words[i]);
        }
        return weir_reader_complain(reader, node->at, "%s is \"%.40s\"; it may be one of %s",
                                    key->name, node->as.string.text, list);
    }
    *(uint32_t *)key->target = (uint32_t)index;
    return WEIR_OK;
}

static weir_status read_value(const weir_reader *reader, const weir_toml_node *node,
                              const weir_key *key)
{
    weir_status status = WEIR_OK;
    switch (key->kind) {
    case WEIR_KEY_TEXT:
        return read_text(reader, node, key);
    case WEIR_KEY_COUNT:
        return read_count(reader, node, key);
    case WEIR_KEY_DURATION:
        return read_duration(reader, node, key);
    case WEIR_KEY_WORD:
        return read_word(reader, node, key);
    case WEIR_KEY_BOOLEAN:
        status = expect_type(reader, node, WEIR_TOML_BOOLEAN, NULL);
        if (status == WEIR_OK) {
            *(bool *)key->target = node->as.boolean;
        }
        return status;
    case WEIR_KEY_OTHER:
        break;
    }
    return WEIR_OK;
}

static weir_status complain_about_key(const weir_reader *reader, const weir_toml_node *node,
                                      const char *what, const weir_key *keys, size_t count)
{
    const char *names[KEYS_MAX];
    for (size_t i = 0; i < count; i++) {
        names[i] = keys[i].name;
    }
    return weir_reader_complain(reader, node->key_at,
                                "%s has no key \"%.40s\"; did you mean \"%s\"?", what, node->key,
                                weir_nearest_word(node->key, names, count));
}

weir_status weir_reader_read(const weir_reader *reader, const weir_toml_node *table,
                             const char *what, const weir_key *keys, size_t count)
{
    for (size_t i = 0; i < table->as.children.count; i++) {
        const weir_toml_node *node = &table->as.children.first[i];
        size_t k = 0;
        while (k < count && strcmp(keys[k].name, node->key) != 0) {
            k++;
        }
        if (k == count) {
            return complain_about_key(reader, node, what, keys, count);
        }
        const weir_status status = read_value(reader, node, &keys[k]);
        if (status != WEIR_OK) {
            return status;
        }
    }
    for (size_t k = 0; k < count; k++) {
        if (keys[k].required && weir_toml_get(table, keys[k].name) == NULL) {
            return weir_reader_complain(reader, table->at, "%s has no \"%s\"; add it", what,
                                        keys[k].name);
        }
    }
    return WEIR_OK;
}

weir_status weir_reader_size(const weir_reader *reader, const weir_toml_node *node,
                             const char *what, uint64_t minimum, uint64_t maximum, uint32_t *bytes)
{
    uint64_t value = 0;
    bool is_size = false;
    if (node->type == WEIR_TOML_INTEGER && node->as.integer >= 0) {
        value = (uint64_t)node->as.integer;
        is_size = true;
    } else if (node->type == WEIR_TOML_STRING) {
        is_size = weir_units_parse_size(node->as.string.text, &value);
    }
    if (!is_size || value < minimum || value > maximum) {
        char lowest[WEIR_UNITS_TEXT_MAX];
        char highest[WEIR_UNITS_TEXT_MAX];
        return weir_reader_complain(
            reader, node->at,
            "%s is not a number of bytes from %s to %s; write an integer or a text such as \"64K\"",
            what, weir_units_size(minimum, lowest), weir_units_size(maximum, highest));
    }
    *bytes = (uint32_t)value;
    return WEIR_OK;
}
