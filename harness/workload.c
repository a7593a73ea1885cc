#include "harness/workload.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/names.h"
#include "harness/units.h"
#include "harness/workload_reader.h"

#define SECOND_NS UINT64_C(1000000000)
#define DAY_NS    (86400 * SECOND_NS)

static weir_status read_size_list(const weir_reader *reader, const weir_toml_node *node,
                                  weir_size_spec *size)
{
    const size_t count = node->type == WEIR_TOML_ARRAY ? node->as.children.count : 0;
    const size_t least = size->kind == WEIR_SIZE_LIST ? 1 : 2;
    const size_t most = size->kind == WEIR_SIZE_LIST ? WEIR_WORKLOAD_SIZES_MAX : 2;
    if (count < least || count > most) {
        return weir_reader_complain(reader, node->at, "%s is not %s; write %s", node->key,
                                    most == 2 ? "a pair" : "a list of 1 to 16 sizes",
                                    most == 2 ? "[least, most]" : "[64, \"4K\", \"1M\"]");
    }
    size->least = UINT32_MAX;
    size->most = 0;
    for (size_t i = 0; i < count; i++) {
        const weir_status status = weir_reader_size(reader, &node->as.children.first[i], "the size",
                                                    0, WEIR_WORKLOAD_PAYLOAD_MAX, &size->list[i]);
        if (status != WEIR_OK) {
            return status;
        }
        size->least = size->list[i] < size->least ? size->list[i] : size->least;
        size->most = size->list[i] > size->most ? size->list[i] : size->most;
    }
    size->list_count = (uint32_t)count;
    if (size->kind != WEIR_SIZE_LIST && size->list[0] > size->list[1]) {
        return weir_reader_complain(reader, node->at,
                                    "%s begins with the larger size; swap the two", node->key);
    }
    return WEIR_OK;
}

static weir_status read_size_spec(const weir_reader *reader, const weir_toml_node *node,
                                  weir_size_spec *size)
{
    static const char *const kinds[] = {"uniform", "log_uniform", "list", NULL};
    if (node->type != WEIR_TOML_TABLE) {
        const weir_status status =
            weir_reader_size(reader, node, "size", 0, WEIR_WORKLOAD_PAYLOAD_MAX, &size->least);
        size->kind = WEIR_SIZE_UNIFORM;
        size->most = size->least;
        return status;
    }
    const weir_toml_node *first = node->as.children.first;
    const int kind = node->as.children.count == 1 ? weir_word_index(first->key, kinds) : -1;
    if (kind < 0) {
        return weir_reader_complain(reader, node->at,
                                    "size has to be one of { uniform = [least, most] }, "
                                    "{ log_uniform = [least, most] } and { list = [a, b] }");
    }
    size->kind = (weir_size_kind)kind;
    return read_size_list(reader, first, size);
}

static weir_status read_mix_entry(const weir_reader *reader, const weir_toml_node *table,
                                  weir_mix_entry *entry)
{
    uint32_t routine = 0;
    entry->weight = 1;
    const weir_key keys[] = {
        {"opcode", WEIR_KEY_WORD, &routine, 0, 0, weir_opcode_words, true},
        {"weight", WEIR_KEY_COUNT, &entry->weight, 1, 1000000, NULL, false},
        {"size", WEIR_KEY_OTHER, NULL, 0, 0, NULL, true},
    };
    const weir_status status =
        weir_reader_read(reader, table, "[[mix]]", keys, sizeof keys / sizeof *keys);
    if (status != WEIR_OK) {
        return status;
    }
    entry->routine = (routine_id)routine;
    return read_size_spec(reader, weir_toml_get(table, "size"), &entry->size);
}

static weir_status read_mix(const weir_reader *reader, const weir_toml_node *node,
                            weir_workload *workload)
{
    const size_t count = node->type == WEIR_TOML_ARRAY ? node->as.children.count : 0;
    if (count < 1 || count > WEIR_WORKLOAD_MIX_MAX) {
        return weir_reader_complain(reader, node->at,
                                    "mix is not 1 to %d tables; write [[mix]] "
                                    "before each",
                                    WEIR_WORKLOAD_MIX_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        const weir_toml_node *table = &node->as.children.first[i];
        if (table->type != WEIR_TOML_TABLE) {
            return weir_reader_complain(reader, table->at,
                                        "this entry of mix is %s; write "
                                        "[[mix]] and its keys below",
                                        weir_toml_type_name(table->type));
        }
        const weir_status status = read_mix_entry(reader, table, &workload->mix[i]);
        if (status != WEIR_OK) {
            return status;
        }
    }
    workload->mix_count = count;
    return WEIR_OK;
}

static weir_status read_slots(const weir_reader *reader, const weir_toml_node *node,
                              weir_size_class *classes, uint32_t *class_count)
{
    const size_t count = node->type == WEIR_TOML_ARRAY ? node->as.children.count : 0;
    if (count < 1 || count > WEIR_SIZE_CLASSES_MAX) {
        return weir_reader_complain(reader, node->at,
                                    "%s is not a list of 1 to %d pairs; write "
                                    "[[256, 512], [\"4K\", 64]]",
                                    node->key, WEIR_SIZE_CLASSES_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        const weir_toml_node *pair = &node->as.children.first[i];
        if (pair->type != WEIR_TOML_ARRAY || pair->as.children.count != 2) {
            return weir_reader_complain(reader, pair->at,
                                        "this is no pair; write [slot bytes, slot count]");
        }
        const weir_toml_node *number = pair->as.children.first;
        weir_status status = weir_reader_size(reader, &number[0], "the slot size", 64,
                                              UINT32_C(1) << 28, &classes[i].slot_bytes);
        if (status == WEIR_OK) {
            status = weir_reader_size(reader, &number[1], "the slot count", 1, 65536,
                                      &classes[i].slot_count);
        }
        if (status != WEIR_OK) {
            return status;
        }
    }
    *class_count = (uint32_t)count;
    return WEIR_OK;
}

static weir_status read_arena(const weir_reader *reader, const weir_toml_node *table,
                              weir_arena_config *arena)
{
    uint64_t ring_capacity = arena->ring_capacity;
    const weir_key keys[] = {
        {"ring_capacity", WEIR_KEY_COUNT, &ring_capacity, 2, 65536, NULL, false},
        {"request_slots", WEIR_KEY_OTHER, NULL, 0, 0, NULL, false},
        {"response_slots", WEIR_KEY_OTHER, NULL, 0, 0, NULL, false},
    };
    if (table->type != WEIR_TOML_TABLE) {
        return weir_reader_complain(reader, table->at,
                                    "arena is %s; write [arena] and its keys "
                                    "below",
                                    weir_toml_type_name(table->type));
    }
    weir_status status = weir_reader_read(reader, table, "[arena]", keys, 3);
    const weir_toml_node *request = weir_toml_get(table, "request_slots");
    const weir_toml_node *response = weir_toml_get(table, "response_slots");
    if (status == WEIR_OK && request != NULL) {
        status = read_slots(reader, request, arena->request_class, &arena->request_class_count);
    }
    if (status == WEIR_OK && response != NULL) {
        status = read_slots(reader, response, arena->response_class, &arena->response_class_count);
    }
    if (status != WEIR_OK) {
        return status;
    }
    arena->ring_capacity = (uint32_t)ring_capacity;
    weir_error reason;
    if (weir_arena_config_check(arena, &reason) != WEIR_OK) {
        return weir_reader_complain(reader, table->at, "%.300s", reason.text);
    }
    return WEIR_OK;
}

static weir_status one_of_two(const weir_reader *reader, const weir_toml_node *root, const char *a,
                              const char *b)
{
    const weir_toml_node *second = weir_toml_get(root, b);
    if ((weir_toml_get(root, a) != NULL) != (second != NULL)) {
        return WEIR_OK;
    }
    return weir_reader_complain(
        reader, second != NULL ? second->key_at : (weir_toml_position){1, 1},
        "the workload has %s \"%s\" %s \"%s\"; %s", second != NULL ? "both" : "neither", a,
        second != NULL ? "and" : "nor", b, second != NULL ? "remove one" : "add one");
}

static weir_status read_root(const weir_reader *reader, const weir_toml_node *root,
                             weir_workload *to)
{
    uint32_t policy = WEIR_ROOM_DEFER;
    const weir_key keys[] = {
        {"name", WEIR_KEY_TEXT, to->name, 0, sizeof to->name, NULL, true},
        {"doc", WEIR_KEY_TEXT, to->doc, 0, sizeof to->doc, NULL, false},
        {"jobs", WEIR_KEY_COUNT, &to->jobs, 1, UINT64_C(1000000000), NULL, false},
        {"duration", WEIR_KEY_DURATION, &to->duration_ns, 1000000, DAY_NS, NULL, false},
        {"concurrency", WEIR_KEY_COUNT, &to->concurrency, 1, WEIR_WORKLOAD_CONCURRENCY_MAX, NULL,
         false},
        {"rate", WEIR_KEY_COUNT, &to->rate, 1, 10000000, NULL, false},
        {"callers", WEIR_KEY_COUNT, &to->callers, 1, WEIR_WORKLOAD_CALLERS_MAX, NULL, false},
        {"batch", WEIR_KEY_COUNT, &to->batch, 1, 256, NULL, false},
        {"deadline", WEIR_KEY_DURATION, &to->deadline_ns, 0, DAY_NS, NULL, false},
        {"idempotent", WEIR_KEY_BOOLEAN, &to->idempotent, 0, 0, NULL, false},
        {"policy", WEIR_KEY_WORD, &policy, 0, 0, weir_policy_words, false},
        {"workers", WEIR_KEY_COUNT, &to->workers, 1, WEIR_WORKLOAD_WORKERS_MAX, NULL, false},
        {"arena", WEIR_KEY_OTHER, NULL, 0, 0, NULL, false},
        {"mix", WEIR_KEY_OTHER, NULL, 0, 0, NULL, true},
    };
    weir_status status =
        weir_reader_read(reader, root, "the workload", keys, sizeof keys / sizeof *keys);
    if (status == WEIR_OK) {
        status = one_of_two(reader, root, "jobs", "duration");
    }
    if (status == WEIR_OK) {
        status = one_of_two(reader, root, "concurrency", "rate");
    }
    if (status == WEIR_OK) {
        status = read_mix(reader, weir_toml_get(root, "mix"), to);
    }
    const weir_toml_node *arena = weir_toml_get(root, "arena");
    if (status == WEIR_OK && arena != NULL) {
        status = read_arena(reader, arena, &to->arena);
    }
    to->policy = (weir_room_policy)policy;
    return status;
}

weir_status weir_workload_parse(const char *text, size_t bytes, const char *file_name,
                                weir_workload *workload, weir_error *error)
{
    const weir_reader reader = {.file_name = file_name, .error = error};
    weir_toml *document = NULL;
    *workload = (weir_workload){.callers = 1, .batch = 1, .workers = 2};
    weir_arena_config_default(&workload->arena);
    snprintf(workload->source, sizeof workload->source, "%s", file_name);
    weir_status status = weir_toml_parse(text, bytes, file_name, &document, error);
    if (status != WEIR_OK) {
        return status;
    }
    status = read_root(&reader, weir_toml_root(document), workload);
    weir_toml_free(document);
    if (status == WEIR_OK) {
        weir_error reason;
        status = weir_workload_check(workload, &reason);
        if (status != WEIR_OK) {
            weir_error_set(error, "%s:1:1: %.400s", file_name, reason.text);
        }
    }
    return status;
}

/* Reads a whole file into fresh memory; @p bytes says how much came, one more than allowed at most.
 */
static weir_status read_file(const char *path, char **text, size_t *bytes, weir_error *error)
{
    char doing[320];
    snprintf(doing, sizeof doing, "cannot read the workload %.256s", path);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return weir_error_system(error, errno, doing,
                                 "give the path of a readable file, or mixed or echo");
    }
    *text = malloc(WEIR_TOML_BYTES_MAX + 1);
    *bytes = 0;
    ssize_t got = *text == NULL ? -1 : 1;
    while (got > 0 && *bytes <= WEIR_TOML_BYTES_MAX) {
        got = read(fd, *text + *bytes, WEIR_TOML_BYTES_MAX + 1 - *bytes);
        *bytes += got > 0 ? (size_t)got : 0;
    }
    const int reason = errno;
    close(fd);
    if (got < 0) {
        free(*text);
        *text = NULL;
        return weir_error_system(error, reason, doing, "give the path of a readable file");
    }
    return WEIR_OK;
}

weir_status weir_workload_load(const char *name_or_path, weir_workload *workload, weir_error *error)
{
    char names[200] = "";
    for (const weir_workload_builtin *one = weir_workload_builtins; one->name != NULL; one++) {
        const size_t used = strlen(names);
        if (strcmp(one->name, name_or_path) == 0) {
            return weir_workload_parse(one->text, one->bytes, one->name, workload, error);
        }
        snprintf(names + used, sizeof names - used, "%s%s", used > 0 ? ", " : "", one->name);
    }
    if (strchr(name_or_path, '/') == NULL && access(name_or_path, F_OK) != 0) {
        weir_error_set(error,
                       "there is no workload \"%s\" and no file of that name here; built in are "
                       "%s, anything else is the path of a TOML file",
                       name_or_path, names);
        return WEIR_NOT_FOUND;
    }
    char *text = NULL;
    size_t bytes = 0;
    weir_status status = read_file(name_or_path, &text, &bytes, error);
    if (status == WEIR_OK && text != NULL) {
        status = weir_workload_parse(text, bytes, name_or_path, workload, error);
    }
    free(text);
    return status;
}

void weir_workload_cap_sizes(weir_workload *workload, uint32_t most)
{
    for (size_t i = 0; i < workload->mix_count; i++) {
        weir_size_spec *size = &workload->mix[i].size;
        size->least = size->least < most ? size->least : most;
        size->most = size->most < most ? size->most : most;
        for (size_t k = 0; k < size->list_count; k++) {
            size->list[k] = size->list[k] < most ? size->list[k] : most;
        }
    }
}

weir_status weir_workload_check(const weir_workload *workload, weir_error *error)
{
    const weir_arena_config *arena = &workload->arena;
    const uint32_t request = arena->request_class[arena->request_class_count - 1].slot_bytes;
    const uint32_t response = arena->response_class[arena->response_class_count - 1].slot_bytes;
    const uint32_t room = request < response ? request : response;
    for (size_t i = 0; i < workload->mix_count; i++) {
        if (workload->mix[i].size.most > room) {
            weir_error_set(error,
                           "%s asks for payloads of %" PRIu32 " bytes but the largest slot has "
                           "%" PRIu32 "; make the slots of [arena] larger or the size smaller",
                           weir_opcode_words[workload->mix[i].routine], workload->mix[i].size.most,
                           room);
            return WEIR_INVALID;
        }
    }
    if (workload->batch > workload->concurrency && workload->concurrency != 0) {
        weir_error_set(error,
                       "batch is %" PRIu64 " but concurrency only %" PRIu64
                       "; a batch cannot be larger than what is under way at once",
                       workload->batch, workload->concurrency);
        return WEIR_INVALID;
    }
    return WEIR_OK;
}
