/* The `weir` command as a person meets it: the real binary, its exit codes, words and traces.
 *
 * Long because all scenes share one stage: a place of their own, a way to start `weir`, and the
 * check that nothing is left. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "harness/options.h"
#include "harness/testing/weir_test.h"

enum { OUTPUT_MAX = 65536, ARGUMENTS_MAX = 24 };

/* A place of its own for each test: runtime directory, workload, output. */
typedef struct place {
    char root[64];
    char runtime[80];
    char workload[80];
    char output[80];
    char json[80];
} place;

typedef struct command {
    const place *at;
    char *arguments[ARGUMENTS_MAX];
} command;

static char output[OUTPUT_MAX];

static const char small_mix[] = "name = \"small\"\njobs = 400\nconcurrency = 32\nbatch = 4\n"
                                "callers = 2\ndeadline = \"60s\"\nidempotent = true\n"
                                "[[mix]]\nopcode = \"echo\"\nweight = 4\n"
                                "size = { log_uniform = [0, \"64K\"] }\n"
                                "[[mix]]\nopcode = \"crc\"\nweight = 4\n"
                                "size = { uniform = [0, \"8K\"] }\n"
                                "[[mix]]\nopcode = \"simulate\"\nsize = 300\n"
                                "[[mix]]\nopcode = \"pathfind\"\nsize = 300\n"
                                "[[mix]]\nopcode = \"worldgen\"\nsize = 500\n"
                                "[[mix]]\nopcode = \"analytics\"\nsize = 500\n";

static void write_file(const char *path, const char *text, mode_t mode)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    WEIR_EXPECT_GE(fd, 0);
    WEIR_EXPECT_EQ(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static place make_place(void)
{
    place at = {.root = "/tmp/weir-cli-XXXXXX"};
    WEIR_EXPECT_NOT_NULL(mkdtemp(at.root));
    snprintf(at.runtime, sizeof at.runtime, "%s/run", at.root);
    snprintf(at.workload, sizeof at.workload, "%s/w.toml", at.root);
    snprintf(at.output, sizeof at.output, "%s/out", at.root);
    snprintf(at.json, sizeof at.json, "%s/json", at.root);
    write_file(at.workload, small_mix, 0600);
    return at;
}

/* The runtime directory is empty, or was never made; everything else is the test's own. */
static void expect_nothing_left(const place *at)
{
    if (rmdir(at->runtime) != 0) {
        WEIR_EXPECT_EQ(errno, ENOENT);
    }
    unlink(at->workload);
    unlink(at->output);
    unlink(at->json);
    WEIR_EXPECT_EQ(rmdir(at->root), 0);
}

static void start_weir(void *argument)
{
    command *what = argument;
    const int fd = open(what->at->output, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    setenv("WEIR_RUNTIME_DIR", what->at->runtime, 1);
    execv(what->arguments[0], what->arguments);
    _exit(127);
}

/* Splits @p line at spaces, replaces @W, @J and @P, and starts `weir` with it. */
static pid_t start(const place *at, const char *line)
{
    static char words[1024];
    static char program[512];
    command what = {.at = at};
    size_t count = 0;
    snprintf(program, sizeof program, "%s", weir_test_program("weir"));
    snprintf(words, sizeof words, "%s", line);
    what.arguments[count++] = program;
    for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " ")) {
        word = strcmp(word, "@W") == 0 ? (char *)(uintptr_t)at->workload : word;
        word = strcmp(word, "@J") == 0 ? (char *)(uintptr_t)at->json : word;
        WEIR_EXPECT_LT(count, ARGUMENTS_MAX - 1);
        what.arguments[count++] = word;
    }
    return weir_test_fork(start_weir, &what);
}

static int finish(const place *at, pid_t pid)
{
    const int code = weir_test_wait(pid, weir_test_deadline(50));
    const int fd = open(at->output, O_RDONLY | O_CLOEXEC);
    const ssize_t bytes = read(fd, output, sizeof output - 1);
    close(fd);
    output[bytes < 0 ? 0 : bytes] = '\0';
    return code;
}

static void expect_code(int code, int expected)
{
    if (code != expected) {
        weir_test_fail(__FILE__, __LINE__, "weir ended with %d, expected %d: %s", code, expected,
                       output);
    }
}

/* Runs to the end, demands the exit code, leaves what was said in output. */
static void expect_run(const char *line, int code)
{
    const place at = make_place();
    expect_code(finish(&at, start(&at, line)), code);
    expect_nothing_left(&at);
}

static json_t *load_json(const place *at)
{
    json_t *root = json_load_file(at->json, 0, NULL);
    WEIR_EXPECT_NOT_NULL(root);
    return root;
}

static int64_t at_path(json_t *root, const char *a, const char *b, const char *c)
{
    json_t *node = json_object_get(root, a);
    node = b != NULL ? json_object_get(node, b) : node;
    node = c != NULL ? json_object_get(node, c) : node;
    return json_is_integer(node) ? json_integer_value(node) : -1;
}

static const char *verdict(json_t *root)
{
    return json_string_value(json_object_get(root, "verdict"));
}

/* Waits until the output holds a text; the run goes on. */
static void await_output(const place *at, const char *text)
{
    const uint64_t deadline = weir_test_deadline(30);
    for (;;) {
        const int fd = open(at->output, O_RDONLY | O_CLOEXEC);
        const ssize_t bytes = fd < 0 ? 0 : read(fd, output, sizeof output - 1);
        if (fd >= 0) {
            close(fd);
        }
        output[bytes < 0 ? 0 : bytes] = '\0';
        if (strstr(output, text) != NULL) {
            return;
        }
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if ((uint64_t)now.tv_sec * 1000000000u > deadline) {
            weir_test_fail(__FILE__, __LINE__, "\"%s\" never came: %s", text, output);
        }
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
}

/* A worker process of the run. */
static pid_t first_worker(pid_t weir)
{
    char path[400];
    pid_t found = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)weir);
    DIR *tasks = opendir(path);
    WEIR_EXPECT_NOT_NULL(tasks);
    for (struct dirent *entry; found == 0 && (entry = readdir(tasks)) != NULL;) {
        snprintf(path, sizeof path, "/proc/%d/task/%s/children", (int)weir, entry->d_name);
        FILE *children = fopen(path, "re");
        if (children != NULL) {
            if (fscanf(children, "%d", &found) != 1) {
                found = 0;
            }
            fclose(children);
        }
    }
    closedir(tasks);
    return found;
}

WEIR_TEST(cli, a_mistake_is_one_sentence_that_says_what_would_be_right)
{
    static const struct {
        const char *line;
        const char *sentence;
    } table[] = {
        {"rum", "weir: there is no command rum; did you mean run?\n"},
        {"help rnu", "weir: there is no command rnu; did you mean run?\n"},
        {"--hepl", "weir: there is no option --hepl; did you mean --help?\n"},
        {"run --wokers 3", "weir run: there is no option --wokers; did you mean --workers?\n"},
        {"run --workers 0", "weir run: --workers: \"0\" is not a whole number from 1 to 64\n"},
        {"run --for 10", "weir run: --for: \"10\" is not a duration from 1ms to 24h, such as"},
        {"run --policy push", "--policy: \"push\" is not one of reject, drop_oldest, defer, wait"},
        {"run --wake futex,bell", "--wake: \"bell\" is not one of futex, eventfd, signal"},
        {"run now", "weir run: \"now\" is one word too many"},
        {"run --workload nothing", "there is no workload \"nothing\" and no file of that name"},
        {"run --workload /", "cannot read the workload /: Is a directory"},
        {"run --json /no/such/place", "--json: cannot write /no/such/place: No such file"},
        {"run --workload @W --batch 200 --concurrency 3", "batch is 200 but concurrency only 3"},
        {"stress --rounds 0", "weir stress: --rounds: \"0\" is not a whole number from 1 up\n"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        expect_run(table[i].line, WEIR_EXIT_USAGE);
        WEIR_EXPECT_STR_HAS(output, table[i].sentence);
    }
}

WEIR_TEST(cli, help_and_version_are_no_mistakes)
{
    expect_run("--help", WEIR_EXIT_HELD);
    WEIR_EXPECT_STR_HAS(output, "Usage: weir COMMAND");
    expect_run("--version", WEIR_EXIT_HELD);
    WEIR_EXPECT_STR_HAS(output, "weir 0.");
    expect_run("help run", WEIR_EXIT_HELD);
    WEIR_EXPECT_STR_HAS(output, "Usage: weir run");
    expect_run("stress --help", WEIR_EXIT_HELD);
    WEIR_EXPECT_STR_HAS(output, "Examples:");
}

WEIR_TEST(cli, a_workload_with_a_fault_is_told_with_its_line)
{
    const place at = make_place();
    write_file(at.workload, "name = \"w\"\njobs = 1\nconcurency = 3\n", 0600);
    expect_code(finish(&at, start(&at, "run --workload @W")), WEIR_EXIT_USAGE);
    WEIR_EXPECT_STR_HAS(output, "w.toml:3:1: the workload has no key \"concurency\"; did you mean "
                                "\"concurrency\"?\n");
    expect_nothing_left(&at);
}

WEIR_TEST(cli, a_run_accounts_for_every_job)
{
    const place at = make_place();
    expect_code(finish(&at, start(&at, "run --workload @W --json @J --seed 7")), WEIR_EXIT_HELD);
    WEIR_EXPECT_STR_HAS(output, "seed 7; to repeat: weir run --workload ");
    WEIR_EXPECT_STR_HAS(output, "HELD: every promise was kept (workload small, seed 7");
    json_t *root = load_json(&at);
    WEIR_EXPECT_STR_EQ(verdict(root), "held");
    WEIR_EXPECT_EQ(at_path(root, "jobs", "submitted", NULL), 400);
    WEIR_EXPECT_EQ(at_path(root, "jobs", "verified", NULL), 400);
    WEIR_EXPECT_EQ(at_path(root, "jobs", "outcomes", "ok"), 400);
    WEIR_EXPECT_EQ(at_path(root, "jobs", "outcomes", "worker_lost"), 0);
    WEIR_EXPECT_EQ(at_path(root, "bytes_copied", "manager", NULL), 0);
    WEIR_EXPECT_EQ(at_path(root, "bytes_copied", "workers", NULL), 0);
    static const char *const left[] = {"slots", "descriptors", "mappings", "processes", "files"};
    for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
        WEIR_EXPECT_EQ(at_path(root, "left_behind", left[i], NULL), 0);
    }
    int64_t sum = 0;
    static const char *const opcodes[] = {"echo",     "crc",      "simulate",
                                          "pathfind", "worldgen", "analytics"};
    for (size_t i = 0; i < sizeof opcodes / sizeof *opcodes; i++) {
        WEIR_EXPECT_GT(at_path(root, "opcodes", opcodes[i], "ok"), 0);
        sum += at_path(root, "opcodes", opcodes[i], "ok");
    }
    WEIR_EXPECT_EQ(sum, 400);
    json_decref(root);
    expect_nothing_left(&at);
}

WEIR_TEST(cli, the_same_seed_does_the_same_work)
{
    int64_t bytes[3];
    for (size_t i = 0; i < 3; i++) {
        const place at = make_place();
        expect_code(finish(&at, start(&at, i < 2 ? "run --workload @W --json @J --seed 11 --quiet"
                                                 : "run --workload @W --json @J --seed 12")),
                    WEIR_EXIT_HELD);
        json_t *root = load_json(&at);
        bytes[i] = at_path(root, "opcodes", "echo", "request_bytes");
        json_decref(root);
        expect_nothing_left(&at);
    }
    WEIR_EXPECT_EQ(bytes[0], bytes[1]);
    WEIR_EXPECT_NE(bytes[0], bytes[2]);
}

WEIR_TEST(cli, terms_can_be_chosen)
{
    /* The terms, and what the command that repeats the run says of them. */
    static const struct {
        const char *terms;
        const char *told;
    } table[] = {
        {"--wake futex --no-spin", " --wake futex --no-spin"},
        {"--wake eventfd --no-spin", " --wake eventfd --no-spin"},
        {"--wake signal --no-spin", " --wake signal --no-spin"},
        {"--backing shm", " --backing shm"},
        {"--policy wait", " --policy wait"},
        {"--policy reject --concurrency 400", " --concurrency 400 --policy reject"},
        {"--policy drop_oldest", " --policy drop_oldest"},
        {"--max-size 0", " --max-size 0"},
        {"--workers 5 --batch 1", " --workers 5 --jobs 200 --batch 1"},
    };
    char line[200];
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        snprintf(line, sizeof line, "run --workload @W --jobs 200 %s", table[i].terms);
        expect_run(line, WEIR_EXIT_HELD);
        WEIR_EXPECT_STR_HAS(output, table[i].told);
    }
}

WEIR_TEST(cli, an_open_loop_keeps_its_rate)
{
    const place at = make_place();
    write_file(at.workload,
               "name = \"open\"\njobs = 200\nrate = 400\nidempotent = true\n"
               "[[mix]]\nopcode = \"echo\"\nsize = 100\n",
               0600);
    expect_code(finish(&at, start(&at, "run --workload @W --json @J")), WEIR_EXIT_HELD);
    json_t *root = load_json(&at);
    WEIR_EXPECT_EQ(at_path(root, "jobs", "outcomes", "ok"), 200);
    /* The last of 200 jobs is due after 199/400 s. */
    WEIR_EXPECT_GE(at_path(root, "elapsed_ns", NULL, NULL), 497500000);
    json_decref(root);
    expect_nothing_left(&at);
}

WEIR_TEST(cli, sigint_ends_a_run_with_a_partial_report)
{
    const place at = make_place();
    const pid_t pid = start(&at, "run --workload @W --for 1h --json @J");
    await_output(&at, "in flight");
    kill(pid, SIGINT);
    expect_code(finish(&at, pid), WEIR_EXIT_INTERRUPTED);
    WEIR_EXPECT_STR_HAS(output, "INTERRUPTED: stopped early; every promise held until then");
    json_t *root = load_json(&at);
    WEIR_EXPECT_STR_EQ(verdict(root), "interrupted");
    WEIR_EXPECT_GT(at_path(root, "jobs", "submitted", NULL), 0);
    WEIR_EXPECT_EQ(at_path(root, "jobs", "submitted", NULL),
                   at_path(root, "jobs", "outcomes", "ok"));
    json_decref(root);
    expect_nothing_left(&at);
}

WEIR_TEST(cli, a_hangup_ends_a_run_as_cleanly)
{
    const place at = make_place();
    const pid_t pid = start(&at, "run --workload @W --for 1h");
    await_output(&at, "in flight");
    kill(pid, SIGHUP);
    expect_code(finish(&at, pid), WEIR_EXIT_INTERRUPTED);
    WEIR_EXPECT_STR_HAS(output, "INTERRUPTED: stopped early; every promise held until then");
    expect_nothing_left(&at);
}

WEIR_TEST(cli, a_second_sigint_gives_up_what_is_under_way)
{
    const place at = make_place();
    const pid_t pid = start(&at, "run --workload @W --for 1h --json @J");
    await_output(&at, "in flight");
    kill(first_worker(pid), SIGSTOP); /* so that the first signal alone would take seconds */
    nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    kill(pid, SIGINT);
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    kill(pid, SIGINT);
    expect_code(finish(&at, pid), WEIR_EXIT_INTERRUPTED);
    WEIR_EXPECT_STR_HAS(output, "INTERRUPTED");
    json_t *root = load_json(&at);
    WEIR_EXPECT_GT(at_path(root, "jobs", "outcomes", "cancelled"), 0);
    json_decref(root);
    expect_nothing_left(&at);
}

WEIR_TEST(cli, sigterm_while_workers_start_ends_cleanly)
{
    const place at = make_place();
    char script[80];
    char line[200];
    snprintf(script, sizeof script, "%s/never", at.root);
    write_file(script, "#!/bin/sh\nexec sleep 60\n", 0700);
    snprintf(line, sizeof line, "run --workload @W --start-timeout 40s --worker %s", script);
    const pid_t pid = start(&at, line);
    await_output(&at, "seed ");
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    kill(pid, SIGTERM);
    expect_code(finish(&at, pid), WEIR_EXIT_INTERRUPTED);
    WEIR_EXPECT_STR_HAS(output, "interrupted before the first job");
    unlink(script);
    expect_nothing_left(&at);
}

WEIR_TEST(cli, workers_that_cannot_work_are_named_with_the_reason)
{
    const place at = make_place();
    char never[80];
    char line[200];
    snprintf(never, sizeof never, "%s/never", at.root);
    write_file(never, "#!/bin/sh\nexec sleep 60\n", 0700);
    const struct {
        const char *worker;
        const char *sentence;
    } table[] = {
        {"/no/such/worker", "there is no worker program at /no/such/worker; build it or name"},
        {at.workload, "w.toml is not an executable program; name the worker's file or chmod +x"},
        {"/", "/ is not an executable program"},
        {"/bin/cat", "the worker /bin/cat does not stay up"},
        {never, "did not finish the handshake within 300 ms; is it a Weir worker"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        snprintf(line, sizeof line, "run --workload @W --start-timeout 300ms --worker %s",
                 table[i].worker);
        expect_code(finish(&at, start(&at, line)), WEIR_EXIT_ENVIRONMENT);
        WEIR_EXPECT_STR_HAS(output, table[i].sentence);
    }
    unlink(never);
    expect_nothing_left(&at);
}

WEIR_TEST(cli, a_worker_killed_in_the_middle_is_replaced_and_no_job_is_lost)
{
    const place at = make_place();
    const pid_t pid = start(&at, "run --workload @W --for 4s --json @J");
    await_output(&at, "in flight");
    const pid_t worker = first_worker(pid);
    WEIR_EXPECT_GT(worker, 0);
    kill(worker, SIGKILL);
    expect_code(finish(&at, pid), WEIR_EXIT_HELD);
    WEIR_EXPECT_STR_HAS(output, "ended by signal 9");
    WEIR_EXPECT_STR_HAS(output, " ready: pid ");
    json_t *root = load_json(&at);
    WEIR_EXPECT_GE(at_path(root, "restarts", NULL, NULL), 1);
    WEIR_EXPECT_EQ(at_path(root, "jobs", "outcomes", "worker_lost"), 0);
    WEIR_EXPECT_EQ(at_path(root, "jobs", "submitted", NULL),
                   at_path(root, "jobs", "outcomes", "ok"));
    json_decref(root);
    expect_nothing_left(&at);
}

WEIR_TEST(cli, a_worker_that_is_asked_to_end_is_told_of_and_replaced)
{
    const place at = make_place();
    const pid_t pid = start(&at, "run --workload @W --for 4s");
    await_output(&at, "in flight");
    kill(first_worker(pid), SIGTERM);
    expect_code(finish(&at, pid), WEIR_EXIT_HELD);
    WEIR_EXPECT_STR_HAS(output, " draining: the worker asked to be drained");
    WEIR_EXPECT_STR_HAS(output, " stopped: pid ");
    WEIR_EXPECT_STR_HAS(output, " ready: pid ");
    expect_nothing_left(&at);
}

/* The canary: if nobody noticed this worker, no green run would mean anything. */
WEIR_TEST(cli, a_worker_that_lies_breaks_the_run)
{
    const place at = make_place();
    char line[700];
    write_file(at.workload,
               "name = \"lies\"\njobs = 1000\nconcurrency = 16\nidempotent = true\n"
               "[[mix]]\nopcode = \"echo\"\nsize = { list = [64, 9000] }\n",
               0600);
    snprintf(line, sizeof line, "run --workload @W --workers 1 --json @J --worker %s",
             weir_test_program("lying_worker_program"));
    expect_code(finish(&at, start(&at, line)), WEIR_EXIT_BROKEN);
    WEIR_EXPECT_STR_HAS(output, "BROKEN: 10 promises were not kept");
    WEIR_EXPECT_STR_HAS(output, "ended as ok, but the echo differs from the request");
    json_t *root = load_json(&at);
    WEIR_EXPECT_STR_EQ(verdict(root), "broken");
    WEIR_EXPECT_EQ(at_path(root, "violations_found", NULL, NULL), 10);
    WEIR_EXPECT_EQ(at_path(root, "jobs", "verified", NULL), 990);
    json_decref(root);
    expect_nothing_left(&at);
}

WEIR_TEST(cli, stress_runs_rounds_with_terms_of_their_own)
{
    const place at = make_place();
    expect_code(finish(&at, start(&at, "stress --workload @W --rounds 3 --round-for 200ms --seed 5 "
                                       "--json @J")),
                WEIR_EXIT_HELD);
    WEIR_EXPECT_STR_HAS(output, "seed 5\n");
    WEIR_EXPECT_STR_HAS(output, "round 3 ");
    WEIR_EXPECT_STR_HAS(output, "HELD: 3 rounds, 0 broken");
    json_t *root = load_json(&at);
    WEIR_EXPECT_EQ(at_path(root, "rounds", NULL, NULL), 3);
    WEIR_EXPECT_STR_EQ(verdict(root), "held");
    json_decref(root);
    expect_nothing_left(&at);
}

WEIR_TEST(cli, stress_stops_at_a_broken_round_and_says_how_to_repeat_it)
{
    const place at = make_place();
    char line[700];
    write_file(at.workload,
               "name = \"lies\"\njobs = 1000\nconcurrency = 16\nidempotent = true\n"
               "[[mix]]\nopcode = \"echo\"\nsize = 64\n",
               0600);
    snprintf(line, sizeof line,
             "stress --workload @W --until-failure --max-size 64 --seed 3 --worker %s",
             weir_test_program("lying_worker_program"));
    expect_code(finish(&at, start(&at, line)), WEIR_EXIT_BROKEN);
    WEIR_EXPECT_STR_HAS(output, "to repeat this round: weir run --workload ");
    WEIR_EXPECT_STR_HAS(output, "BROKEN: 1 rounds, 1 broken");
    expect_nothing_left(&at);
}
