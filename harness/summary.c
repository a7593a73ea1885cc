#include "harness/summary.h"

#include <inttypes.h>
#include <string.h>

#include "harness/names.h"
#include "harness/units.h"
#include "layout/generated/weir_layout.h"

#define COUNT(value, text) weir_units_count(value, text)

const char *weir_summary_verdict(const weir_run_facts *facts)
{
    if (facts->violations.found > 0) {
        return "broken";
    }
    return facts->signals > 0 ? "interrupted" : "held";
}

static void print_verdict(FILE *out, const weir_run_plan *plan, const weir_run_facts *facts)
{
    char text[WEIR_UNITS_TEXT_MAX];
    if (facts->violations.found > 0) {
        fprintf(out, "BROKEN: %s promise%s not kept", COUNT(facts->violations.found, text),
                facts->violations.found == 1 ? " was" : "s were");
    } else if (facts->signals > 0) {
        fprintf(out, "INTERRUPTED: stopped early; every promise held until then");
    } else {
        fprintf(out, "HELD: every promise was kept");
    }
    fprintf(out, " (workload %s, seed %" PRIu64 ", %.1f s)\n", plan->workload.name, plan->seed,
            (double)facts->elapsed_ns / 1e9);
    for (size_t i = 0; i < facts->violations.found && i < WEIR_VIOLATIONS_MAX; i++) {
        fprintf(out, "  - %s\n", facts->violations.text[i]);
    }
    if (facts->violations.found > WEIR_VIOLATIONS_MAX) {
        fprintf(out, "  - and %s more\n",
                COUNT(facts->violations.found - WEIR_VIOLATIONS_MAX, text));
    }
}

static double per_second(uint64_t count, uint64_t nanoseconds)
{
    return nanoseconds == 0 ? 0 : (double)count * 1e9 / (double)nanoseconds;
}

static void print_row(FILE *out, const char *name, uint64_t value, const char *note)
{
    char text[WEIR_UNITS_TEXT_MAX];
    fprintf(out, "  %-24s %15s%s%s\n", name, COUNT(value, text), note[0] != '\0' ? "   " : "",
            note);
}

static void print_jobs(FILE *out, const weir_run_facts *facts)
{
    char note[80];
    fprintf(out, "\nJobs\n");
    print_row(out, "submitted", facts->totals.entered, "");
    for (unsigned i = 1; i < WEIR_OUTCOME_CODES; i++) {
        /* Those that people look for always, the others when there are some. */
        const bool is_expected = i <= WEIR_OUTCOME_WORKER_LOST || i == WEIR_OUTCOME_REJECTED;
        if (!is_expected && facts->totals.outcomes[i] == 0) {
            continue;
        }
        note[0] = '\0';
        if (i == WEIR_OUTCOME_OK) {
            char text[WEIR_UNITS_TEXT_MAX];
            snprintf(note, sizeof note, "%s verified", COUNT(facts->totals.verified, text));
        }
        print_row(out, weir_outcome_name(i), facts->totals.outcomes[i], note);
    }
    print_row(out, "sent again", facts->stats.resent, "");
    print_row(out, "deferred", facts->stats.deferred, "");
}

static void print_throughput(FILE *out, const weir_run_facts *facts)
{
    char text[WEIR_UNITS_TEXT_MAX];
    char size[WEIR_UNITS_TEXT_MAX];
    uint64_t bytes = 0;
    for (size_t i = 0; i < ROUTINE_COUNT; i++) {
        bytes += facts->routine[i].request_bytes + facts->routine[i].reply_bytes;
    }
    const double rate = per_second(facts->totals.outcomes[WEIR_OUTCOME_OK], facts->elapsed_ns);
    fprintf(out, "\nThroughput\n");
    fprintf(out, "  %-24s %15s per second\n", "jobs", COUNT((uint64_t)(rate + 0.5), text));
    fprintf(out, "  %-24s %15s per second\n", "payload, both ways",
            weir_units_size((uint64_t)per_second(bytes, facts->elapsed_ns), size));
}

static void print_latency_row(FILE *out, const char *name, const weir_histogram *latency)
{
    static const double percents[] = {50, 99, 99.9, 100};
    char text[WEIR_UNITS_TEXT_MAX];
    fprintf(out, "  %-12s %15s", name, COUNT(latency->count, text));
    for (size_t i = 0; i < sizeof percents / sizeof *percents; i++) {
        fprintf(out, " %12s",
                weir_units_duration(weir_histogram_percentile(latency, percents[i]), text));
    }
    fputc('\n', out);
}

static void print_latency(FILE *out, const weir_run_plan *plan, const weir_run_facts *facts)
{
    static weir_histogram all; /* too large for a stack */
    unsigned shown = 0;
    memset(&all, 0, sizeof all);
    fprintf(out, "\n%-14s %15s %12s %12s %12s %12s\n",
            plan->workload.rate != 0 ? "Latency (due)" : "Latency", "jobs", "p50", "p99", "p99.9",
            "max");
    for (size_t i = 0; i < ROUTINE_COUNT; i++) {
        const weir_histogram *latency = &facts->routine[i].latency;
        if (latency->count > 0) {
            print_latency_row(out, weir_opcode_words[i], latency);
            weir_histogram_merge(&all, latency);
            shown++;
        }
    }
    if (shown != 1) {
        print_latency_row(out, "all", &all);
    }
}

static void name_strategies(uint32_t seen, char *text, size_t bytes)
{
    text[0] = '\0';
    for (unsigned i = 1; i <= WEIR_WAKE_STRATEGY_MAX; i++) {
        if ((seen >> i & 1) != 0) {
            const size_t used = strlen(text);
            snprintf(text + used, bytes - used, "%s%s", used > 0 ? ", " : "", weir_wake_name(i));
        }
    }
    if (text[0] == '\0') {
        snprintf(text, bytes, "never slept");
    }
}

static void print_wakes(FILE *out, const weir_run_facts *facts)
{
    char a[WEIR_UNITS_TEXT_MAX];
    char b[WEIR_UNITS_TEXT_MAX];
    char c[WEIR_UNITS_TEXT_MAX];
    char strategies[64];
    name_strategies(facts->strategies_seen, strategies, sizeof strategies);
    fprintf(out, "\n%-14s %15s %12s %12s   %s\n", "Waking", "parks", "spin hits", "wake calls",
            "asleep by");
    fprintf(out, "  %-12s %15s %12s %12s\n", "manager", COUNT(facts->stats.parks, a),
            COUNT(facts->stats.spin_hits, b), COUNT(facts->stats.wakes_sent, c));
    fprintf(out, "  %-12s %15s %12s %12s   %s\n", "workers", COUNT(facts->workers.parks, a),
            COUNT(facts->workers.spin_hits, b), COUNT(facts->workers.wakes_sent, c), strategies);
}

static void print_rest(FILE *out, const weir_run_facts *facts)
{
    char a[WEIR_UNITS_TEXT_MAX];
    char b[WEIR_UNITS_TEXT_MAX];
    fprintf(out, "\nCopies and leftovers\n");
    fprintf(out, "  payload bytes copied by libweir: manager %s, workers %s%s\n",
            COUNT(facts->stats.bytes_copied, a), COUNT(facts->workers.bytes_copied, b),
            facts->stats.bytes_copied > 0 && facts->stats.resent > 0 ? " (jobs sent again)" : "");
    fprintf(out, "  left behind: slots %s", COUNT(facts->stats.slots_taken, a));
    for (unsigned i = 0; i < WEIR_RESOURCE_KINDS; i++) {
        fprintf(out, ", %s %s", weir_resource_kind_name((weir_resource_kind)i),
                COUNT(facts->left.count[i], a));
    }
    fprintf(out, "\n  workers restarted: %" PRIu32 "; stray replies %s; protocol errors %s\n",
            facts->restarts, COUNT(facts->stats.stray_replies, a),
            COUNT(facts->stats.protocol_errors, b));
}

void weir_summary_print(FILE *out, const weir_run_plan *plan, const weir_run_facts *facts)
{
    fputc('\n', out);
    print_verdict(out, plan, facts);
    print_jobs(out, facts);
    print_throughput(out, facts);
    print_latency(out, plan, facts);
    print_wakes(out, facts);
    print_rest(out, facts);
}
