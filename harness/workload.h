/**
 * @file
 * Workload files: what work a run puts through a manager.
 *
 * Purpose: read a TOML file that says which opcodes in which mix and sizes, how many jobs or how
 * long, how fast or how many at once, and under which terms. Keys are strict: an unknown one, a
 * missing one or one out of range is an error with file:line:column and what to do.
 *
 * Keys (top level): name, doc; jobs or duration; concurrency (closed loop: jobs under way at any
 * time) or rate (open loop: jobs per second, whatever the answers do); callers (threads that
 * submit), batch (jobs per submission), deadline (per job), idempotent, policy, workers.
 * [arena]: ring_capacity, request_slots and response_slots as lists of [slot bytes, slot count].
 * [[mix]]: opcode, weight, size. A size is a number of bytes ("64K" too) or one of
 * { uniform = [least, most] }, { log_uniform = [least, most] }, { list = [a, b, …] }; for opcodes
 * other than echo and crc it bounds the larger of request and reply.
 *
 * Threads: a workload is a plain value; once read nobody changes it. Blocking: reads a file.
 */
#ifndef WEIR_HARNESS_WORKLOAD_H
#define WEIR_HARNESS_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loopback/routines/catalogue.h"
#include "weir/arena_config.h"
#include "weir/manager.h"
#include "weir/status.h"

#define WEIR_WORKLOAD_MIX_MAX     16
#define WEIR_WORKLOAD_SIZES_MAX   16
#define WEIR_WORKLOAD_PAYLOAD_MAX (UINT32_C(1) << 20)
#define WEIR_WORKLOAD_CALLERS_MAX 64
#define WEIR_WORKLOAD_WORKERS_MAX 64
/** Jobs under way at once: what a manager can know of. */
#define WEIR_WORKLOAD_CONCURRENCY_MAX 32768

typedef enum weir_size_kind {
    WEIR_SIZE_UNIFORM, /**< least to most; a fixed size has both equal */
    WEIR_SIZE_LOG_UNIFORM,
    WEIR_SIZE_LIST
} weir_size_kind;

typedef struct weir_size_spec {
    weir_size_kind kind;
    uint32_t least; /**< of a list, too */
    uint32_t most;
    uint32_t list_count;
    uint32_t list[WEIR_WORKLOAD_SIZES_MAX];
} weir_size_spec;

typedef struct weir_mix_entry {
    routine_id routine;
    uint64_t weight;
    weir_size_spec size;
} weir_mix_entry;

typedef struct weir_workload {
    char name[64];
    char doc[200];
    char source[256];     /**< what was given to weir_workload_load */
    uint64_t jobs;        /**< 0: by duration */
    uint64_t duration_ns; /**< 0: by jobs */
    uint64_t concurrency; /**< 0: open loop */
    uint64_t rate;        /**< jobs per second; 0: closed loop */
    uint64_t callers;
    uint64_t batch;
    uint64_t deadline_ns; /**< per job, from its submission; 0: none */
    bool idempotent;
    weir_room_policy policy;
    uint64_t workers;
    weir_arena_config arena;
    size_t mix_count;
    weir_mix_entry mix[WEIR_WORKLOAD_MIX_MAX];
} weir_workload;

/** A workload that is compiled in; the list ends with a NULL name. */
typedef struct weir_workload_builtin {
    const char *name;
    const char *text;
    size_t bytes;
} weir_workload_builtin;

extern const weir_workload_builtin weir_workload_builtins[];

/**
 * Reads a workload from text. Returns WEIR_OK; WEIR_INVALID with "file:line:column: what is wrong;
 * what to do"; WEIR_NO_MEMORY.
 */
weir_status weir_workload_parse(const char *text, size_t bytes, const char *file_name,
                                weir_workload *workload, weir_error *error) WEIR_MUST_CHECK;

/**
 * Reads the built-in workload of that name, or else the file at that path. Returns as
 * weir_workload_parse, or WEIR_NOT_FOUND or WEIR_SYSTEM with the reason when it cannot be read.
 */
weir_status weir_workload_load(const char *name_or_path, weir_workload *workload,
                               weir_error *error) WEIR_MUST_CHECK;

/** Lowers every size to at most @p most bytes. */
void weir_workload_cap_sizes(weir_workload *workload, uint32_t most);

/**
 * Whether the parts fit together, after options may have changed some: every size has a slot.
 * Returns WEIR_OK, or WEIR_INVALID with a sentence.
 */
weir_status weir_workload_check(const weir_workload *workload, weir_error *error) WEIR_MUST_CHECK;

#endif
