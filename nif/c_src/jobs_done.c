#include "jobs_done.h"

#include "batches.h"
#include "callers.h"
#include "turns.h"

static ERL_NIF_TERM done_term(ErlNifEnv *env, const weir_nif_job *job, ERL_NIF_TERM payload)
{
    return enif_make_tuple5(env, weir_nif_atoms.done_, weir_nif_outcome(env, job->outcome), payload,
                            enif_make_uint(env, job->sent_count),
                            enif_make_uint64(env, job->elapsed_ns));
}

ERL_NIF_TERM weir_nif_job_item(ErlNifEnv *env, weir_nif_job *job, ERL_NIF_TERM payload)
{
    return enif_make_tuple5(
        env, enif_make_uint(env, job->index), weir_nif_outcome(env, job->outcome), payload,
        enif_make_uint(env, job->sent_count), enif_make_uint64(env, job->elapsed_ns));
}

ERL_NIF_TERM weir_nif_job_stored_term(ErlNifEnv *env, weir_nif_job *job)
{
    return done_term(env, job, weir_nif_job_stored_payload(env, job));
}

static void send_payload(ErlNifEnv *env, weir_nif_job *job, ERL_NIF_TERM payload,
                         weir_nif_round *round)
{
    const ERL_NIF_TERM message = enif_make_tuple6(
        env, enif_make_copy(env, job->tag), weir_nif_atoms.done_,
        weir_nif_outcome(env, job->outcome), payload, enif_make_uint(env, job->sent_count),
        enif_make_uint64(env, job->elapsed_ns));
    weir_nif_round_send(round, &job->caller->pid, env, message);
}

void weir_nif_job_send_stored(weir_nif_job *job, weir_nif_round *round)
{
    ErlNifEnv *env = weir_nif_round_message(round);
    send_payload(env, job, weir_nif_job_stored_payload(env, job), round);
}

/* Its caller went on; nobody else has the record any more. */
static void end_left(weir_nif_job *job, const weir_result *result, weir_nif_round *round)
{
    weir_nif_caller *caller = job->caller;
    pthread_mutex_lock(&caller->lock);
    weir_nif_caller_unlink(caller, job);
    const bool is_dead = caller->is_dead;
    pthread_mutex_unlock(&caller->lock);
    if (is_dead) {
        weir_nif_job_discard(job);
    } else if (result != NULL) {
        ErlNifEnv *env = weir_nif_round_message(round);
        send_payload(env, job, weir_nif_job_payload(env, job, result), round);
    } else {
        weir_nif_job_send_stored(job, round);
    }
    weir_nif_cease_waiting(round->home);
    weir_nif_jobs_give_back(caller, job, job, 1);
}

static void end_single(weir_nif_job *job, const weir_result *result, weir_nif_round *round)
{
    if (round->own == job) {
        const ERL_NIF_TERM payload = weir_nif_job_payload(round->env, job, result);
        round->result = done_term(round->env, job, payload);
        round->is_own_done = true;
        return;
    }
    unsigned state = atomic_load_explicit(&job->state, memory_order_acquire);
    if (state == WEIR_NIF_LEFT) {
        end_left(job, result, round);
        return;
    }
    weir_nif_job_store(job, result);
    if (!atomic_compare_exchange_strong_explicit(&job->state, &state, WEIR_NIF_ENDED,
                                                 memory_order_acq_rel, memory_order_acquire)) {
        end_left(job, NULL, round); /* It left while the result was stored. */
    }
}

void weir_nif_job_done(void *context, const weir_result *result)
{
    weir_nif_job *job = context;
    weir_nif_home *home = job->caller->manager->home;
    weir_nif_round *round = weir_nif_round_now(home);
    weir_nif_round alone;
    const bool is_alone = round == NULL; /* Every way into libweir begins a round; to be sure. */
    if (is_alone) {
        round = &alone;
        weir_nif_round_begin(home, round, NULL);
    }
    round->ended++;
    if (job->batch != NULL) {
        weir_nif_batch_job_done(job, result, round);
    } else {
        end_single(job, result, round);
    }
    if (is_alone) {
        weir_nif_round_end(round);
    }
}
