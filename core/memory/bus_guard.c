#include "memory/bus_guard.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "base/atomic.h"
#include "base/os.h"

/* A range is aligned to its own power-of-two length, so both fit into one word, and the handler can
 * never see half of a change: base | log2(length); 0 is a free entry. */
struct weir_bus_range {
    uint64_t place;
    uint32_t is_truncated;
};

static struct weir_bus_range ranges[WEIR_BUS_RANGES_MAX];
static uint32_t ranges_used; /* entries ever used: how far the handler looks */
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction previous; /* complete before the first range is in the table */
static uintptr_t page_bytes;
static bool is_installed;

static bool contains(uint64_t place, uintptr_t address)
{
    const uint32_t shift = place & 63;
    return place != 0 && (address >> shift) == (uintptr_t)(place >> shift);
}

static struct weir_bus_range *find(uintptr_t address)
{
    /* SYNC(bus.add): acquire, so that an entry within the count is seen as complete. */
    const uint32_t used = weir_load_acquire_u32(&ranges_used);
    for (uint32_t i = 0; i < used; i++) {
        if (contains(weir_load_relaxed_u64(&ranges[i].place), address)) {
            return &ranges[i];
        }
    }
    return NULL;
}

/* Runs in the handler: gives the access a page to complete on. */
static bool substitute(struct weir_bus_range *range, uintptr_t address)
{
    const uintptr_t page = address & ~(page_bytes - 1);
    /* The mark comes first: whoever reads the zeros can already see it. */
    /* SYNC(bus.truncated): release, before the access that the page lets through. */
    weir_store_release_u32(&range->is_truncated, 1);
    const void *mapped = weir_os()->mmap((void *)page, page_bytes, PROT_READ | PROT_WRITE,
                                         MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return mapped != MAP_FAILED;
}

/* What would have happened without us. */
static void pass_on(int signal, siginfo_t *info, void *context)
{
    if ((previous.sa_flags & SA_SIGINFO) != 0) {
        previous.sa_sigaction(signal, info, context);
        return;
    }
    const bool was_sent = info->si_code <= 0; /* by kill(2), not by a fault */
    if (previous.sa_handler == SIG_IGN && was_sent) {
        return;
    }
    if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
        previous.sa_handler(signal);
        return;
    }
    /* Back to the default. A fault repeats itself and ends the process; a sent signal has to be
     * sent again. */
    struct sigaction standard;
    memset(&standard, 0, sizeof standard);
    standard.sa_handler = SIG_DFL;
    weir_os()->signal_action(signal, &standard, NULL);
    if (was_sent) {
        weir_os()->thread_signal(weir_os()->getpid(), weir_os()->gettid(), signal);
    }
}

static void handle(int signal, siginfo_t *info, void *context)
{
    const int saved_errno = errno;
    const uintptr_t address = (uintptr_t)info->si_addr;
    struct weir_bus_range *range = info->si_code > 0 ? find(address) : NULL;
    if (range == NULL || !substitute(range, address)) {
        pass_on(signal, info, context);
    }
    errno = saved_errno;
}

/* Under the lock. */
static weir_status install(weir_error *error)
{
    if (is_installed) {
        return WEIR_OK;
    }
    page_bytes = (uintptr_t)weir_os()->page_bytes();
    if (weir_os()->signal_action(SIGBUS, NULL, &previous) == -1) {
        return weir_error_system(error, errno, "cannot read the handler of SIGBUS", NULL);
    }
    struct sigaction ours;
    memset(&ours, 0, sizeof ours);
    ours.sa_sigaction = handle;
    ours.sa_mask = previous.sa_mask; /* a handler behind us keeps what it asked for */
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART | (previous.sa_flags & SA_NODEFER);
    if (weir_os()->signal_action(SIGBUS, &ours, &previous) == -1) {
        return weir_error_system(error, errno, "cannot install a handler of SIGBUS", NULL);
    }
    is_installed = true;
    return WEIR_OK;
}

static struct weir_bus_range *free_entry(void)
{
    for (uint32_t i = 0; i < WEIR_BUS_RANGES_MAX; i++) {
        if (weir_load_relaxed_u64(&ranges[i].place) == 0) {
            return &ranges[i];
        }
    }
    return NULL;
}

/* Under the lock. */
static void enter(struct weir_bus_range *entry, void *base, size_t bytes)
{
    const uint32_t index = (uint32_t)(entry - ranges);
    weir_store_relaxed_u32(&entry->is_truncated, 0);
    weir_store_relaxed_u64(&entry->place,
                           (uint64_t)(uintptr_t)base | (uint64_t)__builtin_ctzll(bytes));
    if (index >= ranges_used) {
        /* SYNC(bus.add): release, so that a handler that sees the new count sees the entry. An
         * entry used again needs no order: only accesses behind this call can fault in it. */
        weir_store_release_u32(&ranges_used, index + 1);
    }
}

weir_status weir_bus_guard_add(void *base, size_t bytes, weir_bus_range **range, weir_error *error)
{
    assert(bytes >= 64 && (bytes & (bytes - 1)) == 0 && (uintptr_t)base % bytes == 0);
    pthread_mutex_lock(&table_lock);
    weir_status status = install(error);
    struct weir_bus_range *entry = status == WEIR_OK ? free_entry() : NULL;
    if (status == WEIR_OK && entry == NULL) {
        weir_error_set(error,
                       "no more than %d memory objects can be guarded against truncation; use the "
                       "memfd backing or fewer workers",
                       WEIR_BUS_RANGES_MAX);
        status = WEIR_NO_MEMORY;
    }
    if (status == WEIR_OK) {
        enter(entry, base, bytes);
        *range = entry;
    }
    pthread_mutex_unlock(&table_lock);
    return status;
}

void weir_bus_guard_remove(weir_bus_range *range)
{
    pthread_mutex_lock(&table_lock);
    weir_store_relaxed_u64(&range->place, 0);
    pthread_mutex_unlock(&table_lock);
}

bool weir_bus_guard_is_truncated(const weir_bus_range *range)
{
    /* SYNC(bus.truncated): acquire, so that the answer is not older than what was read through the
     * mapping before. */
    return weir_load_acquire_u32(&range->is_truncated) != 0;
}
