#include "harness/ledger.h"

#include <pthread.h>

#include "harness/testing/weir_test.h"
#include "layout/generated/weir_layout.h"

static weir_violations violations;
static weir_ledger_totals totals;

static weir_ledger *make(uint64_t jobs)
{
    weir_ledger *ledger = NULL;
    WEIR_EXPECT_STATUS(weir_ledger_create(&ledger, NULL), WEIR_OK);
    WEIR_EXPECT_STATUS(weir_ledger_enter(ledger, 0, jobs), WEIR_OK);
    return ledger;
}

static void close_all_but(weir_ledger *ledger, uint64_t jobs, uint64_t but)
{
    for (uint64_t number = 0; number < jobs; number++) {
        if (number != but) {
            weir_ledger_close(ledger, number, WEIR_OUTCOME_OK, NULL);
        }
    }
}

static void settle(weir_ledger *ledger)
{
    weir_ledger_audit(ledger);
    weir_ledger_violations(ledger, &violations);
    weir_ledger_read(ledger, &totals);
    weir_ledger_free(ledger);
}

WEIR_TEST(ledger, balances_when_every_job_ends_once)
{
    weir_ledger *ledger = make(3000);
    close_all_but(ledger, 2999, UINT64_MAX);
    weir_ledger_close(ledger, 2999, WEIR_OUTCOME_REJECTED, NULL);
    settle(ledger);
    WEIR_EXPECT_EQ(violations.found, 0);
    WEIR_EXPECT_EQ(totals.entered, 3000);
    WEIR_EXPECT_EQ(totals.closed, 3000);
    WEIR_EXPECT_EQ(totals.verified, 2999);
    WEIR_EXPECT_EQ(totals.outcomes[WEIR_OUTCOME_OK], 2999);
    WEIR_EXPECT_EQ(totals.outcomes[WEIR_OUTCOME_REJECTED], 1);
}

WEIR_TEST(ledger, names_the_job_that_never_ended)
{
    weir_ledger *ledger = make(100);
    close_all_but(ledger, 100, 42);
    settle(ledger);
    WEIR_EXPECT_EQ(violations.found, 1);
    WEIR_EXPECT_STR_EQ(violations.text[0], "job 42 never ended");
}

WEIR_TEST(ledger, names_the_job_that_ended_twice)
{
    weir_ledger *ledger = make(10);
    close_all_but(ledger, 10, UINT64_MAX);
    weir_ledger_close(ledger, 7, WEIR_OUTCOME_TIMEOUT, NULL);
    settle(ledger);
    WEIR_EXPECT_EQ(violations.found, 1);
    WEIR_EXPECT_STR_EQ(violations.text[0], "job 7 ended twice: first ok, then timeout");
    WEIR_EXPECT_EQ(totals.closed, 10);
}

WEIR_TEST(ledger, names_the_job_that_was_never_submitted)
{
    weir_ledger *ledger = make(1);
    weir_ledger_close(ledger, 0, WEIR_OUTCOME_OK, NULL);
    weir_ledger_close(ledger, 5, WEIR_OUTCOME_OK, NULL);
    weir_ledger_close(ledger, UINT64_MAX, WEIR_OUTCOME_FAILED, NULL);
    settle(ledger);
    WEIR_EXPECT_EQ(violations.found, 2);
    WEIR_EXPECT_STR_EQ(violations.text[0], "job 5 ended as ok but was not submitted");
}

WEIR_TEST(ledger, names_the_reply_that_is_wrong_and_does_not_count_it_as_verified)
{
    weir_ledger *ledger = make(1);
    weir_ledger_close(ledger, 0, WEIR_OUTCOME_OK, "the echo differs from the request");
    settle(ledger);
    WEIR_EXPECT_EQ(violations.found, 1);
    WEIR_EXPECT_STR_EQ(violations.text[0],
                       "job 0 ended as ok, but the echo differs from the request");
    WEIR_EXPECT_EQ(totals.verified, 0);
    WEIR_EXPECT_EQ(totals.outcomes[WEIR_OUTCOME_OK], 1);
}

WEIR_TEST(ledger, knows_an_outcome_that_is_none)
{
    weir_ledger *ledger = make(2);
    weir_ledger_close(ledger, 0, WEIR_OUTCOME_NONE, NULL);
    weir_ledger_close(ledger, 1, WEIR_OUTCOME_CODES, NULL);
    settle(ledger);
    WEIR_EXPECT_EQ(violations.found, 4); /* neither is an end, so both jobs are missing, too */
    WEIR_EXPECT_STR_EQ(violations.text[0], "job 0 ended with 0, which is no outcome");
}

WEIR_TEST(ledger, forgets_what_the_manager_refused)
{
    weir_ledger *ledger = make(10);
    weir_ledger_withdraw(ledger, 6, 4);
    for (uint64_t number = 0; number < 6; number++) {
        weir_ledger_close(ledger, number, WEIR_OUTCOME_OK, NULL);
    }
    settle(ledger);
    WEIR_EXPECT_EQ(violations.found, 0);
    WEIR_EXPECT_EQ(totals.entered, 6);
}

WEIR_TEST(ledger, notices_that_a_refused_job_had_ended)
{
    weir_ledger *ledger = make(1);
    weir_ledger_close(ledger, 0, WEIR_OUTCOME_OK, NULL);
    weir_ledger_withdraw(ledger, 0, 1);
    settle(ledger);
    WEIR_EXPECT_STR_EQ(violations.text[0], "job 0 was refused, but it had ended");
}

WEIR_TEST(ledger, counts_violations_that_it_does_not_keep)
{
    weir_ledger *ledger = make(1000);
    settle(ledger);
    WEIR_EXPECT_EQ(violations.found, 1000);
    WEIR_EXPECT_STR_EQ(violations.text[WEIR_VIOLATIONS_MAX - 1], "job 11 never ended");
}

WEIR_TEST(ledger, refuses_numbers_beyond_its_end)
{
    weir_ledger *ledger = make(1);
    WEIR_EXPECT_STATUS(weir_ledger_enter(ledger, WEIR_LEDGER_JOBS_MAX - 1, 2), WEIR_FULL);
    WEIR_EXPECT_STATUS(weir_ledger_enter(ledger, UINT64_MAX, 1), WEIR_FULL);
    WEIR_EXPECT_STATUS(weir_ledger_enter(ledger, 0, UINT64_MAX), WEIR_FULL);
    weir_ledger_free(ledger);
}

enum { THREADS = 4, PER_THREAD = 50000 };

typedef struct share {
    weir_ledger *ledger;
    uint64_t first;
} share;

static void *enter_and_close(void *argument)
{
    share *mine = argument;
    for (uint64_t i = 0; i < PER_THREAD; i += 10) {
        /* Blocks of a mebibyte are added while the others work: numbers lie far apart. */
        const uint64_t first = mine->first + i;
        if (weir_ledger_enter(mine->ledger, first, 10) == WEIR_OK) {
            for (uint64_t k = 0; k < 10; k++) {
                weir_ledger_close(mine->ledger, first + k, WEIR_OUTCOME_OK, NULL);
            }
        }
    }
    return NULL;
}

WEIR_TEST(ledger, balances_with_several_threads)
{
    weir_ledger *ledger = make(0);
    pthread_t threads[THREADS];
    share shares[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        shares[i] = (share){ledger, i * UINT64_C(1000000)};
        WEIR_EXPECT_EQ(pthread_create(&threads[i], NULL, enter_and_close, &shares[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    settle(ledger);
    WEIR_EXPECT_EQ(violations.found, 0);
    WEIR_EXPECT_EQ(totals.closed, THREADS * PER_THREAD);
}
