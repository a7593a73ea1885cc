#include "harness/names.h"

#include <string.h>

#include "harness/options.h"
#include "layout/generated/weir_layout.h"

const char *const weir_policy_words[] = {"reject", "drop_oldest", "defer", "wait", NULL};
const char *const weir_wake_words[] = {"futex", "eventfd", "signal", NULL};
const char *const weir_backing_words[] = {"memfd", "shm", NULL};
const char *const weir_opcode_words[] = {"echo",     "crc",       "simulate", "pathfind",
                                         "worldgen", "analytics", NULL};

static const uint16_t opcodes[ROUTINE_COUNT] = {
    [ROUTINE_ECHO] = WEIR_OPCODE_ECHO,         [ROUTINE_CRC] = WEIR_OPCODE_CRC,
    [ROUTINE_SIMULATE] = WEIR_OPCODE_SIMULATE, [ROUTINE_PATHFIND] = WEIR_OPCODE_PATHFIND,
    [ROUTINE_WORLDGEN] = WEIR_OPCODE_WORLDGEN, [ROUTINE_ANALYTICS] = WEIR_OPCODE_ANALYTICS,
};

const char *weir_wake_name(unsigned strategy)
{
    if (strategy == WEIR_WAKE_STRATEGY_AWAKE) {
        return "awake";
    }
    return strategy <= WEIR_WAKE_STRATEGY_MAX ? weir_wake_words[strategy - 1] : "unknown";
}

uint16_t weir_opcode_of(routine_id routine)
{
    return opcodes[routine];
}

int weir_word_index(const char *word, const char *const *words)
{
    for (int i = 0; words[i] != NULL; i++) {
        if (strcmp(word, words[i]) == 0) {
            return i;
        }
    }
    return -1;
}

uint32_t weir_wake_bits(const char *list)
{
    uint32_t bits = 0;
    for (unsigned i = 0; weir_wake_words[i] != NULL; i++) {
        if (weir_words_have(list, weir_wake_words[i])) {
            bits |= UINT32_C(1) << (i + 1);
        }
    }
    return bits;
}
