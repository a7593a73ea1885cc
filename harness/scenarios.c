#include "harness/scenarios.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "layout/generated/weir_layout.h"
#include "loopback/routines/analytics.h"
#include "loopback/routines/pathfind.h"
#include "loopback/routines/simulate.h"
#include "loopback/routines/worldgen.h"

/* What the naive oracles may cost, so that a run starts within about a second. */
#define SIMULATE_CELL_STEPS  (UINT64_C(1) << 18)
#define PATHFIND_CELLS       (UINT32_C(1) << 16)
#define WORLDGEN_EVALUATIONS (UINT64_C(1) << 16)
/* Larger scenarios are fewer, so that a set stays below some tens of megabytes. */
#define LARGE_BYTES (UINT32_C(128) << 10)

typedef struct grid_size {
    uint32_t width;
    uint32_t height;
} grid_size;

uint32_t weir_size_pick(const weir_size_spec *size, weir_random *random)
{
    if (size->kind == WEIR_SIZE_LIST) {
        return size->list[weir_random_below(random, size->list_count)];
    }
    if (size->kind == WEIR_SIZE_UNIFORM) {
        return (uint32_t)weir_random_between(random, size->least, size->most);
    }
    /* Evenly over the logarithms; one more than the size, so that 0 has one, too. */
    const double low = log(size->least + 1.0);
    const double high = log(size->most + 2.0);
    const double value = exp(low + weir_random_unit(random) * (high - low)) - 1;
    const uint32_t picked = value > size->least ? (uint32_t)value : size->least;
    return picked > size->most ? size->most : picked;
}

/* A grid of one bit per cell in at most @p budget bytes, and at least one cell. */
static grid_size pick_grid(size_t budget, uint32_t cells_max, weir_random *random)
{
    size_t words = budget / 8 < 1 ? 1 : budget / 8;
    words = words * 64 > cells_max ? cells_max / 64 : words;
    /* About square: a row of w words is 64 w cells wide. */
    size_t row = (size_t)sqrt((double)words / 64);
    row = row < 1 ? 1 : row;
    const size_t height = words / row < 65535 ? words / row : 65535;
    return (grid_size){.width = (uint32_t)(row * 64 - weir_random_below(random, 64)),
                       .height = (uint32_t)height};
}

static size_t rest(uint32_t size, size_t header)
{
    return size > header ? size - header : 0;
}

static routine_result make_simulate(uint32_t size, weir_random *random, void *request,
                                    size_t capacity)
{
    const grid_size grid =
        pick_grid(rest(size, sizeof(struct weir_simulate_reply)), UINT32_C(1) << 23, random);
    const uint64_t steps_max = SIMULATE_CELL_STEPS / ((uint64_t)grid.width * grid.height);
    const simulate_parameters parameters = {
        .width = grid.width,
        .height = grid.height,
        .steps = (uint32_t)weir_random_between(random, 1, steps_max > 32 ? 32 : steps_max + 1),
        .topology = weir_random_below(random, 2) ? SIMULATE_TORUS : SIMULATE_BOUNDED,
        .flags = SIMULATE_GRID,
    };
    uint64_t *cells = (uint64_t *)((char *)request + sizeof(struct weir_simulate_request));
    bit_rows_fill_random(cells, grid.width, grid.height, weir_random_next(random), 3);
    return simulate_build_request(&parameters, cells, request, capacity);
}

static routine_result make_pathfind(uint32_t size, weir_random *random, void *request,
                                    size_t capacity)
{
    const grid_size grid =
        pick_grid(rest(size, sizeof(struct weir_pathfind_request)), PATHFIND_CELLS, random);
    uint64_t *cells = (uint64_t *)((char *)request + sizeof(struct weir_pathfind_request));
    const pathfind_parameters parameters = {
        .width = grid.width,
        .height = grid.height,
        .start_x = (uint32_t)weir_random_below(random, grid.width),
        .start_y = (uint32_t)weir_random_below(random, grid.height),
        .goal_x = (uint32_t)weir_random_below(random, grid.width),
        .goal_y = (uint32_t)weir_random_below(random, grid.height),
        .max_points = (uint32_t)(rest(size, sizeof(struct weir_pathfind_reply)) /
                                 sizeof(struct weir_pathfind_point)),
    };
    bit_rows_fill_random(cells, grid.width, grid.height, weir_random_next(random), 6);
    /* An end on a blocked cell stays possible, but seldom enough that most searches find a way. */
    if (weir_random_below(random, 8) != 0) {
        bit_rows_set(cells, grid.width, parameters.start_x, parameters.start_y);
        bit_rows_set(cells, grid.width, parameters.goal_x, parameters.goal_y);
    }
    return pathfind_build_request(&parameters, cells, request, capacity);
}

static routine_result make_worldgen(uint32_t size, weir_random *random, void *request,
                                    size_t capacity)
{
    size_t samples = rest(size, sizeof(struct weir_worldgen_reply)) / sizeof(double);
    samples = samples < 1 ? 1 : samples;
    const size_t widest = samples < 512 ? samples : 512;
    const uint32_t width = (uint32_t)weir_random_between(random, (widest + 3) / 4, widest);
    const uint64_t octaves = WORLDGEN_EVALUATIONS / samples;
    const worldgen_parameters parameters = {
        .width = width,
        .height = (uint32_t)(samples / width),
        .octaves = (uint32_t)weir_random_between(random, 1, octaves > 6 ? 6 : octaves + 1),
        .origin_x = weir_random_unit(random) * 1000 - 500,
        .origin_y = weir_random_unit(random) * 1000 - 500,
        .z = weir_random_unit(random) * 10,
        .spacing = weir_random_unit(random) * 0.1,
        .lacunarity = 1.5 + weir_random_unit(random),
        .gain = 0.3 + weir_random_unit(random) * 0.4,
    };
    return worldgen_build_request(&parameters, request, capacity);
}

static routine_result make_analytics(uint32_t size, weir_random *random, void *request,
                                     size_t capacity)
{
    static const double probabilities[] = {0.5, 0.25, 0.75, 0.99};
    size_t count = rest(size, sizeof(struct weir_analytics_request)) / sizeof(double);
    count = count < 1 ? 1 : count;
    double *values = (double *)((char *)request + sizeof(struct weir_analytics_request));
    const double scale = ldexp(1, (int)weir_random_between(random, 0, 40) - 20);
    for (size_t i = 0; i < count; i++) {
        values[i] = (weir_random_unit(random) - 0.25) * scale;
    }
    return analytics_build_request(values, count, probabilities,
                                   (uint32_t)weir_random_below(random, 5), request, capacity);
}

static routine_result make_request(routine_id routine, uint32_t size, weir_random *random,
                                   void *request, size_t capacity)
{
    switch (routine) {
    case ROUTINE_SIMULATE:
        return make_simulate(size, random, request, capacity);
    case ROUTINE_PATHFIND:
        return make_pathfind(size, random, request, capacity);
    case ROUTINE_WORLDGEN:
        return make_worldgen(size, random, request, capacity);
    case ROUTINE_ANALYTICS:
        return make_analytics(size, random, request, capacity);
    default:
        return routine_bad_request("echo and crc jobs need no scenarios");
    }
}

static weir_status disagree(const routine *routine, const char *reason, weir_error *error)
{
    weir_error_set(error,
                   "the %s routine of this build fails before any worker is asked: %s; run its "
                   "tests (scripts/test) and mend it",
                   routine->name, reason);
    return WEIR_CORRUPT;
}

/* Computes the reply in this process and has the naive oracle agree. */
static weir_status settle_reply(routine_id id, routine_memory *memory, weir_scenario *scenario,
                                weir_error *error)
{
    const routine *routine = &routine_catalogue[id];
    routine_result result = routine->reply_bytes(scenario->request, scenario->request_bytes);
    if (result.code != ROUTINE_OK) {
        return disagree(routine, result.reason, error);
    }
    scenario->reply = malloc(result.bytes);
    if (scenario->reply == NULL) {
        weir_error_set(error, "no memory for the expected replies; free some, or lower --max-size");
        return WEIR_NO_MEMORY;
    }
    result = routine->run(memory, scenario->request, scenario->request_bytes, scenario->reply,
                          result.bytes);
    if (result.code != ROUTINE_OK) {
        return disagree(routine, result.reason, error);
    }
    scenario->reply_bytes = (uint32_t)result.bytes;
    const char *wrong = routine->verify(scenario->request, scenario->request_bytes, scenario->reply,
                                        scenario->reply_bytes);
    if (wrong != NULL) {
        return disagree(routine, wrong, error);
    }
    if (id == ROUTINE_PATHFIND) {
        struct weir_pathfind_reply reply;
        memcpy(&reply, scenario->reply, sizeof reply);
        scenario->path_length = reply.found ? reply.length : -1;
    }
    return WEIR_OK;
}

static weir_status make_one(const weir_mix_entry *entry, routine_memory *memory,
                            weir_random *random, weir_scenario *scenario, weir_error *error)
{
    const uint32_t size = weir_size_pick(&entry->size, random);
    const size_t capacity = (size_t)size + 512; /* the smallest requests exceed tiny sizes */
    scenario->request = calloc(1, capacity);
    if (scenario->request == NULL) {
        weir_error_set(error, "no memory for the requests; free some, or lower --max-size");
        return WEIR_NO_MEMORY;
    }
    const routine_result made =
        make_request(entry->routine, size, random, scenario->request, capacity);
    if (made.code != ROUTINE_OK) {
        return disagree(&routine_catalogue[entry->routine], made.reason, error);
    }
    scenario->request_bytes = (uint32_t)made.bytes;
    return settle_reply(entry->routine, memory, scenario, error);
}

weir_status weir_scenarios_make(const weir_mix_entry *entry, weir_random random,
                                weir_scenarios *scenarios, weir_error *error)
{
    routine_memory memory = {0};
    weir_status status = WEIR_OK;
    *scenarios = (weir_scenarios){.routine = entry->routine};
    const uint32_t count =
        entry->size.most > LARGE_BYTES ? WEIR_SCENARIOS_MAX / 4 : WEIR_SCENARIOS_MAX;
    while (status == WEIR_OK && scenarios->count < count) {
        status = make_one(entry, &memory, &random, &scenarios->item[scenarios->count++], error);
    }
    routine_memory_free(&memory);
    if (status != WEIR_OK) {
        weir_scenarios_free(scenarios);
    }
    return status;
}

void weir_scenarios_free(weir_scenarios *scenarios)
{
    for (uint32_t i = 0; i < scenarios->count; i++) {
        free(scenarios->item[i].request);
        free(scenarios->item[i].reply);
    }
    scenarios->count = 0;
}

const char *weir_scenario_check(const weir_scenarios *scenarios, uint32_t number, const void *reply,
                                size_t reply_bytes)
{
    const weir_scenario *expected = &scenarios->item[number];
    if (reply_bytes == expected->reply_bytes && memcmp(reply, expected->reply, reply_bytes) == 0) {
        return NULL;
    }
    if (scenarios->routine == ROUTINE_PATHFIND) {
        /* Another way of the same length is right as well. */
        return pathfind_verify(expected->request, expected->request_bytes, reply, reply_bytes,
                               expected->path_length);
    }
    return reply_bytes != expected->reply_bytes ? "the reply has another length than expected"
                                                : "the reply differs from the expected one";
}
