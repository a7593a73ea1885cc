#include "harness/bench/report.h"

#include "harness/testing/weir_test.h"

static const weir_bench_row row = {.name = "row", .measure = "this", .against = "that"};

static weir_bench_report report_with(double ratio, double limit)
{
    weir_bench_report report = {.line_count = 1};
    report.lines[0] = (weir_bench_line){.row = &row, .limit = limit};
    report.lines[0].result.rounds = 31;
    report.lines[0].result.ratio.median = ratio;
    return report;
}

WEIR_TEST(report, holds_when_the_median_is_at_its_limit)
{
    const weir_bench_report report = report_with(0.35, 0.35);
    WEIR_EXPECT_TRUE(weir_bench_report_holds(&report));
}

WEIR_TEST(report, does_not_hold_when_one_median_is_above_its_limit)
{
    weir_bench_report report = report_with(0.2, 0.35);
    report.lines[report.line_count++] = report_with(0.36, 0.35).lines[0];
    WEIR_EXPECT_FALSE(weir_bench_report_holds(&report));
}

WEIR_TEST(report, does_not_hold_without_a_single_round)
{
    weir_bench_report report = report_with(0, 1);
    report.lines[0].result.rounds = 0;
    WEIR_EXPECT_FALSE(weir_bench_report_holds(&report));
}

WEIR_TEST(report, does_not_hold_when_nothing_was_measured)
{
    const weir_bench_report report = {0};
    WEIR_EXPECT_FALSE(weir_bench_report_holds(&report));
}

WEIR_TEST(report, holds_a_shown_number_against_its_limit_if_it_has_one)
{
    weir_bench_report report = {0};
    weir_bench_report_show(&report, "free", 1e9, -1, "%g of something", 1e9);
    WEIR_EXPECT_TRUE(weir_bench_report_holds(&report));
    weir_bench_report_show(&report, "none", 0, 0, "no allocation");
    WEIR_EXPECT_TRUE(weir_bench_report_holds(&report));
    weir_bench_report_show(&report, "bound", 1.5, 1, "%g per cent", 1.5);
    WEIR_EXPECT_FALSE(weir_bench_report_holds(&report));
    WEIR_EXPECT_STR_EQ(report.shown[2].text, "1.5 per cent");
}

WEIR_TEST(report, names_a_missed_limit_in_its_line)
{
    char text[512] = "";
    FILE *out = fmemopen(text, sizeof text, "w");
    WEIR_EXPECT_NOT_NULL(out);
    const weir_bench_report report = report_with(2, 1);
    weir_bench_report_line(out, &report.lines[0]);
    fclose(out);
    WEIR_EXPECT_STR_HAS(text, "MISSED");
    WEIR_EXPECT_STR_HAS(text, "2.000");
}
