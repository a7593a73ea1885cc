/* The words of the `weir` command: mistakes, help, and terms that a person chooses. */
#include <jansson.h>
#include <stdio.h>

#include "harness/options.h"
#include "harness/testing/cli_stage.h"
#include "harness/testing/weir_test.h"

WEIR_TEST(cli, a_mistake_is_one_sentence_that_says_what_would_be_right)
{
    static const struct {
        const char *line;
        const char *sentence;
    } table[] = {
        {"rum", "weir: there is no command rum; did you mean run?\n"},
        {"help rnu", "weir: there is no command rnu; did you mean run?\n"},
        {"--hepl", "weir: there is no option --hepl; did you mean --help?\n"},
        {"run --wokers 3", "weir run: there is no option --wokers; did you mean --workers?\n"},
        {"run --workers 0", "weir run: --workers: \"0\" is not a whole number from 1 to 64\n"},
        {"run --for 10", "weir run: --for: \"10\" is not a duration from 1ms to 24h, such as"},
        {"run --policy push", "--policy: \"push\" is not one of reject, drop_oldest, defer, wait"},
        {"run --wake futex,bell", "--wake: \"bell\" is not one of futex, eventfd, signal"},
        {"run now", "weir run: \"now\" is one word too many"},
        {"run --workload nothing", "there is no workload \"nothing\" and no file of that name"},
        {"run --workload /", "cannot read the workload /: Is a directory"},
        {"run --json /no/such/place", "--json: cannot write /no/such/place: No such file"},
        {"run --workload @W --batch 200 --concurrency 3", "batch is 200 but concurrency only 3"},
        {"stress --rounds 0", "weir stress: --rounds: \"0\" is not a whole number from 1 up\n"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        cli_expect_run(table[i].line, WEIR_EXIT_USAGE);
        WEIR_EXPECT_STR_HAS(cli_output, table[i].sentence);
    }
}

WEIR_TEST(cli, help_and_version_are_no_mistakes)
{
    cli_expect_run("--help", WEIR_EXIT_HELD);
    WEIR_EXPECT_STR_HAS(cli_output, "Usage: weir COMMAND");
    cli_expect_run("--version", WEIR_EXIT_HELD);
    WEIR_EXPECT_STR_HAS(cli_output, "weir 0.");
    cli_expect_run("help run", WEIR_EXIT_HELD);
    WEIR_EXPECT_STR_HAS(cli_output, "Usage: weir run");
    cli_expect_run("stress --help", WEIR_EXIT_HELD);
    WEIR_EXPECT_STR_HAS(cli_output, "Examples:");
}

WEIR_TEST(cli, a_workload_with_a_fault_is_told_with_its_line)
{
    const cli_place at = cli_place_make();
    cli_write_file(at.workload, "name = \"w\"\njobs = 1\nconcurency = 3\n", 0600);
    cli_expect_code(cli_finish(&at, cli_start(&at, "run --workload @W")), WEIR_EXIT_USAGE);
    WEIR_EXPECT_STR_HAS(cli_output,
                        "w.toml:3:1: the workload has no key \"concurency\"; did you mean "
                        "\"concurrency\"?\n");
    cli_expect_nothing_left(&at);
}

WEIR_TEST(cli, terms_can_be_chosen)
{
    /* The terms, and what the command that repeats the run says of them. */
    static const struct {
        const char *terms;
        const char *told;
    } table[] = {
        {"--wake futex --no-spin", " --wake futex --no-spin"},
        {"--wake eventfd --no-spin", " --wake eventfd --no-spin"},
        {"--wake signal --no-spin", " --wake signal --no-spin"},
        {"--backing shm", " --backing shm"},
        {"--policy wait", " --policy wait"},
        {"--policy reject --concurrency 400", " --concurrency 400 --policy reject"},
        {"--policy drop_oldest", " --policy drop_oldest"},
        {"--max-size 0", " --max-size 0"},
        {"--workers 5 --batch 1", " --workers 5 --jobs 200 --batch 1"},
    };
    char line[200];
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        snprintf(line, sizeof line, "run --workload @W --jobs 200 %s", table[i].terms);
        cli_expect_run(line, WEIR_EXIT_HELD);
        WEIR_EXPECT_STR_HAS(cli_output, table[i].told);
    }
}
