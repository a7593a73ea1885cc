/**
 * @file
 * Names of opcodes, outcomes, policies and wake strategies, as options, workload files and reports
 * write them.
 *
 * Threads: constant data. Never blocks.
 */
#ifndef WEIR_HARNESS_NAMES_H
#define WEIR_HARNESS_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "layout/generated/weir_layout.h" /* weir_outcome_name */
#include "loopback/routines/catalogue.h"
#include "weir/manager.h"

/** Lists of words for options, each ended by NULL. */
extern const char *const weir_policy_words[];  /**< by weir_room_policy */
extern const char *const weir_wake_words[];    /**< futex, eventfd, signal */
extern const char *const weir_backing_words[]; /**< by enum weir_backing */
extern const char *const weir_opcode_words[];  /**< by routine_id */

/** "awake", "futex", "eventfd", "signal", "unknown". */
const char *weir_wake_name(unsigned strategy);

/** The opcode that the loopback worker serves with this routine. */
uint16_t weir_opcode_of(routine_id routine);

/** The position of a word in such a list, or -1. */
int weir_word_index(const char *word, const char *const *words);

/** "futex,signal" as bits 1 << enum weir_wake_strategy. */
uint32_t weir_wake_bits(const char *list);

#endif
