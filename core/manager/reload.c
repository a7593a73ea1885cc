#include "manager/reload.h"

#include "manager/event.h"
#include "manager/seat.h"

static bool find_old_seat(weir_pool *pool, uint32_t *number)
{
    for (uint32_t i = 0; i < pool->seat_count; i++) {
        const weir_seat *seat = &pool->seats[i];
        if (seat->is_wanted &&
            (seat->now == NULL || seat->now->generation <= pool->reload.last_generation)) {
            *number = i;
            return true;
        }
    }
    return false;
}

static void end_reload(weir_pool *pool, bool has_failed)
{
    pthread_mutex_lock(&pool->lock);
    pool->reload.is_running = false;
    pool->reload.has_failed = has_failed;
    weir_pool_changed(pool);
    pthread_mutex_unlock(&pool->lock);
    weir_event_tell(pool, 0, NULL, "reloaded", "%s",
                    has_failed ? "the reload stopped: the new worker does not start"
                               : "every worker of the pool was replaced");
}

static void begin_next_replacement(weir_pool *pool, uint64_t now_ns)
{
    weir_reload *reload = &pool->reload;
    if (!find_old_seat(pool, &reload->old_seat)) {
        end_reload(pool, false);
        return;
    }
    for (uint32_t i = 0; i < pool->seat_count; i++) {
        weir_seat *seat = &pool->seats[i];
        if (!seat->is_wanted && seat->state == WEIR_SEAT_EMPTY) {
            reload->new_seat = i;
            reload->is_draining = false;
            weir_seat_set_wanted(pool, seat, true);
            seat->start_at_ns = now_ns;
            seat->backoff_ns = 0;
            seat->deaths_in_row = 0;
            return;
        }
    }
}

/* One at a time: the replacement serves before the old one is drained, so there is always somebody
 * to take jobs. */
void weir_reload_step(weir_pool *pool, uint64_t now_ns)
{
    weir_reload *reload = &pool->reload;
    if (reload->last_generation == 0) {
        reload->last_generation = pool->manager->generation;
        begin_next_replacement(pool, now_ns);
        return;
    }
    weir_seat *old = &pool->seats[reload->old_seat];
    weir_seat *fresh = &pool->seats[reload->new_seat];
    if (!reload->is_draining) {
        if (fresh->state == WEIR_SEAT_QUARANTINED) {
            weir_seat_set_wanted(pool, fresh, false);
            weir_seat_set_state(pool, fresh, WEIR_SEAT_EMPTY);
            end_reload(pool, true);
        } else if (fresh->state == WEIR_SEAT_READY) {
            reload->is_draining = true;
            weir_seat_set_wanted(pool, old, false);
            if (old->state == WEIR_SEAT_READY) {
                weir_seat_begin_drain(pool, old, "a replacement is ready");
            }
        }
    } else if (old->state ==
               WEIR_SEAT_READY) { /* It was still starting when its replacement was ready. */
        weir_seat_begin_drain(pool, old, "a replacement is ready");
    } else if (old->now == NULL) {
        weir_seat_set_state(pool, old, WEIR_SEAT_EMPTY);
        begin_next_replacement(pool, now_ns);
    }
}
