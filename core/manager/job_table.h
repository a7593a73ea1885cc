/**
 * @file
 * The table of a pool's jobs: who is where, in private memory.
 *
 * Purpose: every accepted job has an entry from acceptance to its one outcome. A reply is believed
 * only if it names an entry that is in flight at the incarnation that sent it; the id carries the
 * entry's index and a serial number, so that a late or invented reply finds nothing.
 *
 * Threads: the caller holds the pool's lock. Blocking: never; no heap after initialisation.
 *
 * Ownership: entries belong to the table. An entry in state ENDING belongs to the thread that ends
 * it until it frees it.
 */
#ifndef WEIR_MANAGER_JOB_TABLE_H
#define WEIR_MANAGER_JOB_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/manager.h"

struct weir_incarnation;

/** No entry. */
#define WEIR_NO_JOB UINT32_MAX

typedef enum weir_job_state {
    WEIR_JOB_FREE = 0,
    WEIR_JOB_RESERVED,  /**< Has a place at a worker; its payload is being written. */
    WEIR_JOB_IN_FLIGHT, /**< Published. */
    WEIR_JOB_DEFERRED,  /**< Waits for room in the pool's queue. */
    WEIR_JOB_ENDING,    /**< Its outcome is decided and being delivered. */
} weir_job_state;

/** One accepted job. */
typedef struct weir_job_entry {
    uint64_t id;
    weir_fill fill;
    weir_done done;
    void *context;
    uint64_t deadline_ns; /**< WEIR_NEVER when there is none. */
    uint64_t correlation_id;
    uint64_t submitted_ns;
    uint64_t ring_index; /**< Of its request, while in flight. */
    void *result_buffer;
    size_t result_capacity;
    struct weir_incarnation
        *at; /**< Whose memory holds its payload; a dead one while it waits to be sent again. */
    uint32_t payload_bytes;
    uint32_t stored_bytes; /**< Differs from payload_bytes when compressed. */
    uint32_t payload_crc;
    uint32_t slot; /**< Request slot, valid when stored_bytes > 0. */
    uint32_t slot_offset;
    uint32_t next;
    uint32_t previous;
    uint16_t opcode;
    uint16_t envelope_flags;
    uint16_t seat;
    uint8_t state;
    uint8_t sent_count;
    uint8_t begun_count; /**< Times that a worker was lost after it had begun the job. */
    bool idempotent;
} weir_job_entry;

/** Entries in order, linked by index. */
typedef struct weir_job_list {
    uint32_t first;
    uint32_t last;
    uint32_t count;
} weir_job_list;

typedef struct weir_job_table {
    weir_job_entry *entries;
    uint32_t *free_indices;
    uint32_t capacity;
    uint32_t free_count;
    uint32_t used_mark; /**< Entries from here on were never used. */
    uint64_t serial;
    uint8_t pool;
} weir_job_table;

/** Returns WEIR_OK or WEIR_NO_MEMORY. */
weir_status weir_job_table_init(weir_job_table *table, uint32_t capacity,
                                uint8_t pool) WEIR_MUST_CHECK;
void weir_job_table_destroy(weir_job_table *table);

/** A fresh entry in state RESERVED with a new id, or NULL when the table is full. */
weir_job_entry *weir_job_table_take(weir_job_table *table);
void weir_job_table_free(weir_job_table *table, weir_job_entry *entry);

/** The entry that has this id now, or NULL. */
weir_job_entry *weir_job_table_find(weir_job_table *table, uint64_t id);

/** The pool that an id belongs to. */
static inline uint8_t weir_job_id_pool(uint64_t id)
{
    return (uint8_t)(id >> 16);
}

void weir_job_list_init(weir_job_list *list);
void weir_job_list_append(weir_job_table *table, weir_job_list *list, weir_job_entry *entry);
void weir_job_list_prepend(weir_job_table *table, weir_job_list *list, weir_job_entry *entry);
void weir_job_list_remove(weir_job_table *table, weir_job_list *list, weir_job_entry *entry);
weir_job_entry *weir_job_list_first(weir_job_table *table, const weir_job_list *list);
weir_job_entry *weir_job_list_last(weir_job_table *table, const weir_job_list *list);

#endif
