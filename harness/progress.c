#include "harness/progress.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "harness/units.h"

#define SECOND_NS UINT64_C(1000000000)

struct weir_progress {
    pthread_mutex_t lock;
    FILE *out;
    bool is_quiet;
    bool is_traced;
    bool is_terminal;
    bool has_line; /* the refreshed line stands on the terminal */
    bool is_ending;
    uint64_t start_ns;
    uint64_t shown_ns; /* elapsed time of the last line */
    uint64_t shown_jobs;
    char line[160]; /* as last shown, to be written again below an event */
    char trouble[WEIR_TROUBLE_MAX];
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

weir_progress *weir_progress_create(FILE *out, bool is_quiet, bool is_traced)
{
    weir_progress *progress = calloc(1, sizeof *progress);
    if (progress == NULL || pthread_mutex_init(&progress->lock, NULL) != 0) {
        free(progress);
        return NULL;
    }
    const char *terminal = getenv("TERM");
    progress->out = out;
    progress->is_quiet = is_quiet;
    progress->is_traced = is_traced;
    progress->is_terminal =
        isatty(fileno(out)) != 0 && (terminal == NULL || strcmp(terminal, "dumb") != 0);
    progress->start_ns = now_ns();
    return progress;
}

void weir_progress_free(weir_progress *progress)
{
    if (progress != NULL) {
        pthread_mutex_destroy(&progress->lock);
        free(progress);
    }
}

void weir_progress_start(weir_progress *progress)
{
    pthread_mutex_lock(&progress->lock);
    progress->start_ns = now_ns();
    pthread_mutex_unlock(&progress->lock);
}

static void clear_line(weir_progress *progress)
{
    if (progress->has_line) {
        fputs("\r\033[K", progress->out);
        progress->has_line = false;
    }
}

static void write_line(weir_progress *progress)
{
    if (progress->is_terminal) {
        /* A line that wraps could not be refreshed in place. */
        struct winsize window = {0};
        const bool is_known = ioctl(fileno(progress->out), TIOCGWINSZ, &window) == 0;
        const int columns = is_known && window.ws_col > 1 ? window.ws_col - 1 : 99;
        fprintf(progress->out, "\r%.*s\033[K", columns, progress->line);
        progress->has_line = true;
    } else {
        fprintf(progress->out, "%s\n", progress->line);
    }
    fflush(progress->out);
}

static void compose(weir_progress *progress, const weir_progress_numbers *numbers)
{
    char jobs[WEIR_UNITS_TEXT_MAX];
    char rate[WEIR_UNITS_TEXT_MAX];
    char flight[WEIR_UNITS_TEXT_MAX];
    char not_ok[WEIR_UNITS_TEXT_MAX];
    const uint64_t span = numbers->elapsed_ns - progress->shown_ns;
    const uint64_t done = numbers->ended - progress->shown_jobs;
    const uint64_t per_second = span == 0 ? 0 : (uint64_t)((double)done * 1e9 / (double)span);
    snprintf(progress->line, sizeof progress->line,
             "%6.1f s %13s jobs %10s/s %6s in flight %6s not ok  workers %u/%u  restarts %u",
             (double)numbers->elapsed_ns / 1e9, weir_units_count(numbers->ended, jobs),
             weir_units_count(per_second, rate), weir_units_count(numbers->in_flight, flight),
             weir_units_count(numbers->not_ok, not_ok), numbers->workers_ready, numbers->workers,
             numbers->restarts);
    progress->shown_ns = numbers->elapsed_ns;
    progress->shown_jobs = numbers->ended;
}

void weir_progress_show(weir_progress *progress, const weir_progress_numbers *numbers)
{
    if (progress->is_quiet) {
        return;
    }
    pthread_mutex_lock(&progress->lock);
    const uint64_t span = numbers->elapsed_ns - progress->shown_ns;
    /* Plain lines come each second; a little early is better than a second late. */
    if (progress->is_terminal || span + WEIR_PROGRESS_PERIOD_NS / 2 >= SECOND_NS) {
        compose(progress, numbers);
        write_line(progress);
    }
    pthread_mutex_unlock(&progress->lock);
}

/* What a person wants to read of; the rest is the ordinary course of things. */
static bool is_worth_telling(const weir_progress *progress, const weir_event *event)
{
    static const char *const ordinary[] = {"spawned", "reloaded"};
    if (progress->is_traced) {
        return true;
    }
    for (size_t i = 0; i < sizeof ordinary / sizeof *ordinary; i++) {
        if (strcmp(event->kind, ordinary[i]) == 0) {
            return false;
        }
    }
    /* The first incarnations come up as everybody expects; a later one is news. */
    return strcmp(event->kind, "ready") != 0 || progress->shown_jobs > 0 ||
           progress->trouble[0] != '\0';
}

static bool is_trouble(const char *kind)
{
    static const char *const troubles[] = {"refused", "output",         "exited", "silent",
                                           "stuck",   "protocol_error", "fenced"};
    for (size_t i = 0; i < sizeof troubles / sizeof *troubles; i++) {
        if (strcmp(kind, troubles[i]) == 0) {
            return true;
        }
    }
    return false;
}

void weir_progress_event(void *context, const weir_event *event)
{
    weir_progress *progress = context;
    pthread_mutex_lock(&progress->lock);
    if (!progress->is_quiet && !(progress->is_ending && !progress->is_traced) &&
        is_worth_telling(progress, event)) {
        clear_line(progress);
        const uint64_t since =
            event->time_ns > progress->start_ns ? event->time_ns - progress->start_ns : 0;
        fprintf(progress->out, "%6.1f s  worker %u", (double)since / 1e9, event->worker);
        /* The other sentences name the process themselves. */
        if (event->pid != 0 && strcmp(event->kind, "output") == 0) {
            fprintf(progress->out, " (pid %d)", (int)event->pid);
        }
        fprintf(progress->out, " %s: %s\n", event->kind, event->text);
        if (progress->is_terminal && progress->line[0] != '\0') {
            write_line(progress);
        }
        fflush(progress->out);
    }
    if (is_trouble(event->kind) && !progress->is_ending) {
        snprintf(progress->trouble, sizeof progress->trouble, "%s", event->text);
    }
    pthread_mutex_unlock(&progress->lock);
}

void weir_progress_expect_end(weir_progress *progress)
{
    pthread_mutex_lock(&progress->lock);
    progress->is_ending = true;
    pthread_mutex_unlock(&progress->lock);
}

void weir_progress_finish(weir_progress *progress)
{
    pthread_mutex_lock(&progress->lock);
    clear_line(progress);
    progress->line[0] = '\0';
    fflush(progress->out);
    pthread_mutex_unlock(&progress->lock);
}

void weir_progress_last_trouble(weir_progress *progress, char *text, size_t bytes)
{
    pthread_mutex_lock(&progress->lock);
    snprintf(text, bytes, "%s", progress->trouble);
    pthread_mutex_unlock(&progress->lock);
}
