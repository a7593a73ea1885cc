/**
 * @file
 * What every file of the NIF uses: atoms, arguments, errors, resources, the trace of callbacks.
 *
 * Purpose: each NIF function reads as "check the arguments, call libweir, make a term". A wrong
 * type or range is badarg; a refusal at run time is {:error, status, sentence}. No function blocks.
 *
 * Threads: everything here may be called by any scheduler thread at any time.
 *
 * Resources: a resource is a C struct that the virtual machine frees when the last term that names
 * it is gone. Each begins with a weir_nif_head. A hot upgrade hands living resources to the new
 * library, which takes them over only if it knows their layout: WEIR_NIF_LAYOUT counts the
 * versions.
 *
 * Source: erl_nif(3).
 */
#ifndef WEIR_NIF_COMMON_H
#define WEIR_NIF_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <erl_nif.h>

#include "weir/status.h"

/** Raise it whenever a struct behind a resource changes. A library with another number refuses the
 * upgrade as long as resources of the old layout are alive. */
#ifndef WEIR_NIF_LAYOUT
#define WEIR_NIF_LAYOUT 1u
#endif

/** What a call may do on a normal scheduler. */
#define WEIR_NIF_JOBS_MAX  64u
#define WEIR_NIF_BYTES_MAX (256u * 1024u)

/* --- Atoms ---------------------------------------------------------------------------------------
 */

/* Atoms that are used in more than one file, or often. A(name) is the atom :name. */
#define WEIR_NIF_ATOMS(A)                                                                          \
    A(ok)                                                                                          \
    A(error)                                                                                       \
    A(true) A(false) A(nil) A(undefined) A(infinity) A(pending) A(done) A(more) A(empty) A(full)

typedef struct weir_nif_atom_table {
#define WEIR_NIF_ATOM_MEMBER(name) ERL_NIF_TERM name##_;
    WEIR_NIF_ATOMS(WEIR_NIF_ATOM_MEMBER)
#undef WEIR_NIF_ATOM_MEMBER
    ERL_NIF_TERM status[WEIR_STATUS_COUNT];
} weir_nif_atom_table;

/** Filled when the library is loaded; read-only afterwards. */
extern weir_nif_atom_table weir_nif_atoms;

/** The prototype of a function of the list: used as WEIR_NIF_..._FUNCTIONS(WEIR_NIF_DECLARE). */
#define WEIR_NIF_DECLARE(name, arity, flags)                                                       \
    ERL_NIF_TERM weir_nif_##name(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]);

/* --- Results -------------------------------------------------------------------------------------
 */

/** {:ok, value} */
ERL_NIF_TERM weir_nif_ok(ErlNifEnv *env, ERL_NIF_TERM value);
/** :ok for WEIR_OK, else {:error, status, sentence}; @p error may be NULL. */
ERL_NIF_TERM weir_nif_status(ErlNifEnv *env, weir_status status, const weir_error *error);
/** {:error, status, sentence}. */
ERL_NIF_TERM weir_nif_refusal(ErlNifEnv *env, weir_status status, const char *sentence);
ERL_NIF_TERM weir_nif_bool(bool value);
/** A binary with a copy of the bytes. */
ERL_NIF_TERM weir_nif_bytes(ErlNifEnv *env, const void *bytes, size_t length);
/** A binary with a copy of the text. */
ERL_NIF_TERM weir_nif_text(ErlNifEnv *env, const char *text);
/** Sets map[name] = value in a map that is being built. */
void weir_nif_map_put(ErlNifEnv *env, ERL_NIF_TERM *map, const char *name, ERL_NIF_TERM value);

/* --- Arguments: each returns false for a wrong type or range, and changes nothing then
 * ------------ */

bool weir_nif_get_u64(ErlNifEnv *env, ERL_NIF_TERM term, uint64_t least, uint64_t most,
                      uint64_t *value);
bool weir_nif_get_u32(ErlNifEnv *env, ERL_NIF_TERM term, uint32_t least, uint32_t most,
                      uint32_t *value);
bool weir_nif_get_bool(ErlNifEnv *env, ERL_NIF_TERM term, bool *value);
/** A binary (no iodata) without a zero byte, which fits with its terminator. */
bool weir_nif_get_text(ErlNifEnv *env, ERL_NIF_TERM term, char *text, size_t size);
/** map[:name]; false when it is absent. */
bool weir_nif_map_get(ErlNifEnv *env, ERL_NIF_TERM map, const char *name, ERL_NIF_TERM *value);

/* --- Resources -----------------------------------------------------------------------------------
 */

/** The first member of every resource. */
typedef struct weir_nif_head {
    uint32_t layout; /**< WEIR_NIF_LAYOUT of the library that made it. Stays the first word. */
    uint32_t kind;   /**< weir_nif_kind. */
} weir_nif_head;

/** Every kind of resource: T(name, destructor, stop, down). The callbacks stand in the file of the
 * concept; NULL where there is none. */
#include "nif_kinds.h"

typedef enum weir_nif_kind {
#define WEIR_NIF_KIND(name, destructor, stop, down) WEIR_NIF_##name,
    WEIR_NIF_KINDS(WEIR_NIF_KIND)
#undef WEIR_NIF_KIND
        WEIR_NIF_KIND_COUNT
} weir_nif_kind;

/** Allocates a zeroed resource with its head set; NULL without memory. The caller makes a term of
 * it (weir_nif_release_as_term) or gives it up with enif_release_resource. */
void *weir_nif_new(weir_nif_kind kind, size_t size);
/** Makes the term and drops the caller's reference. */
ERL_NIF_TERM weir_nif_release_as_term(ErlNifEnv *env, void *resource);
/** The resource behind a term; false for anything else. */
bool weir_nif_get(ErlNifEnv *env, ERL_NIF_TERM term, weir_nif_kind kind, void **resource);

/** A resource that ends with a process: the first member of such a struct. */
typedef struct weir_nif_owned {
    weir_nif_head head;
    ErlNifMutex *lock; /**< Guards the rest of the struct. */
    ErlNifPid owner;
    ErlNifMonitor monitor;
    bool is_monitored;
} weir_nif_owned;

/** Makes the lock and monitors the calling process. False without memory or process; give the
 * resource up then. */
bool weir_nif_own(ErlNifEnv *env, weir_nif_owned *owned, const char *name);
/** The owner's death does not matter any more; safe twice. Not under the lock. */
void weir_nif_disown(ErlNifEnv *env, weir_nif_owned *owned);
/**
 * The first thing in a destructor: true when there is a lock, so that closing makes sense. The
 * emulator has removed the monitor, and asking it to do so again from a destructor would lock what
 * it has destroyed (measured on OTP 25).
 */
bool weir_nif_dying(weir_nif_owned *owned);
/** Frees the lock; the last thing in a destructor. */
void weir_nif_unlock_for_good(weir_nif_owned *owned);

/**
 * Closes a descriptor that may be in the emulator's poll set: there only the stop callback of @p
 * resource may close it. Not under a lock that the stop callback takes.
 */
void weir_nif_close(ErlNifEnv *env, void *resource, int fd, bool was_selected);
/** Sends @p message to the calling process once @p fd is readable. */
bool weir_nif_select(ErlNifEnv *env, void *resource, int fd, ERL_NIF_TERM message);
/** A stop callback that closes the descriptor; for every kind that selects. */
void weir_nif_stop(ErlNifEnv *env, void *resource, ErlNifEvent event, int is_direct);

/* --- Trace ---------------------------------------------------------------------------------------
 */

typedef enum weir_nif_event {
    WEIR_NIF_LOAD,
    WEIR_NIF_UPGRADE,
    WEIR_NIF_UNLOAD,
    WEIR_NIF_DOWN,
    WEIR_NIF_STOP,
    WEIR_NIF_EVENT_COUNT
} weir_nif_event;

/** Notes that a callback ran; @p resource is NULL for the library's own. Each down and stop
 * callback begins with it. */
void weir_nif_note(weir_nif_event event, const void *resource);

/* --- The library's own callbacks (nif_common.c, nif_resources.c), called by weir_nif.c
 * ------------ */

void weir_nif_atoms_open(ErlNifEnv *env);
/** Joins the block that all loaded versions of the library share, or makes it (@p shared is NULL);
 * opens the resource types. Returns 0, or a number for the error of load_nif. */
int weir_nif_join(ErlNifEnv *env, void *shared, void **joined);
void weir_nif_leave(void *shared);

/** What Weir.Native.trace/0, trace_clear/0 and resources/0 answer. */
ERL_NIF_TERM weir_nif_trace_list(ErlNifEnv *env);
void weir_nif_trace_forget(void);
ERL_NIF_TERM weir_nif_alive(ErlNifEnv *env);

#endif
