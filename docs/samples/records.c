#include "docs/samples/records.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/atomic.h"
#include "channel/telemetry.h"

weir_incarnation *peek(const scene *at, uint32_t seat)
{
    return at->manager->pools[at->pool]->seats[seat].now;
}

void print_workers(const scene *at)
{
    weir_worker_info workers[8];
    const size_t count = weir_manager_read_workers(at->manager, workers, 8);
    for (size_t i = 0; i < count && i < 8; i++) {
        const weir_worker_info *w = &workers[i];
        printf("role %s language %s pool %u seat %u state %s generation %u pid %d\n", w->role,
               w->language, w->pool, w->seat, weir_seat_state_name(w->state), w->generation,
               (int)w->pid);
        printf("  layout_minor %u capabilities 0x%x wake_strategy %s restarts %u\n",
               w->layout_minor, w->capabilities, weir_wake_strategy_name(w->wake_strategy),
               w->restarts);
        printf("  in_flight %u request_slots_taken %u ready_since_ns %" PRIu64 "\n", w->in_flight,
               w->request_slots_taken, w->ready_since_ns);
        printf("  beat_ns %" PRIu64 " beat_count %" PRIu64 " jobs_ok %" PRIu64
               " jobs_failed %" PRIu64 "\n",
               w->beat_ns, w->beat_count, w->jobs_ok, w->jobs_failed);
        printf("  last_job_ns %" PRIu64 " busy_since_ns %" PRIu64 " queue_depth %" PRIu64 "\n",
               w->last_job_ns, w->busy_since_ns, w->queue_depth);
        printf("  parks %" PRIu64 " spin_hits %" PRIu64 " wakes_sent %" PRIu64
               " bytes_copied %" PRIu64 " errors %" PRIu64 " torn %d\n",
               w->parks, w->spin_hits, w->wakes_sent, w->bytes_copied, w->errors, w->torn);
    }
}

void print_telemetry(const scene *at, uint32_t seat)
{
    struct weir_telemetry t;
    if (weir_telemetry_read(peek(at, seat)->arena.telemetry, &t) != WEIR_OK) {
        printf("telemetry: torn\n");
        return;
    }
    printf("sequence %" PRIu64 "\nbeat_ns %" PRIu64 "\nbeat_count %" PRIu64 "\njobs_ok %" PRIu64
           "\njobs_failed %" PRIu64 "\nlast_job_ns %" PRIu64 "\nbusy_since_ns %" PRIu64
           "\nqueue_depth %" PRIu64 "\nrequest_bytes %" PRIu64 "\nresponse_bytes %" PRIu64
           "\nbytes_copied %" PRIu64 "\nslot_waits %" PRIu64
           "\nwake_strategy %u\nwake_switches %u\nparks %" PRIu64 "\nspin_hits %" PRIu64
           "\nwakes_sent %" PRIu64 "\n",
           t.sequence, t.beat_ns, t.beat_count, t.jobs_ok, t.jobs_failed, t.last_job_ns,
           t.busy_since_ns, t.queue_depth, t.request_bytes, t.response_bytes, t.bytes_copied,
           t.slot_waits, t.wake_strategy, t.wake_switches, t.parks, t.spin_hits, t.wakes_sent);
    for (uint32_t i = 0; i <= WEIR_ERROR_CODE_MAX; i++) {
        if (t.errors[i] != 0) {
            printf("errors[%u] %" PRIu64 " (%s)\n", i, t.errors[i], weir_error_code_name(i));
        }
    }
}

void print_stats(const scene *at)
{
    weir_manager_stats s;
    weir_manager_read_stats(at->manager, &s);
    printf("submitted %" PRIu64 " sent %" PRIu64 " resent %" PRIu64 " deferred %" PRIu64 "\n",
           s.submitted, s.sent, s.resent, s.deferred);
    printf("outcomes");
    for (uint32_t i = 1; i < WEIR_OUTCOME_CODES; i++) {
        printf(" %s %" PRIu64, weir_outcome_name(i), s.outcomes[i]);
    }
    printf("\nstray_replies %" PRIu64 " protocol_errors %" PRIu64 " restarts %" PRIu64 "\n",
           s.stray_replies, s.protocol_errors, s.restarts);
    printf("bytes_copied %" PRIu64 " wakes_sent %" PRIu64 " parks %" PRIu64 " spin_hits %" PRIu64
           "\n",
           s.bytes_copied, s.wakes_sent, s.parks, s.spin_hits);
    printf("in_flight %" PRIu64 " deferred_now %" PRIu64 " slots_taken %" PRIu64
           " held_bytes %" PRIu64 " mappings %" PRIu64 "\n",
           s.in_flight, s.deferred_now, s.slots_taken, s.held_bytes, s.mappings);
}

void print_hex(const char *name, const void *from, size_t bytes)
{
    const unsigned char *at = from;
    printf("%s\n", name);
    for (size_t i = 0; i < bytes; i += 16) {
        printf("  %04zx ", i);
        for (size_t k = i; k < i + 16 && k < bytes; k++) {
            printf(" %02x", at[k]);
        }
        printf("\n");
    }
}

void print_control(const weir_arena *arena)
{
    const struct weir_manager_control *a = arena->manager_control;
    const struct weir_worker_control *b = arena->worker_control;
    printf("A: request_published %" PRIu64 " response_consumed %" PRIu64
           " response_released %" PRIu64 " request_bell %u command %u manager_parked 0x%x\n",
           weir_load_relaxed_u64(&a->request_published),
           weir_load_relaxed_u64(&a->response_consumed),
           weir_load_relaxed_u64(&a->response_released), weir_load_relaxed_u32(&a->request_bell),
           weir_load_relaxed_u32(&a->command), weir_load_relaxed_u32(&a->manager_parked));
    printf(
        "B: response_published %" PRIu64 " request_consumed %" PRIu64 " request_released %" PRIu64
        " response_bell %u state %u worker_parked 0x%x begun %" PRIu64 " progress %" PRIu64 "\n",
        weir_load_relaxed_u64(&b->response_published), weir_load_relaxed_u64(&b->request_consumed),
        weir_load_relaxed_u64(&b->request_released), weir_load_relaxed_u32(&b->response_bell),
        weir_load_relaxed_u32(&b->state), weir_load_relaxed_u32(&b->worker_parked),
        weir_load_relaxed_u64(&b->begun), weir_load_relaxed_u64(&b->progress));
}
