#include "callers.h"

#include "base/os.h"
#include "batches.h"
#include "turns.h"

/* Jobs that are cancelled in one go when their caller died; the ingestor goes on with the rest. */
#define CANCEL_MAX 64

/* How long a call looks for its own result, at most. */
#define SPIN_NS (60 * WEIR_NS_PER_US)

bool weir_nif_caller_enter(ErlNifEnv *env, ERL_NIF_TERM term, weir_nif_caller **caller,
                           ERL_NIF_TERM *refusal)
{
    void *found = NULL;
    if (!weir_nif_get(env, term, WEIR_NIF_caller, &found)) {
        *refusal = enif_make_badarg(env);
        return false;
    }
    *caller = found;
    if (!weir_nif_home_enter((*caller)->manager->home)) {
        *refusal = weir_nif_home_refusal(env);
        return false;
    }
    return true;
}

void weir_nif_caller_link(weir_nif_caller *caller, weir_nif_job *job)
{
    job->is_linked = true;
    job->previous = NULL;
    job->next = caller->first_live;
    if (job->next != NULL) {
        job->next->previous = job;
    }
    caller->first_live = job;
}

void weir_nif_caller_unlink(weir_nif_caller *caller, weir_nif_job *job)
{
    if (!job->is_linked) {
        return;
    }
    job->is_linked = false;
    if (job->previous != NULL) {
        job->previous->next = job->next;
    } else {
        caller->first_live = job->next;
    }
    if (job->next != NULL) {
        job->next->previous = job->previous;
    }
    job->next = job->previous = NULL;
}

ERL_NIF_TERM weir_nif_caller_open(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    void *manager = NULL;
    if (!weir_nif_get(env, argv[0], WEIR_NIF_manager, &manager)) {
        return enif_make_badarg(env);
    }
    weir_nif_caller *caller = weir_nif_new(WEIR_NIF_caller, sizeof *caller);
    if (caller == NULL) {
        return weir_nif_refusal(env, WEIR_NO_MEMORY, "no memory for a caller");
    }
    enif_keep_resource(manager);
    caller->manager = manager;
    caller->spin = (weir_spin){.max_ns = SPIN_NS, .ns = SPIN_NS};
    pthread_mutex_init(&caller->lock, NULL);
    caller->has_lock = true;
    if (enif_self(env, &caller->pid) == NULL ||
        enif_monitor_process(env, caller, &caller->pid, &caller->monitor) != 0) {
        enif_release_resource(caller);
        return weir_nif_refusal(env, WEIR_NOT_FOUND, "the calling process is ending");
    }
    return weir_nif_ok(env, weir_nif_release_as_term(env, caller));
}

void weir_nif_caller_free(ErlNifEnv *env, void *resource)
{
    (void)env;
    weir_nif_caller *caller = resource;
    if (caller->has_lock) {
        pthread_mutex_destroy(&caller->lock);
    }
    if (caller->manager != NULL) {
        weir_nif_jobs_give_back_spare(caller);
        enif_release_resource(caller->manager);
    }
}

/* Ids of live jobs, under the lock. */
static uint32_t list_ids(weir_nif_caller *caller, uint64_t *ids, uint32_t most)
{
    uint32_t count = 0;
    for (weir_nif_batch *batch = caller->first_batch; batch != NULL;
         batch = batch->next_of_caller) {
        count += weir_nif_batch_list_ids(batch, ids + count, most - count);
    }
    for (weir_nif_job *job = caller->first_live; job != NULL && count < most;) {
        weir_nif_job *next = job->next;
        ids[count++] = atomic_load_explicit(&job->id, memory_order_relaxed);
        weir_nif_caller_unlink(caller, job); /* Once is enough: it ends in one way or another. */
        job = next;
    }
    return count;
}

/* Returns true when there are more. */
static bool cancel_some(weir_nif_caller *caller)
{
    uint64_t ids[CANCEL_MAX];
    pthread_mutex_lock(&caller->lock);
    caller->is_dead = true;
    const uint32_t count = list_ids(caller, ids, CANCEL_MAX);
    const bool has_more = count == CANCEL_MAX;
    pthread_mutex_unlock(&caller->lock);
    for (uint32_t i = 0; i < count; i++) {
        /* One that is not found has ended or is about to. */
        (void)!weir_cancel(caller->manager->home->manager, ids[i]);
    }
    return has_more;
}

static void queue(weir_nif_caller *caller)
{
    weir_nif_home *home = caller->manager->home;
    pthread_mutex_lock(&home->lock);
    caller->next_dying = home->dying;
    home->dying = caller;
    pthread_mutex_unlock(&home->lock);
}

void weir_nif_callers_bury(weir_nif_home *home)
{
    pthread_mutex_lock(&home->lock);
    weir_nif_caller *caller = home->dying;
    home->dying = caller != NULL ? caller->next_dying : NULL;
    pthread_mutex_unlock(&home->lock);
    if (caller == NULL) {
        return;
    }
    if (cancel_some(caller)) {
        queue(caller);
    } else {
        enif_release_resource(caller);
    }
}

bool weir_nif_callers_are_dying(weir_nif_home *home)
{
    pthread_mutex_lock(&home->lock);
    const bool has_any = home->dying != NULL;
    pthread_mutex_unlock(&home->lock);
    return has_any;
}

void weir_nif_callers_forget(weir_nif_home *home)
{
    for (weir_nif_caller *caller = home->dying; caller != NULL;) {
        weir_nif_caller *next = caller->next_dying;
        enif_release_resource(caller);
        caller = next;
    }
    home->dying = NULL;
}

void weir_nif_caller_down(ErlNifEnv *env, void *resource, ErlNifPid *pid, ErlNifMonitor *monitor)
{
    (void)pid;
    (void)monitor;
    weir_nif_caller *caller = resource;
    weir_nif_home *home = caller->manager->home;
    weir_nif_note(WEIR_NIF_DOWN, resource);
    if (!weir_nif_home_enter(home)) { /* Its end cancels the jobs. */
        pthread_mutex_lock(&caller->lock);
        caller->is_dead = true;
        pthread_mutex_unlock(&caller->lock);
        return;
    }
    weir_nif_round round;
    weir_nif_round_begin(home, &round, env);
    round.is_callback = true;
    if (cancel_some(caller)) {
        enif_keep_resource(caller);
        queue(caller);
        weir_nif_kick(env, caller->manager);
    }
    weir_nif_round_end(&round);
    weir_nif_home_leave(home);
}
