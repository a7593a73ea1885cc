/**
 * @file
 * One life of one worker process, as the manager holds it.
 *
 * Purpose: the memory of that life, both ends of its rings that are ours, its descriptors, and what
 * is known of the process. A new life has a new generation and new memory, so whatever an old
 * process still writes, nobody looks there.
 *
 * Threads: fields are marked with what protects them: (pool) the pool's lock, (own) this
 * incarnation's lock, (thread) only the manager's thread, nothing: set before it is shared and
 * constant afterwards.
 *
 * Ownership: counted references; the seat holds one while the process lives, each job that waits to
 * be sent again and each held result hold one more. The last one frees mappings and memory.
 */
#ifndef WEIR_MANAGER_INCARNATION_H
#define WEIR_MANAGER_INCARNATION_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/os.h"
#include "channel/gate.h"
#include "channel/ring.h"
#include "manager/handshake.h"
#include "manager/job_table.h"
#include "manager/output.h"
#include "memory/arena.h"
#include "memory/slots.h"

struct weir_pool;
struct weir_manager;

#define WEIR_OPCODE_WORDS (65536 / 64)

typedef struct weir_incarnation {
    struct weir_incarnation
        *next_alive; /**< Of the same manager, dead ones with held results too. */
    struct weir_incarnation *previous_alive;
    struct weir_pool *pool;
    struct weir_manager
        *manager; /**< (own) NULL once the manager is gone and only held results keep this alive. */
    uint32_t seat;
    uint32_t generation;
    uint32_t references; /**< Atomic. */
    pthread_mutex_t lock;

    weir_arena arena;
    uint8_t token[WEIR_TOKEN_BYTES];
    bool is_token_used;           /**< (thread) */
    weir_handshake_terms offered; /**< (thread) */
    char correlation[48];
    weir_envelope_terms terms; /**< Set at READY. */
    uint32_t agreed;           /**< Capabilities agreed; set at READY. */
    uint16_t pack_flag;        /**< Envelope flag of the compression in use, 0 for none. */
    bool has_payload_crc;
    char language[16];
    uint64_t opcodes[WEIR_OPCODE_WORDS]; /**< Bit set of what the worker serves. */

    weir_ring_producer requests;  /**< (pool) */
    weir_slot_pool request_slots; /**< (pool) */
    uint32_t reserved;            /**< (pool) Places taken and not yet published. */
    uint64_t received;            /**< (pool) Responses taken in. */
    weir_job_list in_flight;      /**< (pool) */
    bool is_serving;              /**< (pool) Takes jobs. */
    bool is_gone;      /**< (pool) Fenced or ended: what was reserved here must go elsewhere. */
    bool is_throttled; /**< (pool) Above the high watermark and not yet below the low one. */

    weir_waker waker;             /**< (own) */
    weir_release_writer releases; /**< (own) */
    uint32_t held_results;        /**< (own) */
    uint64_t held_bytes;          /**< (own) */

    weir_ring_consumer responses; /**< (thread) */
    weir_slot_map response_map;
    weir_sleeper sleeper; /**< (thread) */

    int request_eventfd;
    int response_eventfd;
    int socket_fd;      /**< (thread) -1 before READY and after the end. */
    int pidfd;          /**< (own) for the wake signal; closed once reaped. */
    pid_t pid;          /**< (pool) In a hosted manager; else set before it is shared. */
    weir_output output; /**< (thread) */

    uint32_t distrust_claimed; /**< Atomic: who sets it to 1 names the reason. */
    uint32_t
        distrust_reason; /**< Atomic: enum weir_error_code; not 0: nothing more of B is believed. */
    uint64_t
        released_seen;     /**< (thread) Its count of request releases when the loop last looked. */
    bool is_reaped;        /**< (thread) */
    bool is_watched;       /**< (thread) Its eventfd is in the loop's epoll. */
    bool has_no_process;   /**< (pool) The host could not start one. */
    weir_exit exit;        /**< (thread) */
    bool has_more_output;  /**< (thread) A turn of reading ended before the pipe was empty. */
    bool was_told_to_stop; /**< (thread) The shutdown command is out. */
    uint64_t told_ns;      /**< (thread) Since when. */
    uint64_t closed_ns;    /**< (thread) When its control socket was found closed; 0 while open. */
    uint64_t spawned_ns;
    uint64_t ready_ns;        /**< (thread) 0 before READY. */
    uint64_t fenced_ns;       /**< (thread) When it was killed; 0 while it was not. */
    uint64_t beat_count_seen; /**< (thread) */
    uint64_t beat_seen_ns;    /**< (thread) Our clock when the count last changed. */
    uint64_t
        stuck_after_ns; /**< (pool) Deadline of a begun job that timed out; WEIR_NEVER for none. */
    uint64_t stuck_progress; /**< (pool) Progress counter at that time. */
    uint64_t stuck_index;    /**< (pool) Ring index of that job. */
} weir_incarnation;

/**
 * Makes the memory, rings and descriptors of a new life; no process yet. One reference, the
 * caller's. Returns WEIR_OK, WEIR_NO_MEMORY, WEIR_SYSTEM, WEIR_INVALID.
 */
weir_status weir_incarnation_create(struct weir_pool *pool, uint32_t seat, uint32_t generation,
                                    weir_incarnation **out, weir_error *error) WEIR_MUST_CHECK;

void weir_incarnation_retain(weir_incarnation *incarnation);
void weir_incarnation_release(weir_incarnation *incarnation);

/** The manager is going away: incarnations that held results keep alive forget it. */
void weir_incarnation_orphan_all(struct weir_manager *manager);

/** Closes everything that ties it to a process; the mappings stay until the last reference goes. */
void weir_incarnation_close(weir_incarnation *incarnation);

/** Wakes the worker if it is parked; after publishing requests or releases. */
void weir_incarnation_wake(weir_incarnation *incarnation);

/** Wakes the worker for a changed command word. */
void weir_incarnation_command(weir_incarnation *incarnation, uint32_t command_bits);

/** Nothing more of B is believed; the supervisor will fence the process. First reason wins. Any
 * thread. */
void weir_incarnation_distrust(weir_incarnation *incarnation, uint32_t error_code);

static inline bool weir_incarnation_is_distrusted(const weir_incarnation *incarnation)
{
    return weir_load_relaxed_u32(&incarnation->distrust_reason) != 0;
}

/** Jobs that the worker has not answered yet, reserved places included. Needs the pool's lock. */
static inline uint64_t weir_incarnation_outstanding(const weir_incarnation *incarnation)
{
    return incarnation->requests.tail + incarnation->reserved - incarnation->received;
}

static inline bool weir_incarnation_serves(const weir_incarnation *incarnation, uint16_t opcode)
{
    return (incarnation->opcodes[opcode / 64] >> (opcode % 64)) & 1u;
}

#endif
