#include "harness/bench/rounds.h"

#include "base/os.h"
#include "harness/testing/weir_test.h"

/* A probe that plays back what the test wrote down and notes the order of the calls. */
typedef struct script {
    const weir_sample *samples;
    size_t count;
    size_t next;
    char *order;
    char letter;
    weir_status status_at_end;
} script;

static weir_status play(void *context, weir_sample *sample, weir_error *error)
{
    script *s = context;
    if (s->order != NULL) {
        s->order[strlen(s->order)] = s->letter;
    }
    if (s->next == s->count) {
        weir_error_set(error, "the script has ended");
        return s->status_at_end;
    }
    *sample = s->samples[s->next++];
    return WEIR_OK;
}

static weir_rounds_plan plan_of(script *subject, script *reference, unsigned rounds)
{
    return (weir_rounds_plan){.subject = {play, subject},
                              .reference = {play, reference},
                              .rounds = rounds,
                              .repeats_max = 2};
}

WEIR_TEST(rounds, quartiles_of_five_values_are_the_second_third_and_fourth)
{
    double values[] = {9, 1, 5, 3, 7};
    const weir_quartiles q = weir_quartiles_of(values, 5);
    WEIR_EXPECT_EQ(q.q1, 3.0);
    WEIR_EXPECT_EQ(q.median, 5.0);
    WEIR_EXPECT_EQ(q.q3, 7.0);
}

WEIR_TEST(rounds, quartiles_lie_between_the_ranks_when_no_rank_fits)
{
    double values[] = {4, 1, 3, 2};
    const weir_quartiles q = weir_quartiles_of(values, 4);
    WEIR_EXPECT_EQ(q.q1, 1.75);
    WEIR_EXPECT_EQ(q.median, 2.5);
    WEIR_EXPECT_EQ(q.q3, 3.25);
}

WEIR_TEST(rounds, quartiles_of_one_value_are_that_value)
{
    double value = 8;
    const weir_quartiles q = weir_quartiles_of(&value, 1);
    WEIR_EXPECT_EQ(q.q1, 8.0);
    WEIR_EXPECT_EQ(q.median, 8.0);
    WEIR_EXPECT_EQ(q.q3, 8.0);
    WEIR_EXPECT_EQ(weir_quartiles_of(NULL, 0).median, 0.0);
}

WEIR_TEST(rounds, takes_the_ratio_of_each_round_and_not_of_the_medians)
{
    /* Medians 20 and 10; but round for round the ratios are 1, 1 and 4. */
    const weir_sample ours[] = {{10, 0}, {20, 0}, {40, 0}};
    const weir_sample theirs[] = {{10, 0}, {20, 0}, {10, 0}};
    script subject = {.samples = ours, .count = 3};
    script reference = {.samples = theirs, .count = 3};
    const weir_rounds_plan plan = plan_of(&subject, &reference, 3);
    weir_rounds_result result;
    WEIR_EXPECT_STATUS(weir_rounds_run(&plan, &result, NULL), WEIR_OK);
    WEIR_EXPECT_EQ(result.rounds, 3);
    WEIR_EXPECT_EQ(result.ratio.median, 1.0);
    WEIR_EXPECT_EQ(result.ratio.q3, 2.5);
    WEIR_EXPECT_EQ(result.subject_ns.median, 20.0);
    WEIR_EXPECT_EQ(result.reference_ns.median, 10.0);
}

WEIR_TEST(rounds, alternates_which_side_goes_first)
{
    const weir_sample same[] = {{1, 0}, {1, 0}, {1, 0}};
    char order[16] = "";
    script subject = {.samples = same, .count = 3, .order = order, .letter = 's'};
    script reference = {.samples = same, .count = 3, .order = order, .letter = 'r'};
    const weir_rounds_plan plan = plan_of(&subject, &reference, 3);
    weir_rounds_result result;
    WEIR_EXPECT_STATUS(weir_rounds_run(&plan, &result, NULL), WEIR_OK);
    WEIR_EXPECT_STR_EQ(order, "srrssr");
}

WEIR_TEST(rounds, throws_warm_ups_away)
{
    const weir_sample ours[] = {{900, 0}, {5, 0}};
    const weir_sample theirs[] = {{1, 0}, {5, 0}};
    script subject = {.samples = ours, .count = 2};
    script reference = {.samples = theirs, .count = 2};
    weir_rounds_plan plan = plan_of(&subject, &reference, 1);
    plan.warm_ups = 1;
    weir_rounds_result result;
    WEIR_EXPECT_STATUS(weir_rounds_run(&plan, &result, NULL), WEIR_OK);
    WEIR_EXPECT_EQ(result.rounds, 1);
    WEIR_EXPECT_EQ(result.ratio.median, 1.0);
}

WEIR_TEST(rounds, repeats_a_round_in_which_either_side_was_switched_out)
{
    const weir_sample ours[] = {{900, 1}, {5, 0}, {6, 0}};
    const weir_sample theirs[] = {{1, 0}, {900, 2}, {6, 0}};
    script subject = {.samples = ours, .count = 3};
    script reference = {.samples = theirs, .count = 3};
    const weir_rounds_plan plan = plan_of(&subject, &reference, 1);
    weir_rounds_result result;
    WEIR_EXPECT_STATUS(weir_rounds_run(&plan, &result, NULL), WEIR_OK);
    WEIR_EXPECT_EQ(result.repeats, 2);
    WEIR_EXPECT_EQ(result.disturbed, 0);
    WEIR_EXPECT_EQ(result.ratio.median, 1.0);
}

WEIR_TEST(rounds, counts_disturbed_rounds_once_the_repeats_are_used_up)
{
    const weir_sample ours[] = {{8, 1}, {8, 1}, {8, 1}, {8, 1}};
    const weir_sample theirs[] = {{4, 0}, {4, 0}, {4, 0}, {4, 0}};
    script subject = {.samples = ours, .count = 4};
    script reference = {.samples = theirs, .count = 4};
    const weir_rounds_plan plan = plan_of(&subject, &reference, 2);
    weir_rounds_result result;
    WEIR_EXPECT_STATUS(weir_rounds_run(&plan, &result, NULL), WEIR_OK);
    WEIR_EXPECT_EQ(result.repeats, 2);
    WEIR_EXPECT_EQ(result.disturbed, 2);
    WEIR_EXPECT_EQ(result.rounds, 2);
    WEIR_EXPECT_EQ(result.ratio.median, 2.0);
}

WEIR_TEST(rounds, subtracts_the_allowance_before_the_ratio)
{
    const weir_sample ours[] = {{200, 0}};
    const weir_sample theirs[] = {{100, 0}};
    const weir_sample extra[] = {{10, 0}};
    script subject = {.samples = ours, .count = 1};
    script reference = {.samples = theirs, .count = 1};
    script allowance = {.samples = extra, .count = 1};
    weir_rounds_plan plan = plan_of(&subject, &reference, 1);
    plan.allowance = (weir_probe){play, &allowance};
    plan.allowance_factor = 5;
    weir_rounds_result result;
    WEIR_EXPECT_STATUS(weir_rounds_run(&plan, &result, NULL), WEIR_OK);
    WEIR_EXPECT_EQ(result.ratio.median, 1.5);
    WEIR_EXPECT_EQ(result.allowance_ns.median, 10.0);
}

WEIR_TEST(rounds, hands_on_the_status_and_the_sentence_of_a_probe_that_fails)
{
    const weir_sample one[] = {{1, 0}};
    script subject = {.samples = one, .count = 1, .status_at_end = WEIR_CORRUPT};
    script reference = {.samples = one, .count = 1, .status_at_end = WEIR_CORRUPT};
    const weir_rounds_plan plan = plan_of(&subject, &reference, 2);
    weir_rounds_result result;
    weir_error error = {0};
    WEIR_EXPECT_STATUS(weir_rounds_run(&plan, &result, &error), WEIR_CORRUPT);
    WEIR_EXPECT_STR_EQ(error.text, "the script has ended");
}

static unsigned rounds_until_stop;

static bool stops_by_itself(void)
{
    return rounds_until_stop-- == 0;
}

WEIR_TEST(rounds, keeps_what_was_measured_until_it_was_stopped)
{
    const weir_sample ours[] = {{6, 0}, {6, 0}, {6, 0}};
    const weir_sample theirs[] = {{2, 0}, {2, 0}, {2, 0}};
    script subject = {.samples = ours, .count = 3};
    script reference = {.samples = theirs, .count = 3};
    weir_rounds_plan plan = plan_of(&subject, &reference, 3);
    plan.is_stopped = stops_by_itself;
    rounds_until_stop = 2;
    weir_rounds_result result;
    WEIR_EXPECT_STATUS(weir_rounds_run(&plan, &result, NULL), WEIR_INTERRUPTED);
    WEIR_EXPECT_EQ(result.rounds, 2);
    WEIR_EXPECT_EQ(result.ratio.median, 3.0);
}

WEIR_TEST(rounds, refuses_a_number_of_rounds_that_makes_no_sense)
{
    script nothing = {0};
    weir_rounds_plan plan = plan_of(&nothing, &nothing, 0);
    weir_rounds_result result;
    weir_error error = {0};
    WEIR_EXPECT_STATUS(weir_rounds_run(&plan, &result, &error), WEIR_INVALID);
    plan.rounds = WEIR_ROUNDS_MAX + 1;
    WEIR_EXPECT_STATUS(weir_rounds_run(&plan, &result, &error), WEIR_INVALID);
    WEIR_EXPECT_STR_HAS(error.text, "take 1 to");
}

WEIR_TEST(rounds, repeats_a_round_on_one_core_and_counts_those_it_has_to_take)
{
    /* Two repeats are allowed: the third round on one core counts, and says so. */
    const weir_sample ours[] = {{90, 0}, {91, 0}, {8, 0}, {6, 0}};
    const weir_sample theirs[] = {{1, 0}, {1, 0}, {2, 0}, {2, 0}};
    const weir_sample places[] = {{23, 0}, {24, 0}, {25, 0}, {250, 0}};
    script subject = {.samples = ours, .count = 4};
    script reference = {.samples = theirs, .count = 4};
    script placing = {.samples = places, .count = 4};
    weir_rounds_plan plan = plan_of(&subject, &reference, 2);
    plan.placing = (weir_probe){play, &placing};
    plan.placing_least_ns = 45;
    plan.sharing_pause_ns = WEIR_NS_PER_MS;
    const uint64_t begin_ns = weir_os()->clock_ns();
    weir_rounds_result result;
    WEIR_EXPECT_STATUS(weir_rounds_run(&plan, &result, NULL), WEIR_OK);
    WEIR_EXPECT_EQ(result.rounds, 2);
    WEIR_EXPECT_EQ(result.repeats, 2);
    WEIR_EXPECT_EQ(result.sharing, 1);
    WEIR_EXPECT_EQ(result.disturbed, 0);
    WEIR_EXPECT_EQ(result.ratio.median, 3.5);
    /* It paused before each repeat, and not before the round that it had to take. */
    WEIR_EXPECT_GE(weir_os()->clock_ns() - begin_ns, 2 * WEIR_NS_PER_MS);
}
