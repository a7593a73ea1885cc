#include "harness/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "harness/names.h"
#include "harness/units.h"

#define MS_NS   UINT64_C(1000000)
#define HOUR_NS (3600 * 1000 * MS_NS)

size_t weir_settings_options(weir_run_settings *to, weir_option *options)
{
    const weir_option all[] = {
        {"workload", WEIR_OPTION_TEXT, "NAME|FILE", "mixed (default), echo, or a TOML file",
         &to->workload, 0, 0, NULL, NULL},
        {"seed", WEIR_OPTION_COUNT, "N", "make the same jobs again (default: a fresh one)",
         &to->seed, 0, UINT64_MAX, NULL, &to->has_seed},
        {"workers", WEIR_OPTION_COUNT, "N", "worker processes", &to->workers, 1,
         WEIR_WORKLOAD_WORKERS_MAX, NULL, NULL},
        {"concurrency", WEIR_OPTION_COUNT, "N", "jobs under way at any time (closed loop)",
         &to->concurrency, 1, WEIR_WORKLOAD_CONCURRENCY_MAX, NULL, NULL},
        {"batch", WEIR_OPTION_COUNT, "N", "jobs per submission", &to->batch, 1, 256, NULL, NULL},
        {"max-size", WEIR_OPTION_SIZE, "BYTES", "cut every payload size to at most this",
         &to->max_size, 0, WEIR_WORKLOAD_PAYLOAD_MAX, NULL, &to->has_max_size},
        {"policy", WEIR_OPTION_WORD, "WORD",
         "when there is no room: reject, drop_oldest, defer or wait", &to->policy, 0, 0,
         weir_policy_words, NULL},
        {"wake", WEIR_OPTION_WORDS, "LIST", "ways to wake a sleeper: of futex,eventfd,signal",
         &to->wake, 0, 0, weir_wake_words, NULL},
        {"backing", WEIR_OPTION_WORD, "WORD", "shared memory of memfd (default) or shm",
         &to->backing, 0, 0, weir_backing_words, NULL},
        {"no-spin", WEIR_OPTION_FLAG, NULL, "sleep at once instead of spinning first", &to->no_spin,
         0, 0, NULL, NULL},
        {"worker", WEIR_OPTION_TEXT, "PATH",
         "worker program (default: weir-loopback beside this one)", &to->worker, 0, 0, NULL, NULL},
        {"start-timeout", WEIR_OPTION_DURATION, "D", "how long a worker may take to be ready",
         &to->start_timeout_ns, 10 * MS_NS, HOUR_NS, NULL, NULL},
        {"deaths", WEIR_OPTION_COUNT, "N",
         "deaths in a row after which a worker is given up (default 8)", &to->deaths_max, 1,
         1000000, NULL, NULL},
        {"json", WEIR_OPTION_TEXT, "FILE", "write the result there as JSON, too", &to->json, 0, 0,
         NULL, NULL},
        {"quiet", WEIR_OPTION_FLAG, NULL, "no progress lines", &to->quiet, 0, 0, NULL, NULL},
    };
    const size_t count = sizeof all / sizeof *all;
    memcpy(options, all, sizeof all);
    return count;
}

uint64_t weir_settings_fresh_seed(void)
{
    uint32_t seed = 0;
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        seed = (uint32_t)now.tv_nsec ^ (uint32_t)getpid();
    }
    return seed; /* short enough to be typed */
}

/* weir-loopback in the directory of this program. */
static const char *default_worker(void)
{
    static char path[PATH_MAX + 32];
    ssize_t length = readlink("/proc/self/exe", path, PATH_MAX);
    length = length < 0 ? 0 : length;
    path[length] = '\0';
    char *slash = strrchr(path, '/');
    strcpy(slash != NULL ? slash + 1 : path, "weir-loopback");
    return path;
}

static void apply(const weir_run_settings *from, weir_workload *to)
{
    if (from->workers != 0) {
        to->workers = from->workers;
    }
    if (from->concurrency != 0) {
        to->concurrency = from->concurrency;
        to->rate = 0;
        to->batch = to->batch > to->concurrency ? to->concurrency : to->batch;
    }
    if (from->batch != 0) {
        to->batch = from->batch;
    }
    if (from->has_max_size) {
        weir_workload_cap_sizes(to, (uint32_t)from->max_size);
    }
    if (from->policy != NULL) {
        to->policy = (weir_room_policy)weir_word_index(from->policy, weir_policy_words);
    }
    if (from->backing != NULL) {
        to->arena.backing = (uint32_t)weir_word_index(from->backing, weir_backing_words);
    }
    if (from->jobs != 0) {
        to->jobs = from->jobs;
        to->duration_ns = from->duration_ns;
    } else if (from->duration_ns != 0) {
        to->jobs = 0;
        to->duration_ns = from->duration_ns;
    }
}

weir_status weir_settings_plan(const weir_run_settings *settings, weir_run_plan *plan,
                               weir_error *error)
{
    *plan = (weir_run_plan){
        .seed = settings->seed,
        .worker_path = settings->worker != NULL ? settings->worker : default_worker(),
        .wake_strategies = settings->wake != NULL ? weir_wake_bits(settings->wake) : 0,
        .without_spin = settings->no_spin,
        .trace = settings->trace,
        .start_timeout_ns =
            settings->start_timeout_ns != 0 ? settings->start_timeout_ns : 10000 * MS_NS,
        .deaths_max = (uint32_t)settings->deaths_max,
    };
    const weir_status status = weir_workload_load(
        settings->workload != NULL ? settings->workload : "mixed", &plan->workload, error);
    if (status != WEIR_OK) {
        return status;
    }
    apply(settings, &plan->workload);
    return weir_workload_check(&plan->workload, error);
}

static void append(char command[WEIR_COMMAND_MAX], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void append(char command[WEIR_COMMAND_MAX], const char *format, ...)
{
    const size_t used = strlen(command);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command + used, WEIR_COMMAND_MAX - used, format, arguments);
    va_end(arguments);
}

static void append_count(char command[WEIR_COMMAND_MAX], const char *name, uint64_t value)
{
    if (value != 0) {
        append(command, " --%s %" PRIu64, name, value);
    }
}

/* In quotes when a shell would take it apart. */
static void append_text(char command[WEIR_COMMAND_MAX], const char *name, const char *value)
{
    if (value != NULL) {
        const bool is_plain = strpbrk(value, " \t\n\"'\\$&;|<>()*?[]#~`!{}") == NULL && *value;
        append(command, is_plain ? " --%s %s" : " --%s '%s'", name, value);
    }
}

static void append_duration(char command[WEIR_COMMAND_MAX], const char *name, uint64_t value)
{
    char text[WEIR_UNITS_TEXT_MAX];
    if (value != 0) {
        append(command, " --%s %s", name, weir_units_option_duration(value, text));
    }
}

void weir_settings_command(const weir_run_settings *settings, char command[WEIR_COMMAND_MAX])
{
    strcpy(command, "weir run");
    append_text(command, "workload", settings->workload != NULL ? settings->workload : "mixed");
    append(command, " --seed %" PRIu64, settings->seed);
    append_count(command, "workers", settings->workers);
    append_count(command, "jobs", settings->jobs);
    append_duration(command, "for", settings->duration_ns);
    append_count(command, "concurrency", settings->concurrency);
    append_count(command, "batch", settings->batch);
    if (settings->has_max_size) {
        append(command, " --max-size %" PRIu64, settings->max_size);
    }
    append_text(command, "policy", settings->policy);
    append_text(command, "wake", settings->wake);
    append_text(command, "backing", settings->backing);
    append(command, "%s", settings->no_spin ? " --no-spin" : "");
    append_text(command, "worker", settings->worker);
    append_duration(command, "start-timeout", settings->start_timeout_ns);
    append_count(command, "deaths", settings->deaths_max);
}

weir_status weir_settings_open_json(const char *path, weir_json_file *json, weir_error *error)
{
    *json = (weir_json_file){.path = path};
    if (path == NULL) {
        return WEIR_OK;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    json->is_new = fd != -1;
    if (fd == -1 && errno == EEXIST) {
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    }
    json->file = fd != -1 ? fdopen(fd, "w") : NULL;
    if (json->file == NULL) {
        char doing[320];
        snprintf(doing, sizeof doing, "--json: cannot write %.256s", path);
        return weir_error_system(error, errno, doing, "name a file that can be written");
    }
    return WEIR_OK;
}

void weir_settings_begin_json(weir_json_file *json)
{
    json->is_written = true;
    /* Fails on what has no length, such as a pipe, where there is nothing to empty. */
    const int failed = ftruncate(fileno(json->file), 0);
    (void)failed;
}

void weir_settings_close_json(weir_json_file *json)
{
    if (json->file == NULL) {
        return;
    }
    if (json->is_new && !json->is_written) {
        unlink(json->path);
    }
    fclose(json->file);
    json->file = NULL;
}

int weir_settings_exit_code(weir_status status, const weir_run_facts *facts)
{
    if (status == WEIR_INTERRUPTED) {
        return WEIR_EXIT_INTERRUPTED;
    }
    if (status != WEIR_OK) {
        return status == WEIR_CORRUPT ? WEIR_EXIT_BROKEN : WEIR_EXIT_ENVIRONMENT;
    }
    if (facts->violations.found > 0) {
        return WEIR_EXIT_BROKEN;
    }
    return facts->signals > 0 ? WEIR_EXIT_INTERRUPTED : WEIR_EXIT_HELD;
}
