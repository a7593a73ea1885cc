/**
 * @file
 * Callers: one resource per calling process.
 *
 * Purpose: remember which jobs a process waits for. When it dies they are cancelled; when their
 * ends come, nobody is told. The records live on until libweir is done with them.
 *
 * Threads: the process itself submits; any thread may end its jobs. The lock guards the live list
 * and the lists of ended jobs of its batches; it is held for a few loads and stores.
 *
 * Ownership: the process holds the term; each live job keeps the resource, and the resource keeps
 * the manager's.
 */
#ifndef WEIR_NIF_CALLERS_H
#define WEIR_NIF_CALLERS_H

#include "channel/gate.h"
#include "manager_home.h"
#include "nif_common.h"

typedef struct weir_nif_caller {
    weir_nif_head head;
    weir_nif_manager *manager; /**< Kept. */
    ErlNifPid pid;
    ErlNifMonitor monitor;
    atomic_uint jobs;              /**< Records in use; keeps this resource while not 0. */
    _Atomic(weir_nif_job *) spare; /**< The record that its next single job takes. */
    pthread_mutex_t lock;
    bool has_lock;
    bool is_dead;                       /**< (lock) */
    weir_nif_job *first_live;           /**< (lock) Single jobs that it waits for. */
    struct weir_nif_batch *first_batch; /**< (lock) */
    struct weir_nif_caller *next_dying;
    weir_spin spin; /**< How long looking again pays off; the process's own. */
} weir_nif_caller;

#define WEIR_NIF_CALLER_FUNCTIONS(F) F(caller_open, 1, 0)

/** The resource behind a term whose process calls now, and its home entered; badarg or closed
 * otherwise. */
bool weir_nif_caller_enter(ErlNifEnv *env, ERL_NIF_TERM term, weir_nif_caller **caller,
                           ERL_NIF_TERM *refusal);

/** Puts a job into the live list; needs the lock. */
void weir_nif_caller_link(weir_nif_caller *caller, weir_nif_job *job);
/** Takes it out if it is there; needs the lock. */
void weir_nif_caller_unlink(weir_nif_caller *caller, weir_nif_job *job);

/** Cancels some jobs of callers that died with more of them than one go takes. */
void weir_nif_callers_bury(weir_nif_home *home);
bool weir_nif_callers_are_dying(weir_nif_home *home);
/** The manager has ended, and all jobs with it. */
void weir_nif_callers_forget(weir_nif_home *home);

void weir_nif_caller_free(ErlNifEnv *env, void *resource);
void weir_nif_caller_down(ErlNifEnv *env, void *resource, ErlNifPid *pid, ErlNifMonitor *monitor);

WEIR_NIF_CALLER_FUNCTIONS(WEIR_NIF_DECLARE)

#endif
