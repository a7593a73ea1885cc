#include "harness/ledger.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "harness/names.h"
#include "layout/generated/weir_layout.h"

#define BLOCK_JOBS  (UINT64_C(1) << 20)
#define BLOCK_COUNT (WEIR_LEDGER_JOBS_MAX / BLOCK_JOBS)

/* What a job's byte says; from ENDED on, the outcome. */
enum { ABSENT = 0, ENTERED = 1, WITHDRAWN = 2, ENDED = 16 };

struct weir_ledger {
    pthread_mutex_t lock; /* of new blocks and of violations */
    weir_violations violations;
    atomic_uint_fast64_t entered;
    atomic_uint_fast64_t verified;
    atomic_uint_fast64_t outcomes[WEIR_OUTCOME_CODES];
    atomic_uint_fast64_t end; /* one more than the highest number entered */
    _Atomic(atomic_uchar *) block[BLOCK_COUNT];
};

weir_status weir_ledger_create(weir_ledger **ledger, weir_error *error)
{
    weir_ledger *made = calloc(1, sizeof *made);
    if (made == NULL || pthread_mutex_init(&made->lock, NULL) != 0) {
        free(made);
        weir_error_set(error, "no memory for the ledger; free some");
        return WEIR_NO_MEMORY;
    }
    *ledger = made;
    return WEIR_OK;
}

void weir_ledger_free(weir_ledger *ledger)
{
    if (ledger == NULL) {
        return;
    }
    for (size_t i = 0; i < BLOCK_COUNT; i++) {
        free(atomic_load_explicit(&ledger->block[i], memory_order_relaxed));
    }
    pthread_mutex_destroy(&ledger->lock);
    free(ledger);
}

/* The byte of a job, or NULL when its block does not exist. */
static atomic_uchar *find(weir_ledger *ledger, uint64_t number)
{
    if (number >= WEIR_LEDGER_JOBS_MAX) {
        return NULL;
    }
    atomic_uchar *block =
        atomic_load_explicit(&ledger->block[number / BLOCK_JOBS], memory_order_acquire);
    return block == NULL ? NULL : &block[number % BLOCK_JOBS];
}

static weir_status add_block(weir_ledger *ledger, uint64_t index)
{
    weir_status status = WEIR_OK;
    pthread_mutex_lock(&ledger->lock);
    if (atomic_load_explicit(&ledger->block[index], memory_order_relaxed) == NULL) {
        atomic_uchar *fresh = calloc(BLOCK_JOBS, sizeof *fresh);
        status = fresh == NULL ? WEIR_NO_MEMORY : WEIR_OK;
        atomic_store_explicit(&ledger->block[index], fresh, memory_order_release);
    }
    pthread_mutex_unlock(&ledger->lock);
    return status;
}

weir_status weir_ledger_enter(weir_ledger *ledger, uint64_t first, uint64_t count)
{
    if (count > WEIR_LEDGER_JOBS_MAX || first > WEIR_LEDGER_JOBS_MAX - count) {
        return WEIR_FULL;
    }
    for (uint64_t number = first; number < first + count; number++) {
        atomic_uchar *entry = find(ledger, number);
        if (entry == NULL) {
            const weir_status status = add_block(ledger, number / BLOCK_JOBS);
            if (status != WEIR_OK) {
                return status;
            }
            entry = find(ledger, number);
        }
        const unsigned before = atomic_exchange_explicit(entry, ENTERED, memory_order_acq_rel);
        if (before != ABSENT) {
            weir_ledger_complain(ledger, "job %" PRIu64 " was submitted twice", number);
        }
    }
    atomic_fetch_add_explicit(&ledger->entered, count, memory_order_relaxed);
    uint_fast64_t end = atomic_load_explicit(&ledger->end, memory_order_relaxed);
    while (end < first + count &&
           !atomic_compare_exchange_weak_explicit(&ledger->end, &end, first + count,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
    return WEIR_OK;
}

void weir_ledger_withdraw(weir_ledger *ledger, uint64_t first, uint64_t count)
{
    for (uint64_t number = first; number < first + count; number++) {
        atomic_uchar *entry = find(ledger, number);
        if (entry == NULL ||
            atomic_exchange_explicit(entry, WITHDRAWN, memory_order_acq_rel) != ENTERED) {
            weir_ledger_complain(ledger, "job %" PRIu64 " was refused, but it had ended", number);
        }
    }
    atomic_fetch_sub_explicit(&ledger->entered, count, memory_order_relaxed);
}

void weir_ledger_close(weir_ledger *ledger, uint64_t number, unsigned outcome, const char *wrong)
{
    atomic_uchar *entry = find(ledger, number);
    if (outcome == WEIR_OUTCOME_NONE || outcome >= WEIR_OUTCOME_CODES) {
        weir_ledger_complain(ledger, "job %" PRIu64 " ended with %u, which is no outcome", number,
                             outcome);
        return;
    }
    unsigned before = ABSENT;
    if (entry != NULL) {
        before =
            atomic_exchange_explicit(entry, (unsigned char)(ENDED + outcome), memory_order_acq_rel);
    }
    if (before >= ENDED) {
        weir_ledger_complain(ledger, "job %" PRIu64 " ended twice: first %s, then %s", number,
                             weir_outcome_name(before - ENDED), weir_outcome_name(outcome));
        return;
    }
    if (before != ENTERED) {
        weir_ledger_complain(ledger, "job %" PRIu64 " ended as %s but was not submitted", number,
                             weir_outcome_name(outcome));
        return;
    }
    atomic_fetch_add_explicit(&ledger->outcomes[outcome], 1, memory_order_relaxed);
    if (wrong != NULL) {
        weir_ledger_complain(ledger, "job %" PRIu64 " ended as %s, but %s", number,
                             weir_outcome_name(outcome), wrong);
    } else if (outcome == WEIR_OUTCOME_OK) {
        atomic_fetch_add_explicit(&ledger->verified, 1, memory_order_relaxed);
    }
}

void weir_ledger_complain(weir_ledger *ledger, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    pthread_mutex_lock(&ledger->lock);
    weir_violations *violations = &ledger->violations;
    if (violations->found < WEIR_VIOLATIONS_MAX) {
        vsnprintf(violations->text[violations->found], WEIR_VIOLATION_TEXT_MAX, format, arguments);
    }
    violations->found++;
    pthread_mutex_unlock(&ledger->lock);
    va_end(arguments);
}

void weir_ledger_audit(weir_ledger *ledger)
{
    const uint64_t end = atomic_load_explicit(&ledger->end, memory_order_relaxed);
    for (uint64_t number = 0; number < end; number++) {
        atomic_uchar *entry = find(ledger, number);
        if (entry != NULL && atomic_load_explicit(entry, memory_order_acquire) == ENTERED) {
            weir_ledger_complain(ledger, "job %" PRIu64 " never ended", number);
        }
    }
}

void weir_ledger_read(const weir_ledger *ledger, weir_ledger_totals *totals)
{
    *totals = (weir_ledger_totals){
        .entered = atomic_load_explicit(&ledger->entered, memory_order_relaxed),
        .verified = atomic_load_explicit(&ledger->verified, memory_order_relaxed),
    };
    for (size_t i = 0; i < WEIR_OUTCOME_CODES; i++) {
        totals->outcomes[i] = atomic_load_explicit(&ledger->outcomes[i], memory_order_relaxed);
        totals->closed += totals->outcomes[i];
    }
}

void weir_ledger_violations(weir_ledger *ledger, weir_violations *violations)
{
    pthread_mutex_lock(&ledger->lock);
    *violations = ledger->violations;
    pthread_mutex_unlock(&ledger->lock);
}
