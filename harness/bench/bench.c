#include "harness/bench/bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/os.h"
#include "harness/bench/allocations.h"
#include "harness/bench/report.h"
#include "harness/bench/rows.h"
#include "harness/bench/shown.h"
#include "harness/options.h"
#include "harness/settings.h"
#include "harness/stop.h"

#define ROUNDS_DEFAULT 101
#define WARM_UPS       3
/* Repeats allowed per round, on average. */
#define REPEATS_FACTOR 4
/* A round trip between two cores was measured at 200 to 400 ns, between two threads of one core at
 * 23 ns. */
#define ONE_CORE_NS 45.0
/* Repeats that follow each other at once are used up in less than a second; such a placing lasts
 * longer. */
#define SHARING_PAUSE_NS (25 * WEIR_NS_PER_MS)

/* Bounds of --limit. */
#define LIMIT_LEAST 1e-9
#define LIMIT_MOST  1e9

typedef struct bench_options {
    uint64_t rounds;
    const char *only;
    const char *json;
    const char *limit_text;
    const char *worker;
    double limit; /* 0: each row's own. */
    bool is_check;
    bool is_list;
    bool is_help;
} bench_options;

static const weir_command_help help_text = {
    .name = "weir bench",
    .purpose = "What Weir costs: each number beside something bare in the same run.",
    .synopsis = "[options]",
    .notes =
        "Two processes, each pinned to a core of its own. Ours and the reference are measured\n"
        "within the same round, one right after the other; the ratio is the median over all\n"
        "rounds. Rounds in which a process was switched out are measured again. Run it on an\n"
        "otherwise idle machine.\n"
        "\n"
        "Exit status: 0 measured, or every limit held; 1 a limit was missed (--check) or a\n"
        "message was damaged; 2 usage; 3 fewer than two usable cores, both\n"
        "processors on one core of the host and a limit missed, or no worker program;\n"
        "130 interrupted.\n",
    .examples = "  weir bench\n"
                "  weir bench --check --rounds 101 --json bench.json\n"
                "  weir bench --only ring-batch\n",
};

static bool is_stop_asked(void)
{
    return weir_stop_count() > 0;
}

static weir_status read_limit(bench_options *options, weir_error *error)
{
    if (options->limit_text == NULL) {
        return WEIR_OK;
    }
    char *end = NULL;
    errno = 0;
    options->limit = strtod(options->limit_text, &end);
    /* Written so that "not a number" fails too. */
    if (errno == 0 && end != options->limit_text && *end == '\0' && options->limit >= LIMIT_LEAST &&
        options->limit <= LIMIT_MOST) {
        return WEIR_OK;
    }
    weir_error_set(error, "--limit: \"%s\" is not a ratio from %g to %g", options->limit_text,
                   LIMIT_LEAST, LIMIT_MOST);
    return WEIR_INVALID;
}

/* Prints the help when that is what was asked for. */
static weir_status read_options(int argc, char **argv, bench_options *options, weir_error *error)
{
    *options = (bench_options){.rounds = ROUNDS_DEFAULT};
    static const char *names[WEIR_BENCH_NAMES_MAX + 1];
    weir_bench_row_names(names);
    const weir_option table[] = {
        {.name = "check",
         .kind = WEIR_OPTION_FLAG,
         .help = "exit 1 when a limit is missed",
         .target = &options->is_check},
        {.name = "rounds",
         .kind = WEIR_OPTION_COUNT,
         .argument = "N",
         .help = "rounds per row (default 101); with --check at least 31",
         .target = &options->rounds,
         .minimum = 1,
         .maximum = WEIR_ROUNDS_MAX},
        {.name = "only",
         .kind = WEIR_OPTION_WORD,
         .argument = "NAME",
         .help = "this row or number alone; --list names them",
         .target = &options->only,
         .words = names},
        {.name = "limit",
         .kind = WEIR_OPTION_TEXT,
         .argument = "X",
         .help = "hold every ratio against X instead of the row's own limit",
         .target = &options->limit_text},
        {.name = "json",
         .kind = WEIR_OPTION_TEXT,
         .argument = "FILE",
         .help = "write the same as JSON",
         .target = &options->json},
        {.name = "worker",
         .kind = WEIR_OPTION_TEXT,
         .argument = "FILE",
         .help = "worker program of the job rows (default: weir-loopback beside this one)",
         .target = &options->worker},
        {.name = "list",
         .kind = WEIR_OPTION_FLAG,
         .help = "name the rows and end",
         .target = &options->is_list},
    };
    const size_t count = sizeof table / sizeof table[0];
    weir_status status = weir_options_parse(table, count, argc, argv, &options->is_help, error);
    if (status == WEIR_OK && options->is_help) {
        weir_options_print_help(stdout, &help_text, table, count);
        return WEIR_OK;
    }
    if (status == WEIR_OK) {
        status = read_limit(options, error);
    }
    if (status == WEIR_OK && options->is_check && options->rounds < WEIR_ROUNDS_CHECKED_MIN) {
        weir_error_set(error, "fewer than %d rounds say too little for --check; take more",
                       WEIR_ROUNDS_CHECKED_MIN);
        status = WEIR_INVALID;
    }
    return status;
}

static void list_rows(void)
{
    weir_bench_rows rows;
    weir_bench_rows_describe(&rows);
    for (size_t i = 0; i < rows.count; i++) {
        (void)printf("%-13s %-41s against %-24s at most %g x\n", rows.rows[i].name,
                     rows.rows[i].measure, rows.rows[i].against, rows.rows[i].limit);
    }
    (void)printf("%-13s heap allocations per job, manager and worker; at most 0\n"
                 "%-13s manager's processor time per job with 1, 4 and 16 workers\n"
                 "%-13s idle manager with 16 idle workers; at most 1 %% of a core\n",
                 WEIR_BENCH_ALLOCATIONS, WEIR_BENCH_MANAGER_CPU, WEIR_BENCH_IDLE);
}

static weir_status measure_row(const weir_bench_row *row, weir_probe placing,
                               const bench_options *options, weir_bench_line *line,
                               weir_error *error)
{
    const weir_rounds_plan plan = {
        .subject = row->subject,
        .reference = row->reference,
        .allowance = row->allowance,
        .allowance_factor = row->allowance_factor,
        .rounds = (unsigned)options->rounds,
        .warm_ups = WARM_UPS,
        .repeats_max = REPEATS_FACTOR * (unsigned)options->rounds,
        .is_stopped = is_stop_asked,
        .placing = placing,
        .placing_least_ns = ONE_CORE_NS,
        .sharing_pause_ns = SHARING_PAUSE_NS,
    };
    *line =
        (weir_bench_line){.row = row, .limit = options->limit > 0 ? options->limit : row->limit};
    weir_status status = row->begin == NULL ? WEIR_OK : row->begin(row->context, error);
    if (status == WEIR_OK) {
        status = weir_rounds_run(&plan, &line->result, error);
        if (row->end != NULL) {
            row->end(row->context);
        }
    }
    return status;
}

static weir_status measure_rows(const weir_bench_rows *rows, const bench_options *options,
                                weir_bench_report *report, weir_error *error)
{
    bool has_head = false;
    for (size_t i = 0; i < rows->count; i++) {
        const weir_bench_row *row = &rows->rows[i];
        if (options->only != NULL && strcmp(options->only, row->name) != 0) {
            continue;
        }
        if (!has_head) {
            weir_bench_report_head(stdout);
            has_head = true;
        }
        weir_bench_line *line = &report->lines[report->line_count];
        const weir_status status = measure_row(row, rows->placing, options, line, error);
        if (line->result.rounds > 0) {
            weir_bench_report_line(stdout, line);
            report->line_count++;
            report->is_one_core |= line->result.sharing * 4 > line->result.rounds;
        }
        if (status != WEIR_OK) {
            return status;
        }
    }
    return WEIR_OK;
}

static bool is_wanted(const bench_options *options, const char *name)
{
    return (options->only == NULL || strcmp(options->only, name) == 0) && !is_stop_asked();
}

/* The numbers below the table. */
static weir_status measure_shown(const weir_bench_rows *rows, const bench_options *options,
                                 weir_bench_report *report, weir_error *error)
{
    weir_status status = WEIR_OK;
    if (is_wanted(options, WEIR_BENCH_ALLOCATIONS)) {
        status = weir_bench_show_allocations(options->worker, report, error);
    }
    if (status == WEIR_OK && is_wanted(options, WEIR_BENCH_MANAGER_CPU)) {
        status = weir_bench_show_cpu_per_job(&rows->pair, &report->cores, options->worker, report,
                                             error);
    }
    if (status == WEIR_OK && is_wanted(options, WEIR_BENCH_IDLE)) {
        status = weir_bench_show_idle(&rows->pair, &report->cores, options->worker, report, error);
    }
    return status == WEIR_OK && is_stop_asked() ? WEIR_INTERRUPTED : status;
}

static int exit_code_of(weir_status status)
{
    switch (status) {
    case WEIR_OK:
        return WEIR_EXIT_HELD;
    case WEIR_INTERRUPTED:
        return WEIR_EXIT_INTERRUPTED;
    case WEIR_CORRUPT:
    case WEIR_PROTOCOL:
    case WEIR_PEER_DEAD:
        return WEIR_EXIT_BROKEN;
    default:
        return WEIR_EXIT_ENVIRONMENT;
    }
}

static int complain(int exit_code, const weir_error *error)
{
    (void)fprintf(stderr, "weir bench: %s\n", error->text);
    return exit_code;
}

/* Exit status of a check: a limit of the caller's own is held against whatever was measured. */
static int judge(const bench_options *options, const weir_bench_report *report)
{
    if (!options->is_check || weir_bench_report_holds(report)) {
        return WEIR_EXIT_HELD;
    }
    return report->is_one_core && options->limit == 0 ? WEIR_EXIT_ENVIRONMENT : WEIR_EXIT_BROKEN;
}

static int run_bench(const bench_options *options)
{
    static weir_bench_rows rows;
    static weir_bench_report report;
    report = (weir_bench_report){0};
    weir_error error = {0};
    weir_status status = weir_pair_cores_find(&report.cores, &error);
    if (status == WEIR_OK) {
        status = weir_bench_rows_open(&rows, &report.cores, options->worker, &error);
    }
    if (status == WEIR_OK) {
        status = measure_rows(&rows, options, &report, &error);
        if (status == WEIR_OK) {
            status = measure_shown(&rows, options, &report, &error);
        }
        report.was_interrupted = status == WEIR_INTERRUPTED;
        weir_bench_report_end(stdout, &report);
    }
    weir_bench_rows_close(&rows);
    int code = exit_code_of(status);
    if (status != WEIR_OK && status != WEIR_INTERRUPTED) {
        (void)complain(code, &error);
    }
    if (options->json != NULL && report.line_count + report.shown_count > 0 &&
        weir_bench_report_json(&report, options->json, &error) != WEIR_OK) {
        (void)complain(code, &error);
        code = code == WEIR_EXIT_HELD ? WEIR_EXIT_ENVIRONMENT : code;
    }
    return code == WEIR_EXIT_HELD ? judge(options, &report) : code;
}

int weir_cmd_bench(int argc, char **argv)
{
    bench_options options;
    weir_error error = {0};
    if (read_options(argc, argv, &options, &error) != WEIR_OK) {
        return complain(WEIR_EXIT_USAGE, &error);
    }
    if (options.is_help) {
        return WEIR_EXIT_HELD;
    }
    if (options.is_list) {
        list_rows();
        return WEIR_EXIT_HELD;
    }
    weir_json_file json; /* A wrong path is known before the measuring, not after it. */
    if (weir_settings_open_json(options.json, &json, &error) != WEIR_OK) {
        return complain(WEIR_EXIT_USAGE, &error);
    }
    weir_settings_close_json(&json);
    weir_stop_block();
    if (weir_allocations_is_inner()) {
        const weir_status status = weir_allocations_count(options.worker, &error);
        return status == WEIR_OK ? WEIR_EXIT_HELD : complain(exit_code_of(status), &error);
    }
    return run_bench(&options);
}
