#include "harness/judge.h"

#include <inttypes.h>

#include "harness/names.h"
#include "layout/generated/weir_layout.h"

/* The outcomes that are no broken promise under the terms of this run. */
static bool is_allowed(unsigned outcome, const weir_run_plan *plan, const weir_run_facts *facts)
{
    switch (outcome) {
    case WEIR_OUTCOME_OK:
        return true;
    case WEIR_OUTCOME_TIMEOUT:
        return plan->workload.deadline_ns != 0;
    case WEIR_OUTCOME_REJECTED:
        /* Under every policy room can run out: at once, at the queue's end or at the deadline. */
        return true;
    case WEIR_OUTCOME_WORKER_LOST:
        /* A begun job that may not be repeated is lost with its worker. */
        return !plan->workload.idempotent && facts->restarts > 0;
    case WEIR_OUTCOME_CANCELLED:
        return facts->signals > 1;
    default:
        return false;
    }
}

/* Jobs end in many ways when nobody is left to do them; the cause is one. */
static const char *because(const weir_run_facts *facts)
{
    return facts->why_no_worker[0] != '\0' ? "; no worker serves any more: " : "";
}

static void judge_outcomes(const weir_run_plan *plan, const weir_run_facts *facts,
                           weir_ledger *ledger)
{
    const weir_ledger_totals *totals = &facts->totals;
    for (unsigned i = 1; i < WEIR_OUTCOME_CODES; i++) {
        if (totals->outcomes[i] != 0 && !is_allowed(i, plan, facts)) {
            weir_ledger_complain(ledger,
                                 "%" PRIu64 " jobs ended as %s, which nothing in this run "
                                 "excuses%s%s",
                                 totals->outcomes[i], weir_outcome_name(i), because(facts),
                                 facts->why_no_worker);
        }
        if (totals->outcomes[i] != facts->stats.outcomes[i]) {
            weir_ledger_complain(ledger,
                                 "the callers saw %" PRIu64 " jobs end as %s, the manager counted "
                                 "%" PRIu64,
                                 totals->outcomes[i], weir_outcome_name(i),
                                 facts->stats.outcomes[i]);
        }
    }
    if (totals->entered != facts->stats.submitted) {
        weir_ledger_complain(ledger,
                             "the callers submitted %" PRIu64 " jobs, the manager counted %" PRIu64,
                             totals->entered, facts->stats.submitted);
    }
    if (totals->outcomes[WEIR_OUTCOME_OK] == 0 && facts->signals == 0) {
        weir_ledger_complain(ledger, "no job ended as ok%s%s", because(facts),
                             facts->why_no_worker);
    }
}

void weir_judge(const weir_run_plan *plan, const weir_run_facts *facts, weir_ledger *ledger)
{
    const weir_manager_stats *stats = &facts->stats;
    const uint64_t copied = stats->bytes_copied + facts->workers.bytes_copied;
    if (facts->is_deserted) {
        weir_ledger_complain(ledger, "the run was called off, for every worker was given up%s%s",
                             because(facts), facts->why_no_worker);
    }
    judge_outcomes(plan, facts, ledger);
    /* A job that is sent again moves to another worker's memory; nothing else is ever copied. */
    if (copied != 0 && stats->resent == 0) {
        weir_ledger_complain(ledger,
                             "libweir copied %" PRIu64 " payload bytes though no job was "
                             "sent again",
                             copied);
    }
    const uint64_t late = facts->totals.outcomes[WEIR_OUTCOME_TIMEOUT] +
                          facts->totals.outcomes[WEIR_OUTCOME_CANCELLED];
    if (stats->stray_replies > late) {
        weir_ledger_complain(ledger,
                             "%" PRIu64 " replies came for no job, more than the %" PRIu64
                             " jobs that had ended early",
                             stats->stray_replies, late);
    }
    if (stats->protocol_errors != 0) {
        weir_ledger_complain(ledger,
                             "%" PRIu64 " protocol errors by workers that are meant to be "
                             "sound",
                             stats->protocol_errors);
    }
    if (facts->signals > 1) {
        return; /* what was under way was given up */
    }
    if (stats->in_flight != 0 || stats->deferred_now != 0) {
        weir_ledger_complain(ledger,
                             "%" PRIu64 " jobs are in flight and %" PRIu64 " deferred after "
                             "the last outcome",
                             stats->in_flight, stats->deferred_now);
    }
    if (stats->slots_taken != 0) {
        weir_ledger_complain(ledger, "%" PRIu64 " request slots did not come back",
                             stats->slots_taken);
    }
    if (stats->held_bytes != 0) {
        weir_ledger_complain(ledger, "%" PRIu64 " bytes of dead workers' memory are still held",
                             stats->held_bytes);
    }
}
