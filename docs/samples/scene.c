#include "docs/samples/scene.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/atomic.h"
#include "docs/samples/worker.h"

static const char *own_path;
static uint64_t start_ns;
static uint32_t ended; /* atomic */

void nap_ms(long ms)
{
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

void set_worker_path(const char *path)
{
    own_path = path;
}

static void print_quoted(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            putchar('\\');
        }
        putchar(*text);
    }
    putchar('"');
}

static void print_event(void *context, const weir_event *event)
{
    (void)context;
    flockfile(stdout);
    printf("{\"time_ns\": %" PRIu64 ", \"kind\": \"%s\", \"pool\": \"%s\", \"worker\": %u, "
           "\"generation\": %u, \"pid\": %d, \"text\": ",
           event->time_ns - start_ns, event->kind, event->pool, event->worker, event->generation,
           (int)event->pid);
    print_quoted(event->text);
    printf("}\n");
    funlockfile(stdout);
}

static void fill(void *context, void *payload, size_t bytes)
{
    (void)context;
    static const char text[] = "a weir keeps the level of a river";
    for (size_t i = 0; i < bytes; i++) {
        ((char *)payload)[i] = text[i % (sizeof text - 1)];
    }
}

static void print_end(void *context, const weir_result *result)
{
    if (context != NULL) {
        printf("outcome %s, sent %u times, reply of %zu bytes: %.*s\n",
               weir_outcome_name(result->outcome), result->sent_count, result->payload_bytes,
               (int)result->payload_bytes,
               result->payload != NULL ? (const char *)result->payload : "");
    }
    (void)weir_fetch_add_relaxed_u32(&ended, 1);
}

void give_up(const char *doing, const weir_error *error)
{
    fprintf(stderr, "weir-samples: %s: %s\n", doing, error->text);
    exit(3);
}

void open_scene(scene *to, bool is_traced, bool is_silent)
{
    weir_error error = {{0}};
    const weir_manager_options options = {
        .on_event = is_silent ? NULL : print_event, .trace_jobs = is_traced, .seed = 1};
    start_ns = weir_os()->clock_ns();
    if (weir_manager_create(&options, &to->manager, &error) != WEIR_OK) {
        give_up("no manager", &error);
    }
}

void add_pool(scene *to, bool awaits)
{
    static const char *command[3];
    weir_error error = {{0}};
    command[0] = own_path;
    command[1] = "--worker";
    to->options.role = to->options.role != NULL ? to->options.role : "samples";
    to->options.command = to->options.command != NULL ? to->options.command : command;
    weir_status status = weir_manager_add_pool(to->manager, &to->options, &to->pool, &error);
    if (status == WEIR_OK && awaits) {
        status =
            weir_manager_await_ready(to->manager, to->pool, weir_deadline_in(PATIENCE_NS), &error);
    }
    if (status != WEIR_OK) {
        give_up("no pool", &error);
    }
}

void submit(const scene *to, uint16_t opcode, uint32_t bytes, uint32_t count, uint64_t deadline_ns,
            bool is_shown)
{
    for (uint32_t i = 0; i < count; i++) {
        static char shown;
        const weir_job_spec spec = {
            .opcode = opcode,
            .idempotent = opcode != OPCODE_LIE && opcode != OPCODE_HANG,
            .payload_bytes = bytes,
            .fill = fill,
            .done = print_end,
            .context = is_shown ? &shown : NULL,
            .deadline_ns = deadline_ns,
            .correlation_id = 7000 + i,
        };
        if (weir_submit(to->manager, to->pool, &spec, 1, NULL) != WEIR_OK) {
            fprintf(stderr, "weir-samples: a job was not accepted\n");
            exit(1);
        }
    }
}

void await_ends(uint32_t count)
{
    const uint64_t deadline_ns = weir_deadline_in(PATIENCE_NS);
    while (weir_load_relaxed_u32(&ended) < count && weir_os()->clock_ns() < deadline_ns) {
        nap_ms(2);
    }
}

weir_worker_info look(const scene *at, uint32_t seat)
{
    weir_worker_info workers[8];
    const size_t count = weir_manager_read_workers(at->manager, workers, 8);
    return seat < count ? workers[seat] : (weir_worker_info){0};
}

void await_ready_again(const scene *at, uint32_t seat, uint32_t after_generation)
{
    for (int i = 0; i < 2000; i++) {
        const weir_worker_info now = look(at, seat);
        if (now.state == WEIR_SEAT_READY && now.generation > after_generation) {
            return;
        }
        nap_ms(5);
    }
}
