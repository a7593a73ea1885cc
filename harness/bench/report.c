#include "harness/bench/report.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <string.h>

bool weir_bench_shown_holds(const weir_bench_shown *shown)
{
    return shown->limit < 0 || shown->value <= shown->limit;
}

void weir_bench_report_show(weir_bench_report *report, const char *name, double value, double limit,
                            const char *format, ...)
{
    assert(report->shown_count < WEIR_BENCH_SHOWN_MAX);
    weir_bench_shown *shown = &report->shown[report->shown_count++];
    *shown = (weir_bench_shown){.value = value, .limit = limit};
    (void)snprintf(shown->name, sizeof shown->name, "%s", name);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(shown->text, sizeof shown->text, format, arguments);
    va_end(arguments);
}

bool weir_bench_report_holds(const weir_bench_report *report)
{
    for (size_t i = 0; i < report->line_count; i++) {
        if (!weir_bench_line_holds(&report->lines[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < report->shown_count; i++) {
        if (!weir_bench_shown_holds(&report->shown[i])) {
            return false;
        }
    }
    return report->line_count + report->shown_count > 0;
}

/* Three digits that matter, whatever the size. */
static void format_ns(char *text, size_t bytes, double ns)
{
    (void)snprintf(text, bytes, "%.*f", ns < 100 ? 1 : 0, ns);
}

void weir_bench_report_head(FILE *out)
{
    (void)fprintf(out, "%-13s %-41s %10s   %-24s %10s   %5s %-15s %6s\n", "name", "measure",
                  "ours ns", "against", "ns", "ratio", "[q1 - q3]", "limit");
}

void weir_bench_report_line(FILE *out, const weir_bench_line *line)
{
    const weir_rounds_result *result = &line->result;
    char ours[32];
    char reference[32];
    char spread[32];
    format_ns(ours, sizeof ours, result->subject_ns.median);
    format_ns(reference, sizeof reference, result->reference_ns.median);
    (void)snprintf(spread, sizeof spread, "[%.3f - %.3f]", result->ratio.q1, result->ratio.q3);
    (void)fprintf(out, "%-13s %-41s %10s   %-24s %10s   %5.3f %-15s %6g  %s", line->row->name,
                  line->row->measure, ours, line->row->against, reference, result->ratio.median,
                  spread, line->limit, weir_bench_line_holds(line) ? "ok" : "MISSED");
    if (result->allowance_ns.median > 0) {
        (void)fprintf(out, "; one header CRC %.1f ns", result->allowance_ns.median);
    }
    if (result->repeats > 0) {
        (void)fprintf(out, "; %u rounds repeated", result->repeats);
    }
    if (result->disturbed > 0) {
        (void)fprintf(out, "; %u of %u rounds disturbed", result->disturbed, result->rounds);
    }
    if (result->sharing > 0) {
        (void)fprintf(out, "; %u of %u rounds on one core", result->sharing, result->rounds);
    }
    (void)fputc('\n', out);
    (void)fflush(out);
}

void weir_bench_report_end(FILE *out, const weir_bench_report *report)
{
    for (size_t i = 0; i < report->shown_count; i++) {
        const weir_bench_shown *shown = &report->shown[i];
        (void)fprintf(out, "%s%s\n", shown->text,
                      shown->limit < 0                ? ""
                      : weir_bench_shown_holds(shown) ? "  ok"
                                                      : "  MISSED");
    }
    size_t missed = 0;
    unsigned disturbed = 0;
    for (size_t i = 0; i < report->line_count; i++) {
        missed += !weir_bench_line_holds(&report->lines[i]);
        disturbed += report->lines[i].result.disturbed;
    }
    if (disturbed > 0) {
        (void)fprintf(out,
                      "Something else ran on these cores: %u rounds count although a process "
                      "was switched out in them.\n",
                      disturbed);
    }
    if (report->is_one_core) {
        (void)fprintf(out, "The host ran both processors as threads of one core for much of a row; "
                           "the limits are meant for two cores, so a miss says nothing.\n");
    }
    if (report->was_interrupted) {
        (void)fprintf(out, "Interrupted: what is above was measured until then.\n");
    } else if (report->line_count > 0) {
        (void)fprintf(out, "%zu of %zu limits held.\n", report->line_count - missed,
                      report->line_count);
    }
}

static json_t *quartiles_json(const weir_quartiles *quartiles)
{
    return json_pack("{s:f, s:f, s:f}", "q1", quartiles->q1, "median", quartiles->median, "q3",
                     quartiles->q3);
}

static json_t *line_json(const weir_bench_line *line)
{
    const weir_rounds_result *result = &line->result;
    json_t *object = json_pack(
        "{s:s, s:s, s:s, s:o, s:o, s:o, s:f, s:b, s:i, s:i, s:i}", "name", line->row->name,
        "measure", line->row->measure, "against", line->row->against, "ours_ns",
        quartiles_json(&result->subject_ns), "reference_ns", quartiles_json(&result->reference_ns),
        "ratio", quartiles_json(&result->ratio), "limit", line->limit, "held",
        (int)weir_bench_line_holds(line), "rounds", (int)result->rounds, "rounds_repeated",
        (int)result->repeats, "rounds_disturbed", (int)result->disturbed);
    if (object != NULL && line->row->allowance.measure != NULL) {
        (void)json_object_set_new(object, "allowance_ns", quartiles_json(&result->allowance_ns));
        (void)json_object_set_new(object, "allowance_factor",
                                  json_real(line->row->allowance_factor));
    }
    return object;
}

static json_t *report_json(const weir_bench_report *report)
{
    json_t *rows = json_array();
    json_t *shown = json_array();
    for (size_t i = 0; i < report->line_count; i++) {
        (void)json_array_append_new(rows, line_json(&report->lines[i]));
    }
    for (size_t i = 0; i < report->shown_count; i++) {
        const weir_bench_shown *number = &report->shown[i];
        (void)json_array_append_new(shown, json_pack("{s:s, s:s, s:f}", "name", number->name,
                                                     "text", number->text, "value", number->value));
    }
    return json_pack("{s:s, s:[i,i], s:b, s:b, s:b, s:o, s:o}", "command", "bench", "cores",
                     report->cores.lead, report->cores.peer, "interrupted",
                     (int)report->was_interrupted, "one_core", (int)report->is_one_core, "held",
                     (int)weir_bench_report_holds(report), "rows", rows, "shown", shown);
}

weir_status weir_bench_report_json(const weir_bench_report *report, const char *path,
                                   weir_error *error)
{
    json_t *object = report_json(report);
    if (object == NULL) {
        weir_error_set(error, "no memory for the JSON report; free some memory");
        return WEIR_NO_MEMORY;
    }
    FILE *file = fopen(path, "w");
    const int failed = file == NULL ||
                       json_dumpf(object, file, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) != 0 ||
                       fputc('\n', file) == EOF;
    const int reason = errno;
    const int close_failed = file != NULL && fclose(file) != 0;
    json_decref(object);
    if (failed || close_failed) {
        weir_error_set(error,
                       "cannot write the report to %s: %s; give --json a file that can be "
                       "written",
                       path, strerror(failed ? reason : errno));
        return WEIR_SYSTEM;
    }
    return WEIR_OK;
}
