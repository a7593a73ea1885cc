/* Long because it is one table: each function is a man page's call with the corners that core
 * relies on. */
#include "base/os.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

static uint64_t read_clock(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * WEIR_NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

static uint64_t os_clock_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

static uint64_t os_wall_clock_ns(void)
{
    return read_clock(CLOCK_REALTIME);
}

/* The time as the kernel wants it; NULL stands for no deadline. */
static const struct timespec *absolute(uint64_t deadline_ns, struct timespec *out)
{
    if (deadline_ns == WEIR_NEVER) {
        return NULL;
    }
    out->tv_sec = (time_t)(deadline_ns / WEIR_NS_PER_SECOND);
    out->tv_nsec = (long)(deadline_ns % WEIR_NS_PER_SECOND);
    return out;
}

/* What is left until the deadline, for calls that count from now. */
static const struct timespec *remaining(uint64_t deadline_ns, struct timespec *out)
{
    if (deadline_ns == WEIR_NEVER) {
        return NULL;
    }
    const uint64_t now = weir_os()->clock_ns();
    return absolute(deadline_ns > now ? deadline_ns - now : 0, out);
}

static int os_sleep_until(uint64_t deadline_ns)
{
    struct timespec at;
    const int error =
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, absolute(deadline_ns, &at), NULL);
    errno = error;
    return error == 0 ? 0 : -1;
}

static int os_add_seals(int fd, int seals)
{
    return fcntl(fd, F_ADD_SEALS, seals);
}

static int os_get_seals(int fd)
{
    return fcntl(fd, F_GET_SEALS);
}

static int os_fallocate(int fd, int mode, off_t offset, off_t bytes)
{
    int result;
    do { /* A signal in the middle of a long allocation only means to go on (mongo-c-driver, pull
            request 1244). */
        result = fallocate(fd, mode, offset, bytes);
    } while (result == -1 && errno == EINTR);
    return result;
}

static long os_page_bytes(void)
{
    return sysconf(_SC_PAGESIZE);
}

/* FUTEX_WAIT_BITSET because it takes an absolute CLOCK_MONOTONIC deadline (futex(2)). */
static int wait_bitset(const uint32_t *address, int op, uint32_t expected, uint64_t deadline_ns)
{
    struct timespec at;
    return (int)syscall(SYS_futex, address, op, expected, absolute(deadline_ns, &at), NULL,
                        FUTEX_BITSET_MATCH_ANY);
}

static int os_futex_wait(const uint32_t *address, uint32_t expected, uint64_t deadline_ns)
{
    return wait_bitset(address, FUTEX_WAIT_BITSET, expected, deadline_ns);
}

static int os_futex_wait_private(const uint32_t *address, uint32_t expected, uint64_t deadline_ns)
{
    return wait_bitset(address, FUTEX_WAIT_BITSET_PRIVATE, expected, deadline_ns);
}

static int os_futex_waitv(const weir_futex_word *words, unsigned count, uint64_t deadline_ns)
{
    struct futex_waitv waiters[WEIR_FUTEX_WORDS_MAX];
    if (count > WEIR_FUTEX_WORDS_MAX) {
        errno = EINVAL;
        return -1;
    }
    for (unsigned i = 0; i < count; i++) {
        waiters[i] = (struct futex_waitv){
            .val = words[i].expected,
            .uaddr = (uintptr_t)words[i].address,
            .flags = FUTEX_32 | (words[i].is_private ? FUTEX_PRIVATE_FLAG : 0u),
        };
    }
    struct timespec at;
    return (int)syscall(SYS_futex_waitv, waiters, count, 0, absolute(deadline_ns, &at),
                        CLOCK_MONOTONIC);
}

static int os_futex_wake(const uint32_t *address, int count)
{
    return (int)syscall(SYS_futex, address, FUTEX_WAKE, count, NULL, NULL, 0);
}

static int os_futex_wake_private(const uint32_t *address, int count)
{
    return (int)syscall(SYS_futex, address, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

static int os_eventfd_drain(int fd)
{
    /* The peer may have cleared O_NONBLOCK on the shared description, so the flag of the call
     * decides. */
    uint64_t count = 0;
    struct iovec into = {.iov_base = &count, .iov_len = sizeof count};
    return preadv2(fd, &into, 1, -1, RWF_NOWAIT) == (ssize_t)sizeof count ? 0 : -1;
}

/* How long a wake may hang in a peer's trap before it is pulled out. */
#define RING_GUARD_NS (5 * WEIR_NS_PER_MS)

/*
 * Writes one, and never hangs in it: between the poll and the write a hostile peer can clear
 * O_NONBLOCK and fill the counter. A timer that signals this thread again and again ends the write
 * then (EINTR). Fallback path only: six system calls are little beside waking a core.
 */
static ssize_t write_one_guarded(int fd)
{
    struct sigevent to_this_thread = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGURG};
    to_this_thread._sigev_un._tid = gettid();
    timer_t timer;
    if (timer_create(CLOCK_MONOTONIC, &to_this_thread, &timer) != 0) {
        return -1;
    }
    sigset_t guard;
    sigset_t before;
    sigemptyset(&guard);
    sigaddset(&guard, SIGURG);
    pthread_sigmask(SIG_UNBLOCK, &guard, &before);
    const struct timespec period = {0, (long)RING_GUARD_NS};
    const struct itimerspec again = {.it_interval = period, .it_value = period};
    timer_settime(timer, 0, &again, NULL);
    const uint64_t one = 1;
    const ssize_t written = write(fd, &one, sizeof one);
    const int error = errno;
    timer_delete(timer);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return written;
}

static int os_eventfd_ring(int fd)
{
    /* Writing knows no RWF_NOWAIT for eventfds. A full counter is already readable, so there is
     * nothing to add. */
    struct pollfd writable = {.fd = fd, .events = POLLOUT};
    const struct timespec at_once = {0, 0};
    const int ready = ppoll(&writable, 1, &at_once, NULL);
    if (ready < 0) {
        return -1;
    }
    if (ready == 0) {
        return 0;
    }
    if ((writable.revents & POLLOUT) == 0) {
        errno = EBADF;
        return -1;
    }
    const ssize_t written = write_one_guarded(fd);
    if (written == (ssize_t)sizeof(uint64_t) || (written == -1 && errno == EAGAIN)) {
        return 0;
    }
    return -1;
}

static int os_poll_until(struct pollfd *fds, unsigned count, uint64_t deadline_ns,
                         const sigset_t *mask)
{
    struct timespec left;
    return ppoll(fds, count, remaining(deadline_ns, &left), mask);
}

static int os_signal_wait(const sigset_t *set, uint64_t deadline_ns)
{
    struct timespec left;
    return sigtimedwait(set, NULL, remaining(deadline_ns, &left));
}

static int os_thread_signal(pid_t pid, pid_t tid, int signal)
{
    return tgkill(pid, tid, signal);
}

static int os_signal_mask(int how, const sigset_t *set, sigset_t *old)
{
    const int error = pthread_sigmask(how, set, old);
    errno = error;
    return error == 0 ? 0 : -1;
}

static void os_yield(void)
{
    sched_yield();
}

static int os_set_pipe_bytes(int fd, int bytes)
{
    return fcntl(fd, F_SETPIPE_SZ, bytes);
}

static int os_set_nonblocking(int fd)
{
    return fcntl(fd, F_SETFL, O_NONBLOCK);
}

static int os_epoll_create(void)
{
    return epoll_create1(EPOLL_CLOEXEC);
}

static int os_timerfd_create(void)
{
    return timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
}

static int os_timerfd_set(int fd, uint64_t first_deadline_ns, uint64_t period_ns)
{
    struct itimerspec when = {{0, 0}, {0, 0}};
    if (first_deadline_ns != WEIR_NEVER) {
        absolute(first_deadline_ns, &when.it_value);
        absolute(period_ns, &when.it_interval);
    }
    return timerfd_settime(fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static int os_accept(int fd)
{
    return accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

static int os_pidfd_open(pid_t pid)
{
    return pidfd_open(pid, 0);
}

static int os_pidfd_signal(int pidfd, int signal)
{
    return pidfd_send_signal(pidfd, signal, NULL, 0);
}

static int os_pidfd_reap(int pidfd, weir_exit *out)
{
    siginfo_t info = {0};
    if (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG) != 0) {
        return -1;
    }
    if (info.si_pid == 0) {
        return 0;
    }
    out->status = info.si_status;
    out->was_signal = info.si_code != CLD_EXITED;
    return 1;
}

static int os_open(const char *path, int flags, mode_t mode)
{
    return open(path, flags | O_CLOEXEC, mode);
}

static int os_random_bytes(void *to, size_t bytes)
{
    unsigned char *at = to;
    while (bytes > 0) {
        const ssize_t got = getrandom(at, bytes, 0);
        if (got < 0) {
            if (errno == EINTR) {
                continue;
            }
            return -1;
        }
        at += got;
        bytes -= (size_t)got;
    }
    return 0;
}

static const weir_os_table linux_table = {
    .clock_ns = os_clock_ns,
    .wall_clock_ns = os_wall_clock_ns,
    .sleep_until = os_sleep_until,
    .memfd_create = memfd_create,
    .shm_open = shm_open,
    .shm_unlink = shm_unlink,
    .fallocate = os_fallocate,
    .ftruncate = ftruncate,
    .add_seals = os_add_seals,
    .get_seals = os_get_seals,
    .mmap = mmap,
    .munmap = munmap,
    .madvise = madvise,
    .page_bytes = os_page_bytes,
    .futex_wait = os_futex_wait,
    .futex_wait_private = os_futex_wait_private,
    .futex_waitv = os_futex_waitv,
    .futex_wake = os_futex_wake,
    .futex_wake_private = os_futex_wake_private,
    .eventfd = eventfd,
    .eventfd_drain = os_eventfd_drain,
    .eventfd_ring = os_eventfd_ring,
    .poll_until = os_poll_until,
    .signal_wait = os_signal_wait,
    .thread_signal = os_thread_signal,
    .signal_mask = os_signal_mask,
    .signal_action = sigaction,
    .yield = os_yield,
    .close = close,
    .fstat = fstat,
    .read = read,
    .pread = pread,
    .write = write,
    .pipe = pipe2,
    .set_pipe_bytes = os_set_pipe_bytes,
    .set_nonblocking = os_set_nonblocking,
    .epoll_create = os_epoll_create,
    .epoll_ctl = epoll_ctl,
    .epoll_wait = epoll_wait,
    .timerfd_create = os_timerfd_create,
    .timerfd_set = os_timerfd_set,
    .socket = socket,
    .socketpair = socketpair,
    .bind = bind,
    .listen = listen,
    .accept = os_accept,
    .connect = connect,
    .sendmsg = sendmsg,
    .recvmsg = recvmsg,
    .getsockopt = getsockopt,
    .setsockopt = setsockopt,
    .spawn = posix_spawn,
    .pidfd_open = os_pidfd_open,
    .pidfd_signal = os_pidfd_signal,
    .pidfd_reap = os_pidfd_reap,
    .getpid = getpid,
    .getppid = getppid,
    .gettid = gettid,
    .geteuid = geteuid,
    .exit_now = _exit,
    .open = os_open,
    .mkdir = mkdir,
    .rmdir = rmdir,
    .unlink = unlink,
    .chmod = chmod,
    .access = access,
    .lstat = lstat,
    .flock = flock,
    .opendir = opendir,
    .readdir = readdir,
    .closedir = closedir,
    .random_bytes = os_random_bytes,
};

static const weir_os_table *in_use = &linux_table;

const weir_os_table *weir_os(void)
{
    return in_use;
}

const weir_os_table *weir_os_linux(void)
{
    return &linux_table;
}

const weir_os_table *weir_os_replace(const weir_os_table *table)
{
    const weir_os_table *before = in_use;
    in_use = table != NULL ? table : &linux_table;
    return before;
}
