#include "jobs_record.h"

#include <string.h>

#include "callers.h"
#include "held.h"
#include "jobs_done.h"
#include "layout/generated/weir_layout.h"
#include "manager_home.h"

/* Tags are references of a few words, and an environment begins with 200. */
#define ENV_USES_MAX 32u

void weir_nif_records_open(weir_nif_records *records)
{
    pthread_mutex_init(&records->lock, NULL);
}

void weir_nif_records_close(weir_nif_records *records)
{
    for (uint32_t b = 0; b < records->block_count; b++) {
        for (uint32_t i = 0; i < WEIR_NIF_RECORD_BLOCK; i++) {
            if (records->blocks[b][i].env != NULL) {
                enif_free_env(records->blocks[b][i].env);
            }
        }
        enif_free(records->blocks[b]);
    }
    pthread_mutex_destroy(&records->lock);
}

/* Needs the lock. */
static void add_block(weir_nif_records *records)
{
    if (records->block_count == WEIR_NIF_RECORD_BLOCKS) {
        return;
    }
    weir_nif_job *block = enif_alloc(WEIR_NIF_RECORD_BLOCK * sizeof *block);
    if (block == NULL) {
        return;
    }
    memset(block, 0, WEIR_NIF_RECORD_BLOCK * sizeof *block);
    for (uint32_t i = 0; i < WEIR_NIF_RECORD_BLOCK; i++) {
        block[i].next = records->free;
        records->free = &block[i];
    }
    records->blocks[records->block_count++] = block;
}

static void make_ready(weir_nif_job *job, weir_nif_caller *caller)
{
    job->caller = caller;
    job->batch = NULL;
    job->next = job->previous = NULL;
    job->index = 0;
    job->is_linked = job->may_pin = false;
    job->reply_kind = WEIR_NIF_NO_REPLY;
    atomic_store_explicit(&job->state, WEIR_NIF_INSIDE, memory_order_relaxed);
    atomic_store_explicit(&job->id, 0, memory_order_relaxed);
}

static uint32_t take_free(weir_nif_records *records, weir_nif_job **jobs, uint32_t count)
{
    uint32_t taken = 0;
    pthread_mutex_lock(&records->lock);
    while (taken < count) {
        if (records->free == NULL) {
            add_block(records);
        }
        if (records->free == NULL) {
            break;
        }
        jobs[taken++] = records->free;
        records->free = records->free->next;
    }
    pthread_mutex_unlock(&records->lock);
    return taken;
}

uint32_t weir_nif_jobs_take(weir_nif_caller *caller, weir_nif_job **jobs, uint32_t count)
{
    weir_nif_records *records = &caller->manager->home->records;
    uint32_t taken = 0;
    if (count == 1) {
        jobs[0] = atomic_exchange_explicit(&caller->spare, NULL, memory_order_acquire);
        taken = jobs[0] != NULL;
    }
    if (taken < count) {
        taken = take_free(records, jobs, count);
    }
    for (uint32_t i = 0; i < taken; i++) {
        make_ready(jobs[i], caller);
    }
    if (taken > 0 && atomic_fetch_add_explicit(&caller->jobs, taken, memory_order_acq_rel) == 0) {
        enif_keep_resource(caller);
    }
    return taken;
}
/* Clearing gives memory back that the next tag would ask for again, so tags collect for a while. */
static void forget_terms(weir_nif_job *job)
{
    if (job->has_payload || job->env_uses >= ENV_USES_MAX) {
        enif_clear_env(job->env);
        job->has_payload = false;
        job->env_uses = 0;
    }
}

static void put_free(weir_nif_records *records, weir_nif_job *first, weir_nif_job *last)
{
    pthread_mutex_lock(&records->lock);
    last->next = records->free;
    records->free = first;
    pthread_mutex_unlock(&records->lock);
}

void weir_nif_jobs_give_back_spare(weir_nif_caller *caller)
{
    weir_nif_job *spare = atomic_exchange_explicit(&caller->spare, NULL, memory_order_acquire);
    if (spare != NULL) {
        put_free(&caller->manager->home->records, spare, spare);
    }
}

void weir_nif_jobs_give_back(weir_nif_caller *caller, weir_nif_job *first, weir_nif_job *last,
                             uint32_t count)
{
    for (weir_nif_job *job = first;; job = job->next) {
        forget_terms(job);
        if (job == last) {
            break;
        }
    }
    weir_nif_job *none = NULL;
    if (count != 1 ||
        !atomic_compare_exchange_strong_explicit(&caller->spare, &none, first, memory_order_release,
                                                 memory_order_relaxed)) {
        put_free(&caller->manager->home->records, first, last);
    }
    if (atomic_fetch_sub_explicit(&caller->jobs, count, memory_order_acq_rel) == count) {
        enif_release_resource(caller);
    }
}

static ErlNifEnv *env_of(weir_nif_job *job)
{
    if (job->env == NULL) {
        job->env = enif_alloc_env(); /* The emulator ends itself when there is no memory. */
    }
    return job->env;
}

void weir_nif_job_keep_tag(weir_nif_job *job, ERL_NIF_TERM tag)
{
    job->tag = enif_make_copy(env_of(job), tag);
    job->env_uses++;
}

bool weir_nif_job_keep_payload(weir_nif_job *job, ERL_NIF_TERM term, const ErlNifBinary *payload)
{
    if (payload->size <= WEIR_NIF_SMALL_BYTES) {
        memcpy(job->small, payload->data, payload->size);
        job->payload = job->small;
        return true;
    }
    /* A copy of the term, not of the bytes: it keeps the bytes where they are until fill. */
    ErlNifEnv *env = env_of(job);
    ErlNifBinary kept;
    job->has_payload = true;
    if (enif_inspect_binary(env, enif_make_copy(env, term), &kept) == 0) {
        return false;
    }
    job->payload = kept.data;
    return true;
}

static void fill(void *context, void *payload, size_t bytes)
{
    memcpy(payload, ((const weir_nif_job *)context)->payload, bytes);
}

weir_job_spec weir_nif_job_spec(weir_nif_job *job, uint16_t opcode, uint32_t bytes,
                                bool is_idempotent, uint64_t deadline_ns)
{
    return (weir_job_spec){
        .opcode = opcode,
        .idempotent = is_idempotent,
        .payload_bytes = bytes,
        .fill = fill,
        .done = weir_nif_job_done,
        .context = job,
        .deadline_ns = deadline_ns,
    };
}

/* ---- results */

static void note(weir_nif_job *job, const weir_result *result)
{
    job->outcome = result->outcome;
    job->sent_count = result->sent_count;
    job->elapsed_ns = result->ended_ns - result->submitted_ns;
}

void weir_nif_job_store(weir_nif_job *job, const weir_result *result)
{
    note(job, result);
    job->reply_kind = WEIR_NIF_NO_REPLY;
    if (result->payload == NULL) {
        return;
    }
    if (result->payload_bytes <= WEIR_NIF_SMALL_BYTES) {
        memcpy(job->small, result->payload, result->payload_bytes);
        job->small_length = (uint32_t)result->payload_bytes;
        job->reply_kind = WEIR_NIF_SMALL_REPLY;
        return;
    }
    if (job->may_pin &&
        (job->held = weir_nif_hold(job->caller->manager->home, job->pool, result)) != NULL) {
        job->reply_kind = WEIR_NIF_HELD_REPLY;
        return;
    }
    if (enif_alloc_binary(result->payload_bytes, &job->binary) != 0) {
        memcpy(job->binary.data, result->payload, result->payload_bytes);
        job->reply_kind = WEIR_NIF_BINARY_REPLY;
    }
}

static ERL_NIF_TERM copied_binary(ErlNifEnv *env, const void *bytes, size_t length)
{
    ERL_NIF_TERM term;
    memcpy(enif_make_new_binary(env, length, &term), bytes, length);
    return term;
}

ERL_NIF_TERM weir_nif_job_stored_payload(ErlNifEnv *env, weir_nif_job *job)
{
    const uint32_t kind = job->reply_kind;
    job->reply_kind = WEIR_NIF_NO_REPLY;
    switch (kind) {
    case WEIR_NIF_SMALL_REPLY:
        return copied_binary(env, job->small, job->small_length);
    case WEIR_NIF_BINARY_REPLY:
        return enif_make_binary(env, &job->binary);
    case WEIR_NIF_HELD_REPLY:
        return weir_nif_held_term(env, job->held);
    default:
        return weir_nif_atoms.nil_;
    }
}

void weir_nif_job_discard(weir_nif_job *job)
{
    if (job->reply_kind == WEIR_NIF_BINARY_REPLY) {
        enif_release_binary(&job->binary);
    } else if (job->reply_kind == WEIR_NIF_HELD_REPLY) {
        enif_release_resource(job->held);
    }
    job->reply_kind = WEIR_NIF_NO_REPLY;
}

ERL_NIF_TERM weir_nif_job_payload(ErlNifEnv *env, weir_nif_job *job, const weir_result *result)
{
    note(job, result);
    if (result->payload == NULL) {
        return weir_nif_atoms.nil_;
    }
    if (job->may_pin && result->payload_bytes > WEIR_NIF_SMALL_BYTES) {
        weir_nif_held *held = weir_nif_hold(job->caller->manager->home, job->pool, result);
        if (held != NULL) {
            return weir_nif_held_term(env, held);
        }
    }
    return copied_binary(env, result->payload, result->payload_bytes);
}

ERL_NIF_TERM weir_nif_outcome(ErlNifEnv *env, uint16_t outcome)
{
    static _Atomic ERL_NIF_TERM atoms[WEIR_OUTCOME_CODES];
    if (outcome >= WEIR_OUTCOME_CODES) {
        return weir_nif_atoms.undefined_;
    }
    ERL_NIF_TERM atom = atomic_load_explicit(&atoms[outcome], memory_order_relaxed);
    if (atom == 0) {
        atom = enif_make_atom(env, weir_outcome_name(outcome));
        atomic_store_explicit(&atoms[outcome], atom, memory_order_relaxed);
    }
    return atom;
}
