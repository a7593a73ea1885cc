#include "manager/event.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "manager/status_page.h"

#define TEXT_BYTES 640

static weir_event make(const weir_pool *pool, uint32_t seat, uint32_t generation, int32_t pid,
                       const char *kind, const char *text)
{
    return (weir_event){
        .time_ns = weir_os()->clock_ns(),
        .kind = kind,
        .pool = pool->options.role,
        .worker = seat,
        .generation = generation,
        .pid = pid,
        .text = text,
    };
}

static void call(const weir_pool *pool, const weir_event *event)
{
    const weir_manager_options *options = &pool->manager->options;
    if (options->on_event != NULL) {
        options->on_event(options->event_context, event);
    }
}

/* Lines that a worker prints would push everything else out of the status page. */
static bool is_for_page(const char *kind)
{
    return strcmp(kind, "output") != 0;
}

void weir_event_tell(weir_pool *pool, uint32_t seat, const weir_incarnation *incarnation,
                     const char *kind, const char *format, ...)
{
    if (pool->manager->options.on_event == NULL && !is_for_page(kind)) {
        return;
    }
    char text[TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const weir_event event = make(pool, seat, incarnation != NULL ? incarnation->generation : 0,
                                  incarnation != NULL ? incarnation->pid : 0, kind, text);
    if (is_for_page(kind)) {
        weir_status_page_note(pool->manager, &event, pool->id);
    }
    call(pool, &event);
}

static bool has_traces(const weir_pool *pool)
{
    const weir_manager_options *options = &pool->manager->options;
    return options->trace_jobs && options->on_event != NULL;
}

void weir_event_trace_sent(weir_pool *pool, const weir_job_entry *entry,
                           const weir_incarnation *incarnation)
{
    if (!has_traces(pool)) {
        return;
    }
    char text[TEXT_BYTES];
    /* Told before it is published: afterwards the entry may already be another job's. */
    snprintf(text, sizeof text,
             "job %016" PRIx64 " correlation %" PRIu64 " opcode %s %u bytes to be sent, attempt %u",
             entry->id, entry->correlation_id, weir_opcode_name(entry->opcode),
             entry->payload_bytes, entry->sent_count + 1u);
    const weir_event event =
        make(pool, incarnation->seat, incarnation->generation, incarnation->pid, "job_sent", text);
    call(pool, &event);
}

void weir_event_trace_end(weir_pool *pool, const weir_job_entry *entry, weir_outcome_code outcome)
{
    if (!has_traces(pool)) {
        return;
    }
    char text[TEXT_BYTES];
    snprintf(text, sizeof text, "job %016" PRIx64 " correlation %" PRIu64 " opcode %s ended: %s",
             entry->id, entry->correlation_id, weir_opcode_name(entry->opcode),
             weir_outcome_name(outcome));
    const weir_event event = make(pool, entry->seat, 0, 0, "job_ended", text);
    call(pool, &event);
}
