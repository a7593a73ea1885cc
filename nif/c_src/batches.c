/* The ends of a batch's jobs: kept for the caller, returned, or sent. */
#include "batches.h"

#include "jobs_done.h"

/* Needs the lock. Takes what has ended out of the batch. */
static weir_nif_job *take_ended(weir_nif_batch *batch, weir_nif_job **last, uint32_t *count)
{
    weir_nif_job *first = batch->first_ended;
    *last = batch->last_ended;
    *count = batch->ended_count;
    batch->first_ended = batch->last_ended = NULL;
    batch->ended_count = 0;
    batch->handed_out += *count;
    return first;
}

static void put_ended(weir_nif_batch *batch, weir_nif_job *job)
{
    job->next = NULL;
    if (batch->last_ended != NULL) {
        batch->last_ended->next = job;
    } else {
        batch->first_ended = job;
    }
    batch->last_ended = job;
    batch->ended_count++;
}

/* The list of items of a chain of stored results, whose records are given back. */
static ERL_NIF_TERM make_items(ErlNifEnv *env, ERL_NIF_TERM list, weir_nif_job *first)
{
    for (weir_nif_job *job = first; job != NULL; job = job->next) {
        const ERL_NIF_TERM payload = weir_nif_job_stored_payload(env, job);
        list = enif_make_list_cell(env, weir_nif_job_item(env, job, payload), list);
    }
    return list;
}

static void discard_all(weir_nif_job *first)
{
    for (weir_nif_job *job = first; job != NULL; job = job->next) {
        weir_nif_job_discard(job);
    }
}

/* The batch is called for by this very thread: its result needs no store. */
static void end_own(weir_nif_batch *batch, weir_nif_job *job, const weir_result *result,
                    weir_nif_round *round)
{
    const ERL_NIF_TERM payload = weir_nif_job_payload(round->env, job, result);
    round->items =
        enif_make_list_cell(round->env, weir_nif_job_item(round->env, job, payload), round->items);
    round->item_count++;
    pthread_mutex_lock(&batch->caller->lock);
    const bool is_last = --batch->live == 0;
    batch->handed_out++;
    pthread_mutex_unlock(&batch->caller->lock);
    weir_nif_caller *caller = job->caller;
    if (is_last) {
        enif_release_resource(batch);
    }
    weir_nif_jobs_give_back(caller, job, job, 1);
}

void weir_nif_batch_job_done(weir_nif_job *job, const weir_result *result, weir_nif_round *round)
{
    weir_nif_batch *batch = job->batch;
    if (round->batch == batch) {
        end_own(batch, job, result, round);
        return;
    }
    weir_nif_job_store(job, result);
    pthread_mutex_lock(&batch->caller->lock);
    const bool is_last = --batch->live == 0;
    put_ended(batch, job);
    const bool must_send = !batch->is_touched && (batch->is_left || batch->caller->is_dead);
    if (must_send) {
        batch->is_touched = true;
        batch->next_touched = round->touched;
        round->touched = batch;
        enif_keep_resource(batch);
    }
    pthread_mutex_unlock(&batch->caller->lock);
    if (is_last) {
        enif_release_resource(batch);
    }
}

/* ---- messages */

static void send_items(weir_nif_batch *batch, weir_nif_round *round, weir_nif_job *first,
                       uint32_t left)
{
    ErlNifEnv *env = weir_nif_round_message(round);
    const ERL_NIF_TERM items = make_items(env, enif_make_list(env, 0), first);
    const ERL_NIF_TERM message =
        enif_make_tuple4(env, enif_make_copy(env, batch->tag), enif_make_atom(env, "items"), items,
                         enif_make_uint(env, left));
    weir_nif_round_send(round, &batch->caller->pid, env, message);
}

static void flush(weir_nif_batch *batch, weir_nif_round *round)
{
    weir_nif_caller *caller = batch->caller;
    weir_nif_job *last = NULL;
    uint32_t count = 0;
    pthread_mutex_lock(&caller->lock);
    batch->is_touched = false;
    weir_nif_job *first = NULL;
    if (batch->is_left || caller->is_dead) { /* Else the caller has come back for them. */
        first = take_ended(batch, &last, &count);
    }
    const bool is_dead = caller->is_dead;
    const uint32_t left = batch->count - batch->handed_out;
    const bool ends_wait = batch->is_left;
    batch->is_left = false; /* One message for each :pending; then the caller comes back. */
    pthread_mutex_unlock(&caller->lock);
    if (ends_wait) {
        weir_nif_cease_waiting(round->home);
    }
    if (first == NULL) {
        return;
    }
    if (is_dead) {
        discard_all(first);
    } else {
        send_items(batch, round, first, left);
    }
    weir_nif_jobs_give_back(caller, first, last, count);
}

void weir_nif_batches_flush(weir_nif_round *round)
{
    while (round->touched != NULL) {
        weir_nif_batch *batch = round->touched;
        round->touched = batch->next_touched;
        flush(batch, round);
        enif_release_resource(batch);
    }
}

/* ---- the caller's side */

void weir_nif_batch_come_back(weir_nif_batch *batch, weir_nif_round *round)
{
    weir_nif_caller *caller = batch->caller;
    weir_nif_job *last = NULL;
    uint32_t count = 0;
    pthread_mutex_lock(&caller->lock);
    const bool was_left = batch->is_left;
    batch->is_left = false;
    weir_nif_job *first = take_ended(batch, &last, &count);
    pthread_mutex_unlock(&caller->lock);
    if (was_left) {
        weir_nif_cease_waiting(round->home);
    }
    if (first != NULL) {
        round->items = make_items(round->env, round->items, first);
        round->item_count += count;
        weir_nif_jobs_give_back(caller, first, last, count);
    }
}

bool weir_nif_batch_go_away(weir_nif_batch *batch)
{
    pthread_mutex_lock(&batch->caller->lock);
    const bool may_go = batch->first_ended == NULL && batch->live > 0;
    batch->is_left = may_go;
    if (may_go) {
        weir_nif_begin_waiting(batch->caller->manager->home);
    }
    pthread_mutex_unlock(&batch->caller->lock);
    return may_go;
}

uint32_t weir_nif_batch_list_ids(weir_nif_batch *batch, uint64_t *ids, uint32_t most)
{
    const uint32_t submitted = atomic_load_explicit(&batch->submitted, memory_order_acquire);
    uint32_t count = 0;
    while (count < most && batch->cancelled < submitted) {
        ids[count++] = batch->ids[batch->cancelled++];
    }
    return count;
}

static void unlink_from_caller(weir_nif_batch *batch)
{
    weir_nif_caller *caller = batch->caller;
    pthread_mutex_lock(&caller->lock);
    if (batch->previous_of_caller != NULL) {
        batch->previous_of_caller->next_of_caller = batch->next_of_caller;
    } else if (caller->first_batch == batch) {
        caller->first_batch = batch->next_of_caller;
    }
    if (batch->next_of_caller != NULL) {
        batch->next_of_caller->previous_of_caller = batch->previous_of_caller;
    }
    pthread_mutex_unlock(&caller->lock);
}

void weir_nif_batch_free(ErlNifEnv *env, void *resource)
{
    (void)env;
    weir_nif_batch *batch = resource;
    if (batch->caller != NULL) {
        unlink_from_caller(batch);
    }
    if (batch->first_ended != NULL) { /* Ended while nobody asked any more. */
        weir_nif_job *first = batch->first_ended;
        discard_all(first);
        weir_nif_jobs_give_back(batch->caller, first, batch->last_ended, batch->ended_count);
    }
    if (batch->env != NULL) {
        enif_free_env(batch->env);
    }
    enif_free(batch->ids);
    if (batch->caller != NULL) {
        enif_release_resource(batch->caller);
    }
}
