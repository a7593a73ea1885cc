#include "harness/generator.h"

#include <stdlib.h>
#include <string.h>

#include "harness/crc_oracle.h"
#include "harness/names.h"
#include "harness/random.h"
#include "harness/scenarios.h"
#include "layout/generated/weir_layout.h"

#define OFFSETS     (UINT32_C(1) << 14) /* slices begin at multiples of 64 in the first mebibyte */
#define BLOCK_BYTES (2 * (size_t)WEIR_WORKLOAD_PAYLOAD_MAX)

/* Streams of the seed that belong to no job. */
#define BLOCK_STREAM    (UINT64_MAX - 1)
#define SCENARIO_STREAM (UINT64_MAX - 256)

struct weir_generator {
    weir_workload workload;
    uint64_t seed;
    uint64_t weight_sum;
    weir_crc_oracle crc;
    weir_scenarios scenarios[WEIR_WORKLOAD_MIX_MAX];
    uint32_t prefix[BLOCK_BYTES / WEIR_CRC_ORACLE_STEP + 1];
    unsigned char block[BLOCK_BYTES];
};

static bool is_plain(unsigned routine)
{
    return routine == ROUTINE_ECHO || routine == ROUTINE_CRC;
}

static void fill_block(weir_generator *generator)
{
    weir_random random = weir_random_of(generator->seed, BLOCK_STREAM);
    for (size_t i = 0; i < BLOCK_BYTES; i += sizeof(uint64_t)) {
        const uint64_t word = weir_random_next(&random);
        memcpy(generator->block + i, &word, sizeof word);
    }
}

weir_status weir_generator_create(const weir_workload *workload, uint64_t seed,
                                  weir_generator **generator, weir_error *error)
{
    weir_generator *made = calloc(1, sizeof *made);
    if (made == NULL) {
        weir_error_set(error, "no memory for the job generator; free some");
        return WEIR_NO_MEMORY;
    }
    made->workload = *workload;
    made->seed = seed;
    fill_block(made);
    weir_crc_oracle_init(&made->crc, made->block, BLOCK_BYTES, made->prefix);
    for (size_t i = 0; i < workload->mix_count; i++) {
        made->weight_sum += workload->mix[i].weight;
        if (is_plain(workload->mix[i].routine)) {
            continue;
        }
        const weir_status status =
            weir_scenarios_make(&workload->mix[i], weir_random_of(seed, SCENARIO_STREAM + i),
                                &made->scenarios[i], error);
        if (status != WEIR_OK) {
            weir_generator_free(made);
            return status;
        }
    }
    *generator = made;
    return WEIR_OK;
}

void weir_generator_free(weir_generator *generator)
{
    if (generator == NULL) {
        return;
    }
    for (size_t i = 0; i < WEIR_WORKLOAD_MIX_MAX; i++) {
        weir_scenarios_free(&generator->scenarios[i]);
    }
    free(generator);
}

void weir_generator_task(const weir_generator *generator, uint64_t number, weir_task *task)
{
    weir_random random = weir_random_of(generator->seed, number);
    uint64_t at = weir_random_below(&random, generator->weight_sum);
    size_t entry = 0;
    while (at >= generator->workload.mix[entry].weight) {
        at -= generator->workload.mix[entry++].weight;
    }
    const weir_mix_entry *mix = &generator->workload.mix[entry];
    *task = (weir_task){.number = number,
                        .opcode = weir_opcode_of(mix->routine),
                        .routine = (uint8_t)mix->routine,
                        .entry = (uint8_t)entry};
    if (is_plain(mix->routine)) {
        task->stamp = weir_random_mix(number + generator->seed); /* a bijection of the number */
        task->bytes = weir_size_pick(&mix->size, &random);
        task->detail = (uint32_t)weir_random_below(&random, OFFSETS) * WEIR_CRC_ORACLE_STEP;
    } else {
        const weir_scenarios *scenarios = &generator->scenarios[entry];
        task->detail = (uint32_t)weir_random_below(&random, scenarios->count);
        task->bytes = scenarios->item[task->detail].request_bytes;
    }
}

void weir_generator_fill(const weir_generator *generator, const weir_task *task, void *payload)
{
    if (!is_plain(task->routine)) {
        memcpy(payload, generator->scenarios[task->entry].item[task->detail].request, task->bytes);
        return;
    }
    const size_t head = task->bytes < sizeof task->stamp ? task->bytes : sizeof task->stamp;
    if (task->bytes != 0) {
        memcpy(payload, &task->stamp, head);
        memcpy((char *)payload + head, generator->block + task->detail, task->bytes - head);
    }
}

static const char *check_echo(const weir_generator *generator, const weir_task *task,
                              const void *reply, size_t reply_bytes)
{
    if (reply_bytes != task->bytes) {
        return "the echo has another length than the request";
    }
    const size_t head = task->bytes < sizeof task->stamp ? task->bytes : sizeof task->stamp;
    if (task->bytes == 0) {
        return NULL;
    }
    if (memcmp(reply, &task->stamp, head) != 0) {
        return "the echo is that of another job, or its first bytes are damaged";
    }
    if (memcmp((const char *)reply + head, generator->block + task->detail, task->bytes - head) !=
        0) {
        return "the echo differs from the request";
    }
    return NULL;
}

static const char *check_crc(const weir_generator *generator, const weir_task *task,
                             const void *reply, size_t reply_bytes)
{
    struct weir_crc_reply answer;
    if (reply_bytes != sizeof answer) {
        return "the crc reply has a wrong length";
    }
    memcpy(&answer, reply, sizeof answer);
    const size_t head = task->bytes < sizeof task->stamp ? task->bytes : sizeof task->stamp;
    uint32_t crc = weir_crc_oracle_plain(&generator->crc, 0, &task->stamp, head);
    if (task->bytes > head) {
        crc = weir_crc_oracle_slice(&generator->crc, crc, task->detail, task->bytes - head);
    }
    if (answer.bytes != task->bytes || answer.reserved != 0) {
        return "the crc reply counts other bytes than the request has";
    }
    return answer.crc32c == crc ? NULL : "the crc is not that of the request";
}

const char *weir_generator_check(const weir_generator *generator, const weir_task *task,
                                 const void *reply, size_t reply_bytes)
{
    switch (task->routine) {
    case ROUTINE_ECHO:
        return check_echo(generator, task, reply, reply_bytes);
    case ROUTINE_CRC:
        return check_crc(generator, task, reply, reply_bytes);
    default:
        return weir_scenario_check(&generator->scenarios[task->entry], task->detail, reply,
                                   reply_bytes);
    }
}
