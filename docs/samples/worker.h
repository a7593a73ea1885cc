/**
 * @file
 * The worker of the samples: echo, and routines that misbehave on demand.
 *
 * Threads: main of the worker process. Blocking: until its manager is gone.
 */
#ifndef WEIR_DOCS_SAMPLES_WORKER_H
#define WEIR_DOCS_SAMPLES_WORKER_H

#include "layout/generated/weir_layout.h"

enum {
    OPCODE_HANG = WEIR_OPCODE_APPLICATION_FIRST, /**< Never returns. */
    OPCODE_LIE,                                  /**< Publishes a reply of another generation. */
    OPCODE_FAIL,                                 /**< Fails with a sentence. */
    OPCODE_NAP,                                  /**< Sleeps for 50 ms. */
};

/** The whole life of a worker; returns its exit code. */
int serve(int argc, char **argv);

#endif
