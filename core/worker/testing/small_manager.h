/**
 * @file
 * A manager small enough for tests: memory, rings and gate, without handshake or supervision.
 *
 * Purpose: the worker's tests put exactly the bytes that they want into the ring and look at what
 * comes back. The worker's side runs small_manager_serve, in a forked child or in a thread.
 *
 * Threads: one, besides the worker's. Failures of the set-up end the process with a sentence:
 * nothing can be tested then.
 *
 * Blocking: waits end at their deadline. Replies are waited for in the gate, so that a lost wake is
 * seen.
 */
#ifndef WEIR_WORKER_TESTING_SMALL_MANAGER_H
#define WEIR_WORKER_TESTING_SMALL_MANAGER_H

#include "channel/compress.h"
#include "channel/gate.h"
#include "channel/ring.h"
#include "channel/telemetry.h"
#include "memory/arena.h"
#include "memory/slots.h"
#include "worker/loop.h"

/** Zero means the usual. */
typedef struct small_manager_setup {
    weir_worker_options options;
    weir_arena_config config;    /**< ring_capacity 0: small_manager_config. */
    uint32_t capabilities;       /**< Besides payload_crc. */
    bool is_without_payload_crc; /**< Agreed to go without. */
    uint32_t wake_strategies;    /**< Of both sides; 0: all. */
    uint64_t spin_ns;
    uint32_t compress_min_bytes;
    /** The worker's sleeps begin late and have no deadline of their own: only a wake ends them. */
    bool has_endless_sleeps;
} small_manager_setup;

typedef struct small_manager {
    small_manager_setup setup;
    weir_arena arena;
    int own_socket;
    int worker_socket;
    int request_eventfd;
    int response_eventfd;
    weir_envelope_terms terms;
    weir_ring_producer requests;
    weir_ring_consumer responses;
    weir_slot_pool request_pool;
    weir_slot_map response_map;
    weir_release_writer releases;
    weir_sleeper sleeper;
    weir_waker waker;
    pid_t worker_pid; /**< For the wake signal; set by whoever starts the worker. */
    uint64_t next_job;
} small_manager;

/** A reply as taken. */
typedef struct small_reply {
    struct weir_envelope envelope;
    const uint8_t *payload;
    uint32_t slot;
    bool has_slot;
} small_reply;

/** 8 slots per ring; payloads of 256 B x 8, 4 KiB x 4 and 1 MiB x 2 in each direction. */
void small_manager_config(weir_arena_config *config);

void small_manager_open(small_manager *manager, const small_manager_setup *setup);

/** What the worker's process or thread does; returns the worker's exit status. */
int small_manager_serve(small_manager *manager, bool is_own_process);

/** In the manager after starting the worker. */
void small_manager_started(small_manager *manager, pid_t worker_pid);

/** A request with the next job id, its payload in a slot, sealed for the next ring position;
 * nothing is staged. */
struct weir_envelope small_manager_request(small_manager *manager, uint16_t opcode,
                                           const void *payload, uint32_t bytes);
/** Sealed again after a test has changed it, and staged. */
void small_manager_stage(small_manager *manager, struct weir_envelope *request);
/** Staged as it is, right or wrong. */
void small_manager_stage_raw(small_manager *manager, const struct weir_envelope *request);
/** Publishes and wakes. */
void small_manager_publish(small_manager *manager);
/** All in one for the usual case; returns the job's id. */
uint64_t small_manager_send(small_manager *manager, uint16_t opcode, const void *payload,
                            uint32_t bytes);

/** The next reply, checked. Returns WEIR_OK, WEIR_TIMEOUT, or WEIR_PROTOCOL with a sentence on
 * stderr. */
weir_status small_manager_receive(small_manager *manager, small_reply *reply,
                                  uint64_t deadline_ns) WEIR_MUST_CHECK;
/** Gives the reply's slot back. */
void small_manager_release(small_manager *manager, const small_reply *reply);

void small_manager_command(small_manager *manager, uint32_t command);
/** Waits for a state. Returns whether it came before the deadline. */
bool small_manager_await_state(small_manager *manager, uint32_t state, uint64_t deadline_ns);
/** Closes the manager's end of the control socket: it is dead for the worker. */
void small_manager_die(small_manager *manager);
void small_manager_close(small_manager *manager);

#endif
