#include "nif/node_test/testing/node_host.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nif/node_test/testing/node_footprint.h"
#include "nif/node_test/testing/node_wait.h"

/* The build says where things are: WEIR_NODE_ERL, WEIR_NODE_CODE (our modules), WEIR_NODE_ELIXIR,
 * WEIR_NODE_LIBRARIES, and WEIR_NODE_SANITIZER (the runtime to preload, or empty). */

#define COOKIE  "weir_node_test"
#define START_S 30.0

void node_library(char *path, size_t size, const char *name)
{
    (void)snprintf(path, size, "%s/%s", WEIR_NODE_LIBRARIES, name);
}

/* An orphan that ended waits as a zombie until somebody reaps it; it holds nothing any more. */
static bool is_running(pid_t pid)
{
    char path[64];
    char line[512] = "";
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    const bool has_line = fgets(line, sizeof line, file) != NULL;
    (void)fclose(file);
    const char *name_end = strrchr(line, ')');
    return has_line && name_end != NULL && strncmp(name_end, ") Z", 3) != 0 &&
           strncmp(name_end, ") X", 3) != 0;
}

/* ---- starting */

static void set_path(const char *variable, const char *directory, const char *name)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    (void)setenv(variable, path, 1);
}

/* A sanitized library in an emulator that is not: the runtime comes first, all memory comes from
 * malloc so that the runtime sees it, and reports go to a file. */
static void set_sanitizer(const char *directory)
{
    char options[256];
    (void)snprintf(options, sizeof options,
                   "detect_leaks=0:halt_on_error=1:symbolize=0:log_path=%s/report", directory);
    (void)setenv("LD_PRELOAD", WEIR_NODE_SANITIZER, 1);
    (void)setenv("ASAN_OPTIONS", options, 1);
    (void)snprintf(options, sizeof options,
                   "halt_on_error=1:print_stacktrace=1:symbolize=0:log_path=%s/report", directory);
    (void)setenv("UBSAN_OPTIONS", options, 1);
    (void)setenv("ERL_FLAGS", "+Mea min", 1);
}

static void become_erl(void *context)
{
    const char *const *at = context;
    char announcement[128];
    char library[512];
    (void)snprintf(announcement, sizeof announcement, "%s/port", at[0]);
    node_library(library, sizeof library, at[1]);
    (void)unsetenv("ERL_AFLAGS");
    (void)unsetenv("ERL_ZFLAGS");
    (void)unsetenv("ERL_FLAGS");
    (void)unsetenv("ERL_LIBS");
    (void)setenv("WEIR_NIF", library, 1);
    (void)setenv("ERL_EPMD_PORT", "1", 1); /* Another node's epmd shall not know of this one. */
    (void)setenv("WEIR_NODE_WORKER", weir_test_program("weir-loopback"), 1);
    set_path("HOME", at[0], "home");
    set_path("WEIR_RUNTIME_DIR", at[0], "run");
    set_path("ERL_INETRC", at[0], "home/inetrc");
    set_path("ERL_CRASH_DUMP", at[0], "erl_crash.dump");
    if (WEIR_NODE_SANITIZER[0] != '\0') {
        set_sanitizer(at[0]);
    }
    execl(WEIR_NODE_ERL, "erl", "-noinput", "-sname", "weir@localhost", "-setcookie", COOKIE,
          "-start_epmd", "false", "-erl_epmd_port", "0", "-kernel", "inet_dist_use_interface",
          "{127,0,0,1}", "-pa", WEIR_NODE_CODE, "-pa", WEIR_NODE_ELIXIR, "-s", "weir_node",
          "announce", announcement, (char *)NULL);
    (void)fprintf(stderr, "cannot start %s: %s\n", WEIR_NODE_ERL, strerror(errno));
    _exit(127);
}

static void make_below(const char *directory, const char *name)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        weir_test_fail(__FILE__, __LINE__, "mkdir %s: %s", path, strerror(errno));
    }
}

/* Names are looked up without the helper process that Erlang would start for it at some time. */
static void write_inetrc(const char *directory)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/home/inetrc", directory);
    FILE *file = fopen(path, "we");
    if (file == NULL ||
        fputs("{lookup, [file]}.\n{host, {127,0,0,1}, [\"localhost\"]}.\n", file) < 0 ||
        fclose(file) != 0) {
        weir_test_fail(__FILE__, __LINE__, "cannot write %s: %s", path, strerror(errno));
    }
}

static int await_announcement(node_host *node)
{
    char path[128];
    int port = 0;
    const uint64_t deadline_ns = weir_test_deadline(START_S);
    (void)snprintf(path, sizeof path, "%s/port", node->directory);
    while (port == 0) {
        FILE *file = fopen(path, "re");
        if (file != NULL) {
            if (fscanf(file, "%d", &port) != 1) {
                port = 0;
            }
            (void)fclose(file);
        } else if (!is_running(node->pid) || node_is_past(deadline_ns)) {
            weir_test_fail(__FILE__, __LINE__, "the node %s before it announced its port",
                           is_running(node->pid) ? "hung" : "ended");
        } else {
            node_nap();
        }
    }
    (void)unlink(path);
    return port;
}

static void connect_to(node_host *node, int port)
{
    struct in_addr address = {.s_addr = htonl(INADDR_LOOPBACK)};
    if (ei_init() != 0 || ei_connect_xinit(&node->self, "localhost", "weir_test",
                                           "weir_test@localhost", &address, COOKIE, 0) < 0) {
        weir_test_fail(__FILE__, __LINE__, "the C node could not be made: error %d", erl_errno);
    }
    char host[] = "localhost";
    node->connection = ei_connect_host_port_tmo(&node->self, host, port, NODE_CALL_MS);
    if (node->connection < 0) {
        weir_test_fail(__FILE__, __LINE__, "cannot connect to port %d: error %d", port, erl_errno);
    }
}

static void start(node_host *node, const char *library)
{
    const char *at[] = {node->directory, library};
    node->started_count = 0;
    node->pid = weir_test_fork(become_erl, at);
    connect_to(node, await_announcement(node));
}

void node_start_with(node_host *node, const char *library)
{
    memset(node, 0, sizeof *node);
    (void)snprintf(node->directory, sizeof node->directory, "/tmp/weir-node-XXXXXX");
    if (mkdtemp(node->directory) == NULL) {
        weir_test_fail(__FILE__, __LINE__, "mkdtemp: %s", strerror(errno));
    }
    make_below(node->directory, "home");
    make_below(node->directory, "run");
    write_inetrc(node->directory);
    start(node, library);
    node_expect(node, "main", "code:ensure_loaded('Elixir.Weir.Native')",
                "{module,'Elixir.Weir.Native'}");
}

void node_start(node_host *node)
{
    node_start_with(node, "weir_nif.so");
}

void node_start_again(node_host *node)
{
    start(node, "weir_nif.so");
}

/* ---- ending */

static void remove_tree(const char *path)
{
    DIR *directory = opendir(path);
    if (directory != NULL) {
        for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
            char below[512];
            if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
                (void)snprintf(below, sizeof below, "%.200s/%s", path, entry->d_name);
                remove_tree(below);
            }
        }
        closedir(directory);
    }
    (void)remove(path);
}

static void let_go(node_host *node)
{
    ei_close_connection(node->connection);
    node->connection = -1;
}

bool node_take_report(const node_host *node, char *text, size_t size)
{
    char path[512];
    bool is_found = false;
    DIR *directory = opendir(node->directory);
    if (directory == NULL) {
        return false;
    }
    for (struct dirent *entry; !is_found && (entry = readdir(directory)) != NULL;) {
        if (strncmp(entry->d_name, "report.", 7) == 0) {
            (void)snprintf(path, sizeof path, "%s/%s", node->directory, entry->d_name);
            is_found = true;
        }
    }
    closedir(directory);
    if (is_found) {
        FILE *file = fopen(path, "re");
        const size_t length = file == NULL ? 0 : fread(text, 1, size - 1, file);
        text[length] = '\0';
        if (file != NULL) {
            (void)fclose(file);
        }
        (void)unlink(path);
    }
    return is_found;
}

void node_await_gone(node_host *node, double seconds)
{
    const uint64_t deadline_ns = weir_test_deadline(seconds);
    for (size_t i = 0; i < node->started_count; i++) {
        while (is_running(node->started[i])) {
            if (node_is_past(deadline_ns)) {
                weir_test_fail(__FILE__, __LINE__, "process %d outlived its node",
                               (int)node->started[i]);
            }
            node_nap();
        }
    }
}

void node_leave(node_host *node, double seconds)
{
    node_await_gone(node, seconds);
    if (node_take_report(node, node->text, sizeof node->text)) {
        weir_test_fail(__FILE__, __LINE__, "the sanitizer reported:\n%.1800s", node->text);
    }
    remove_tree(node->directory);
}

int node_await_end(node_host *node)
{
    const int code = weir_test_wait(node->pid, weir_test_deadline(START_S));
    let_go(node);
    return code;
}

void node_stop(node_host *node)
{
    node->started_count = node_descendants(node->pid, node->started, 64);
    node_run(node, "main", "init:stop()");
    const int code = node_await_end(node);
    if (code != 0) {
        weir_test_fail(__FILE__, __LINE__, "the node ended with %d", code);
    }
    node_leave(node, 5);
}

void node_kill(node_host *node)
{
    node->started_count = node_descendants(node->pid, node->started, 64);
    (void)kill(node->pid, SIGKILL);
    WEIR_EXPECT_EQ(node_await_end(node), 128 + SIGKILL);
}
