#include "harness/units.h"

#include "harness/random.h"
#include "harness/testing/weir_test.h"

WEIR_TEST(units, durations_need_a_unit)
{
    static const struct {
        const char *text;
        uint64_t value;
    } good[] = {{"7ns", 7},
                {"250us", 250000},
                {"100ms", 100000000},
                {"10s", 10000000000},
                {"1.5m", 90000000000},
                {"2min", 120000000000},
                {"2h", 7200000000000},
                {"0", 0}};
    uint64_t value = 1;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        WEIR_EXPECT_TRUE(weir_units_parse_duration(good[i].text, &value));
        WEIR_EXPECT_EQ(value, good[i].value);
    }
    static const char *const bad[] = {"",
                                      "10",
                                      "s",
                                      "-1s",
                                      "1e3s",
                                      "10 s",
                                      "10x",
                                      "1.s",
                                      ".5s",
                                      "10ss",
                                      "999999999999999999999s"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        WEIR_EXPECT_FALSE(weir_units_parse_duration(bad[i], &value));
    }
}

WEIR_TEST(units, sizes_are_powers_of_1024)
{
    uint64_t value = 1;
    WEIR_EXPECT_TRUE(weir_units_parse_size("0", &value));
    WEIR_EXPECT_EQ(value, 0);
    WEIR_EXPECT_TRUE(weir_units_parse_size("64K", &value));
    WEIR_EXPECT_EQ(value, 65536);
    WEIR_EXPECT_TRUE(weir_units_parse_size("1MiB", &value));
    WEIR_EXPECT_EQ(value, 1048576);
    WEIR_EXPECT_FALSE(weir_units_parse_size("64k", &value));
    WEIR_EXPECT_FALSE(weir_units_parse_size("18446744073709551616", &value));
}

WEIR_TEST(units, counts_are_digits_only)
{
    uint64_t value = 0;
    WEIR_EXPECT_TRUE(weir_units_parse_count("18446744073709551615", &value));
    WEIR_EXPECT_EQ(value, UINT64_MAX);
    WEIR_EXPECT_TRUE(weir_units_parse_count("0x2a", &value));
    WEIR_EXPECT_EQ(value, 42);
    static const char *const bad[] = {
        "", "-1", "+1", " 1", "1 ", "0x", "1.0", "ten", "18446744073709551616"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        WEIR_EXPECT_FALSE(weir_units_parse_count(bad[i], &value));
    }
}

WEIR_TEST(units, numbers_read_well)
{
    char text[WEIR_UNITS_TEXT_MAX];
    WEIR_EXPECT_STR_EQ(weir_units_count(0, text), "0");
    WEIR_EXPECT_STR_EQ(weir_units_count(999, text), "999");
    WEIR_EXPECT_STR_EQ(weir_units_count(1204331, text), "1,204,331");
    WEIR_EXPECT_STR_EQ(weir_units_count(UINT64_MAX, text), "18,446,744,073,709,551,615");
    WEIR_EXPECT_STR_EQ(weir_units_duration(0, text), "0 ns");
    WEIR_EXPECT_STR_EQ(weir_units_duration(999, text), "999 ns");
    WEIR_EXPECT_STR_EQ(weir_units_duration(1370, text), "1.37 us");
    WEIR_EXPECT_STR_EQ(weir_units_duration(84000000, text), "84.0 ms");
    WEIR_EXPECT_STR_EQ(weir_units_duration(999600, text), "1.00 ms");
    WEIR_EXPECT_STR_EQ(weir_units_duration(600000000000, text), "600 s");
    WEIR_EXPECT_STR_EQ(weir_units_size(0, text), "0 B");
    WEIR_EXPECT_STR_EQ(weir_units_size(65536, text), "64.0 KiB");
}

WEIR_TEST(units, an_option_duration_parses_to_itself)
{
    char text[WEIR_UNITS_TEXT_MAX];
    WEIR_EXPECT_STR_EQ(weir_units_option_duration(10000000000, text), "10s");
    WEIR_EXPECT_STR_EQ(weir_units_option_duration(1500000000, text), "1500ms");
    weir_random random = weir_random_of(weir_test_seed(), 0);
    for (unsigned i = 0; i < 1000; i++) {
        const uint64_t value = weir_random_next(&random) >> (3 + weir_random_below(&random, 60));
        uint64_t again = 0;
        WEIR_EXPECT_TRUE(
            weir_units_parse_duration(weir_units_option_duration(value, text), &again));
        WEIR_EXPECT_EQ(again, value);
    }
}
