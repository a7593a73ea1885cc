#include "base/atomic.h"
#include "manager/event.h"
#include "manager/host.h"
#include "manager/seat.h"
#include "manager/spawn.h"

/* splitmix64 (Steele, Lea, Flood, OOPSLA 2014): every choice of the supervisor derives from the
 * manager's seed. */
static uint64_t next_random(weir_manager *manager)
{
    uint64_t z = manager->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Half of the delay is certain, half is chance, so that workers that died together do not start
 * together. */
static uint64_t with_jitter(weir_manager *manager, uint64_t delay_ns)
{
    return delay_ns / 2 + next_random(manager) % (delay_ns / 2 + 1);
}

static void schedule_restart(weir_pool *pool, weir_seat *seat, uint64_t now_ns)
{
    const weir_pool_options *options = &pool->options;
    seat->backoff_ns = seat->backoff_ns == 0
                           ? options->backoff_first_ns
                           : weir_earlier(seat->backoff_ns * 2, options->backoff_max_ns);
    seat->start_at_ns = now_ns + with_jitter(pool->manager, seat->backoff_ns);
}

void weir_seat_quarantine(weir_pool *pool, uint32_t number, const char *why)
{
    weir_seat *seat = &pool->seats[number];
    weir_seat_set_state(pool, seat, WEIR_SEAT_QUARANTINED);
    weir_event_tell(pool, number, NULL, "quarantined", "%s; it is not started again", why);
    weir_manager_ring(pool->manager); /* Deferred jobs may have nobody left to wait for. */
}

/* A worker ended or could not be started: again later, or never. */
void weir_seat_note_death(weir_pool *pool, uint32_t number, bool was_stable, uint64_t now_ns)
{
    weir_seat *seat = &pool->seats[number];
    if (was_stable) {
        seat->deaths_in_row = 0;
        seat->backoff_ns = 0;
    }
    seat->deaths_in_row++;
    if (seat->deaths_in_row >= pool->options.deaths_max) {
        weir_seat_quarantine(pool, number, "the worker died too often in a row");
        return;
    }
    if (pool->manager->options.host != NULL) {
        seat->start_at_ns = now_ns; /* When to start again is the host's affair. */
        return;
    }
    schedule_restart(pool, seat, now_ns);
    weir_event_tell(pool, number, NULL, "restarting", "next start in %llu ms",
                    (unsigned long long)((seat->start_at_ns - now_ns) / WEIR_NS_PER_MS));
}

static void offer_terms(weir_incarnation *incarnation)
{
    const weir_pool *pool = incarnation->pool;
    const weir_pool_options *options = &pool->options;
    const uint32_t tid = weir_load_relaxed_u32(&pool->manager->loop_tid);
    struct weir_manager_control *control = incarnation->arena.manager_control;
    weir_store_relaxed_u32(&control->manager_pid, (uint32_t)weir_os()->getpid());
    weir_store_relaxed_u32(&control->manager_tid, tid);
    incarnation->offered = (weir_handshake_terms){
        .generation = incarnation->generation,
        .arena = &incarnation->arena,
        .request_eventfd = incarnation->request_eventfd,
        .response_eventfd = incarnation->response_eventfd,
        .capabilities = (options->capabilities & (WEIR_CAPABILITY_LZ4 | WEIR_CAPABILITY_ZSTD)) |
                        (options->without_payload_crc ? 0u : WEIR_CAPABILITY_PAYLOAD_CRC),
        .wake_strategies = options->wake_strategies,
        .spin_ns = options->spin_ns == 1 ? 0 : options->spin_ns,
        .compress_min_bytes = options->compress_min_bytes,
        .manager_tid = tid,
        .role = options->role,
        .correlation = incarnation->correlation,
    };
}

static weir_status bring_up(weir_pool *pool, uint32_t number, weir_incarnation **out,
                            weir_error *error)
{
    weir_manager *manager = pool->manager;
    weir_incarnation *incarnation = NULL;
    weir_status status =
        weir_incarnation_create(pool, number, ++manager->generation, &incarnation, error);
    if (status != WEIR_OK) {
        return status;
    }
    offer_terms(incarnation);
    *out = incarnation;
    if (manager->options.host != NULL) {
        return WEIR_OK; /* Its process is ordered once it sits in its seat. */
    }
    status = weir_spawn(incarnation, manager->listener.path, error);
    if (status == WEIR_OK) {
        status = weir_watcher_add(&manager->watcher, incarnation->pidfd, WEIR_WATCH_PROCESS,
                                  incarnation->generation, error);
    }
    if (status == WEIR_OK) {
        status = weir_watcher_add(&manager->watcher, incarnation->output.fd, WEIR_WATCH_OUTPUT,
                                  incarnation->generation, error);
    }
    return status;
}

void weir_seat_start(weir_pool *pool, uint32_t number, uint64_t now_ns)
{
    weir_seat *seat = &pool->seats[number];
    weir_incarnation *incarnation = NULL;
    weir_error error = {{0}};
    const weir_status status = bring_up(pool, number, &incarnation, &error);
    if (status != WEIR_OK) {
        pthread_mutex_lock(&pool->lock);
        seat->last_refusal = error;
        seat->has_refusal = true;
        seat->is_start_asked = false;
        weir_pool_changed(pool);
        pthread_mutex_unlock(&pool->lock);
        weir_event_tell(pool, number, incarnation, "refused", "%s", error.text);
    }
    const bool is_hosted = pool->manager->options.host != NULL;
    if (incarnation == NULL || (incarnation->pidfd < 0 && !is_hosted)) {
        if (incarnation != NULL) {
            weir_incarnation_close(incarnation);
            weir_incarnation_release(incarnation);
        }
        weir_seat_note_death(pool, number, false, now_ns);
        return;
    }
    incarnation->spawned_ns = now_ns;
    pthread_mutex_lock(&pool->lock);
    seat->is_start_asked = false; /* Asked for once more meanwhile: this is that start. */
    seat->now = incarnation;
    seat->is_leaving = false;
    seat->state = WEIR_SEAT_STARTING;
    pthread_mutex_unlock(&pool->lock);
    if (is_hosted) {
        weir_event_tell(pool, number, incarnation, "spawned", "the host starts %s",
                        pool->options.command[0]);
        weir_host_order(incarnation);
        return;
    }
    weir_event_tell(pool, number, incarnation, "spawned", "started %s as pid %d",
                    pool->options.command[0], (int)incarnation->pid);
}
