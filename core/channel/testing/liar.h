/**
 * @file
 * The lies that liar_program (core/worker/testing) tells to the manager in the tests of
 * core/manager; the first argument is the lie's number.
 *
 * A liar shakes hands like a worker, serves the requests of its first 8 jobs honestly (so that it
 * is believed), and then lies once; LIE_NOISE and LIE_JOB_ELSEWHERE go on
 * for ever.
 */
#ifndef WEIR_CHANNEL_TESTING_LIAR_H
#define WEIR_CHANNEL_TESTING_LIAR_H

/** Jobs that a liar serves before it lies. */
#define LIAR_HONEST_JOBS 8

enum lie {
    LIE_NONE,
    /* envelopes that are sealed wrongly or say what cannot be: the incarnation ends */
    LIE_HEADER_CRC,
    LIE_SEQUENCE,
    LIE_GENERATION,
    LIE_STATUS_UNKNOWN,
    LIE_STATUS_NONE,
    LIE_OFFSET_OUTSIDE,
    LIE_LENGTH_OUTSIDE,
    LIE_OFFSET_INSIDE_A_SLOT,
    LIE_FLAGS,
    LIE_VERSION,
    LIE_MAGIC,
    LIE_PACKED_WITHOUT_AGREEMENT,
    LIE_MORE_REPLIES_THAN_REQUESTS,
    /* releases and counts: the incarnation ends once they matter */
    LIE_RELEASE_NOT_TAKEN,
    LIE_RELEASE_TWICE,
    LIE_RELEASE_NO_SLOT,
    LIE_RELEASE_COUNT_AHEAD,
    LIE_RELEASE_COUNT_BACKWARDS,
    LIE_CONSUMED_AHEAD,
    LIE_CONSUMED_BACKWARDS,
    LIE_FATAL_END, /**< Those before it are found out. */
    /* dropped and counted as strays */
    LIE_DUPLICATE = LIE_FATAL_END,
    LIE_JOB_NEVER_SENT,
    LIE_OTHER_OPCODE,
    LIE_OTHER_CORRELATION,
    LIE_STRAY_END,
    /* the job ends as corrupt */
    LIE_PAYLOAD_CHANGED = LIE_STRAY_END,
    /* no harm */
    LIE_BEGUN_AHEAD,
    LIE_BEGUN_BACKWARDS,
    LIE_TELEMETRY,
    LIE_DRAINED_EVENTFD,
    LIE_FILLED_EVENTFD,
    LIE_BLOCKING_EVENTFD,
    LIE_REFUSED_STRATEGIES,
    LIE_PARKED_WORD,
    LIE_SOCKET_GARBAGE,
    LIE_HARMLESS_END,
    /* special */
    LIE_NOISE = LIE_HARMLESS_END, /**< Random bytes everywhere, for ever. */
    LIE_TRUNCATE,                 /**< Truncates both POSIX objects. */
    LIE_BEGUN_AHEAD_AND_DIE,      /**< Says that all was begun, then SIGKILL. */
    LIE_STATE,                    /**< Says that it drains, and serves on. */
    LIE_LATE_RELEASE,  /**< No lie: gives each request slot back 20 ms after the reply. */
    LIE_SILENT,        /**< Takes requests and never answers. */
    LIE_JOB_ELSEWHERE, /**< A request "ID CORRELATION": answers that job in place of its own, which
                            is never answered, nor is one that names none. */
    LIE_REWRITE, /**< At SIGUSR1 changes the last byte of its last reply, then removes the file
                      that its third argument names. */
};

#endif
