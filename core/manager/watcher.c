#include "manager/watcher.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/eventfd.h>

#include "base/atomic.h"
#include "base/os.h"

#define EVENTS_PER_WAIT 32

static uint64_t pack(weir_watch_kind kind, uint32_t generation)
{
    return (uint64_t)kind << 32 | generation;
}

static void queue_event(weir_watcher *watcher, uint64_t data)
{
    if (watcher->queued == WEIR_WATCH_QUEUE) {
        watcher->has_overflowed = true;
        return;
    }
    watcher->queue[watcher->queued++] = (weir_watch_event){
        .kind = (weir_watch_kind)(data >> 32),
        .generation = (uint32_t)data,
    };
}

static void *watch(void *context)
{
    weir_watcher *watcher = context;
    for (;;) {
        struct epoll_event events[EVENTS_PER_WAIT];
        const int count = weir_os()->epoll_wait(watcher->epoll_fd, events, EVENTS_PER_WAIT, -1);
        if (count < 0 && errno != EINTR) {
            return NULL;
        }
        bool is_stopped = false;
        pthread_mutex_lock(&watcher->lock);
        for (int i = 0; i < count; i++) {
            if (events[i].data.u64 == pack(WEIR_WATCH_STOP, 0)) {
                is_stopped = true;
            } else {
                queue_event(watcher, events[i].data.u64);
            }
        }
        /* SYNC(watcher.pending): only says that the lock is worth taking; the queue itself is under
         * it. */
        weir_store_release_u32(&watcher->pending, 1);
        pthread_mutex_unlock(&watcher->lock);
        if (is_stopped) {
            return NULL;
        }
        watcher->ring(watcher->context);
    }
}

static weir_status start_thread(weir_watcher *watcher, weir_error *error)
{
    /* The wake signal is for the loop's thread; every other signal is for the program's own
     * threads. */
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    (void)weir_os()->signal_mask(SIG_SETMASK, &all, &before);
    const int code = pthread_create(&watcher->thread, NULL, watch, watcher);
    (void)weir_os()->signal_mask(SIG_SETMASK, &before, NULL);
    if (code != 0) {
        return weir_error_system(error, code, "cannot start the watcher thread",
                                 "raise the limit on threads (ulimit -u)");
    }
    watcher->has_thread = true;
    return WEIR_OK;
}

weir_status weir_watcher_start(weir_watcher *watcher, void (*ring)(void *context), void *context,
                               weir_error *error)
{
    *watcher = (weir_watcher){.epoll_fd = -1, .stop_fd = -1, .ring = ring, .context = context};
    pthread_mutex_init(&watcher->lock, NULL);
    watcher->epoll_fd = weir_os()->epoll_create();
    watcher->stop_fd = weir_os()->eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    weir_status status;
    if (watcher->epoll_fd < 0 || watcher->stop_fd < 0) {
        status = weir_error_system(error, errno, "cannot make the watcher's descriptors",
                                   "raise the limit on open files (ulimit -n)");
    } else {
        status = weir_watcher_add(watcher, watcher->stop_fd, WEIR_WATCH_STOP, 0, error);
    }
    if (status == WEIR_OK) {
        status = start_thread(watcher, error);
    }
    if (status != WEIR_OK) {
        weir_watcher_stop(watcher);
    }
    return status;
}

void weir_watcher_stop(weir_watcher *watcher)
{
    if (watcher->has_thread) {
        (void)weir_os()->eventfd_ring(watcher->stop_fd);
        pthread_join(watcher->thread, NULL);
        watcher->has_thread = false;
    }
    if (watcher->stop_fd >= 0) {
        (void)weir_os()->close(watcher->stop_fd);
        watcher->stop_fd = -1;
    }
    if (watcher->epoll_fd >= 0) {
        (void)weir_os()->close(watcher->epoll_fd);
        watcher->epoll_fd = -1;
    }
    pthread_mutex_destroy(&watcher->lock);
}

weir_status weir_watcher_add(weir_watcher *watcher, int fd, weir_watch_kind kind,
                             uint32_t generation, weir_error *error)
{
    struct epoll_event event = {
        .events = EPOLLIN | EPOLLRDHUP | EPOLLET,
        .data.u64 = pack(kind, generation),
    };
    if (weir_os()->epoll_ctl(watcher->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        return weir_error_system(error, errno, "cannot watch a descriptor",
                                 "raise fs.epoll.max_user_watches");
    }
    return WEIR_OK;
}

void weir_watcher_remove(weir_watcher *watcher, int fd)
{
    if (fd >= 0) {
        (void)weir_os()->epoll_ctl(watcher->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    }
}

bool weir_watcher_has_events(const weir_watcher *watcher)
{
    /* SYNC(watcher.pending): see watch. */
    return weir_load_acquire_u32(&watcher->pending) != 0;
}

uint32_t weir_watcher_take(weir_watcher *watcher, weir_watch_event *events, uint32_t capacity,
                           bool *overflowed)
{
    *overflowed = false;
    if (!weir_watcher_has_events(watcher)) {
        return 0;
    }
    pthread_mutex_lock(&watcher->lock);
    uint32_t count = watcher->queued < capacity ? watcher->queued : capacity;
    for (uint32_t i = 0; i < count; i++) {
        events[i] = watcher->queue[i];
    }
    for (uint32_t i = count; i < watcher->queued; i++) {
        watcher->queue[i - count] = watcher->queue[i];
    }
    watcher->queued -= count;
    *overflowed = watcher->has_overflowed;
    watcher->has_overflowed = false;
    weir_store_relaxed_u32(&watcher->pending, watcher->queued > 0);
    pthread_mutex_unlock(&watcher->lock);
    return count;
}
