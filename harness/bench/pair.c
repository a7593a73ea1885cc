#include "harness/bench/pair.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/os.h"

/* What the two tell each other. Lead and peer write different lines. */
struct weir_pair_board {
    _Alignas(128) uint32_t turn; /* Futex word: a new value is a new order. */
    uint32_t part;
    _Alignas(128) uint32_t start; /* The turn that may begin now. */
    _Alignas(128) uint32_t ready; /* The turn that the peer is ready for. */
    _Alignas(128) uint32_t done;  /* The turn that the peer has ended. */
    uint64_t end_ns;
    uint64_t sum;
    uint64_t thought_ns;
    uint64_t switches;
};

#define PART_STOP UINT32_MAX

/* What weir_pair_shared gave. */
#define SHARED_MAX 32
typedef struct shared_memory {
    void *address;
    size_t bytes;
} shared_memory;
static shared_memory shared[SHARED_MAX];
static size_t shared_count;

/* For the handler of the alarm, which has no other way to know. */
static int watched_peer;
static const char *watched_part = "";

/* Of this process, in the part that runs. */
static uint64_t thought_ns;

weir_status weir_pair_cores_find(weir_pair_cores *cores, weir_error *error)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    int found[2] = {-1, -1};
    int count = 0;
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        for (int core = 0; core < CPU_SETSIZE && count < 2; core++) {
            if (CPU_ISSET(core, &set)) {
                found[count++] = core;
            }
        }
    }
    if (count < 2) {
        weir_error_set(error,
                       "weir bench needs two cores and may use %d; run it where two are allowed "
                       "(taskset, the container's CPU set)",
                       count);
        return WEIR_UNSUPPORTED;
    }
    *cores = (weir_pair_cores){.lead = found[0], .peer = found[1]};
    return WEIR_OK;
}

void *weir_pair_shared(size_t bytes)
{
    if (shared_count == SHARED_MAX) {
        return NULL;
    }
    void *memory =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory == MAP_FAILED) {
        return NULL;
    }
    shared[shared_count++] = (shared_memory){memory, bytes};
    return memory;
}

void weir_pair_shared_free(void)
{
    while (shared_count > 0) {
        shared_count--;
        (void)munmap(shared[shared_count].address, shared[shared_count].bytes);
    }
}

uint64_t weir_pair_switches(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_nivcsw : 0;
}

static int pin(int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    return sched_setaffinity(0, sizeof set, &set);
}

static void on_alarm(int signal)
{
    (void)signal;
    static const char before[] = "weir bench: ";
    static const char after[] =
        " did not end in time: a message was lost, or the machine is far too "
        "busy; run it again alone\n";
    (void)!write(STDERR_FILENO, before, sizeof before - 1);
    (void)!write(STDERR_FILENO, watched_part, strlen(watched_part));
    (void)!write(STDERR_FILENO, after, sizeof after - 1);
    if (watched_peer > 0) {
        kill(watched_peer, SIGKILL);
    }
    _exit(1);
}

void weir_pair_watch(const weir_pair *pair, const char *name, unsigned seconds)
{
    if (seconds > 0) {
        struct sigaction action = {.sa_handler = on_alarm};
        sigemptyset(&action.sa_mask);
        (void)sigaction(SIGALRM, &action, NULL);
        watched_peer = pair->peer;
        watched_part = name;
    }
    (void)alarm(seconds);
}

void weir_pair_think(uint64_t ns)
{
    const uint64_t begin_ns = weir_os()->clock_ns();
    uint64_t now_ns;
    do {
        weir_cpu_relax();
        now_ns = weir_os()->clock_ns();
    } while (now_ns - begin_ns < ns);
    thought_ns += now_ns - begin_ns;
}

/* Roles spin for far less than a time slice; the wait is bounded by the alarm. */
static void spin_until(const uint32_t *word, uint32_t value)
{
    while (weir_load_acquire_u32(word) != value) {
        weir_cpu_relax();
    }
}

static _Noreturn void peer_main(weir_pair *pair)
{
    struct weir_pair_board *board = pair->board;
    uint32_t seen = 0;
    for (;;) {
        uint32_t turn;
        while ((turn = weir_load_acquire_u32(&board->turn)) == seen) {
            (void)weir_os()->futex_wait(&board->turn, seen, WEIR_NEVER);
        }
        seen = turn;
        const uint32_t index = weir_load_relaxed_u32(&board->part);
        if (index >= pair->part_count) {
            _exit(0);
        }
        const weir_pair_part *part = &pair->parts[index];
        const uint64_t switches = weir_pair_switches();
        weir_store_release_u32(&board->ready, turn);
        thought_ns = 0;
        spin_until(&board->start, turn);
        const uint64_t sum = part->peer(part->state, part->count);
        weir_store_relaxed_u64(&board->end_ns, weir_os()->clock_ns());
        weir_store_relaxed_u64(&board->sum, sum);
        weir_store_relaxed_u64(&board->thought_ns, thought_ns);
        weir_store_relaxed_u64(&board->switches, weir_pair_switches() - switches);
        weir_store_release_u32(&board->done, turn);
    }
}

/* The terminal's interrupt reaches the whole process group; only the lead decides what it means,
 * and has blocked it. */
static void become_peer(weir_pair *pair, pid_t lead, int core)
{
    (void)signal(SIGINT, SIG_IGN);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != lead || pin(core) != 0) {
        _exit(3);
    }
    peer_main(pair);
}

weir_status weir_pair_start(weir_pair *pair, const weir_pair_part *parts, size_t part_count,
                            const weir_pair_cores *cores, weir_error *error)
{
    *pair = (weir_pair){.parts = parts, .part_count = part_count};
    if (sched_getaffinity(0, sizeof pair->cores_before, &pair->cores_before) != 0) {
        return weir_error_system(error, errno, "asking for the usable cores", NULL);
    }
    pair->board = weir_pair_shared(sizeof *pair->board);
    if (pair->board == NULL) {
        return weir_error_system(error, errno, "mapping memory for the bench", "free some memory");
    }
    const pid_t lead = getpid();
    const pid_t child = fork();
    if (child < 0) {
        return weir_error_system(error, errno, "starting the bench's second process",
                                 "allow more processes (ulimit -u)");
    }
    if (child == 0) {
        become_peer(pair, lead, cores->peer);
    }
    pair->peer = child;
    if (pin(cores->lead) != 0) {
        const int reason = errno;
        weir_pair_stop(pair);
        return weir_error_system(error, reason, "pinning the bench to a core", NULL);
    }
    return WEIR_OK;
}

static void order(weir_pair *pair, uint32_t part)
{
    weir_store_relaxed_u32(&pair->board->part, part);
    weir_store_release_u32(&pair->board->turn, ++pair->turn);
    (void)weir_os()->futex_wake(&pair->board->turn, 1);
}

weir_status weir_pair_run(weir_pair *pair, const weir_pair_part *part, weir_sample *sample,
                          weir_error *error)
{
    struct weir_pair_board *board = pair->board;
    weir_pair_watch(pair, part->name, WEIR_PAIR_LIMIT_SECONDS);
    const uint64_t switches = weir_pair_switches();
    order(pair, (uint32_t)(part - pair->parts));
    thought_ns = 0;
    spin_until(&board->ready, pair->turn);
    const uint64_t start_ns = weir_os()->clock_ns();
    weir_store_release_u32(&board->start, pair->turn);
    const uint64_t sum = part->lead(part->state, part->count);
    uint64_t end_ns = weir_os()->clock_ns();
    spin_until(&board->done, pair->turn);
    weir_pair_watch(pair, part->name, 0);
    const uint64_t peer_end_ns = weir_load_relaxed_u64(&board->end_ns);
    if (peer_end_ns > end_ns) {
        end_ns = peer_end_ns;
    }
    const uint64_t thought = thought_ns + weir_load_relaxed_u64(&board->thought_ns);
    sample->ns = (double)(end_ns - start_ns - thought) / (double)part->count;
    sample->switches = weir_pair_switches() - switches + weir_load_relaxed_u64(&board->switches);
    const uint64_t peer_sum = weir_load_relaxed_u64(&board->sum);
    if (peer_sum != sum) {
        weir_error_set(error,
                       "%s: what arrived is not what was sent (sums %" PRIx64 " and %" PRIx64
                       "); this is a bug of Weir or of this machine",
                       part->name, sum, peer_sum);
        return WEIR_CORRUPT;
    }
    return WEIR_OK;
}

void weir_pair_stop(weir_pair *pair)
{
    if (pair->peer <= 0) {
        return;
    }
    order(pair, PART_STOP);
    /* The order suffices for a peer in order; the signal is for one that hangs in a part. */
    for (int i = 0; i < 200; i++) {
        if (waitpid(pair->peer, NULL, WNOHANG) == pair->peer) {
            pair->peer = 0;
            break;
        }
        (void)weir_os()->sleep_until(weir_deadline_in(WEIR_NS_PER_MS));
    }
    if (pair->peer > 0) {
        kill(pair->peer, SIGKILL);
        (void)waitpid(pair->peer, NULL, 0);
        pair->peer = 0;
    }
    watched_peer = 0;
    (void)sched_setaffinity(0, sizeof pair->cores_before, &pair->cores_before);
}

weir_status weir_pair_probe(void *context, weir_sample *sample, weir_error *error)
{
    const weir_pair_probe_context *probe = context;
    return weir_pair_run(probe->pair, probe->part, sample, error);
}
