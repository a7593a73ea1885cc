#include "harness/judge.h"

#include "harness/testing/weir_test.h"
#include "layout/generated/weir_layout.h"

static weir_run_plan plan;
static weir_run_facts facts;
static weir_violations violations;

/* A hundred jobs, all well. */
static void sound(void)
{
    plan = (weir_run_plan){.workload = {.idempotent = true, .deadline_ns = 1000}};
    facts = (weir_run_facts){0};
    facts.totals.entered = facts.totals.closed = facts.totals.verified = 100;
    facts.totals.outcomes[WEIR_OUTCOME_OK] = 100;
    facts.stats.submitted = 100;
    facts.stats.outcomes[WEIR_OUTCOME_OK] = 100;
}

/* Ten of them end otherwise. */
static void ten_end_as(unsigned outcome)
{
    sound();
    facts.totals.outcomes[WEIR_OUTCOME_OK] = facts.stats.outcomes[WEIR_OUTCOME_OK] = 90;
    facts.totals.outcomes[outcome] = facts.stats.outcomes[outcome] = 10;
}

static uint64_t judge(void)
{
    weir_ledger *ledger = NULL;
    WEIR_EXPECT_STATUS(weir_ledger_create(&ledger, NULL), WEIR_OK);
    weir_judge(&plan, &facts, ledger);
    weir_ledger_violations(ledger, &violations);
    weir_ledger_free(ledger);
    return violations.found;
}

WEIR_TEST(judge, a_sound_run_holds)
{
    sound();
    WEIR_EXPECT_EQ(judge(), 0);
}

WEIR_TEST(judge, outcomes_that_nothing_excuses_are_violations)
{
    static const unsigned never[] = {WEIR_OUTCOME_FAILED,      WEIR_OUTCOME_MANAGER_LOST,
                                     WEIR_OUTCOME_CORRUPT,     WEIR_OUTCOME_OVERSIZE,
                                     WEIR_OUTCOME_UNSUPPORTED, WEIR_OUTCOME_INCOMPATIBLE,
                                     WEIR_OUTCOME_CANCELLED,   WEIR_OUTCOME_WORKER_LOST};
    for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
        ten_end_as(never[i]);
        WEIR_EXPECT_EQ(judge(), 1);
        WEIR_EXPECT_STR_HAS(violations.text[0], "which nothing in this run excuses");
    }
}

WEIR_TEST(judge, what_the_terms_allow_is_no_violation)
{
    ten_end_as(WEIR_OUTCOME_TIMEOUT);
    WEIR_EXPECT_EQ(judge(), 0);
    plan.workload.deadline_ns = 0;
    WEIR_EXPECT_EQ(judge(), 1);
    ten_end_as(WEIR_OUTCOME_REJECTED);
    WEIR_EXPECT_EQ(judge(), 0);
    ten_end_as(WEIR_OUTCOME_WORKER_LOST);
    plan.workload.idempotent = false;
    WEIR_EXPECT_EQ(judge(), 1);
    facts.restarts = 1;
    WEIR_EXPECT_EQ(judge(), 0);
    ten_end_as(WEIR_OUTCOME_CANCELLED);
    facts.signals = 1;
    WEIR_EXPECT_EQ(judge(), 1);
    facts.signals = 2;
    WEIR_EXPECT_EQ(judge(), 0);
}

WEIR_TEST(judge, counts_of_callers_and_manager_have_to_agree)
{
    sound();
    facts.stats.outcomes[WEIR_OUTCOME_OK] = 99;
    WEIR_EXPECT_EQ(judge(), 1);
    WEIR_EXPECT_STR_EQ(violations.text[0],
                       "the callers saw 100 jobs end as ok, the manager counted 99");
    sound();
    facts.stats.submitted = 101;
    WEIR_EXPECT_EQ(judge(), 1);
}

WEIR_TEST(judge, copied_bytes_need_a_job_that_was_sent_again)
{
    sound();
    facts.workers.bytes_copied = 1;
    WEIR_EXPECT_EQ(judge(), 1);
    WEIR_EXPECT_STR_HAS(violations.text[0], "libweir copied 1 payload bytes");
    facts.stats.resent = 1;
    WEIR_EXPECT_EQ(judge(), 0);
}

WEIR_TEST(judge, what_was_not_returned_is_a_violation)
{
    sound();
    facts.stats.slots_taken = 1;
    WEIR_EXPECT_EQ(judge(), 1);
    sound();
    facts.stats.in_flight = 1;
    WEIR_EXPECT_EQ(judge(), 1);
    sound();
    facts.stats.deferred_now = 1;
    WEIR_EXPECT_EQ(judge(), 1);
    sound();
    facts.stats.held_bytes = 1;
    WEIR_EXPECT_EQ(judge(), 1);
    facts.signals = 2; /* given up on demand */
    WEIR_EXPECT_EQ(judge(), 0);
}

WEIR_TEST(judge, strays_and_protocol_errors_are_violations)
{
    sound();
    facts.stats.stray_replies = 1;
    WEIR_EXPECT_EQ(judge(), 1);
    ten_end_as(WEIR_OUTCOME_TIMEOUT); /* whose late replies are strays */
    facts.stats.stray_replies = 10;
    WEIR_EXPECT_EQ(judge(), 0);
    facts.stats.stray_replies = 11;
    WEIR_EXPECT_EQ(judge(), 1);
    sound();
    facts.stats.protocol_errors = 1;
    WEIR_EXPECT_EQ(judge(), 1);
}

WEIR_TEST(judge, a_run_in_which_nothing_succeeds_does_not_hold)
{
    ten_end_as(WEIR_OUTCOME_REJECTED);
    facts.totals.outcomes[WEIR_OUTCOME_OK] = facts.stats.outcomes[WEIR_OUTCOME_OK] = 0;
    WEIR_EXPECT_EQ(judge(), 1);
    WEIR_EXPECT_STR_EQ(violations.text[0], "no job ended as ok");
}

WEIR_TEST(judge, a_run_that_was_called_off_does_not_hold)
{
    sound();
    facts.is_deserted = true;
    snprintf(facts.why_no_worker, sizeof facts.why_no_worker, "pid 7 ended by signal 9");
    WEIR_EXPECT_EQ(judge(), 1);
    WEIR_EXPECT_STR_EQ(violations.text[0],
                       "the run was called off, for every worker was given up; no worker serves "
                       "any more: pid 7 ended by signal 9");
}

WEIR_TEST(judge, without_any_worker_the_cause_is_named)
{
    static const char cause[] = "no worker serves any more: there is no worker program at /x";
    ten_end_as(WEIR_OUTCOME_UNSUPPORTED);
    snprintf(facts.why_no_worker, sizeof facts.why_no_worker, "there is no worker program at /x");
    WEIR_EXPECT_EQ(judge(), 1);
    WEIR_EXPECT_STR_HAS(violations.text[0], "10 jobs ended as unsupported, ");
    WEIR_EXPECT_STR_HAS(violations.text[0], cause);
    ten_end_as(WEIR_OUTCOME_REJECTED);
    snprintf(facts.why_no_worker, sizeof facts.why_no_worker, "there is no worker program at /x");
    WEIR_EXPECT_EQ(judge(), 0);
    facts.totals.outcomes[WEIR_OUTCOME_OK] = facts.stats.outcomes[WEIR_OUTCOME_OK] = 0;
    WEIR_EXPECT_EQ(judge(), 1);
    WEIR_EXPECT_STR_HAS(violations.text[0], cause);
}
