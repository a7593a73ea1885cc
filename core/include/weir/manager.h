/**
 * @file
 * The manager: hands jobs to pools of worker processes and ends each in exactly one outcome.
 *
 * Purpose: start worker processes, share memory with each, send jobs through their rings, verify
 * the replies, notice death, hangs and lies, replace workers, send again what may be sent again,
 * and account for everything.
 *
 * Typical use: weir_manager_create, weir_manager_add_pool, weir_manager_await_ready, weir_submit
 * (or weir_call) from any number of threads, weir_manager_drain, weir_manager_destroy.
 *
 * Threads: weir_submit, weir_call, weir_cancel, weir_held_release and the snapshots may be called
 * from any thread at once. Each manager has one thread of its own that ingests replies and
 * supervises, or, with without_thread, none: then one thread of the caller's calls
 * weir_manager_poll in a loop. A watcher thread waits for process and socket events in both cases.
 *
 * Blocking: weir_submit never blocks, except under the policy `wait`, and then until the job's
 * deadline at most. Callbacks run outside all locks; they must not block for long, since no reply
 * is ingested meanwhile.
 *
 * Ownership: a payload is written by the caller's fill function straight into shared memory and a
 * reply is read where the worker wrote it; libweir copies no payload byte unless it says so below
 * (compression, result buffers, jobs sent again).
 *
 * Units: nanoseconds of CLOCK_MONOTONIC, absolute for deadlines; bytes.
 */
#ifndef WEIR_MANAGER_H
#define WEIR_MANAGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/arena_config.h"
#include "weir/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weir_manager weir_manager;

/** How a job ended; the values are those of the layout's enum weir_outcome. */
typedef uint16_t weir_outcome_code;
/** Number of outcome codes, `none` included. */
#define WEIR_OUTCOME_CODES 12

/** What happens to a job for which there is no room (no slot, no free place in any ring, no worker
 * ready). A job whose opcode no worker serves, while none is being started either, ends as
 * unsupported under every policy, deferred ones that were never sent included: waiting would bring
 * nothing. That is so too in a pool whose workers are all quarantined. */
typedef enum weir_room_policy {
    WEIR_ROOM_REJECT = 0,  /**< The new job ends as rejected. */
    WEIR_ROOM_DROP_OLDEST, /**< It is deferred; when the queue is full the oldest deferred job ends
                              as rejected. */
    WEIR_ROOM_DEFER,       /**< It is deferred; when the queue is full it ends as rejected. */
    WEIR_ROOM_WAIT,        /**< The caller waits for room until the job's deadline; then it ends as
                              rejected. When weir_manager_drain closes the manager meanwhile,
                              it ends so before its deadline. */
} weir_room_policy;

/** One event of the manager's life, for logs and traces. Strings live only during the call. */
typedef struct weir_event {
    uint64_t time_ns;
    const char *kind; /**< spawned, ready, refused, output, protocol_error, silent, stuck, fenced,
                         exited, stopped, restarting, quarantined, draining, reloaded; vacant in a
                         hosted manager; job_sent and job_ended with trace_jobs.
                         docs/06-TELEMETRY-SAMPLES.md explains them. */
    const char *pool;
    uint32_t worker;     /**< Number of the seat in its pool. */
    uint32_t generation; /**< 0 when it concerns no incarnation. */
    int32_t pid;         /**< 0 when there is none. */
    const char *text;    /**< A sentence. */
} weir_event;

typedef void (*weir_event_handler)(void *context, const weir_event *event);

/** A manager. Zero means the default. */
typedef struct weir_manager_options {
    const char *runtime_directory; /**< Default: $WEIR_RUNTIME_DIR, else $XDG_RUNTIME_DIR/weir, else
                                      /tmp/weir-UID. */
    const char *name;      /**< On its status page: at most 63 printable characters without spaces;
                              default weir-PID. */
    uint32_t job_capacity; /**< Jobs known at once, in flight and deferred; default 8192, at most
                              65536. */
    bool without_thread;   /**< The caller runs weir_manager_poll. */
    const struct weir_host *host; /**< Set: a hosted manager, see weir/host.h; implies
                                     without_thread. */
    uint64_t seed;                /**< Of every random choice (backoff jitter). */
    uint64_t held_bytes_max;      /**< Slots of replies that may be held at once; default 64 MiB. */
    weir_event_handler on_event;  /**< Called on the manager's thread; traces of jobs on the thread
                                     that sends or ends the job. */
    void *event_context;
    bool trace_jobs; /**< Also an event for each job sent and ended; slow. */
} weir_manager_options;

/** A pool: workers of one role, all started by the same command. Zero means the default. */
typedef struct weir_pool_options {
    const char *role; /**< What the workers must call themselves; at most 31 characters. */
    const char *const *command; /**< Argument vector, ended by NULL; the first is a path. */
    uint32_t worker_count;      /**< Default 1. */
    weir_arena_config arena;    /**< A zeroed one means weir_arena_config_default. */
    uint32_t in_flight_max;     /**< Jobs per worker; default and most: the ring's capacity. */
    uint32_t high_percent;      /**< No more jobs to a worker that has this share of in_flight_max;
                                   default 100. */
    uint32_t
        low_percent; /**< Until it is down to this share again; default 75, at most high_percent. */
    weir_room_policy policy;
    uint32_t deferred_max;    /**< Most deferred jobs of the pool; default 1024. */
    uint32_t wake_strategies; /**< Bits 1 << enum weir_wake_strategy; default all. */
    uint32_t
        capabilities; /**< Bits of enum weir_capability offered for compression; default none. */
    bool without_payload_crc;    /**< Go without payload checksums if the worker offers it too. */
    uint32_t compress_min_bytes; /**< Smaller payloads are sent as they are; default 4096. */
    uint64_t spin_ns; /**< Longest spin before parking, both sides; default 20 us; 1 means none. */
    uint64_t start_timeout_ns; /**< From spawn to READY; default 10 s. */
    uint64_t silence_ns;       /**< Without heartbeat for this long means hung; default 3 s. */
    uint64_t stuck_ns; /**< No progress this long after a begun job's deadline means stuck; default
                          2 s. */
    uint64_t
        kill_ns; /**< A killed worker that does not exit within this is quarantined; default 2 s. */
    uint64_t
        backoff_first_ns; /**< Before the first restart; default 100 ms, doubling, with jitter. */
    uint64_t backoff_max_ns; /**< Default 10 s. */
    uint64_t stable_ns;      /**< Uptime after which the backoff starts anew; default 30 s. */
    uint32_t deaths_max;     /**< Deaths in a row before quarantine; default 8. */
} weir_pool_options;

/** Identifies a pool of one manager. */
typedef uint32_t weir_pool_id;

/** How a job ended. Payload pointers live until the callback returns, longer only when held. */
typedef struct weir_result {
    uint64_t job_id;
    uint64_t correlation_id;
    uint16_t opcode;
    weir_outcome_code outcome;
    uint16_t
        sent_count;  /**< 0 when it never reached a worker; more than 1 when it was sent again. */
    uint16_t worker; /**< Seat that served it. */
    const void *payload; /**< Reply; for outcome failed, a sentence without terminator. */
    size_t payload_bytes;
    uint64_t submitted_ns;
    uint64_t ended_ns;
    const void *hold_ticket; /**< For weir_result_hold. */
} weir_result;

/** Takes the end of a job; called exactly once per accepted job. */
typedef void (*weir_done)(void *context, const weir_result *result);

/** Writes a job's payload of @p bytes bytes in place. Called once, by the submitting thread, or,
 * when deferred, the manager's. */
typedef void (*weir_fill)(void *context, void *payload, size_t bytes);

/** One job. */
typedef struct weir_job_spec {
    uint16_t opcode;
    bool idempotent; /**< May be executed more than once: sent again, at most twice, when a worker
                        dies in it. */
    uint32_t payload_bytes;
    weir_fill fill; /**< May be NULL when payload_bytes is 0. */
    weir_done done;
    void *context;        /**< For fill and done. */
    uint64_t deadline_ns; /**< 0 for none. */
    uint64_t correlation_id;
    void *result_buffer; /**< When set, the reply is copied here first and verified on the copy:
                            safe against a worker that rewrites it later. A larger reply ends as
                            oversize. */
    size_t result_capacity;
} weir_job_spec;

/** A reply kept beyond its callback. */
typedef struct weir_held {
    const void *payload;
    size_t payload_bytes;
    void *owner;
    uint32_t slot;
} weir_held;

/** Counters since the start; read without stopping anything, so sums may be a few jobs apart. */
typedef struct weir_manager_stats {
    uint64_t submitted;
    uint64_t outcomes[WEIR_OUTCOME_CODES];
    uint64_t sent;          /**< Envelopes published, repeats included. */
    uint64_t resent;        /**< Jobs sent again after a worker was lost. */
    uint64_t deferred;      /**< Jobs that had to wait in the manager's queue. */
    uint64_t stray_replies; /**< Late, duplicate or forged responses dropped. */
    uint64_t protocol_errors;
    uint64_t bytes_copied; /**< Payload bytes that libweir copied, by the manager. */
    uint64_t wakes_sent;   /**< System calls made to wake workers. */
    uint64_t parks;        /**< Sleeps of the manager's thread. */
    uint64_t spin_hits;
    uint64_t restarts;
    uint64_t held_bytes; /**< Slots of replies that callers hold. */
    uint64_t in_flight;
    uint64_t deferred_now;
    uint64_t slots_taken; /**< Request slots not yet given back by the workers. */
    uint64_t mappings;    /**< Memory objects mapped now. */
} weir_manager_stats;

/** State of one seat of a pool. */
typedef enum weir_seat_state {
    WEIR_SEAT_EMPTY = 0,   /**< Waiting for the next start. */
    WEIR_SEAT_STARTING,    /**< Spawned, not yet READY. */
    WEIR_SEAT_READY,       /**< Serves. */
    WEIR_SEAT_DRAINING,    /**< Finishes what it has. */
    WEIR_SEAT_DYING,       /**< Killed, not yet reaped. */
    WEIR_SEAT_QUARANTINED, /**< Not started again. */
} weir_seat_state;

/** Name of a seat's state, for example "ready". */
WEIR_API const char *weir_seat_state_name(weir_seat_state state);

/** What the registry knows of one worker. */
typedef struct weir_worker_info {
    char role[32];
    char language[16];
    uint32_t pool;
    uint32_t seat;
    weir_seat_state state;
    uint32_t generation;
    int32_t pid;
    uint32_t layout_minor;  /**< Agreed. */
    uint32_t capabilities;  /**< Agreed. */
    uint32_t wake_strategy; /**< That the worker last slept with. */
    uint32_t restarts;
    uint32_t in_flight;
    uint32_t request_slots_taken;
    uint64_t ready_since_ns;
    uint64_t beat_ns; /**< Time of the last heartbeat. */
    uint64_t beat_count;
    uint64_t jobs_ok;       /**< As the worker says. */
    uint64_t jobs_failed;   /**< As the worker says. */
    uint64_t last_job_ns;   /**< As the worker says. */
    uint64_t busy_since_ns; /**< As the worker says. */
    uint64_t queue_depth;   /**< As the worker says. */
    uint64_t parks;         /**< As the worker says. */
    uint64_t spin_hits;     /**< As the worker says. */
    uint64_t wakes_sent;    /**< As the worker says. */
    uint64_t bytes_copied;  /**< As the worker says. */
    uint64_t errors;        /**< Sum of its error counters. */
    bool torn;              /**< The telemetry was being written; numbers may not fit together. */
} weir_worker_info;

/**
 * Makes a manager. Sweeps what a killed manager left in the runtime directory.
 * Returns WEIR_OK, WEIR_INVALID, WEIR_NO_MEMORY, WEIR_SYSTEM.
 */
WEIR_API weir_status weir_manager_create(const weir_manager_options *options, weir_manager **out,
                                         weir_error *error) WEIR_MUST_CHECK;

/**
 * Adds a pool and starts its workers. A missing or non-executable command is found out here.
 * Returns WEIR_OK, WEIR_INVALID, WEIR_NOT_FOUND, WEIR_NO_MEMORY, WEIR_SYSTEM.
 */
WEIR_API weir_status weir_manager_add_pool(weir_manager *manager, const weir_pool_options *options,
                                           weir_pool_id *id, weir_error *error) WEIR_MUST_CHECK;

/**
 * Waits until every worker of the pool is ready. Returns WEIR_OK, WEIR_TIMEOUT, or WEIR_REFUSED
 * with the last reason when a worker was quarantined or refused in the handshake.
 */
WEIR_API weir_status weir_manager_await_ready(weir_manager *manager, weir_pool_id id,
                                              uint64_t deadline_ns,
                                              weir_error *error) WEIR_MUST_CHECK;

/**
 * Submits @p count jobs at once; cheaper per job than one by one. When it returns WEIR_OK every job
 * was accepted and its done function is called exactly once: for jobs that end at once (rejected,
 * oversize, unsupported, incompatible) by the calling thread before this function returns, for all
 * others by the manager's; a deferred job that a newer one drops ends on the newer one's thread. @p
 * job_ids may be NULL. Returns WEIR_OK, WEIR_INVALID (a spec without done or fill; nothing was
 * accepted), WEIR_CLOSED (draining).
 */
WEIR_API weir_status weir_submit(weir_manager *manager, weir_pool_id id, const weir_job_spec *specs,
                                 size_t count, uint64_t *job_ids) WEIR_MUST_CHECK;

/**
 * Submits one job and waits for its end; @p spec's done is ignored. The reply is copied to
 * result_buffer and @p result points there. Not for the thread that runs weir_manager_poll. Returns
 * WEIR_OK (look at result->outcome), WEIR_INVALID, WEIR_CLOSED.
 */
WEIR_API weir_status weir_call(weir_manager *manager, weir_pool_id id, const weir_job_spec *spec,
                               weir_result *result) WEIR_MUST_CHECK;

/**
 * Ends a job as cancelled; its done is called on this thread. Returns WEIR_OK, or WEIR_NOT_FOUND
 * when it has ended or is being sent (again) at this very moment: then it ends in another way.
 */
WEIR_API weir_status weir_cancel(weir_manager *manager, uint64_t job_id) WEIR_MUST_CHECK;

/**
 * From within done: keeps the reply in place beyond the callback. Returns WEIR_OK, WEIR_FULL (too
 * much is held: copy instead), WEIR_INVALID (no payload, or it lies in the caller's own buffer).
 */
WEIR_API weir_status weir_result_hold(const weir_result *result, weir_held *held) WEIR_MUST_CHECK;

/**
 * From within done: the size of the slot that the reply lies in, which holding it keeps from the
 * worker; it may be larger than the reply needs. 0 when it does not lie in one.
 */
WEIR_API uint32_t weir_result_slot_bytes(const weir_result *result);

/** Gives a held reply back; also after its worker died. */
WEIR_API void weir_held_release(weir_held *held);

/** Without own thread: ingests, supervises, and sleeps until something happens or the deadline.
 * Returns WEIR_OK, WEIR_TIMEOUT, or WEIR_INVALID (hosted: take turns). */
WEIR_API weir_status weir_manager_poll(weir_manager *manager, uint64_t deadline_ns) WEIR_MUST_CHECK;

/** Replaces the workers of a pool one by one, losing no job. Returns WEIR_OK, WEIR_TIMEOUT,
 * WEIR_INVALID, WEIR_CLOSED. */
WEIR_API weir_status weir_manager_reload(weir_manager *manager, weir_pool_id id,
                                         uint64_t deadline_ns, weir_error *error) WEIR_MUST_CHECK;

/** Takes no new jobs and waits for all accepted ones. Returns WEIR_OK or WEIR_TIMEOUT. */
WEIR_API weir_status weir_manager_drain(weir_manager *manager,
                                        uint64_t deadline_ns) WEIR_MUST_CHECK;

/** Ends what is left as cancelled, stops the workers (shutdown, then kill), and frees everything.
 */
WEIR_API void weir_manager_destroy(weir_manager *manager);

WEIR_API void weir_manager_read_stats(weir_manager *manager, weir_manager_stats *stats);

/** Fills at most @p capacity entries and returns how many workers there are. */
WEIR_API size_t weir_manager_read_workers(weir_manager *manager, weir_worker_info *workers,
                                          size_t capacity);

#ifdef __cplusplus
}
#endif

#endif
