/**
 * @file
 * Prints the samples of docs/06-TELEMETRY-SAMPLES.md and the worked example of docs/protocol.md.
 *
 * Purpose: what the documents show comes out of a run, not out of somebody's head. Each subject
 * starts a manager with real workers (this program again, as `--worker`), does one thing, and
 * prints every event as one JSON object per line.
 *
 * Here is one function for each subject; scene.h has the manager, worker.h the worker, records.h
 * the printing of records.
 *
 * Threads: main, and the manager's own. Blocking: seconds.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "docs/samples/records.h"
#include "docs/samples/scene.h"
#include "docs/samples/worker.h"

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
    print_control(arena);
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
    set_worker_path(argv[0]);
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
