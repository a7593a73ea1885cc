#include "harness/options.h"

#include "harness/testing/weir_test.h"

typedef struct chosen {
    uint64_t workers;
    uint64_t time;
    uint64_t size;
    const char *file;
    const char *policy;
    const char *wake;
    bool quiet;
    bool given;
    bool help;
    weir_error error;
} chosen;

static const char *const policies[] = {"reject", "defer", "wait", NULL};

static weir_status parse(chosen *to, const char *a, const char *b)
{
    const weir_option options[] = {
        {"workers", WEIR_OPTION_COUNT, "N", "", &to->workers, 1, 64, NULL, &to->given},
        {"for", WEIR_OPTION_DURATION, "D", "", &to->time, 1000000, 3600000000000, NULL, NULL},
        {"size", WEIR_OPTION_SIZE, "S", "", &to->size, 0, 1048576, NULL, NULL},
        {"json", WEIR_OPTION_TEXT, "FILE", "", &to->file, 0, 0, NULL, NULL},
        {"policy", WEIR_OPTION_WORD, "WORD", "", &to->policy, 0, 0, policies, NULL},
        {"wake", WEIR_OPTION_WORDS, "WORDS", "", &to->wake, 0, 0, policies, NULL},
        {"quiet", WEIR_OPTION_FLAG, NULL, "", &to->quiet, 0, 0, NULL, NULL},
    };
    char *argv[] = {(char *)"run", (char *)a, (char *)b, NULL};
    *to = (chosen){0};
    return weir_options_parse(options, sizeof options / sizeof *options, b ? 3 : 2, argv, &to->help,
                              &to->error);
}

WEIR_TEST(options, takes_values_of_every_kind)
{
    chosen to;
    WEIR_EXPECT_STATUS(parse(&to, "--workers", "64"), WEIR_OK);
    WEIR_EXPECT_EQ(to.workers, 64);
    WEIR_EXPECT_TRUE(to.given);
    WEIR_EXPECT_STATUS(parse(&to, "--workers=3", NULL), WEIR_OK);
    WEIR_EXPECT_EQ(to.workers, 3);
    WEIR_EXPECT_STATUS(parse(&to, "--for", "10m"), WEIR_OK);
    WEIR_EXPECT_EQ(to.time, 600000000000);
    WEIR_EXPECT_FALSE(to.given);
    WEIR_EXPECT_STATUS(parse(&to, "--size", "64K"), WEIR_OK);
    WEIR_EXPECT_EQ(to.size, 65536);
    WEIR_EXPECT_STATUS(parse(&to, "--json", "a.json"), WEIR_OK);
    WEIR_EXPECT_STR_EQ(to.file, "a.json");
    WEIR_EXPECT_STATUS(parse(&to, "--policy", "wait"), WEIR_OK);
    WEIR_EXPECT_STR_EQ(to.policy, "wait");
    WEIR_EXPECT_STATUS(parse(&to, "--wake=wait,defer", "--quiet"), WEIR_OK);
    WEIR_EXPECT_STR_EQ(to.wake, "wait,defer");
    WEIR_EXPECT_TRUE(to.quiet);
    WEIR_EXPECT_STATUS(parse(&to, "--help", NULL), WEIR_OK);
    WEIR_EXPECT_TRUE(to.help);
}

WEIR_TEST(options, each_mistake_is_named_with_what_would_be_right)
{
    static const struct {
        const char *a;
        const char *b;
        const char *text;
    } table[] = {
        {"--worker", "0", "--workers: \"0\" is not a whole number from 1 to 64"},
        {"--workers", "0", "--workers: \"0\" is not a whole number from 1 to 64"},
        {"--workers", "65", "--workers: \"65\" is not a whole number from 1 to 64"},
        {"--workers", "-1", "--workers: \"-1\" is not a whole number from 1 to 64"},
        {"--workers", "two", "--workers: \"two\" is not a whole number from 1 to 64"},
        {"--workers", NULL, "--workers needs a value; see `weir run --help`"},
        {"--for", "10", "--for: \"10\" is not a duration from 1ms to 1h, such as 10s, 100ms or 2m"},
        {"--size", "2M", "--size: \"2M\" is not a size from 0 B to 1.00 MiB, such as 512, 64K"},
        {"--policy", "defr",
         "--policy: \"defr\" is not one of reject, defer, wait; did you mean "
         "\"defer\"?"},
        {"--wake", "wait,", "--wake: \"\" is not one of reject, defer, wait"},
        {"--wake", "wait,x", "--wake: \"x\" is not one of"},
        {"--quite", NULL, "there is no option --quite; did you mean --quiet?"},
        {"--jsn=x", NULL, "there is no option --jsn; did you mean --json?"},
        {"--quiet=1", NULL, "--quiet takes no value"},
        {"-q", NULL, "there is no option -q; options begin with two dashes"},
        {"more", NULL, "\"more\" is one word too many"},
    };
    chosen to;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        WEIR_EXPECT_STATUS(parse(&to, table[i].a, table[i].b), WEIR_INVALID);
        WEIR_EXPECT_STR_HAS(to.error.text, table[i].text);
    }
}

WEIR_TEST(options, a_list_of_words_is_searched_by_whole_words)
{
    WEIR_EXPECT_TRUE(weir_words_have("futex,signal", "signal"));
    WEIR_EXPECT_TRUE(weir_words_have("futex", "futex"));
    WEIR_EXPECT_FALSE(weir_words_have("futex,signals", "signal"));
    WEIR_EXPECT_FALSE(weir_words_have("", "signal"));
}

WEIR_TEST(options, the_nearest_word_takes_the_fewest_changes)
{
    static const char *const words[] = {"run", "stress", "bench", "layout"};
    WEIR_EXPECT_STR_EQ(weir_nearest_word("rum", words, 4), "run");
    WEIR_EXPECT_STR_EQ(weir_nearest_word("bnech", words, 4), "bench");
    WEIR_EXPECT_STR_EQ(weir_nearest_word("lay-out", words, 4), "layout");
    WEIR_EXPECT_NULL(weir_nearest_word("x", words, 0));
}
