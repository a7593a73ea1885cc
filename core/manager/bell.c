#include "base/atomic.h"
#include "manager/registry.h"

void weir_manager_adopt_thread(weir_manager *manager)
{
    const uint32_t tid = (uint32_t)weir_os()->gettid();
    if (tid == weir_load_relaxed_u32(&manager->loop_tid)) {
        return;
    }
    weir_store_relaxed_u32(&manager->loop_tid, tid);
    const uint32_t count = weir_load_acquire_u32(&manager->pool_count);
    for (uint32_t p = 0; p < count; p++) {
        for (uint32_t s = 0; s < manager->pools[p]->seat_count; s++) {
            weir_incarnation *now = manager->pools[p]->seats[s].now;
            if (now != NULL) {
                weir_store_relaxed_u32(&now->arena.manager_control->manager_tid, tid);
            }
        }
    }
}

bool weir_manager_is_loop_thread(const weir_manager *manager)
{
    return (uint32_t)weir_os()->gettid() == weir_load_relaxed_u32(&manager->loop_tid);
}

void weir_manager_ring(weir_manager *manager)
{
    /* SYNC(loop.bell): what the loop shall see was done before; then the same dance as at a gate.
     */
    (void)weir_fetch_add_acq_rel_u32(&manager->bell, 1);
    weir_fence_full();
    switch (weir_load_relaxed_u32(&manager->parked_strategy)) {
    case WEIR_WAKE_STRATEGY_AWAKE:
        break;
    case WEIR_WAKE_STRATEGY_FUTEX:
        (void)weir_os()->futex_wake_private(&manager->bell, 1);
        break;
    case WEIR_WAKE_STRATEGY_EVENTFD:
        (void)weir_os()->eventfd_ring(manager->wait_eventfd);
        break;
    default:
        (void)weir_os()->thread_signal(weir_os()->getpid(),
                                       (pid_t)weir_load_relaxed_u32(&manager->loop_tid),
                                       WEIR_WAKE_SIGNAL);
        break;
    }
}
