/* Strict reading of TOML tables: every key is known, typed and in range, or there is a problem with
 * its place. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "layout/layout_loader.h"

void weir_loader_problem(weir_loader *loader, weir_toml_position at, const char *format, ...)
{
    size_t index = loader->problems->found++;
    if (index >= WEIR_LAYOUT_PROBLEMS_MAX)
        return;
    weir_layout_problem *problem = &loader->problems->item[index];
    problem->line = at.line;
    problem->column = at.column;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(problem->text, sizeof problem->text, format, arguments);
    va_end(arguments);
}

void *weir_loader_take(weir_loader *loader, size_t count, size_t bytes)
{
    void *memory = weir_layout_take(loader->layout, count * bytes);
    if (memory == NULL)
        loader->no_memory = true;
    return memory;
}

static const weir_loader_key *find_key(const weir_loader_key *keys, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(keys[i].name, name) == 0)
            return &keys[i];
    }
    return NULL;
}

static void report_unknown(weir_loader *loader, const weir_toml_node *member, const char *what,
                           const weir_loader_key *keys, size_t count)
{
    char known[160] = "";
    size_t used = 0;
    for (size_t i = 0; i < count && used < sizeof known; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i == 0 ? "" : ", ",
                                 keys[i].name);
    weir_loader_problem(loader, member->key_at, "unknown key `%.64s` in %s; use one of %s",
                        member->key, what, known);
}

bool weir_loader_keys(weir_loader *loader, const weir_toml_node *table, const char *what,
                      const weir_loader_key *keys, size_t count)
{
    size_t before = loader->problems->found;
    if (table->type != WEIR_TOML_TABLE) {
        weir_loader_problem(loader, table->at, "%s must be a table, not %s; write { key = value }",
                            what, weir_toml_type_name(table->type));
        return false;
    }
    for (size_t i = 0; i < table->as.children.count; i++) {
        const weir_toml_node *member = &table->as.children.first[i];
        const weir_loader_key *key = find_key(keys, count, member->key);
        if (key == NULL)
            report_unknown(loader, member, what, keys, count);
        else if (member->type != key->type)
            weir_loader_problem(loader, member->at,
                                "`%s` of %s must be %s, not %s; change the value", key->name, what,
                                weir_toml_type_name(key->type), weir_toml_type_name(member->type));
    }
    for (size_t i = 0; i < count; i++) {
        if (keys[i].required && weir_toml_get(table, keys[i].name) == NULL)
            weir_loader_problem(loader, table->at, "%s lacks `%s`; add it", what, keys[i].name);
    }
    return loader->problems->found == before;
}

const weir_toml_node *weir_loader_member(const weir_toml_node *table, const char *key,
                                         weir_toml_type type)
{
    const weir_toml_node *member = weir_toml_get(table, key);
    return member != NULL && member->type == type ? member : NULL;
}

const weir_toml_node *weir_loader_tables(weir_loader *loader, const weir_toml_node *table,
                                         const char *key, size_t max, size_t *count)
{
    *count = 0;
    const weir_toml_node *array = weir_loader_member(table, key, WEIR_TOML_ARRAY);
    if (array == NULL)
        return NULL;
    if (array->as.children.count > max) {
        weir_loader_problem(loader, array->at,
                            "%zu entries in `%s`, at most %zu are allowed; remove some",
                            array->as.children.count, key, max);
        return NULL;
    }
    *count = array->as.children.count;
    return array->as.children.first;
}

uint64_t weir_loader_number(weir_loader *loader, const weir_toml_node *table, const char *key,
                            uint64_t min, uint64_t max)
{
    const weir_toml_node *member = weir_loader_member(table, key, WEIR_TOML_INTEGER);
    if (member == NULL)
        return min;
    int64_t value = member->as.integer;
    if (value < 0 || (uint64_t)value < min || (uint64_t)value > max) {
        weir_loader_problem(loader, member->at,
                            "`%s` is %" PRId64 ", outside %" PRIu64 " to %" PRIu64
                            "; choose a value in that range",
                            key, value, min, max);
        return min;
    }
    return (uint64_t)value;
}

const char *weir_loader_text(weir_loader *loader, const weir_toml_node *table, const char *key)
{
    const weir_toml_node *member = weir_loader_member(table, key, WEIR_TOML_STRING);
    if (member == NULL)
        return "";
    char *copy = weir_loader_take(loader, member->as.string.bytes + 1, 1);
    if (copy == NULL)
        return "";
    memcpy(copy, member->as.string.text, member->as.string.bytes);
    return copy;
}

const char *weir_loader_name(weir_loader *loader, const weir_toml_node *table, bool upper)
{
    const weir_toml_node *member = weir_loader_member(table, "name", WEIR_TOML_STRING);
    if (member == NULL)
        return "";
    if (!weir_loader_is_identifier(member->as.string.text, member->as.string.bytes, upper)) {
        weir_loader_problem(loader, member->at,
                            "`%.64s` is no identifier; use %s without double or final underscores, "
                            "at most %d bytes",
                            member->as.string.text, upper ? "[A-Z][A-Z0-9_]*" : "[a-z][a-z0-9_]*",
                            WEIR_LAYOUT_NAME_MAX);
        return "";
    }
    const char *language = weir_loader_reserved_by(member->as.string.text);
    if (language != NULL)
        weir_loader_problem(loader, member->at,
                            "`%s` is a reserved word of %s; choose another name",
                            member->as.string.text, language);
    return weir_loader_text(loader, table, "name");
}

static const char *fault_of_doc(const weir_toml_node *doc)
{
    const char *text = doc->as.string.text;
    if (doc->as.string.bytes == 0)
        return "is empty";
    if (doc->as.string.bytes > WEIR_LAYOUT_DOC_MAX)
        return "is longer than 400 bytes";
    for (size_t i = 0; i < doc->as.string.bytes; i++) {
        if (text[i] < 0x20 || text[i] > 0x7e || text[i] == '\\')
            return "holds a backslash or a byte that is not printable ASCII";
    }
    if (strstr(text, "*/") != NULL || strstr(text, "/*") != NULL)
        return "holds a comment mark of C";
    if (strstr(text, "\"\"\"") != NULL || strstr(text, "#{") != NULL)
        return "holds a quoting mark of Elixir";
    return NULL;
}

const char *weir_loader_doc(weir_loader *loader, const weir_toml_node *table, const char *what)
{
    const weir_toml_node *doc = weir_toml_get(table, "doc");
    if (doc == NULL) {
        if (!loader->layout->canonical && table->type == WEIR_TOML_TABLE)
            weir_loader_problem(loader, table->at,
                                "%s lacks `doc`; say in one sentence what it means", what);
        return "";
    }
    if (doc->type != WEIR_TOML_STRING)
        return "";
    const char *fault = fault_of_doc(doc);
    if (fault != NULL) {
        weir_loader_problem(loader, doc->at, "`doc` of %s %s; write one plain sentence", what,
                            fault);
        return "";
    }
    return weir_loader_text(loader, table, "doc");
}

weir_layout_writer weir_loader_writer(weir_loader *loader, const weir_toml_node *table)
{
    const weir_toml_node *member = weir_loader_member(table, "writer", WEIR_TOML_STRING);
    if (member == NULL)
        return WEIR_WRITER_NONE;
    if (strcmp(member->as.string.text, "manager") == 0)
        return WEIR_WRITER_MANAGER;
    if (strcmp(member->as.string.text, "worker") == 0)
        return WEIR_WRITER_WORKER;
    weir_loader_problem(loader, member->at,
                        "writer `%.64s` is unknown; use \"manager\" or \"worker\"",
                        member->as.string.text);
    return WEIR_WRITER_NONE;
}
