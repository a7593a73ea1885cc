#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "harness/names.h"
#include "harness/summary.h"
#include "layout/generated/weir_layout.h"

/* JSON integers are signed here; nothing counted in a run comes near the difference. */
static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *latency_object(const weir_histogram *latency)
{
    json_t *object = json_object();
    json_object_set_new(object, "count", number(latency->count));
    json_object_set_new(object, "p50_ns", number(weir_histogram_percentile(latency, 50)));
    json_object_set_new(object, "p99_ns", number(weir_histogram_percentile(latency, 99)));
    json_object_set_new(object, "p99_9_ns", number(weir_histogram_percentile(latency, 99.9)));
    json_object_set_new(object, "max_ns", number(latency->maximum));
    return object;
}

static json_t *jobs_object(const weir_run_facts *facts)
{
    json_t *object = json_object();
    json_t *outcomes = json_object();
    for (unsigned i = 1; i < WEIR_OUTCOME_CODES; i++) {
        json_object_set_new(outcomes, weir_outcome_name(i), number(facts->totals.outcomes[i]));
    }
    json_object_set_new(object, "submitted", number(facts->totals.entered));
    json_object_set_new(object, "verified", number(facts->totals.verified));
    json_object_set_new(object, "outcomes", outcomes);
    json_object_set_new(object, "sent_again", number(facts->stats.resent));
    json_object_set_new(object, "deferred", number(facts->stats.deferred));
    return object;
}

static json_t *opcodes_object(const weir_run_facts *facts)
{
    json_t *object = json_object();
    for (size_t i = 0; i < ROUTINE_COUNT; i++) {
        const weir_routine_facts *routine = &facts->routine[i];
        if (routine->ok == 0) {
            continue;
        }
        json_t *one = json_object();
        json_object_set_new(one, "ok", number(routine->ok));
        json_object_set_new(one, "request_bytes", number(routine->request_bytes));
        json_object_set_new(one, "reply_bytes", number(routine->reply_bytes));
        json_object_set_new(one, "latency", latency_object(&routine->latency));
        json_object_set_new(object, weir_opcode_words[i], one);
    }
    return object;
}

static json_t *wakes_object(const weir_run_facts *facts)
{
    json_t *strategies = json_array();
    for (unsigned i = 1; i <= WEIR_WAKE_STRATEGY_MAX; i++) {
        if ((facts->strategies_seen >> i & 1) != 0) {
            json_array_append_new(strategies, json_string(weir_wake_name(i)));
        }
    }
    return json_pack(
        "{s:{s:I,s:I,s:I},s:{s:I,s:I,s:I},s:o}", "manager", "parks", (json_int_t)facts->stats.parks,
        "spin_hits", (json_int_t)facts->stats.spin_hits, "wake_calls",
        (json_int_t)facts->stats.wakes_sent, "workers", "parks", (json_int_t)facts->workers.parks,
        "spin_hits", (json_int_t)facts->workers.spin_hits, "wake_calls",
        (json_int_t)facts->workers.wakes_sent, "strategies", strategies);
}

static json_t *left_object(const weir_run_facts *facts)
{
    json_t *object = json_object();
    json_object_set_new(object, "slots", number(facts->stats.slots_taken));
    json_object_set_new(object, "held_bytes", number(facts->stats.held_bytes));
    for (unsigned i = 0; i < WEIR_RESOURCE_KINDS; i++) {
        json_object_set_new(object, weir_resource_kind_name((weir_resource_kind)i),
                            number(facts->left.count[i]));
    }
    return object;
}

static json_t *violations_array(const weir_run_facts *facts)
{
    json_t *array = json_array();
    for (size_t i = 0; i < facts->violations.found && i < WEIR_VIOLATIONS_MAX; i++) {
        json_array_append_new(array, json_string(facts->violations.text[i]));
    }
    return array;
}

static json_t *document(const weir_run_plan *plan, const weir_run_facts *facts, const char *command)
{
    const uint64_t ok = facts->totals.outcomes[WEIR_OUTCOME_OK];
    json_t *root = json_object();
    json_object_set_new(root, "verdict", json_string(weir_summary_verdict(facts)));
    json_object_set_new(root, "violations_found", number(facts->violations.found));
    json_object_set_new(root, "violations", violations_array(facts));
    json_object_set_new(root, "workload", json_string(plan->workload.name));
    /* Seeds use all 64 bits, which many JSON readers would round. */
    char seed[24];
    snprintf(seed, sizeof seed, "%" PRIu64, plan->seed);
    json_object_set_new(root, "seed", json_string(seed));
    json_object_set_new(root, "command", json_string(command));
    json_object_set_new(root, "workers", number(plan->workload.workers));
    json_object_set_new(root, "elapsed_ns", number(facts->elapsed_ns));
    json_object_set_new(root, "jobs", jobs_object(facts));
    json_object_set_new(
        root, "jobs_per_second",
        json_real(facts->elapsed_ns == 0 ? 0 : (double)ok * 1e9 / (double)facts->elapsed_ns));
    json_object_set_new(root, "opcodes", opcodes_object(facts));
    json_object_set_new(root, "wakes", wakes_object(facts));
    json_object_set_new(root, "bytes_copied",
                        json_pack("{s:I,s:I}", "manager", (json_int_t)facts->stats.bytes_copied,
                                  "workers", (json_int_t)facts->workers.bytes_copied));
    json_object_set_new(root, "left_behind", left_object(facts));
    json_object_set_new(root, "restarts", number(facts->restarts));
    json_object_set_new(root, "stray_replies", number(facts->stats.stray_replies));
    json_object_set_new(root, "protocol_errors", number(facts->stats.protocol_errors));
    return root;
}

weir_status weir_summary_json(FILE *out, const weir_run_plan *plan, const weir_run_facts *facts,
                              const char *command)
{
    json_t *root = document(plan, facts, command);
    const int written = json_dumpf(root, out, JSON_INDENT(2));
    json_decref(root);
    fputc('\n', out);
    return written == 0 && fflush(out) == 0 ? WEIR_OK : WEIR_SYSTEM;
}
