/* The life of a caller's job: numbered, written, submitted, ended, checked, ready for the next
 * number. */
#include <inttypes.h>

#include "harness/callers_inside.h"
#include "layout/generated/weir_layout.h"

#define SECOND_NS UINT64_C(1000000000)
/* Replies up to this size are checked in the callback: holding them costs more than looking. */
#define CHECK_IN_PLACE_BYTES 4096

/* ---- the end of a job ---- */

bool weir_caller_has_work(const weir_caller *me)
{
    return me->to_check != NULL || me->at_home >= me->all->batch || me->at_home == me->job_count;
}

static void come_home(weir_caller *me, weir_caller_job *one, bool is_held, bool is_rejected)
{
    pthread_mutex_lock(&me->lock);
    if (is_held) {
        one->next = me->to_check;
        me->to_check = one;
    } else {
        one->next = me->home;
        me->home = one;
        me->at_home++;
    }
    me->is_rejected = me->is_rejected || is_rejected;
    const bool wake = me->is_waiting && weir_caller_has_work(me);
    if (wake) {
        me->is_waiting = false;
    }
    pthread_mutex_unlock(&me->lock);
    if (wake) {
        pthread_cond_signal(&me->changed);
    }
}

/* Only the manager's thread brings ok outcomes, so these numbers need no lock. */
static void note_ok(weir_callers *all, const weir_caller_job *one, const weir_result *result)
{
    weir_routine_facts *facts = &all->setup.routine[one->task.routine];
    const uint64_t since = one->due_ns != 0 ? one->due_ns : result->submitted_ns;
    weir_histogram_record(&facts->latency, result->ended_ns > since ? result->ended_ns - since : 0);
    facts->ok++;
    facts->request_bytes += one->task.bytes;
    facts->reply_bytes += result->payload_bytes;
    atomic_store_explicit(&all->last_ns, result->ended_ns, memory_order_relaxed);
}

static void done(void *context, const weir_result *result)
{
    weir_caller_job *one = context;
    weir_caller *me = one->owner;
    weir_callers *all = me->all;
    const weir_task *task = &one->task;
    const char *wrong = NULL;
    if (result->correlation_id != task->number || result->opcode != task->opcode) {
        weir_ledger_complain(all->setup.ledger,
                             "job %" PRIu64 " ended with the identity of job %" PRIu64,
                             task->number, result->correlation_id);
    }
    if (result->outcome == WEIR_OUTCOME_OK) {
        note_ok(all, one, result);
        /* A caller that waits for room in submit cannot look at what it holds, and so would keep
         * the slots that the worker needs to make room. */
        if (result->payload_bytes > CHECK_IN_PLACE_BYTES &&
            all->setup.workload->policy != WEIR_ROOM_WAIT &&
            !atomic_load_explicit(&all->is_given_up, memory_order_relaxed) &&
            weir_result_hold(result, &one->held) == WEIR_OK) {
            come_home(me, one, true, false);
            return;
        }
        wrong = weir_generator_check(all->setup.generator, task, result->payload,
                                     result->payload_bytes);
    }
    weir_ledger_close(all->setup.ledger, result->correlation_id, result->outcome, wrong);
    come_home(me, one, false, result->outcome == WEIR_OUTCOME_REJECTED);
}

void weir_caller_check_held(weir_caller *me, weir_caller_job *list)
{
    const weir_callers_setup *setup = &me->all->setup;
    while (list != NULL) {
        weir_caller_job *one = list;
        list = one->next;
        const char *wrong = weir_generator_check(setup->generator, &one->task, one->held.payload,
                                                 one->held.payload_bytes);
        weir_held_release(&one->held);
        weir_ledger_close(setup->ledger, one->task.number, WEIR_OUTCOME_OK, wrong);
        come_home(me, one, false, false);
    }
}

/* ---- its beginning ---- */

static uint64_t due_ns(const weir_callers *all, uint64_t number)
{
    const uint64_t rate = all->setup.workload->rate;
    return all->start_ns + number / rate * SECOND_NS + number % rate * SECOND_NS / rate;
}

uint32_t weir_callers_claim(weir_callers *all, uint32_t wanted, uint64_t *first, uint64_t *due)
{
    const bool is_open = all->setup.workload->rate != 0;
    uint_fast64_t next = atomic_load_explicit(&all->next_number, memory_order_relaxed);
    for (;;) {
        uint32_t count = 0;
        const uint64_t now = is_open ? weir_callers_now_ns() : 0;
        while (count < wanted && next + count < all->job_limit &&
               (!is_open || due_ns(all, next + count) <= now)) {
            count++;
        }
        if (count == 0) {
            *due = next < all->job_limit ? due_ns(all, next) : 0;
            return 0;
        }
        if (atomic_compare_exchange_weak_explicit(&all->next_number, &next, next + count,
                                                  memory_order_relaxed, memory_order_relaxed)) {
            *first = next;
            return count;
        }
    }
}

bool weir_callers_are_over(const weir_callers *all)
{
    return atomic_load_explicit(&all->is_stopping, memory_order_relaxed) ||
           atomic_load_explicit(&all->next_number, memory_order_relaxed) >= all->job_limit;
}

static void fill(void *context, void *payload, size_t bytes)
{
    const weir_caller_job *one = context;
    (void)bytes;
    weir_generator_fill(one->owner->all->setup.generator, &one->task, payload);
}

/* Takes @p count jobs from home; they are there. */
static void leave_home(weir_caller *me, uint32_t count, weir_caller_job **list)
{
    pthread_mutex_lock(&me->lock);
    for (uint32_t i = 0; i < count; i++) {
        list[i] = me->home;
        me->home = me->home->next;
    }
    me->at_home -= count;
    me->is_rejected = false;
    pthread_mutex_unlock(&me->lock);
}

static void prepare(weir_callers *all, weir_caller_job *one, uint64_t number, weir_job_spec *spec)
{
    const weir_workload *workload = all->setup.workload;
    weir_generator_task(all->setup.generator, number, &one->task);
    one->due_ns = workload->rate != 0 ? due_ns(all, number) : 0;
    *spec = (weir_job_spec){
        .opcode = one->task.opcode,
        .idempotent = workload->idempotent,
        .payload_bytes = one->task.bytes,
        .fill = fill,
        .done = done,
        .context = one,
        .deadline_ns =
            workload->deadline_ns != 0 ? weir_callers_now_ns() + workload->deadline_ns : 0,
        .correlation_id = number,
    };
}

void weir_caller_submit(weir_caller *me, uint64_t first, uint32_t count)
{
    weir_callers *all = me->all;
    weir_job_spec specs[WEIR_CALLERS_BATCH_MAX];
    weir_caller_job *list[WEIR_CALLERS_BATCH_MAX];
    leave_home(me, count, list);
    for (uint32_t i = 0; i < count; i++) {
        prepare(all, list[i], first + i, &specs[i]);
    }
    weir_status status = weir_ledger_enter(all->setup.ledger, first, count);
    if (status != WEIR_OK) {
        weir_ledger_complain(all->setup.ledger, "the ledger is full (%s); run fewer jobs",
                             weir_status_name(status));
    } else {
        status = weir_submit(all->setup.manager, all->setup.pool, specs, count, NULL);
        if (status != WEIR_OK) {
            weir_ledger_withdraw(all->setup.ledger, first, count);
            if (status != WEIR_CLOSED || !weir_callers_are_over(all)) {
                weir_ledger_complain(all->setup.ledger, "the manager refused jobs: %s",
                                     weir_status_name(status));
            }
        }
    }
    if (status != WEIR_OK) {
        atomic_store_explicit(&all->is_stopping, true, memory_order_relaxed);
        for (uint32_t i = 0; i < count; i++) {
            come_home(me, list[i], false, false);
        }
    }
}
