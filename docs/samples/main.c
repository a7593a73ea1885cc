/**
 * @file
 * Prints the samples of docs/06-TELEMETRY-SAMPLES.md and the worked example of docs/protocol.md.
 *
 * Purpose: what the documents show comes out of a run, not out of somebody's head. Each subject
 * starts a manager with real workers (this program again, as `--worker`), does one thing, and
 * prints every event as one JSON object per line.
 *
 * Looks into the manager's private structures for the raw words of shared memory, which no program
 * should do; events, workers and statistics come through weir/manager.h.
 *
 * Long because it is a list: worker, printing, and one function per subject.
 *
 * Threads: main, and the manager's own. Blocking: seconds.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/os.h"
#include "channel/telemetry.h"
#include "manager/registry.h"
#include "weir/manager.h"
#include "weir/worker.h"
#include "worker/loop.h"

enum {
    OPCODE_HANG = WEIR_OPCODE_APPLICATION_FIRST, /**< Never returns. */
    OPCODE_LIE,                                  /**< Publishes a reply of another generation. */
    OPCODE_FAIL,                                 /**< Fails with a sentence. */
    OPCODE_NAP,                                  /**< Sleeps for 50 ms. */
};

#define PATIENCE_NS (10 * WEIR_NS_PER_SECOND)

static const char *own_path;
static uint64_t start_ns;
static uint32_t ended; /* atomic */

static void nap_ms(long ms)
{
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* ---- the worker ---- */

static weir_status run_echo(weir_job *job, void *context)
{
    (void)context;
    size_t bytes = 0;
    const void *request = weir_job_request(job, &bytes);
    void *reply = NULL;
    const weir_status status = weir_job_reply(job, bytes, &reply);
    if (status == WEIR_OK && bytes > 0) {
        memcpy(reply, request, bytes);
    }
    return status;
}

static weir_status run_hang(weir_job *job, void *context)
{
    (void)job;
    (void)context;
    for (;;) {
        pause();
    }
    return WEIR_OK;
}

static weir_status run_lie(weir_job *job, void *context)
{
    (void)context;
    weir_worker *worker = job->worker;
    struct weir_envelope lie = {
        .magic = WEIR_ENVELOPE_MAGIC,
        .version = worker->envelope_terms.version,
        .opcode = job->request.opcode,
        .status = WEIR_REPLY_STATUS_OK,
        .generation = worker->envelope_terms.generation + 1,
        .job_id = job->request.job_id,
    };
    weir_envelope_seal(&lie, weir_ring_next_index(&worker->responses));
    weir_ring_stage(&worker->responses, &lie);
    return WEIR_OK;
}

static weir_status run_fail(weir_job *job, void *context)
{
    (void)context;
    weir_job_fail(job, "the map has no way out");
    return WEIR_INVALID;
}

static weir_status run_nap(weir_job *job, void *context)
{
    (void)job;
    (void)context;
    nap_ms(50);
    return WEIR_OK;
}

static int serve(int argc, char **argv)
{
    static const weir_worker_routine routines[] = {
        {WEIR_OPCODE_ECHO, run_echo}, {OPCODE_HANG, run_hang}, {OPCODE_LIE, run_lie},
        {OPCODE_FAIL, run_fail},      {OPCODE_NAP, run_nap},
    };
    const weir_worker_options options = {
        .role = "samples",
        .routines = routines,
        .routine_count = sizeof routines / sizeof routines[0],
    };
    return weir_worker_main(&options, argc, argv);
}

/* ---- the manager ---- */

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

static void give_up(const char *doing, const weir_error *error)
{
    fprintf(stderr, "weir-samples: %s: %s\n", doing, error->text);
    exit(3);
}

typedef struct scene {
    weir_manager *manager;
    weir_pool_id pool;
    weir_pool_options options;
} scene;

static void open_scene(scene *to, bool is_traced, bool is_silent)
{
    weir_error error = {{0}};
    const weir_manager_options options = {
        .on_event = is_silent ? NULL : print_event, .trace_jobs = is_traced, .seed = 1};
    start_ns = weir_os()->clock_ns();
    if (weir_manager_create(&options, &to->manager, &error) != WEIR_OK) {
        give_up("no manager", &error);
    }
}

static void add_pool(scene *to, bool awaits)
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

static void submit(const scene *to, uint16_t opcode, uint32_t bytes, uint32_t count,
                   uint64_t deadline_ns, bool is_shown)
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

static void await_ends(uint32_t count)
{
    const uint64_t deadline_ns = weir_deadline_in(PATIENCE_NS);
    while (weir_load_relaxed_u32(&ended) < count && weir_os()->clock_ns() < deadline_ns) {
        nap_ms(2);
    }
}

static weir_worker_info look(const scene *at, uint32_t seat)
{
    weir_worker_info workers[8];
    const size_t count = weir_manager_read_workers(at->manager, workers, 8);
    return seat < count ? workers[seat] : (weir_worker_info){0};
}

static void await_ready_again(const scene *at, uint32_t seat, uint32_t after_generation)
{
    for (int i = 0; i < 2000; i++) {
        const weir_worker_info now = look(at, seat);
        if (now.state == WEIR_SEAT_READY && now.generation > after_generation) {
            return;
        }
        nap_ms(5);
    }
}

/* The live incarnation of a seat; its memory stays where it is while nobody kills it. */
static weir_incarnation *peek(const scene *at, uint32_t seat)
{
    return at->manager->pools[at->pool]->seats[seat].now;
}

/* ---- subjects ---- */

static void print_workers(const scene *at)
{
    weir_worker_info workers[8];
    const size_t count = weir_manager_read_workers(at->manager, workers, 8);
    for (size_t i = 0; i < count && i < 8; i++) {
        const weir_worker_info *w = &workers[i];
        printf("role %s language %s pool %u seat %u state %s generation %u pid %d\n", w->role,
               w->language, w->pool, w->seat, weir_seat_state_name(w->state), w->generation,
               (int)w->pid);
        printf("  layout_minor %u capabilities 0x%x wake_strategy %s restarts %u\n",
               w->layout_minor, w->capabilities, weir_wake_strategy_name(w->wake_strategy),
               w->restarts);
        printf("  in_flight %u request_slots_taken %u ready_since_ns %" PRIu64 "\n", w->in_flight,
               w->request_slots_taken, w->ready_since_ns);
        printf("  beat_ns %" PRIu64 " beat_count %" PRIu64 " jobs_ok %" PRIu64
               " jobs_failed %" PRIu64 "\n",
               w->beat_ns, w->beat_count, w->jobs_ok, w->jobs_failed);
        printf("  last_job_ns %" PRIu64 " busy_since_ns %" PRIu64 " queue_depth %" PRIu64 "\n",
               w->last_job_ns, w->busy_since_ns, w->queue_depth);
        printf("  parks %" PRIu64 " spin_hits %" PRIu64 " wakes_sent %" PRIu64
               " bytes_copied %" PRIu64 " errors %" PRIu64 " torn %d\n",
               w->parks, w->spin_hits, w->wakes_sent, w->bytes_copied, w->errors, w->torn);
    }
}

static void print_telemetry(const scene *at, uint32_t seat)
{
    struct weir_telemetry t;
    if (weir_telemetry_read(peek(at, seat)->arena.telemetry, &t) != WEIR_OK) {
        printf("telemetry: torn\n");
        return;
    }
    printf("sequence %" PRIu64 "\nbeat_ns %" PRIu64 "\nbeat_count %" PRIu64 "\njobs_ok %" PRIu64
           "\njobs_failed %" PRIu64 "\nlast_job_ns %" PRIu64 "\nbusy_since_ns %" PRIu64
           "\nqueue_depth %" PRIu64 "\nrequest_bytes %" PRIu64 "\nresponse_bytes %" PRIu64
           "\nbytes_copied %" PRIu64 "\nslot_waits %" PRIu64
           "\nwake_strategy %u\nwake_switches %u\nparks %" PRIu64 "\nspin_hits %" PRIu64
           "\nwakes_sent %" PRIu64 "\n",
           t.sequence, t.beat_ns, t.beat_count, t.jobs_ok, t.jobs_failed, t.last_job_ns,
           t.busy_since_ns, t.queue_depth, t.request_bytes, t.response_bytes, t.bytes_copied,
           t.slot_waits, t.wake_strategy, t.wake_switches, t.parks, t.spin_hits, t.wakes_sent);
    for (uint32_t i = 0; i <= WEIR_ERROR_CODE_MAX; i++) {
        if (t.errors[i] != 0) {
            printf("errors[%u] %" PRIu64 " (%s)\n", i, t.errors[i], weir_error_code_name(i));
        }
    }
}

static void print_stats(const scene *at)
{
    weir_manager_stats s;
    weir_manager_read_stats(at->manager, &s);
    printf("submitted %" PRIu64 " sent %" PRIu64 " resent %" PRIu64 " deferred %" PRIu64 "\n",
           s.submitted, s.sent, s.resent, s.deferred);
    printf("outcomes");
    for (uint32_t i = 1; i < WEIR_OUTCOME_CODES; i++) {
        printf(" %s %" PRIu64, weir_outcome_name(i), s.outcomes[i]);
    }
    printf("\nstray_replies %" PRIu64 " protocol_errors %" PRIu64 " restarts %" PRIu64 "\n",
           s.stray_replies, s.protocol_errors, s.restarts);
    printf("bytes_copied %" PRIu64 " wakes_sent %" PRIu64 " parks %" PRIu64 " spin_hits %" PRIu64
           "\n",
           s.bytes_copied, s.wakes_sent, s.parks, s.spin_hits);
    printf("in_flight %" PRIu64 " deferred_now %" PRIu64 " slots_taken %" PRIu64
           " held_bytes %" PRIu64 " mappings %" PRIu64 "\n",
           s.in_flight, s.deferred_now, s.slots_taken, s.held_bytes, s.mappings);
}

static void show_registry(scene *at)
{
    at->options.worker_count = 2;
    at->options.policy = WEIR_ROOM_DEFER;
    open_scene(at, false, true);
    add_pool(at, true);
    submit(at, WEIR_OPCODE_ECHO, 1000, 400, 0, false);
    submit(at, OPCODE_FAIL, 0, 3, 0, false);
    await_ends(403);
    submit(at, OPCODE_NAP, 0, 24, 0, false);
    nap_ms(600); /* past a beat */
    printf("-- registry (weir_manager_read_workers)\n");
    print_workers(at);
    printf("-- telemetry block of seat 0\n");
    print_telemetry(at, 0);
    await_ends(427);
    printf("-- statistics (weir_manager_read_stats)\n");
    print_stats(at);
}

static void print_hex(const char *name, const void *from, size_t bytes)
{
    const unsigned char *at = from;
    printf("%s\n", name);
    for (size_t i = 0; i < bytes; i += 16) {
        printf("  %04zx ", i);
        for (size_t k = i; k < i + 16 && k < bytes; k++) {
            printf(" %02x", at[k]);
        }
        printf("\n");
    }
}

static void show_envelope(scene *at)
{
    open_scene(at, false, true);
    add_pool(at, true);
    submit(at, WEIR_OPCODE_ECHO, 33, 1, weir_deadline_in(PATIENCE_NS), true);
    await_ends(1);
    nap_ms(10);
    const weir_arena *arena = &peek(at, 0)->arena;
    print_hex("request envelope, slot 0 of request_ring", arena->request_ring.at, 64);
    print_hex("its payload, slot 0 of request_payload", arena->request_payload.at, 33);
    print_hex("response envelope, slot 0 of response_ring", arena->response_ring.at, 64);
    print_hex("entry 0 of request_release", arena->request_release.at, 4);
    const struct weir_manager_control *a = arena->manager_control;
    const struct weir_worker_control *b = arena->worker_control;
    printf("A: request_published %" PRIu64 " response_consumed %" PRIu64
           " response_released %" PRIu64 " request_bell %u command %u manager_parked 0x%x\n",
           weir_load_relaxed_u64(&a->request_published),
           weir_load_relaxed_u64(&a->response_consumed),
           weir_load_relaxed_u64(&a->response_released), weir_load_relaxed_u32(&a->request_bell),
           weir_load_relaxed_u32(&a->command), weir_load_relaxed_u32(&a->manager_parked));
    printf(
        "B: response_published %" PRIu64 " request_consumed %" PRIu64 " request_released %" PRIu64
        " response_bell %u state %u worker_parked 0x%x begun %" PRIu64 " progress %" PRIu64 "\n",
        weir_load_relaxed_u64(&b->response_published), weir_load_relaxed_u64(&b->request_consumed),
        weir_load_relaxed_u64(&b->request_released), weir_load_relaxed_u32(&b->response_bell),
        weir_load_relaxed_u32(&b->state), weir_load_relaxed_u32(&b->worker_parked),
        weir_load_relaxed_u64(&b->begun), weir_load_relaxed_u64(&b->progress));
}

static void show_traces(scene *at)
{
    open_scene(at, true, false);
    add_pool(at, true);
    submit(at, WEIR_OPCODE_ECHO, 33, 2, 0, false);
    submit(at, OPCODE_FAIL, 0, 1, 0, false);
    submit(at, WEIR_OPCODE_SIMULATE, 33, 1, 0, false);
    await_ends(4);
}

static void show_killed(scene *at)
{
    at->options.worker_count = 2;
    open_scene(at, false, false);
    add_pool(at, true);
    submit(at, OPCODE_NAP, 0, 8, 0, true);
    const weir_worker_info victim = look(at, 1);
    nap_ms(70);
    kill(victim.pid, SIGKILL);
    await_ends(8);
    await_ready_again(at, 1, victim.generation);
    print_stats(at);
}

static void show_protocol_error(scene *at)
{
    open_scene(at, false, false);
    add_pool(at, true);
    submit(at, OPCODE_LIE, 0, 1, 0, true);
    await_ends(1);
    await_ready_again(at, 0, 1);
    print_stats(at);
}

static void show_stuck(scene *at)
{
    at->options.stuck_ns = 300 * WEIR_NS_PER_MS;
    open_scene(at, false, false);
    add_pool(at, true);
    submit(at, OPCODE_HANG, 0, 1, weir_deadline_in(100 * WEIR_NS_PER_MS), true);
    await_ends(1);
    await_ready_again(at, 0, 1);
}

static void show_silent(scene *at)
{
    at->options.silence_ns = WEIR_NS_PER_SECOND;
    open_scene(at, false, false);
    add_pool(at, true);
    kill(look(at, 0).pid, SIGSTOP);
    await_ready_again(at, 0, 1);
}

static void show_drained(scene *at)
{
    open_scene(at, false, false);
    add_pool(at, true);
    nap_ms(50); /* READY comes a moment before the worker takes SIGTERM */
    kill(look(at, 0).pid, SIGTERM);
    await_ready_again(at, 0, 1);
}

static void show_reloaded(scene *at)
{
    weir_error error = {{0}};
    open_scene(at, false, false);
    add_pool(at, true);
    if (weir_manager_reload(at->manager, at->pool, weir_deadline_in(PATIENCE_NS), &error) !=
        WEIR_OK) {
        give_up("no reload", &error);
    }
}

static void show_quarantined(scene *at)
{
    static const char *const command[] = {"/bin/false", NULL};
    weir_error error = {{0}};
    at->options.command = command;
    at->options.deaths_max = 2;
    at->options.backoff_first_ns = 20 * WEIR_NS_PER_MS;
    open_scene(at, false, false);
    add_pool(at, false);
    const weir_status status =
        weir_manager_await_ready(at->manager, at->pool, weir_deadline_in(PATIENCE_NS), &error);
    nap_ms(100);
    printf("weir_manager_await_ready: %s: %s\n", weir_status_name(status), error.text);
    submit(at, WEIR_OPCODE_ECHO, 33, 1, 0, true);
    await_ends(1);
}

static void show_refused(scene *at)
{
    weir_error error = {{0}};
    at->options.role = "painter";
    at->options.deaths_max = 1;
    open_scene(at, false, false);
    add_pool(at, false);
    (void)!weir_manager_await_ready(at->manager, at->pool, weir_deadline_in(PATIENCE_NS), &error);
    nap_ms(200);
}

typedef struct subject {
    const char *name;
    void (*show)(scene *at);
} subject;

static const subject subjects[] = {
    {"registry", show_registry},
    {"envelope", show_envelope},
    {"traces", show_traces},
    {"killed", show_killed},
    {"protocol-error", show_protocol_error},
    {"stuck", show_stuck},
    {"silent", show_silent},
    {"drained", show_drained},
    {"reloaded", show_reloaded},
    {"quarantined", show_quarantined},
    {"refused", show_refused},
};

int main(int argc, char **argv)
{
    own_path = argv[0];
    if (argc > 1 && strcmp(argv[1], "--worker") == 0) {
        return serve(argc, argv);
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; argc == 2 && i < sizeof subjects / sizeof subjects[0]; i++) {
        if (strcmp(argv[1], subjects[i].name) == 0) {
            static scene at;
            subjects[i].show(&at);
            weir_manager_destroy(at.manager);
            return 0;
        }
    }
    fprintf(stderr, "usage: weir-samples SUBJECT; subjects:");
    for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; i++) {
        fprintf(stderr, " %s", subjects[i].name);
    }
    fprintf(stderr, "\n");
    return 2;
}
