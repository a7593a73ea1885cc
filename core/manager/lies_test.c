/* A worker that lies: what it says is found out, dropped or harmless, and nobody else suffers. */
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "channel/testing/liar.h"
#include "manager/testing/house.h"

#define JOBS 24

typedef struct scene {
    house house;
    weir_pool_id honest;
    weir_pool_id liars;
    house_job jobs[JOBS];
} scene;

static scene the_scene;

static weir_pool_options liar_pool(int lie)
{
    static char number[16];
    static char seed[32];
    static char path[512];
    static const char *command[4];
    snprintf(path, sizeof path, "%s", weir_test_program("liar_program"));
    snprintf(number, sizeof number, "%d", lie);
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)weir_test_seed());
    command[0] = path;
    command[1] = number;
    command[2] = seed;
    weir_pool_options options = house_pool(1, NULL);
    options.role = "liars";
    options.command = command;
    /* Few slots and places, so that what it says of them soon matters. */
    weir_arena_config_default(&options.arena);
    options.arena.ring_capacity = 16;
    options.arena.request_class_count = 1;
    options.arena.request_class[0] = (weir_size_class){.slot_bytes = 256, .slot_count = 16};
    options.in_flight_max = 4;
    options.deferred_max = 100;
    return options;
}

static scene *open_scene(int lie)
{
    scene *scene = &the_scene;
    house_open(&scene->house, NULL);
    const weir_pool_options honest = house_pool(1, NULL);
    scene->honest = house_add_ready(&scene->house, &honest);
    const weir_pool_options liars = liar_pool(lie);
    scene->liars = house_add_ready(&scene->house, &liars);
    return scene;
}

/* Idempotent jobs one after the other, each with a deadline, until all have ended. */
static void send_all(scene *scene)
{
    for (size_t i = 0; i < JOBS; i++) {
        scene->jobs[i] = house_make(&scene->house, WEIR_OPCODE_ECHO, 100);
        weir_job_spec spec = house_spec(&scene->jobs[i]);
        spec.idempotent = true;
        spec.deadline_ns = weir_test_deadline(4);
        house_submit(scene->liars, &scene->jobs[i], &spec);
    }
    house_settle(&scene->house);
    for (size_t i = 0; i < JOBS; i++) {
        WEIR_EXPECT_EQ(scene->jobs[i].ends, 1);
        if (scene->jobs[i].outcome == WEIR_OUTCOME_OK) {
            WEIR_EXPECT_TRUE(scene->jobs[i].is_reply_right);
        }
    }
}

static size_t count_outcome(const scene *scene, weir_outcome_code outcome)
{
    size_t count = 0;
    for (size_t i = 0; i < JOBS; i++) {
        count += scene->jobs[i].outcome == outcome;
    }
    return count;
}

/* The honest pool works as if nothing had happened. */
static void close_scene(scene *scene)
{
    for (int i = 0; i < 20; i++) {
        house_do(&scene->house, scene->honest, WEIR_OPCODE_ECHO, 3000, WEIR_OUTCOME_OK);
    }
    weir_worker_info workers[4];
    const size_t count = weir_manager_read_workers(scene->house.manager, workers, 4);
    WEIR_EXPECT_EQ(count, 2);
    WEIR_EXPECT_EQ(workers[0].restarts, 0);
    house_close(&scene->house);
}

static void expect_found_out(int lie)
{
    scene *scene = open_scene(lie);
    send_all(scene);
    house_event fenced;
    house_await(&scene->house, "protocol_error", 1, &fenced);
    WEIR_EXPECT_GE(house_stats(&scene->house).protocol_errors, 1);
    WEIR_EXPECT_GE(count_outcome(scene, WEIR_OUTCOME_OK), LIAR_HONEST_JOBS);
    house_await(&scene->house, "exited", 1, NULL);
    close_scene(scene);
}

#define FOUND_OUT(name, lie)                                                                       \
    WEIR_TEST(lies, name)                                                                          \
    {                                                                                              \
        expect_found_out(lie);                                                                     \
    }

FOUND_OUT(a_bad_header_checksum_ends_the_incarnation, LIE_HEADER_CRC)
FOUND_OUT(a_wrong_sequence_under_the_seal_ends_the_incarnation, LIE_SEQUENCE)
FOUND_OUT(a_wrong_generation_ends_the_incarnation, LIE_GENERATION)
FOUND_OUT(an_unknown_status_ends_the_incarnation, LIE_STATUS_UNKNOWN)
FOUND_OUT(the_status_of_a_request_ends_the_incarnation, LIE_STATUS_NONE)
FOUND_OUT(a_payload_offset_outside_ends_the_incarnation, LIE_OFFSET_OUTSIDE)
FOUND_OUT(a_payload_length_outside_ends_the_incarnation, LIE_LENGTH_OUTSIDE)
FOUND_OUT(a_payload_that_is_no_slots_start_ends_the_incarnation, LIE_OFFSET_INSIDE_A_SLOT)
FOUND_OUT(unknown_flags_end_the_incarnation, LIE_FLAGS)
FOUND_OUT(another_version_ends_the_incarnation, LIE_VERSION)
FOUND_OUT(another_magic_ends_the_incarnation, LIE_MAGIC)
FOUND_OUT(packing_that_was_not_agreed_ends_the_incarnation, LIE_PACKED_WITHOUT_AGREEMENT)
FOUND_OUT(more_replies_than_requests_end_the_incarnation, LIE_MORE_REPLIES_THAN_REQUESTS)
FOUND_OUT(the_release_of_a_slot_that_is_not_out_ends_the_incarnation, LIE_RELEASE_NOT_TAKEN)
FOUND_OUT(a_slot_released_twice_ends_the_incarnation, LIE_RELEASE_TWICE)
FOUND_OUT(the_release_of_no_slot_ends_the_incarnation, LIE_RELEASE_NO_SLOT)
FOUND_OUT(a_release_count_ahead_ends_the_incarnation, LIE_RELEASE_COUNT_AHEAD)
FOUND_OUT(a_release_count_that_runs_backwards_ends_the_incarnation, LIE_RELEASE_COUNT_BACKWARDS)
FOUND_OUT(a_consumed_count_ahead_ends_the_incarnation, LIE_CONSUMED_AHEAD)
FOUND_OUT(a_consumed_count_that_runs_backwards_ends_the_incarnation, LIE_CONSUMED_BACKWARDS)

static void expect_stray(int lie, size_t ok)
{
    scene *scene = open_scene(lie);
    send_all(scene);
    WEIR_EXPECT_GE(house_stats(&scene->house).stray_replies, 1);
    WEIR_EXPECT_GE(count_outcome(scene, WEIR_OUTCOME_OK), ok);
    close_scene(scene);
}

WEIR_TEST(lies, a_duplicate_reply_is_a_stray)
{
    expect_stray(LIE_DUPLICATE, LIAR_HONEST_JOBS);
}

WEIR_TEST(lies, a_reply_to_a_job_that_never_was_is_a_stray)
{
    expect_stray(LIE_JOB_NEVER_SENT, JOBS - 1);
}

WEIR_TEST(lies, a_reply_with_another_opcode_is_a_stray)
{
    expect_stray(LIE_OTHER_OPCODE, JOBS - 1);
}

WEIR_TEST(lies, a_reply_with_another_correlation_is_a_stray)
{
    expect_stray(LIE_OTHER_CORRELATION, JOBS - 1);
}

WEIR_TEST(lies, a_payload_changed_behind_its_checksum_makes_the_job_corrupt)
{
    scene *scene = open_scene(LIE_PAYLOAD_CHANGED);
    send_all(scene);
    WEIR_EXPECT_EQ(count_outcome(scene, WEIR_OUTCOME_CORRUPT), 1);
    WEIR_EXPECT_EQ(count_outcome(scene, WEIR_OUTCOME_OK), JOBS - 1);
    WEIR_EXPECT_EQ(house_stats(&scene->house).protocol_errors, 0);
    close_scene(scene);
}

static void expect_harmless(int lie)
{
    scene *scene = open_scene(lie);
    send_all(scene);
    WEIR_EXPECT_EQ(count_outcome(scene, WEIR_OUTCOME_OK), JOBS);
    WEIR_EXPECT_EQ(house_stats(&scene->house).protocol_errors, 0);
    close_scene(scene);
}

#define HARMLESS(name, lie)                                                                        \
    WEIR_TEST(lies, name)                                                                          \
    {                                                                                              \
        expect_harmless(lie);                                                                      \
    }

HARMLESS(a_begun_marker_ahead_harms_no_live_worker, LIE_BEGUN_AHEAD)
HARMLESS(a_begun_marker_backwards_harms_no_live_worker, LIE_BEGUN_BACKWARDS)
HARMLESS(garbage_telemetry_is_only_garbage, LIE_TELEMETRY)
HARMLESS(a_drained_eventfd_is_backed_by_a_look, LIE_DRAINED_EVENTFD)
HARMLESS(a_full_eventfd_blocks_nobody, LIE_FILLED_EVENTFD)
HARMLESS(cleared_nonblocking_flags_block_nobody, LIE_BLOCKING_EVENTFD)
HARMLESS(refusing_all_strategies_only_costs_time, LIE_REFUSED_STRATEGIES)
HARMLESS(a_wild_parked_word_only_costs_a_wake, LIE_PARKED_WORD)
HARMLESS(garbage_on_the_control_socket_is_dropped, LIE_SOCKET_GARBAGE)

WEIR_TEST(lies, a_begun_marker_ahead_at_death_is_not_believed)
{
    scene *scene = open_scene(LIE_BEGUN_AHEAD_AND_DIE);
    send_all(scene);
    /* Each life serves some jobs; all are idempotent, so they are tried again up to the limit. */
    WEIR_EXPECT_GE(count_outcome(scene, WEIR_OUTCOME_OK), LIAR_HONEST_JOBS);
    WEIR_EXPECT_EQ(count_outcome(scene, WEIR_OUTCOME_OK) +
                       count_outcome(scene, WEIR_OUTCOME_WORKER_LOST),
                   JOBS);
    close_scene(scene);
}

WEIR_TEST(lies, a_worker_that_says_it_drains_is_taken_at_its_word)
{
    scene *scene = open_scene(LIE_STATE);
    send_all(scene);
    WEIR_EXPECT_EQ(count_outcome(scene, WEIR_OUTCOME_OK), JOBS);
    house_await(&scene->house, "stopped", 1, NULL);
    close_scene(scene);
}

WEIR_TEST(lies, a_worker_that_begins_and_never_answers_is_stuck)
{
    scene *scene = &the_scene;
    house_open(&scene->house, NULL);
    const weir_pool_options honest = house_pool(1, NULL);
    scene->honest = house_add_ready(&scene->house, &honest);
    weir_pool_options liars = liar_pool(LIE_SILENT);
    liars.stuck_ns = 100 * WEIR_NS_PER_MS;
    scene->liars = house_add_ready(&scene->house, &liars);
    house_job job = house_make(&scene->house, WEIR_OPCODE_ECHO, 100);
    weir_job_spec spec = house_spec(&job);
    spec.deadline_ns = weir_deadline_in(50 * WEIR_NS_PER_MS);
    house_submit(scene->liars, &job, &spec);
    house_expect(&job, WEIR_OUTCOME_TIMEOUT);
    house_await(&scene->house, "stuck", 1, NULL);
    close_scene(scene);
}

/* Every job needs the only slot, which comes back long after the reply: the release itself must
 * wake who waits for it. */
WEIR_TEST(lies, a_slot_given_back_after_the_reply_is_noticed_at_once)
{
    scene *scene = &the_scene;
    house_open(&scene->house, NULL);
    const weir_pool_options honest = house_pool(1, NULL);
    scene->honest = house_add_ready(&scene->house, &honest);
    weir_pool_options liars = liar_pool(LIE_LATE_RELEASE);
    liars.arena.request_class[0].slot_count = 1;
    liars.policy = WEIR_ROOM_WAIT;
    scene->liars = house_add_ready(&scene->house, &liars);
    for (size_t i = 0; i < 6; i++) {
        scene->jobs[i] = house_make(&scene->house, WEIR_OPCODE_ECHO, 100);
        weir_job_spec spec = house_spec(&scene->jobs[i]);
        spec.deadline_ns = weir_test_deadline(3);
        house_submit(scene->liars, &scene->jobs[i], &spec);
        house_expect(&scene->jobs[i], WEIR_OUTCOME_OK);
    }
    close_scene(scene);
}

/* Two liars of one pool: one sits on a job, the other one answers it. */
WEIR_TEST(lies, a_reply_to_a_job_of_another_worker_is_a_stray)
{
    static house house;
    static house_job victim;
    static house_job forger;
    char words[64];
    house_open(&house, NULL);
    weir_pool_options options = liar_pool(LIE_JOB_ELSEWHERE);
    options.worker_count = 2;
    const weir_pool_id pool = house_add_ready(&house, &options);
    victim = house_make(&house, WEIR_OPCODE_ECHO, 0);
    victim.string = "none";
    weir_job_spec spec = house_spec(&victim);
    house_submit(pool, &victim, &spec);
    forger = house_make(&house, WEIR_OPCODE_ECHO, 0);
    snprintf(words, sizeof words, "%llu %llu", (unsigned long long)victim.id,
             (unsigned long long)victim.correlation_id);
    forger.string = words;
    spec = house_spec(&forger);
    house_submit(pool, &forger, &spec);
    const uint64_t deadline_ns = weir_test_deadline(HOUSE_PATIENCE_S);
    while (house_stats(&house).stray_replies == 0 && victim.ends == 0 &&
           weir_os()->clock_ns() < deadline_ns) {
        house_pass(&house, 0.002);
    }
    WEIR_EXPECT_EQ(victim.ends, 0);
    WEIR_EXPECT_EQ(house_stats(&house).stray_replies, 1);
    WEIR_EXPECT_EQ(house_worker(&house, 0).in_flight, 1);
    WEIR_EXPECT_EQ(house_worker(&house, 1).in_flight, 1);
    WEIR_EXPECT_STATUS(weir_cancel(house.manager, victim.id), WEIR_OK);
    WEIR_EXPECT_STATUS(weir_cancel(house.manager, forger.id), WEIR_OK);
    house_close(&house);
}

#define COPY_BYTES 65536

static uint8_t *copy;
static pid_t rewriter;
static char rewrite_gate[96];

/* The manager's thread has written the first byte of the copy: the worker now changes the last byte
 * of the original, and only then the copying goes on. */
static void let_worker_rewrite(int number, siginfo_t *info, void *context)
{
    (void)context;
    const struct timespec moment = {.tv_nsec = WEIR_NS_PER_MS};
    if ((uintptr_t)info->si_addr - (uintptr_t)copy >= COPY_BYTES ||
        mprotect(copy, COPY_BYTES, PROT_READ | PROT_WRITE) != 0 || kill(rewriter, SIGUSR1) != 0) {
        signal(number, SIG_DFL); /* A fault of its own. */
        return;
    }
    for (int i = 0; i < 20000 && access(rewrite_gate, F_OK) == 0; i++) {
        nanosleep(&moment, NULL);
    }
}

static void echo_into_copy(house *house, weir_pool_id pool, weir_outcome_code outcome)
{
    house_job job = house_make(house, WEIR_OPCODE_ECHO, COPY_BYTES);
    weir_job_spec spec = house_spec(&job);
    spec.result_buffer = copy;
    spec.result_capacity = COPY_BYTES;
    house_submit(pool, &job, &spec);
    house_expect(&job, outcome);
}

/* What is copied to the caller's buffer is what is verified: right bytes or none. */
WEIR_TEST(lies, a_reply_rewritten_while_it_is_copied_is_corrupt)
{
    static house house;
    house_open(&house, NULL);
    snprintf(rewrite_gate, sizeof rewrite_gate, "%s.rewrite", house.directory);
    weir_pool_options options = liar_pool(LIE_REWRITE);
    const char *const command[] = {options.command[0], options.command[1], options.command[2],
                                   rewrite_gate, NULL};
    options.command = command;
    options.arena.request_class[0] = (weir_size_class){.slot_bytes = COPY_BYTES, .slot_count = 4};
    const weir_pool_id pool = house_add_ready(&house, &options);
    copy = mmap(NULL, COPY_BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    WEIR_EXPECT_TRUE(copy != MAP_FAILED);
    rewriter = house_worker(&house, 0).pid;
    FILE *gate = fopen(rewrite_gate, "wxe");
    WEIR_EXPECT_NOT_NULL(gate);
    fclose(gate);
    const struct sigaction at_fault = {.sa_sigaction = let_worker_rewrite, .sa_flags = SA_SIGINFO};
    WEIR_EXPECT_EQ(sigaction(SIGSEGV, &at_fault, NULL), 0);
    echo_into_copy(&house, pool, WEIR_OUTCOME_CORRUPT);
    WEIR_EXPECT_EQ(access(rewrite_gate, F_OK), -1); /* It was rewritten. */
    echo_into_copy(&house, pool, WEIR_OUTCOME_OK);
    munmap(copy, COPY_BYTES);
    house_close(&house);
}

WEIR_TEST(lies, random_bytes_everywhere_for_seconds_harm_nobody_else, .timeout = 120)
{
    scene *scene = open_scene(LIE_NOISE);
    const uint64_t until_ns = weir_deadline_in((HOUSE_IS_SLOW ? 6 : 4) * WEIR_NS_PER_SECOND);
    uint64_t rounds = 0;
    while (weir_os()->clock_ns() < until_ns) {
        static house_job job;
        job = house_make(&scene->house, WEIR_OPCODE_ECHO, 100);
        weir_job_spec spec = house_spec(&job);
        spec.idempotent = rounds % 2 == 0;
        spec.deadline_ns = weir_deadline_in(20 * WEIR_NS_PER_MS);
        house_submit(scene->liars, &job, &spec);
        house_do(&scene->house, scene->honest, WEIR_OPCODE_ECHO, 500, WEIR_OUTCOME_OK);
        while (job.ends == 0) {
            house_pass(&scene->house, 0.001);
        }
        (void)house_stats(&scene->house);
        rounds++;
    }
    const weir_manager_stats stats = house_stats(&scene->house);
    printf("noise: %llu rounds, %llu protocol errors, %llu strays, %llu restarts\n",
           (unsigned long long)rounds, (unsigned long long)stats.protocol_errors,
           (unsigned long long)stats.stray_replies, (unsigned long long)stats.restarts);
    WEIR_EXPECT_GE(stats.protocol_errors, 1);
    close_scene(scene);
}

WEIR_TEST(lies, truncated_posix_memory_ends_the_incarnation_and_not_the_manager)
{
    scene *scene = &the_scene;
    house_open(&scene->house, NULL);
    const weir_pool_options honest = house_pool(1, NULL);
    scene->honest = house_add_ready(&scene->house, &honest);
    weir_pool_options liars = liar_pool(LIE_TRUNCATE);
    liars.arena.backing = WEIR_BACKING_SHM;
    scene->liars = house_add(&scene->house, &liars);
    house_event fenced;
    house_await(&scene->house, "protocol_error", 1, &fenced);
    WEIR_EXPECT_STR_HAS(fenced.text, "truncated");
    close_scene(scene);
}
