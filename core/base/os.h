/**
 * @file
 * The operating system, as one table of calls.
 *
 * Purpose: everything that core asks of Linux goes through weir_os(), so that a test can fail or
 * delay each call at its n-th use, run on another clock, or put a simulated kernel underneath. The
 * names and meanings are those of the man pages; the calls return -1 and set errno as there. What
 * differs is said beside the entry.
 *
 * Threads: the table is read by all threads and replaced only while nothing else of Weir runs.
 *
 * Blocking: as the call itself. Core never waits without a deadline.
 *
 * Units: monotonic times are nanoseconds of CLOCK_MONOTONIC; a deadline is absolute, UINT64_MAX
 * means none.
 */
#ifndef WEIR_BASE_OS_H
#define WEIR_BASE_OS_H

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>

/** A deadline that never comes. */
#define WEIR_NEVER         UINT64_MAX
#define WEIR_NS_PER_SECOND UINT64_C(1000000000)
#define WEIR_NS_PER_MS     UINT64_C(1000000)
#define WEIR_NS_PER_US     UINT64_C(1000)

/** One word of a futex_waitv: sleep while *address == expected. */
typedef struct weir_futex_word {
    const uint32_t *address;
    uint32_t expected;
    bool is_private; /**< Only threads of this process wake it. */
} weir_futex_word;

/** Most words that one futex_waitv takes (FUTEX_WAITV_MAX of linux/futex.h). */
#define WEIR_FUTEX_WORDS_MAX 128

/** How a process ended, as far as the supervisor cares. */
typedef struct weir_exit {
    int status;      /**< Exit status, or the signal's number. */
    bool was_signal; /**< Ended by a signal. */
} weir_exit;

typedef struct weir_os_table {
    /* time */
    uint64_t (*clock_ns)(void);      /**< CLOCK_MONOTONIC. */
    uint64_t (*wall_clock_ns)(void); /**< CLOCK_REALTIME, for printed dates only. */
    int (*sleep_until)(uint64_t deadline_ns);

    /* memory */
    int (*memfd_create)(const char *name, unsigned flags);
    int (*shm_open)(const char *name, int flags, mode_t mode);
    int (*shm_unlink)(const char *name);
    int (*fallocate)(int fd, int mode, off_t offset, off_t bytes);
    int (*ftruncate)(int fd, off_t bytes);
    int (*add_seals)(int fd, int seals); /**< fcntl F_ADD_SEALS. */
    int (*get_seals)(int fd);            /**< fcntl F_GET_SEALS. */
    void *(*mmap)(void *address, size_t bytes, int protection, int flags, int fd, off_t offset);
    int (*munmap)(void *address, size_t bytes);
    int (*madvise)(void *address, size_t bytes, int advice);
    long (*page_bytes)(void);

    /* sleeping and waking; futexes are shared unless said otherwise */
    int (*futex_wait)(const uint32_t *address, uint32_t expected, uint64_t deadline_ns);
    int (*futex_wait_private)(const uint32_t *address, uint32_t expected, uint64_t deadline_ns);
    int (*futex_waitv)(const weir_futex_word *words, unsigned count, uint64_t deadline_ns);
    int (*futex_wake)(const uint32_t *address, int count);
    int (*futex_wake_private)(const uint32_t *address, int count);
    int (*eventfd)(unsigned initial, int flags);
    int (*eventfd_drain)(
        int fd); /**< Reads without ever blocking (RWF_NOWAIT); -1 and EAGAIN when empty. */
    int (*eventfd_ring)(int fd); /**< Adds one unless full (asks poll first, a timer ends a write
                                    that a hostile peer makes hang); full counts as done. */
    int (*poll_until)(struct pollfd *fds, unsigned count, uint64_t deadline_ns,
                      const sigset_t *mask);                       /**< ppoll. */
    int (*signal_wait)(const sigset_t *set, uint64_t deadline_ns); /**< sigtimedwait. */
    int (*thread_signal)(pid_t pid, pid_t tid, int signal);        /**< tgkill. */
    int (*signal_mask)(int how, const sigset_t *set, sigset_t *old);
    int (*signal_action)(int signal, const struct sigaction *action, struct sigaction *old);
    void (*yield)(void);

    /* descriptors */
    int (*close)(int fd);
    int (*fstat)(int fd, struct stat *out);
    ssize_t (*read)(int fd, void *to, size_t bytes);
    ssize_t (*pread)(int fd, void *to, size_t bytes, off_t offset);
    ssize_t (*write)(int fd, const void *from, size_t bytes);
    int (*pipe)(int fds[2], int flags);
    int (*set_pipe_bytes)(int fd, int bytes); /**< fcntl F_SETPIPE_SZ. */
    int (*set_nonblocking)(int fd);           /**< fcntl F_SETFL O_NONBLOCK. */
    int (*epoll_create)(void);
    int (*epoll_ctl)(int epoll_fd, int op, int fd, struct epoll_event *event);
    int (*epoll_wait)(int epoll_fd, struct epoll_event *events, int count, int timeout_ms);
    int (*timerfd_create)(void);
    int (*timerfd_set)(int fd, uint64_t first_deadline_ns, uint64_t period_ns);

    /* sockets */
    int (*socket)(int domain, int type, int protocol);
    int (*socketpair)(int domain, int type, int protocol, int fds[2]);
    int (*bind)(int fd, const struct sockaddr *address, socklen_t bytes);
    int (*listen)(int fd, int backlog);
    int (*accept)(int fd); /**< accept4 with SOCK_CLOEXEC | SOCK_NONBLOCK. */
    int (*connect)(int fd, const struct sockaddr *address, socklen_t bytes);
    ssize_t (*sendmsg)(int fd, const struct msghdr *message, int flags);
    ssize_t (*recvmsg)(int fd, struct msghdr *message, int flags);
    int (*getsockopt)(int fd, int level, int name, void *value, socklen_t *bytes);
    int (*setsockopt)(int fd, int level, int name, const void *value, socklen_t bytes);

    /* processes */
    int (*spawn)(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                 const posix_spawnattr_t *attributes, char *const argv[],
                 char *const environment[]);
    int (*pidfd_open)(pid_t pid);
    int (*pidfd_signal)(int pidfd, int signal);
    int (*pidfd_reap)(int pidfd, weir_exit *out); /**< 1 reaped, 0 still running, -1 error. */
    pid_t (*getpid)(void);
    pid_t (*getppid)(void);
    pid_t (*gettid)(void);
    uid_t (*geteuid)(void);
    void (*exit_now)(int status); /**< _exit. */

    /* files */
    int (*open)(const char *path, int flags, mode_t mode);
    int (*mkdir)(const char *path, mode_t mode);
    int (*rmdir)(const char *path);
    int (*unlink)(const char *path);
    int (*chmod)(const char *path, mode_t mode);
    int (*access)(const char *path, int mode);
    int (*lstat)(const char *path, struct stat *out);
    int (*flock)(int fd, int operation);
    DIR *(*opendir)(const char *path);
    struct dirent *(*readdir)(DIR *directory);
    int (*closedir)(DIR *directory);
    int (*random_bytes)(void *to, size_t bytes); /**< getrandom, complete or -1. */
} weir_os_table;

/** The table in use. */
const weir_os_table *weir_os(void);

/** Linux itself. */
const weir_os_table *weir_os_linux(void);

/** Puts another table in use and returns the one before; NULL restores Linux. For tests, before
 * threads start. */
const weir_os_table *weir_os_replace(const weir_os_table *table);

/** now + @p delay_ns, without overflow. */
static inline uint64_t weir_deadline_in(uint64_t delay_ns)
{
    const uint64_t now = weir_os()->clock_ns();
    return delay_ns > WEIR_NEVER - now ? WEIR_NEVER : now + delay_ns;
}

#endif
