/* `weir run`: one workload, every job accounted for. */
#include <inttypes.h>
#include <stdlib.h>

#include "harness/commands.h"
#include "harness/settings.h"
#include "harness/stop.h"
#include "harness/summary.h"

#define MS_NS UINT64_C(1000000)
enum { OPTIONS_MAX = 20 };

static const weir_command_help help = {
    .name = "weir run",
    .purpose = "Puts a workload through a manager and its workers and accounts for every job.",
    .synopsis = "[options]",
    .notes =
        "Every reply is checked against an oracle that is independent of the worker. A worker "
        "that\ndies is replaced and its jobs are sent again. Durations: 10s, 100ms, 2m. "
        "Sizes: 512, 64K, 1M.\n\n"
        "Exit codes: 0 every promise held, 1 one was broken, 2 usage, 3 the environment cannot "
        "do\nthis, 130 interrupted (after a clean stop and a partial report).\n",
    .examples = "  weir run\n"
                "  weir run --workload echo --for 30s --workers 4\n"
                "  weir run --jobs 100000 --seed 42 --json result.json\n"
                "  weir run --workload my.toml --wake eventfd --no-spin\n",
};

static int fail(int code, const char *sentence)
{
    fprintf(stderr, "weir run: %s\n", sentence);
    return code;
}

static int report(const weir_run_plan *plan, const weir_run_facts *facts, weir_json_file *json,
                  const char *command)
{
    weir_summary_print(stdout, plan, facts);
    if (json->file != NULL) {
        weir_settings_begin_json(json);
        if (weir_summary_json(json->file, plan, facts, command) != WEIR_OK) {
            fprintf(stderr, "weir run: --json: %s could not be written; is the disk full?\n",
                    json->path);
            return WEIR_EXIT_ENVIRONMENT;
        }
    }
    return weir_settings_exit_code(WEIR_OK, facts);
}

static int run(const weir_run_settings *settings, const weir_run_plan *plan, weir_json_file *json)
{
    char command[WEIR_COMMAND_MAX];
    weir_error error = {{0}};
    weir_run_facts *facts = calloc(1, sizeof *facts);
    weir_progress *progress = weir_progress_create(stdout, settings->quiet, settings->trace);
    int code = WEIR_EXIT_ENVIRONMENT;
    if (facts == NULL || progress == NULL) {
        fail(code, "no memory to begin with; free some");
    } else {
        weir_settings_command(settings, command);
        printf("seed %" PRIu64 "; to repeat: %s\n", settings->seed, command);
        fflush(stdout);
        const weir_status status = weir_engine_run(plan, progress, facts, &error);
        code = status == WEIR_OK ? report(plan, facts, json, command)
                                 : weir_settings_exit_code(status, facts);
        if (status == WEIR_INTERRUPTED) {
            fail(code, "interrupted before the first job");
        } else if (status != WEIR_OK) {
            fail(code, error.text);
        }
        for (size_t i = 0; status != WEIR_OK && i < facts->violations.found; i++) {
            if (i < WEIR_VIOLATIONS_MAX) {
                fail(code, facts->violations.text[i]);
            }
        }
    }
    weir_progress_free(progress);
    free(facts);
    return code;
}

int weir_cmd_run(int argc, char **argv)
{
    weir_run_settings settings = {0};
    weir_option options[OPTIONS_MAX];
    bool wants_help = false;
    weir_error error = {{0}};
    static weir_run_plan plan;
    weir_json_file json = {0};
    size_t count = weir_settings_options(&settings, options);
    options[count++] = (weir_option){"jobs",
                                     WEIR_OPTION_COUNT,
                                     "N",
                                     "end after so many jobs",
                                     &settings.jobs,
                                     1,
                                     1000000000,
                                     NULL,
                                     NULL};
    options[count++] = (weir_option){"for",
                                     WEIR_OPTION_DURATION,
                                     "D",
                                     "end after this time",
                                     &settings.duration_ns,
                                     MS_NS,
                                     86400000 * MS_NS,
                                     NULL,
                                     NULL};
    options[count++] = (weir_option){"trace",
                                     WEIR_OPTION_FLAG,
                                     NULL,
                                     "show every event, of each job, too (slow)",
                                     &settings.trace,
                                     0,
                                     0,
                                     NULL,
                                     NULL};
    if (weir_options_parse(options, count, argc, argv, &wants_help, &error) != WEIR_OK) {
        return fail(WEIR_EXIT_USAGE, error.text);
    }
    if (wants_help) {
        weir_options_print_help(stdout, &help, options, count);
        return WEIR_EXIT_HELD;
    }
    if (!settings.has_seed) {
        settings.seed = weir_settings_fresh_seed();
    }
    if (weir_settings_plan(&settings, &plan, &error) != WEIR_OK ||
        weir_settings_open_json(settings.json, &json, &error) != WEIR_OK) {
        return fail(WEIR_EXIT_USAGE, error.text);
    }
    weir_stop_block();
    const int code = run(&settings, &plan, &json);
    weir_settings_close_json(&json);
    return code;
}
