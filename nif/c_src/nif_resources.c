/* Resources, and the block that all loaded versions of the library share: counts of living
 * resources and the trace of callbacks. The block lives as long as a library or a resource needs
 * it; it is never part of a library's own memory, because the old library runs its unload callback
 * after the new one was loaded. */
#include "nif_common.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/os.h"
#include "batches.h"
#include "callers.h"
#include "held.h"
#include "manager_home.h"
#include "raw.h"

#define SHARED_VERSION 1u
#define TRACE_MAX      256u
#define NAME_MAX_      24u
#define KINDS_MAX      32u

typedef struct trace_entry {
    char event[8];
    char kind[NAME_MAX_];
    uint32_t library;
} trace_entry;

typedef struct shared_kind {
    char name[NAME_MAX_];
    uint32_t layout;
    atomic_uint_fast64_t alive;
} shared_kind;

typedef struct shared_block {
    uint32_t version; /* SHARED_VERSION; stays the first word */
    atomic_uint_fast32_t references;
    uint32_t libraries; /* loads and upgrades so far; the number of the newest library */
    shared_kind kinds[KINDS_MAX];
    ErlNifMutex *lock; /* guards the trace */
    uint64_t traced;
    trace_entry trace[TRACE_MAX];
} shared_block;

static shared_block *shared; /* set by load and upgrade, before any other call */
static uint32_t own_number;  /* of this library among those that shared the block */
static ErlNifResourceType *types[WEIR_NIF_KIND_COUNT];

static const char *const kind_names[WEIR_NIF_KIND_COUNT] = {
#define KIND_NAME(name, destructor, stop, down) #name,
    WEIR_NIF_KINDS(KIND_NAME)
#undef KIND_NAME
};

_Static_assert((int)WEIR_NIF_KIND_COUNT <= (int)KINDS_MAX,
               "the shared block has room for all kinds");

static void hold_block(void)
{
    atomic_fetch_add_explicit(&shared->references, 1, memory_order_relaxed);
}

static void let_block_go(shared_block *block)
{
    if (atomic_fetch_sub_explicit(&block->references, 1, memory_order_acq_rel) == 1) {
        enif_mutex_destroy(block->lock);
        enif_free(block);
    }
}

/* --- Resources --- */

void *weir_nif_new(weir_nif_kind kind, size_t size)
{
    weir_nif_head *head = enif_alloc_resource(types[kind], size);
    if (head == NULL) {
        return NULL;
    }
    memset(head, 0, size);
    head->layout = WEIR_NIF_LAYOUT;
    head->kind = (uint32_t)kind;
    hold_block();
    atomic_fetch_add_explicit(&shared->kinds[kind].alive, 1, memory_order_relaxed);
    return head;
}

ERL_NIF_TERM weir_nif_release_as_term(ErlNifEnv *env, void *resource)
{
    const ERL_NIF_TERM term = enif_make_resource(env, resource);
    enif_release_resource(resource);
    return term;
}

bool weir_nif_get(ErlNifEnv *env, ERL_NIF_TERM term, weir_nif_kind kind, void **resource)
{
    void *found = NULL;
    if (enif_get_resource(env, term, types[kind], &found) == 0 ||
        ((weir_nif_head *)found)->layout != WEIR_NIF_LAYOUT) {
        return false;
    }
    *resource = found;
    return true;
}

bool weir_nif_own(ErlNifEnv *env, weir_nif_owned *owned, const char *name)
{
    owned->lock = enif_mutex_create((char *)name);
    if (owned->lock == NULL || enif_self(env, &owned->owner) == NULL) {
        return false;
    }
    owned->is_monitored = enif_monitor_process(env, owned, &owned->owner, &owned->monitor) == 0;
    return owned->is_monitored;
}

void weir_nif_disown(ErlNifEnv *env, weir_nif_owned *owned)
{
    enif_mutex_lock(owned->lock);
    const bool was_monitored = owned->is_monitored;
    owned->is_monitored = false;
    enif_mutex_unlock(owned->lock);
    /* In a destructor (where nobody calls) the monitors are gone with their lock: touching them
     * there aborts the emulator. */
    ErlNifPid caller;
    if (was_monitored && enif_self(env, &caller) != NULL) {
        /* Fails when the owner is just dying: the down callback then finds nothing to do. */
        (void)enif_demonitor_process(env, owned, &owned->monitor);
    }
}

bool weir_nif_dying(weir_nif_owned *owned)
{
    owned->is_monitored = false;
    return owned->lock != NULL;
}

void weir_nif_unlock_for_good(weir_nif_owned *owned)
{
    if (owned->lock != NULL) {
        enif_mutex_destroy(owned->lock);
    }
}

void weir_nif_close(ErlNifEnv *env, void *resource, int fd, bool was_selected)
{
    if (fd < 0) {
        return;
    }
    if (!was_selected ||
        enif_select(env, fd, ERL_NIF_SELECT_STOP, resource, NULL, weir_nif_atoms.undefined_) < 0) {
        (void)weir_os()->close(fd);
    }
}

bool weir_nif_select(ErlNifEnv *env, void *resource, int fd, ERL_NIF_TERM message)
{
    return enif_select_read(env, fd, resource, NULL, message, NULL) >= 0;
}

void weir_nif_stop(ErlNifEnv *env, void *resource, ErlNifEvent event, int is_direct)
{
    (void)env;
    (void)is_direct;
    weir_nif_note(WEIR_NIF_STOP, resource);
    (void)weir_os()->close(event);
}

/* The virtual machine's destructor of each kind: the concept's own, then the count. */
#define KIND_FREE(name, destructor, stop, down)                                                    \
    static void free_##name(ErlNifEnv *env, void *resource)                                        \
    {                                                                                              \
        destructor(env, resource);                                                                 \
        atomic_fetch_sub_explicit(&shared->kinds[WEIR_NIF_##name].alive, 1, memory_order_relaxed); \
        let_block_go(shared);                                                                      \
    }
WEIR_NIF_KINDS(KIND_FREE)
#undef KIND_FREE

static int open_types(ErlNifEnv *env)
{
    static const ErlNifResourceTypeInit callbacks[WEIR_NIF_KIND_COUNT] = {
#define KIND_INIT(name, destructor, stop_, down_)                                                  \
    {.dtor = free_##name, .stop = (stop_), .down = (down_), .members = 3},
        WEIR_NIF_KINDS(KIND_INIT)
#undef KIND_INIT
    };
    for (int i = 0; i < WEIR_NIF_KIND_COUNT; i++) {
        types[i] = enif_init_resource_type(env, kind_names[i], &callbacks[i],
                                           ERL_NIF_RT_CREATE | ERL_NIF_RT_TAKEOVER, NULL);
        if (types[i] == NULL) {
            return 3;
        }
    }
    return 0;
}

/* --- Joining and leaving --- */

static shared_block *make_block(void)
{
    shared_block *block = enif_alloc(sizeof *block);
    if (block == NULL) {
        return NULL;
    }
    memset(block, 0, sizeof *block);
    block->version = SHARED_VERSION;
    block->lock = enif_mutex_create("weir_nif_trace");
    if (block->lock == NULL) {
        enif_free(block);
        return NULL;
    }
    return block;
}

/* A library that numbers its kinds or lays out its resources differently cannot take over living
 * ones. */
static bool knows_the_living(shared_block *block)
{
    for (int i = 0; i < (int)KINDS_MAX; i++) {
        shared_kind *kind = &block->kinds[i];
        const bool is_own = i < WEIR_NIF_KIND_COUNT && strcmp(kind->name, kind_names[i]) == 0 &&
                            kind->layout == WEIR_NIF_LAYOUT;
        if (!is_own && atomic_load_explicit(&kind->alive, memory_order_relaxed) > 0) {
            return false;
        }
    }
    return true;
}

int weir_nif_join(ErlNifEnv *env, void *found, void **joined)
{
    shared_block *block = found;
    if (block == NULL) {
        block = make_block();
        if (block == NULL) {
            return 1;
        }
    } else if (block->version != SHARED_VERSION || !knows_the_living(block)) {
        return 2;
    }
    const int failed = open_types(env);
    if (failed != 0) {
        if (found == NULL) {
            enif_mutex_destroy(block->lock);
            enif_free(block);
        }
        return failed;
    }
    for (int i = 0; i < WEIR_NIF_KIND_COUNT; i++) {
        (void)snprintf(block->kinds[i].name, NAME_MAX_, "%s", kind_names[i]);
        block->kinds[i].layout = WEIR_NIF_LAYOUT;
    }
    shared = block;
    own_number = ++block->libraries;
    hold_block();
    *joined = block;
    weir_nif_note(found == NULL ? WEIR_NIF_LOAD : WEIR_NIF_UPGRADE, NULL);
    return 0;
}

void weir_nif_leave(void *block)
{
    weir_nif_note(WEIR_NIF_UNLOAD, NULL);
    let_block_go(block);
}

/* --- Trace --- */

void weir_nif_note(weir_nif_event event, const void *resource)
{
    static const char *const names[WEIR_NIF_EVENT_COUNT] = {"load", "upgrade", "unload", "down",
                                                            "stop"};
    const weir_nif_head *head = resource;
    const char *kind = head == NULL ? "library" : kind_names[head->kind];
    enif_mutex_lock(shared->lock);
    trace_entry *entry = &shared->trace[shared->traced++ % TRACE_MAX];
    (void)snprintf(entry->event, sizeof entry->event, "%s", names[event]);
    (void)snprintf(entry->kind, sizeof entry->kind, "%s", kind);
    entry->library = own_number;
    enif_mutex_unlock(shared->lock);
}

ERL_NIF_TERM weir_nif_trace_list(ErlNifEnv *env)
{
    enif_mutex_lock(shared->lock);
    const uint64_t count = shared->traced < TRACE_MAX ? shared->traced : TRACE_MAX;
    ERL_NIF_TERM list = enif_make_list(env, 0);
    for (uint64_t i = 0; i < count; i++) {
        const trace_entry *entry = &shared->trace[(shared->traced - 1 - i) % TRACE_MAX];
        list = enif_make_list_cell(env,
                                   enif_make_tuple3(env, enif_make_atom(env, entry->event),
                                                    enif_make_atom(env, entry->kind),
                                                    enif_make_uint(env, entry->library)),
                                   list);
    }
    enif_mutex_unlock(shared->lock);
    return list;
}

void weir_nif_trace_forget(void)
{
    enif_mutex_lock(shared->lock);
    shared->traced = 0;
    enif_mutex_unlock(shared->lock);
}

ERL_NIF_TERM weir_nif_alive(ErlNifEnv *env)
{
    ERL_NIF_TERM map = enif_make_new_map(env);
    for (int i = 0; i < WEIR_NIF_KIND_COUNT; i++) {
        const uint64_t alive = atomic_load_explicit(&shared->kinds[i].alive, memory_order_relaxed);
        weir_nif_map_put(env, &map, kind_names[i], enif_make_uint64(env, alive));
    }
    return map;
}
