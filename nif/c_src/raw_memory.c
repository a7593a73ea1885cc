#include "raw_memory.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/atomic.h"
#include "base/os.h"
#include "memory/object.h"

#define PAGE_BYTES     4096u
#define NAME_START     "/weir-"
#define WAIT_US_MAX    1000u
#define WAIT_MS_MAX    1000u
#define WAKE_COUNT_MAX 1024u

/* --- Life --- */

/* Unmaps unless somebody sleeps in it; the lock is held. True when it was open. */
static bool close_locked(weir_nif_memory *memory)
{
    const bool was_open = memory->object.base != NULL && !memory->is_closing;
    memory->is_closing = true;
    if (memory->waiters == 0) {
        weir_object_destroy(&memory->object);
    }
    return was_open;
}

static bool close_now(ErlNifEnv *env, weir_nif_memory *memory)
{
    enif_mutex_lock(memory->owned.lock);
    const bool was_open = close_locked(memory);
    enif_mutex_unlock(memory->owned.lock);
    weir_nif_disown(env, &memory->owned);
    return was_open;
}

void weir_nif_memory_free(ErlNifEnv *env, void *resource)
{
    (void)env;
    weir_nif_memory *memory = resource;
    weir_object_destroy(&memory->object);
    weir_nif_unlock_for_good(&memory->owned);
}

void weir_nif_memory_down(ErlNifEnv *env, void *resource, ErlNifPid *pid, ErlNifMonitor *monitor)
{
    (void)pid;
    (void)monitor;
    weir_nif_note(WEIR_NIF_DOWN, resource);
    (void)close_now(env, resource);
}

/* The memory behind a term, locked and open. Otherwise false and *refusal is what to return. */
static bool hold(ErlNifEnv *env, ERL_NIF_TERM term, weir_nif_memory **memory, ERL_NIF_TERM *refusal)
{
    void *found = NULL;
    if (!weir_nif_get(env, term, WEIR_NIF_memory, &found)) {
        *refusal = enif_make_badarg(env);
        return false;
    }
    *memory = found;
    enif_mutex_lock((*memory)->owned.lock);
    if ((*memory)->object.base != NULL && !(*memory)->is_closing) {
        return true;
    }
    enif_mutex_unlock((*memory)->owned.lock);
    *refusal = weir_nif_refusal(env, WEIR_CLOSED, "the memory was closed");
    return false;
}

static void let_go(weir_nif_memory *memory)
{
    enif_mutex_unlock(memory->owned.lock);
}

/* --- Making and opening --- */

static bool get_name(ErlNifEnv *env, ERL_NIF_TERM term, char *name, size_t size)
{
    return weir_nif_get_text(env, term, name, size) &&
           strncmp(name, NAME_START, sizeof NAME_START - 1) == 0 &&
           name[sizeof NAME_START - 1] != '\0' && strchr(name + 1, '/') == NULL;
}

static bool get_bytes(ErlNifEnv *env, ERL_NIF_TERM term, uint32_t *bytes)
{
    return weir_nif_get_u32(env, term, PAGE_BYTES, WEIR_NIF_MEMORY_BYTES_MAX, bytes) &&
           *bytes % PAGE_BYTES == 0;
}

static weir_status map(weir_nif_memory *memory, weir_error *error)
{
    const struct weir_region_entry all = {.offset = 0, .bytes = memory->bytes};
    weir_status status = weir_object_reserve(&memory->object, error);
    return status == WEIR_OK ? weir_object_map(&memory->object, &all, 1, memory->is_writable, error)
                             : status;
}

static weir_status create(weir_nif_memory *memory, const char *name, weir_error *error)
{
    const struct weir_region_entry all = {.offset = 0, .bytes = memory->bytes};
    const weir_status status =
        weir_object_create(&memory->object, WEIR_BACKING_SHM, name, memory->bytes, error);
    return status == WEIR_OK ? weir_object_allocate(&memory->object, &all, 1, error) : status;
}

static weir_status open_named(weir_nif_memory *memory, const char *name, weir_error *error)
{
    const weir_status status = weir_object_open(&memory->object, "the memory", -1, name,
                                                memory->is_writable, memory->bytes, 0, error);
    if (status == WEIR_PROTOCOL) {
        weir_error_set(error, "%s is not %zu bytes long; open it with its own length", name,
                       memory->bytes);
        return WEIR_INVALID;
    }
    return status;
}

static ERL_NIF_TERM make(ErlNifEnv *env, const char *name, uint32_t bytes, bool is_writable,
                         weir_status (*get)(weir_nif_memory *, const char *, weir_error *))
{
    weir_nif_memory *memory = weir_nif_new(WEIR_NIF_memory, sizeof *memory);
    if (memory == NULL) {
        return weir_nif_refusal(env, WEIR_NO_MEMORY, "no memory for a mapping");
    }
    weir_error error = {.text = ""};
    memory->bytes = bytes;
    memory->is_writable = is_writable;
    memory->object.fd = -1;
    weir_status status = WEIR_NO_MEMORY;
    if (weir_nif_own(env, &memory->owned, "weir_memory")) {
        status = get(memory, name, &error);
    }
    if (status == WEIR_OK) {
        status = map(memory, &error);
    }
    if (status != WEIR_OK) {
        enif_release_resource(memory); /* the destructor gives back what there was */
        return weir_nif_status(env, status, &error);
    }
    return weir_nif_ok(env, weir_nif_release_as_term(env, memory));
}

ERL_NIF_TERM weir_nif_shm_create(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    char name[sizeof(((weir_object *)NULL)->name)];
    uint32_t bytes = 0;
    if (!get_name(env, argv[0], name, sizeof name) || !get_bytes(env, argv[1], &bytes)) {
        return enif_make_badarg(env);
    }
    return make(env, name, bytes, true, create);
}

ERL_NIF_TERM weir_nif_shm_open(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    char name[sizeof(((weir_object *)NULL)->name)];
    char mode[8];
    uint32_t bytes = 0;
    if (!get_name(env, argv[0], name, sizeof name) || !get_bytes(env, argv[1], &bytes) ||
        enif_get_atom(env, argv[2], mode, sizeof mode, ERL_NIF_LATIN1) == 0 ||
        (strcmp(mode, "read") != 0 && strcmp(mode, "write") != 0)) {
        return enif_make_badarg(env);
    }
    return make(env, name, bytes, strcmp(mode, "write") == 0, open_named);
}

ERL_NIF_TERM weir_nif_shm_unlink(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    weir_nif_memory *memory = NULL;
    ERL_NIF_TERM result;
    if (!hold(env, argv[0], &memory, &result)) {
        return result;
    }
    weir_error error = {.text = ""};
    result = weir_nif_status(env, weir_object_unlink(&memory->object, &error), &error);
    let_go(memory);
    return result;
}

ERL_NIF_TERM weir_nif_memory_close(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    void *memory = NULL;
    if (!weir_nif_get(env, argv[0], WEIR_NIF_memory, &memory)) {
        return enif_make_badarg(env);
    }
    return close_now(env, memory) ? weir_nif_atoms.ok_
                                  : weir_nif_refusal(env, WEIR_CLOSED, "the memory was closed");
}

/* --- Reading and writing --- */

ERL_NIF_TERM weir_nif_memory_info(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    weir_nif_memory *memory = NULL;
    ERL_NIF_TERM result;
    if (!hold(env, argv[0], &memory, &result)) {
        return result;
    }
    result = enif_make_new_map(env);
    weir_nif_map_put(env, &result, "bytes", enif_make_uint64(env, memory->bytes));
    weir_nif_map_put(env, &result, "writable", weir_nif_bool(memory->is_writable));
    weir_nif_map_put(env, &result, "truncated",
                     weir_nif_bool(weir_object_is_truncated(&memory->object)));
    let_go(memory);
    return result;
}

static bool is_inside(const weir_nif_memory *memory, uint64_t offset, uint64_t bytes)
{
    return offset <= memory->bytes && bytes <= memory->bytes - offset;
}

static ERL_NIF_TERM unless_truncated(ErlNifEnv *env, const weir_nif_memory *memory,
                                     ERL_NIF_TERM result)
{
    return weir_object_is_truncated(&memory->object)
               ? weir_nif_refusal(env, WEIR_CLOSED, "somebody has truncated the memory; close it")
               : result;
}

ERL_NIF_TERM weir_nif_memory_read(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    weir_nif_memory *memory = NULL;
    uint64_t offset = 0;
    uint64_t bytes = 0;
    ERL_NIF_TERM result;
    if (!weir_nif_get_u64(env, argv[1], 0, WEIR_NIF_MEMORY_BYTES_MAX, &offset) ||
        !weir_nif_get_u64(env, argv[2], 0, WEIR_NIF_BYTES_MAX, &bytes)) {
        return enif_make_badarg(env);
    }
    if (!hold(env, argv[0], &memory, &result)) {
        return result;
    }
    result = is_inside(memory, offset, bytes)
                 ? weir_nif_ok(env, weir_nif_bytes(env, memory->object.base + offset, bytes))
                 : enif_make_badarg(env);
    result = enif_is_exception(env, result) ? result : unless_truncated(env, memory, result);
    let_go(memory);
    return result;
}

ERL_NIF_TERM weir_nif_memory_write(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    weir_nif_memory *memory = NULL;
    uint64_t offset = 0;
    ErlNifBinary bytes;
    ERL_NIF_TERM result;
    if (!weir_nif_get_u64(env, argv[1], 0, WEIR_NIF_MEMORY_BYTES_MAX, &offset) ||
        enif_inspect_binary(env, argv[2], &bytes) == 0 || bytes.size > WEIR_NIF_BYTES_MAX) {
        return enif_make_badarg(env);
    }
    if (!hold(env, argv[0], &memory, &result)) {
        return result;
    }
    if (!is_inside(memory, offset, bytes.size)) {
        result = enif_make_badarg(env);
    } else if (!memory->is_writable) {
        result = weir_nif_refusal(env, WEIR_REFUSED, "the memory was opened for reading");
    } else {
        memcpy(memory->object.base + offset, bytes.data, bytes.size);
        result = unless_truncated(env, memory, weir_nif_atoms.ok_);
    }
    let_go(memory);
    return result;
}

/* --- Futexes --- */

static bool get_word(const weir_nif_memory *memory, uint64_t offset, uint32_t **word)
{
    if (offset % sizeof(uint32_t) != 0 || !is_inside(memory, offset, sizeof(uint32_t))) {
        return false;
    }
    *word = (uint32_t *)(void *)(memory->object.base + offset);
    return true;
}

static ERL_NIF_TERM slept(ErlNifEnv *env, int result, int reason)
{
    if (result == 0) {
        return enif_make_atom(env, "woken");
    }
    switch (reason) {
    case EAGAIN:
        return enif_make_atom(env, "changed");
    case ETIMEDOUT:
        return enif_make_atom(env, "timeout");
    case EINTR:
        return enif_make_atom(env, "woken");
    default: {
        weir_error error;
        const weir_status status = weir_error_system(&error, reason, "cannot wait", NULL);
        return weir_nif_status(env, status, &error);
    }
    }
}

static ERL_NIF_TERM wait_for_word(ErlNifEnv *env, const ERL_NIF_TERM argv[], uint64_t most,
                                  uint64_t unit_ns)
{
    weir_nif_memory *memory = NULL;
    uint64_t offset = 0;
    uint32_t expected = 0;
    uint64_t timeout = 0;
    uint32_t *word = NULL;
    ERL_NIF_TERM result;
    if (!weir_nif_get_u64(env, argv[1], 0, WEIR_NIF_MEMORY_BYTES_MAX, &offset) ||
        !weir_nif_get_u32(env, argv[2], 0, UINT32_MAX, &expected) ||
        !weir_nif_get_u64(env, argv[3], 0, most, &timeout)) {
        return enif_make_badarg(env);
    }
    if (!hold(env, argv[0], &memory, &result)) {
        return result;
    }
    if (!get_word(memory, offset, &word)) {
        let_go(memory);
        return enif_make_badarg(env);
    }
    memory->waiters++;
    let_go(memory);
    const int woken = weir_os()->futex_wait(word, expected, weir_deadline_in(timeout * unit_ns));
    const int reason = errno;
    enif_mutex_lock(memory->owned.lock);
    memory->waiters--;
    if (memory->is_closing) {
        (void)close_locked(memory);
    }
    let_go(memory);
    return slept(env, woken, reason);
}

ERL_NIF_TERM weir_nif_futex_wait(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    return wait_for_word(env, argv, WAIT_US_MAX, WEIR_NS_PER_US);
}

ERL_NIF_TERM weir_nif_futex_wait_long(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    return wait_for_word(env, argv, WAIT_MS_MAX, WEIR_NS_PER_MS);
}

ERL_NIF_TERM weir_nif_futex_wake(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    weir_nif_memory *memory = NULL;
    uint64_t offset = 0;
    uint32_t count = 0;
    uint32_t *word = NULL;
    ERL_NIF_TERM result;
    if (!weir_nif_get_u64(env, argv[1], 0, WEIR_NIF_MEMORY_BYTES_MAX, &offset) ||
        !weir_nif_get_u32(env, argv[2], 1, WAKE_COUNT_MAX, &count)) {
        return enif_make_badarg(env);
    }
    if (!hold(env, argv[0], &memory, &result)) {
        return result;
    }
    if (get_word(memory, offset, &word)) {
        const int woken = weir_os()->futex_wake(word, (int)count);
        result = weir_nif_ok(env, enif_make_int(env, woken < 0 ? 0 : woken));
    } else {
        result = enif_make_badarg(env);
    }
    let_go(memory);
    return result;
}
