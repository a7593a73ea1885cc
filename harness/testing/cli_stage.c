#include "harness/testing/cli_stage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "harness/testing/weir_test.h"

enum { ARGUMENTS_MAX = 24 };

typedef struct command {
    const cli_place *at;
    char *arguments[ARGUMENTS_MAX];
} command;

char cli_output[CLI_OUTPUT_MAX];

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

void cli_write_file(const char *path, const char *text, mode_t mode)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    WEIR_EXPECT_GE(fd, 0);
    WEIR_EXPECT_EQ(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

cli_place cli_place_make(void)
{
    cli_place at = {.root = "/tmp/weir-cli-XXXXXX"};
    WEIR_EXPECT_NOT_NULL(mkdtemp(at.root));
    snprintf(at.runtime, sizeof at.runtime, "%s/run", at.root);
    snprintf(at.workload, sizeof at.workload, "%s/w.toml", at.root);
    snprintf(at.output, sizeof at.output, "%s/out", at.root);
    snprintf(at.json, sizeof at.json, "%s/json", at.root);
    cli_write_file(at.workload, small_mix, 0600);
    return at;
}

void cli_expect_nothing_left(const cli_place *at)
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
    signal(SIGHUP,
           SIG_DFL); /* Whoever runs the tests under nohup ignores it, and this inherits it. */
    setenv("WEIR_RUNTIME_DIR", what->at->runtime, 1);
    execv(what->arguments[0], what->arguments);
    _exit(127);
}

pid_t cli_start(const cli_place *at, const char *line)
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

int cli_finish(const cli_place *at, pid_t pid)
{
    const int code = weir_test_wait(pid, weir_test_deadline(50));
    const int fd = open(at->output, O_RDONLY | O_CLOEXEC);
    const ssize_t bytes = read(fd, cli_output, sizeof cli_output - 1);
    close(fd);
    cli_output[bytes < 0 ? 0 : bytes] = '\0';
    return code;
}

void cli_expect_code(int code, int expected)
{
    if (code != expected) {
        weir_test_fail(__FILE__, __LINE__, "weir ended with %d, expected %d: %s", code, expected,
                       cli_output);
    }
}

void cli_expect_run(const char *line, int code)
{
    const cli_place at = cli_place_make();
    cli_expect_code(cli_finish(&at, cli_start(&at, line)), code);
    cli_expect_nothing_left(&at);
}

json_t *cli_load_json(const cli_place *at)
{
    json_t *root = json_load_file(at->json, 0, NULL);
    WEIR_EXPECT_NOT_NULL(root);
    return root;
}

int64_t cli_number(json_t *root, const char *a, const char *b, const char *c)
{
    json_t *node = json_object_get(root, a);
    node = b != NULL ? json_object_get(node, b) : node;
    node = c != NULL ? json_object_get(node, c) : node;
    return json_is_integer(node) ? json_integer_value(node) : -1;
}

const char *cli_verdict(json_t *root)
{
    return json_string_value(json_object_get(root, "verdict"));
}

void cli_await_output(const cli_place *at, const char *text)
{
    const uint64_t deadline = weir_test_deadline(30);
    for (;;) {
        const int fd = open(at->output, O_RDONLY | O_CLOEXEC);
        const ssize_t bytes = fd < 0 ? 0 : read(fd, cli_output, sizeof cli_output - 1);
        if (fd >= 0) {
            close(fd);
        }
        cli_output[bytes < 0 ? 0 : bytes] = '\0';
        if (strstr(cli_output, text) != NULL) {
            return;
        }
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if ((uint64_t)now.tv_sec * 1000000000u > deadline) {
            weir_test_fail(__FILE__, __LINE__, "\"%s\" never came: %s", text, cli_output);
        }
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
}

void cli_await_taken(pid_t weir, int signal)
{
    const uint64_t deadline = weir_test_deadline(30);
    char path[40];
    char line[200];
    snprintf(path, sizeof path, "/proc/%d/status", (int)weir);
    for (;;) {
        unsigned long long pending = 0;
        FILE *status = fopen(path, "re");
        WEIR_EXPECT_NOT_NULL(status);
        while (fgets(line, sizeof line, status) != NULL) {
            if (sscanf(line, "ShdPnd: %llx", &pending) == 1) {
                break;
            }
        }
        fclose(status);
        if ((pending & 1ULL << (signal - 1)) == 0) {
            return;
        }
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if ((uint64_t)now.tv_sec * 1000000000u > deadline) {
            weir_test_fail(__FILE__, __LINE__, "signal %d is not taken", signal);
        }
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

pid_t cli_first_worker(pid_t weir)
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
