/* `weir stress`: rounds of runs, each with terms of its own that follow from its seed. */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <time.h>

#include "harness/commands.h"
#include "harness/names.h"
#include "harness/random.h"
#include "harness/settings.h"
#include "harness/stop.h"
#include "harness/summary.h"
#include "harness/units.h"
#include "layout/generated/weir_layout.h"

#define MS_NS UINT64_C(1000000)
enum { OPTIONS_MAX = 24 };

static const weir_command_help help = {
    .name = "weir stress",
    .purpose = "Runs a workload in rounds with changing terms until the time is up or one breaks.",
    .synopsis = "[options]",
    .notes =
        "Each round has a seed that follows from --seed and its number; workers, sizes, "
        "concurrency,\nbatches, policy, wake strategies, spinning and backing follow from the "
        "round's seed, unless\nan option fixes them. A round that breaks a promise prints the "
        "command that repeats it.\n\n"
        "Exit codes: 0 every promise held, 1 one was broken, 2 usage, 3 the environment cannot "
        "do\nthis, 130 interrupted.\n",
    .examples = "  weir stress --for 10m\n"
                "  weir stress --until-failure --workload echo\n"
                "  weir stress --rounds 50 --seed 42 --policy wait\n",
};

typedef struct stress {
    weir_run_settings settings; /* as given */
    uint64_t total_ns;
    uint64_t rounds;
    uint64_t round_ns;
    bool until_failure;
    uint64_t rounds_done;
    uint64_t rounds_broken;
    uint64_t jobs;
    uint64_t restarts;
    json_t *broken; /* commands that repeat the broken rounds */
} stress;

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static const char *pick_word(weir_random *random, const char *const *words)
{
    return words[weir_random_below(random, weir_word_count(words))];
}

static uint64_t pick_number(weir_random *random, const uint64_t *numbers, size_t count)
{
    return numbers[weir_random_below(random, count)];
}

/* What is not fixed by an option follows from the round's seed. Every number is drawn whether it is
 * used or not, so that fixing one does not change the others. */
static weir_run_settings vary(const stress *all, uint64_t seed)
{
    static const char *const wakes[] = {"futex,eventfd,signal",
                                        "futex,eventfd,signal",
                                        "futex",
                                        "eventfd",
                                        "signal",
                                        "eventfd,signal",
                                        NULL};
    static const uint64_t sizes[] = {0, 64, 256, 4096, 65536, 1048576};
    static const uint64_t counts[] = {1, 2, 7, 64, 256, 512, 1500};
    static const uint64_t batches[] = {1, 1, 3, 8, 32};
    weir_run_settings to = all->settings;
    weir_random random = weir_random_of(seed, 0);
    const uint64_t workers = weir_random_between(&random, 1, 6);
    const uint64_t size = pick_number(&random, sizes, sizeof sizes / sizeof *sizes);
    const uint64_t concurrency = pick_number(&random, counts, sizeof counts / sizeof *counts);
    const uint64_t batch = pick_number(&random, batches, sizeof batches / sizeof *batches);
    const char *policy = pick_word(&random, weir_policy_words);
    const char *wake = pick_word(&random, wakes);
    const char *backing = weir_random_below(&random, 4) == 0 ? "shm" : "memfd";
    const bool no_spin = weir_random_below(&random, 2) == 0;
    to.seed = seed;
    to.has_seed = true;
    to.workers = to.workers != 0 ? to.workers : workers;
    to.concurrency = to.concurrency != 0 ? to.concurrency : concurrency;
    to.batch = to.batch != 0 ? to.batch : batch;
    to.batch = to.batch > to.concurrency ? to.concurrency : to.batch;
    to.max_size = to.has_max_size ? to.max_size : size;
    to.has_max_size = true;
    to.policy = to.policy != NULL ? to.policy : policy;
    to.wake = to.wake != NULL ? to.wake : wake;
    to.backing = to.backing != NULL ? to.backing : backing;
    to.no_spin = to.no_spin || no_spin;
    to.duration_ns = all->round_ns;
    return to;
}

static void tell_round(const stress *all, const weir_run_settings *round,
                       const weir_run_facts *facts)
{
    char jobs[WEIR_UNITS_TEXT_MAX];
    char size[WEIR_UNITS_TEXT_MAX];
    printf("round %-5" PRIu64 " %-11s seed %-10" PRIu64 " %12s jobs  workers %" PRIu64
           "  to %s, %s, %s%s\n",
           all->rounds_done, weir_summary_verdict(facts), round->seed,
           weir_units_count(facts->totals.closed, jobs), round->workers,
           weir_units_size(round->max_size, size), round->policy, round->wake,
           round->no_spin ? ", no spin" : "");
    fflush(stdout);
}

/* One round. Returns its exit code. */
static int run_round(stress *all, const weir_run_settings *round, weir_run_facts *facts)
{
    static weir_run_plan plan;
    char command[WEIR_COMMAND_MAX];
    weir_error error = {{0}};
    weir_status status = weir_settings_plan(round, &plan, &error);
    if (status != WEIR_OK) {
        fprintf(stderr, "weir stress: %s\n", error.text);
        return WEIR_EXIT_USAGE;
    }
    weir_progress *progress = weir_progress_create(stdout, round->quiet, false);
    if (progress == NULL) {
        fprintf(stderr, "weir stress: no memory for another round; free some\n");
        return WEIR_EXIT_ENVIRONMENT;
    }
    *facts = (weir_run_facts){0};
    status = weir_engine_run(&plan, progress, facts, &error);
    weir_progress_free(progress);
    const int code = weir_settings_exit_code(status, facts);
    weir_settings_command(round, command);
    if (status == WEIR_OK) {
        all->rounds_done++;
        all->jobs += facts->totals.closed;
        all->restarts += facts->restarts;
        tell_round(all, round, facts);
    } else if (status != WEIR_INTERRUPTED) {
        fprintf(stderr, "weir stress: %s\n", error.text);
    }
    if (code == WEIR_EXIT_BROKEN) {
        all->rounds_broken++;
        weir_summary_print(stdout, &plan, facts);
        printf("\nto repeat this round: %s\n\n", command);
        json_array_append_new(all->broken, json_string(command));
    }
    return code;
}

static bool is_time_up(const stress *all, uint64_t start_ns)
{
    if (all->rounds != 0) {
        return all->rounds_done >= all->rounds;
    }
    if (all->total_ns != 0) {
        return now_ns() - start_ns >= all->total_ns;
    }
    return false; /* until failure */
}

static int run_rounds(stress *all, weir_run_facts *facts)
{
    const uint64_t start_ns = now_ns();
    int worst = WEIR_EXIT_HELD;
    for (uint64_t number = 0; !is_time_up(all, start_ns); number++) {
        weir_random random = weir_random_of(all->settings.seed, number);
        /* The first round has the seed itself: `weir stress --rounds 1 --seed N` repeats it. */
        const uint64_t seed =
            number == 0 ? all->settings.seed : weir_random_below(&random, UINT64_C(1) << 32);
        const weir_run_settings round = vary(all, seed);
        const int code = run_round(all, &round, facts);
        if (code == WEIR_EXIT_BROKEN) {
            worst = code;
            if (all->until_failure) {
                break;
            }
        } else if (code != WEIR_EXIT_HELD) {
            return worst == WEIR_EXIT_BROKEN ? worst : code;
        }
    }
    return worst;
}

static weir_status write_json(FILE *file, const stress *all, int code)
{
    char seed[24];
    snprintf(seed, sizeof seed, "%" PRIu64, all->settings.seed);
    json_t *root = json_pack("{s:s,s:s,s:I,s:I,s:I,s:I,s:O}", "verdict",
                             code == WEIR_EXIT_HELD          ? "held"
                             : code == WEIR_EXIT_BROKEN      ? "broken"
                             : code == WEIR_EXIT_INTERRUPTED ? "interrupted"
                                                             : "error",
                             "seed", seed, "rounds", (json_int_t)all->rounds_done, "rounds_broken",
                             (json_int_t)all->rounds_broken, "jobs", (json_int_t)all->jobs,
                             "restarts", (json_int_t)all->restarts, "repeat", all->broken);
    const int written = json_dumpf(root, file, JSON_INDENT(2));
    json_decref(root);
    fputc('\n', file);
    return written == 0 && fflush(file) == 0 ? WEIR_OK : WEIR_SYSTEM;
}

static int run(stress *all, weir_json_file *json)
{
    char text[WEIR_UNITS_TEXT_MAX];
    weir_run_facts *facts = calloc(1, sizeof *facts);
    all->broken = json_array();
    if (facts == NULL || all->broken == NULL) {
        free(facts);
        fprintf(stderr, "weir stress: no memory to begin with; free some\n");
        return WEIR_EXIT_ENVIRONMENT;
    }
    printf("seed %" PRIu64 "\n", all->settings.seed);
    fflush(stdout);
    int code = run_rounds(all, facts);
    printf("\n%s: %" PRIu64 " rounds, %" PRIu64 " broken, %s jobs, %" PRIu64
           " workers restarted (seed %" PRIu64 ")\n",
           all->rounds_broken > 0          ? "BROKEN"
           : code == WEIR_EXIT_HELD        ? "HELD"
           : code == WEIR_EXIT_INTERRUPTED ? "INTERRUPTED"
                                           : "STOPPED",
           all->rounds_done, all->rounds_broken, weir_units_count(all->jobs, text), all->restarts,
           all->settings.seed);
    if (json->file != NULL) {
        weir_settings_begin_json(json);
        if (write_json(json->file, all, code) != WEIR_OK) {
            fprintf(stderr, "weir stress: --json: %s could not be written; is the disk full?\n",
                    json->path);
            code = WEIR_EXIT_ENVIRONMENT;
        }
    }
    json_decref(all->broken);
    free(facts);
    return code;
}

int weir_cmd_stress(int argc, char **argv)
{
    static stress all = {.round_ns = 2000 * MS_NS};
    weir_option options[OPTIONS_MAX];
    bool wants_help = false;
    weir_error error = {{0}};
    weir_json_file json = {0};
    const uint64_t day_ns = 86400000 * MS_NS;
    size_t count = weir_settings_options(&all.settings, options);
    options[count++] = (weir_option){"for",         WEIR_OPTION_DURATION,
                                     "D",           "begin no round after this time (default 1m)",
                                     &all.total_ns, MS_NS,
                                     30 * day_ns,   NULL,
                                     NULL};
    options[count++] = (weir_option){"rounds",    WEIR_OPTION_COUNT,
                                     "N",         "so many rounds instead",
                                     &all.rounds, 1,
                                     UINT64_MAX,  NULL,
                                     NULL};
    options[count++] = (weir_option){"round-for",   WEIR_OPTION_DURATION,
                                     "D",           "length of a round (default 2s)",
                                     &all.round_ns, MS_NS,
                                     day_ns,        NULL,
                                     NULL};
    options[count++] = (weir_option){"until-failure",
                                     WEIR_OPTION_FLAG,
                                     NULL,
                                     "stop at the first broken round; without --for and --rounds "
                                     "there is no other end",
                                     &all.until_failure,
                                     0,
                                     0,
                                     NULL,
                                     NULL};
    if (weir_options_parse(options, count, argc, argv, &wants_help, &error) != WEIR_OK) {
        fprintf(stderr, "weir stress: %s\n", error.text);
        return WEIR_EXIT_USAGE;
    }
    if (wants_help) {
        weir_options_print_help(stdout, &help, options, count);
        return WEIR_EXIT_HELD;
    }
    if (all.total_ns == 0 && all.rounds == 0 && !all.until_failure) {
        all.total_ns = 60000 * MS_NS;
    }
    if (!all.settings.has_seed) {
        all.settings.seed = weir_settings_fresh_seed();
    }
    if (weir_settings_open_json(all.settings.json, &json, &error) != WEIR_OK) {
        fprintf(stderr, "weir stress: %s\n", error.text);
        return WEIR_EXIT_USAGE;
    }
    weir_stop_block();
    const int code = run(&all, &json);
    weir_settings_close_json(&json);
    return code;
}
