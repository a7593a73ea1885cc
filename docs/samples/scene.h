/**
 * @file
 * The manager's side of a sample: a manager that prints its events, a pool of this program's
 * workers, jobs and waiting for their ends.
 *
 * Threads: main; events and ends are printed on the manager's. Blocking: up to PATIENCE_NS. A
 * failure ends the program with a sentence.
 */
#ifndef WEIR_DOCS_SAMPLES_SCENE_H
#define WEIR_DOCS_SAMPLES_SCENE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/os.h"
#include "weir/manager.h"

#define PATIENCE_NS (10 * WEIR_NS_PER_SECOND)

typedef struct scene {
    weir_manager *manager;
    weir_pool_id pool;
    weir_pool_options options;
} scene;

void nap_ms(long ms);

/** The program that workers are: this one. Comes before add_pool. */
void set_worker_path(const char *path);

/** Says why and ends the program. */
void give_up(const char *doing, const weir_error *error);

void open_scene(scene *to, bool is_traced, bool is_silent);

/** With the scene's options; what they leave open is this program's. */
void add_pool(scene *to, bool awaits);

/** Submits @p count equal jobs; their ends are printed when @p is_shown. */
void submit(const scene *to, uint16_t opcode, uint32_t bytes, uint32_t count, uint64_t deadline_ns,
            bool is_shown);

/** Waits until so many jobs have ended in all. */
void await_ends(uint32_t count);

/** What the manager tells of the worker in a seat. */
weir_worker_info look(const scene *at, uint32_t seat);

/** Waits until a seat's worker is ready in a later generation. */
void await_ready_again(const scene *at, uint32_t seat, uint32_t after_generation);

#endif
