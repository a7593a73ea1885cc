#include "harness/bench/channel.h"

weir_status weir_bench_channel_init(weir_bench_channel *channel, uint64_t spin_max_ns,
                                    weir_error *error)
{
    struct shared {
        _Alignas(4096) struct weir_envelope requests[WEIR_BENCH_RING];
        _Alignas(4096) struct weir_envelope responses[WEIR_BENCH_RING];
        _Alignas(4096) struct weir_manager_control manager;
        _Alignas(4096) struct weir_worker_control worker;
    } *shared = weir_pair_shared(sizeof *shared);
    if (shared == NULL) {
        weir_error_set(error, "no memory for a ring of the bench; free some memory");
        return WEIR_NO_MEMORY;
    }
    struct weir_manager_control *manager = &shared->manager;
    struct weir_worker_control *worker = &shared->worker;
    const weir_envelope_slice requests = {.at = shared->requests, .count = WEIR_BENCH_RING};
    const weir_envelope_slice responses = {.at = shared->responses, .count = WEIR_BENCH_RING};
    weir_ring_producer_init(&channel->request_out, requests, &manager->request_published,
                            &worker->request_consumed, 0);
    weir_ring_consumer_init(&channel->request_in, requests, &worker->request_consumed, 0);
    weir_ring_producer_init(&channel->response_out, responses, &worker->response_published,
                            &manager->response_consumed, 0);
    weir_ring_consumer_init(&channel->response_in, responses, &manager->response_consumed, 0);
    weir_waker_init(&channel->peer_waker, &worker->worker_parked, &manager->request_bell,
                    &manager->manager_refused, -1, NULL, NULL);
    weir_waker_init(&channel->lead_waker, &manager->manager_parked, &worker->response_bell,
                    &worker->worker_refused, -1, NULL, NULL);
    channel->sent = 0;
    const uint32_t futex = WEIR_STRATEGY_BIT(WEIR_WAKE_STRATEGY_FUTEX);
    weir_status status =
        weir_sleeper_init(&channel->lead_sleeper, &manager->manager_parked, &worker->response_bell,
                          &worker->worker_refused, -1, futex, spin_max_ns);
    if (status == WEIR_OK) {
        status = weir_sleeper_init(&channel->peer_sleeper, &worker->worker_parked,
                                   &manager->request_bell, &manager->manager_refused, -1, futex,
                                   spin_max_ns);
    }
    if (status != WEIR_OK) {
        weir_error_set(error, "the gate of the bench could not be set up: %s",
                       weir_status_name(status));
    }
    return status;
}

bool weir_bench_has_envelope(void *context)
{
    return weir_ring_ready(context);
}
