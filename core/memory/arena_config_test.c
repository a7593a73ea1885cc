#include "weir/arena_config.h"

#include "harness/testing/weir_test.h"
#include "layout/generated/weir_layout.h"
#include "memory/arena_plan.h"

WEIR_TEST(arena_config, default_is_valid_and_below_eight_mebibytes)
{
    weir_arena_config config;
    weir_error error = {{0}};
    weir_arena_config_default(&config);
    WEIR_EXPECT_STATUS(weir_arena_config_check(&config, &error), WEIR_OK);
    WEIR_EXPECT_STR_EQ(error.text, "");
    WEIR_EXPECT_GT(weir_arena_config_bytes(&config), 2 * 1024 * 1024);
    WEIR_EXPECT_LE(weir_arena_config_bytes(&config), 8 * 1024 * 1024);
    WEIR_EXPECT_EQ(config.backing, WEIR_BACKING_MEMFD);
    WEIR_EXPECT_EQ(config.request_class[config.request_class_count - 1].slot_bytes, 1024 * 1024);
}

WEIR_TEST(arena_config, default_rings_and_payloads_end_on_a_page)
{
    /* So that the first byte behind them already faults. */
    weir_arena_config config;
    weir_arena_config_default(&config);
    weir_arena_plan plan;
    weir_arena_plan_init(&plan, &config);
    static const uint32_t kinds[] = {WEIR_REGION_REQUEST_RING,    WEIR_REGION_RESPONSE_RING,
                                     WEIR_REGION_REQUEST_PAYLOAD, WEIR_REGION_RESPONSE_PAYLOAD,
                                     WEIR_REGION_REQUEST_RELEASE, WEIR_REGION_RESPONSE_RELEASE};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        WEIR_EXPECT_EQ(plan.region[kinds[i] - 1].bytes % 4096, 0);
    }
}

static void ring_of_three(weir_arena_config *config)
{
    config->ring_capacity = 3;
}

static void ring_of_one(weir_arena_config *config)
{
    config->ring_capacity = 1;
}

static void ring_too_large(weir_arena_config *config)
{
    config->ring_capacity = 2 * WEIR_RING_CAPACITY_MAX;
}

static void unknown_backing(weir_arena_config *config)
{
    config->backing = 2;
}

static void no_request_class(weir_arena_config *config)
{
    config->request_class_count = 0;
}

static void nine_response_classes(weir_arena_config *config)
{
    config->response_class_count = 9;
}

static void odd_slot(weir_arena_config *config)
{
    config->request_class[1].slot_bytes = 4000;
}

static void empty_slot(weir_arena_config *config)
{
    config->request_class[0].slot_bytes = 0;
}

static void no_slots(weir_arena_config *config)
{
    config->response_class[2].slot_count = 0;
}

static void not_ascending(weir_arena_config *config)
{
    config->response_class[1].slot_bytes = 256;
}

static void class_beyond_the_object(weir_arena_config *config)
{
    config->request_class[3].slot_count = UINT32_MAX;
}

static void classes_beyond_the_object(weir_arena_config *config)
{
    config->request_class[2].slot_count = 10000;
    config->request_class[3].slot_count = 1000;
}

static void object_beyond_the_limit(weir_arena_config *config)
{
    config->response_class_count = 1;
    config->response_class[0] = (weir_size_class){WEIR_OBJECT_BYTES_MAX / 64, 64};
}

WEIR_TEST(arena_config, refuses_what_makes_no_sense_and_says_what_may_be)
{
    static const struct {
        void (*spoil)(weir_arena_config *config);
        const char *says;
    } cases[] = {
        {ring_of_three, "ring_capacity is 3; choose a power of two from 2 to 65536"},
        {ring_of_one, "ring_capacity is 1;"},
        {ring_too_large, "ring_capacity is 131072;"},
        {unknown_backing, "backing is 2; choose 0 (memfd) or 1 (shm)"},
        {no_request_class, "request_class_count is 0; choose 1 to 8"},
        {nine_response_classes, "response_class_count is 9; choose 1 to 8"},
        {odd_slot, "request_class 1 has slots of 4000 bytes; choose a multiple of 64"},
        {empty_slot, "request_class 0 has slots of 0 bytes; choose a multiple of 64"},
        {no_slots, "response_class 2 has no slots"},
        {not_ascending, "response_class 1 has slots of 256 bytes after 256; order the classes"},
        {class_beyond_the_object, "request_class 3 needs 4503599626321920 bytes"},
        {classes_beyond_the_object, "the request classes together need"},
        {object_beyond_the_limit, "the worker's memory object would be"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        weir_arena_config config;
        weir_error error = {{0}};
        weir_arena_config_default(&config);
        cases[i].spoil(&config);
        WEIR_EXPECT_STATUS(weir_arena_config_check(&config, &error), WEIR_INVALID);
        WEIR_EXPECT_STR_HAS(error.text, cases[i].says);
        WEIR_EXPECT_EQ(weir_arena_config_bytes(&config), 0);
    }
}
