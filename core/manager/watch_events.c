#include "manager/watch_events.h"

#include <errno.h>

#include "base/atomic.h"
#include "manager/seat.h"

#define EVENTS_PER_TURN 32

static weir_incarnation *find_generation(weir_manager *manager, uint32_t generation)
{
    const uint32_t count = weir_load_acquire_u32(&manager->pool_count);
    for (uint32_t p = 0; p < count; p++) {
        for (uint32_t s = 0; s < manager->pools[p]->seat_count; s++) {
            weir_incarnation *now = manager->pools[p]->seats[s].now;
            if (now != NULL && now->generation == generation) {
                return now;
            }
        }
    }
    return NULL;
}

static void read_socket(weir_incarnation *incarnation)
{
    /* Nothing is expected here yet but the end: read and drop, bounded, until there is nothing. */
    for (int i = 0; i < 16 && incarnation->closed_ns == 0; i++) {
        char dropped[64];
        struct iovec into = {.iov_base = dropped, .iov_len = sizeof dropped};
        struct msghdr message = {.msg_iov = &into, .msg_iovlen = 1};
        const ssize_t got =
            weir_os()->recvmsg(incarnation->socket_fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
            incarnation->closed_ns = weir_os()->clock_ns();
        } else if (got < 0) {
            return;
        }
    }
}

static void pump_all_outputs(weir_manager *manager)
{
    const uint32_t count = weir_load_acquire_u32(&manager->pool_count);
    for (uint32_t p = 0; p < count; p++) {
        for (uint32_t s = 0; s < manager->pools[p]->seat_count; s++) {
            weir_incarnation *now = manager->pools[p]->seats[s].now;
            if (now != NULL && now->socket_fd >= 0 && now->closed_ns == 0) {
                read_socket(now);
            }
            if (now != NULL) {
                weir_seat_pump_output(now);
            }
        }
    }
}

bool weir_watch_events_handle(weir_manager *manager)
{
    weir_watch_event events[EVENTS_PER_TURN];
    bool has_overflowed = false;
    const uint32_t count =
        weir_watcher_take(&manager->watcher, events, EVENTS_PER_TURN, &has_overflowed);
    bool is_due = false;
    for (uint32_t i = 0; i < count; i++) {
        if (events[i].generation == 0) {
            is_due = true; /* A connection or a handshake. */
            continue;
        }
        weir_incarnation *incarnation = find_generation(manager, events[i].generation);
        if (incarnation == NULL) {
            continue; /* It was buried before its last event was taken. */
        }
        if (events[i].kind == WEIR_WATCH_OUTPUT) {
            weir_seat_pump_output(incarnation);
            is_due |= incarnation->has_more_output;
        } else {
            is_due = true;
            if (events[i].kind == WEIR_WATCH_SOCKET) {
                read_socket(incarnation);
            }
        }
    }
    if (has_overflowed) {
        pump_all_outputs(manager);
    }
    return is_due || has_overflowed;
}
