#include "harness/workload.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "harness/testing/weir_test.h"

static weir_workload workload;
static weir_error error;

static weir_status parse(const char *text)
{
    error.text[0] = '\0';
    return weir_workload_parse(text, strlen(text), "w.toml", &workload, &error);
}

#define HEAD "name = \"w\"\njobs = 10\nconcurrency = 4\n"
#define MIX  "[[mix]]\nopcode = \"echo\"\nsize = 64\n"

WEIR_TEST(workload, the_smallest_file_gets_defaults)
{
    WEIR_EXPECT_STATUS(parse(HEAD MIX), WEIR_OK);
    WEIR_EXPECT_STR_EQ(workload.name, "w");
    WEIR_EXPECT_EQ(workload.jobs, 10);
    WEIR_EXPECT_EQ(workload.duration_ns, 0);
    WEIR_EXPECT_EQ(workload.concurrency, 4);
    WEIR_EXPECT_EQ(workload.callers, 1);
    WEIR_EXPECT_EQ(workload.batch, 1);
    WEIR_EXPECT_EQ(workload.workers, 2);
    WEIR_EXPECT_EQ(workload.policy, WEIR_ROOM_DEFER);
    WEIR_EXPECT_FALSE(workload.idempotent);
    WEIR_EXPECT_EQ(workload.mix_count, 1);
    WEIR_EXPECT_EQ(workload.mix[0].weight, 1);
    WEIR_EXPECT_EQ(workload.mix[0].size.least, 64);
    WEIR_EXPECT_EQ(workload.mix[0].size.most, 64);
}

WEIR_TEST(workload, every_key_is_read)
{
    WEIR_EXPECT_STATUS(parse("name = \"w\"\ndoc = \"d\"\nduration = \"3s\"\nrate = 500\n"
                             "callers = 3\nbatch = 7\ndeadline = \"250ms\"\nidempotent = true\n"
                             "policy = \"wait\"\nworkers = 5\n[arena]\nring_capacity = 64\n"
                             "request_slots = [[64, 32], [\"64K\", 2]]\n"
                             "response_slots = [[\"64K\", 4]]\n"
                             "[[mix]]\nopcode = \"crc\"\nweight = 3\n"
                             "size = { uniform = [1, \"64K\"] }\n"
                             "[[mix]]\nopcode = \"worldgen\"\nsize = { log_uniform = [0, 100] }\n"
                             "[[mix]]\nopcode = \"echo\"\nsize = { list = [9, 3, \"1K\"] }\n"),
                       WEIR_OK);
    WEIR_EXPECT_EQ(workload.duration_ns, 3000000000);
    WEIR_EXPECT_EQ(workload.rate, 500);
    WEIR_EXPECT_EQ(workload.callers, 3);
    WEIR_EXPECT_EQ(workload.batch, 7);
    WEIR_EXPECT_EQ(workload.deadline_ns, 250000000);
    WEIR_EXPECT_TRUE(workload.idempotent);
    WEIR_EXPECT_EQ(workload.policy, WEIR_ROOM_WAIT);
    WEIR_EXPECT_EQ(workload.workers, 5);
    WEIR_EXPECT_EQ(workload.arena.ring_capacity, 64);
    WEIR_EXPECT_EQ(workload.arena.request_class_count, 2);
    WEIR_EXPECT_EQ(workload.arena.request_class[1].slot_bytes, 65536);
    WEIR_EXPECT_EQ(workload.arena.response_class[0].slot_count, 4);
    WEIR_EXPECT_EQ(workload.mix_count, 3);
    WEIR_EXPECT_EQ(workload.mix[0].routine, ROUTINE_CRC);
    WEIR_EXPECT_EQ(workload.mix[0].weight, 3);
    WEIR_EXPECT_EQ(workload.mix[0].size.most, 65536);
    WEIR_EXPECT_EQ(workload.mix[1].size.kind, WEIR_SIZE_LOG_UNIFORM);
    WEIR_EXPECT_EQ(workload.mix[2].size.kind, WEIR_SIZE_LIST);
    WEIR_EXPECT_EQ(workload.mix[2].size.least, 3);
    WEIR_EXPECT_EQ(workload.mix[2].size.most, 1024);
}

WEIR_TEST(workload, each_mistake_is_told_with_its_place_and_what_to_do)
{
    static const struct {
        const char *text;
        const char *message;
    } table[] = {
        {"", "w.toml:1:1: the workload has no \"name\"; add it"},
        {"name = \n", "w.toml:1:"},
        {HEAD, "w.toml:1:1: the workload has no \"mix\"; add it"},
        {"name = 3\n", "w.toml:1:8: name is an integer; write a string"},
        {"name = \"\"\n", "w.toml:1:8: name has 0 characters; write 1 to 63"},
        {HEAD "wokers = 2\n" MIX, "w.toml:4:1: the workload has no key \"wokers\"; did you mean "
                                  "\"workers\"?"},
        {HEAD "workers = 0\n" MIX, "w.toml:4:11: workers is 0; it may be 1 to 64"},
        {HEAD "workers = -3\n" MIX, "w.toml:4:11: workers is -3; it may be 1 to 64"},
        {HEAD "workers = 2.5\n" MIX, "w.toml:4:11: workers is a float; write an integer"},
        {HEAD "deadline = 5\n" MIX, "w.toml:4:12: deadline is an integer; write a string, such as "
                                    "\"10s\""},
        {HEAD "deadline = \"5\"\n" MIX, "w.toml:4:12: deadline is \"5\"; write a duration from"},
        {HEAD "idempotent = 1\n" MIX, "w.toml:4:14: idempotent is an integer; write true or false"},
        {HEAD "policy = \"drop\"\n" MIX, "w.toml:4:10: policy is \"drop\"; it may be one of "
                                         "reject, drop_oldest, defer, wait"},
        {HEAD "duration = \"1s\"\n" MIX, "w.toml:4:1: the workload has both \"jobs\" and "
                                         "\"duration\"; remove one"},
        {"name = \"w\"\nconcurrency = 1\n" MIX, "w.toml:1:1: the workload has neither \"jobs\" nor "
                                                "\"duration\"; add one"},
        {HEAD "rate = 5\n" MIX, "w.toml:4:1: the workload has both \"concurrency\" and \"rate\""},
        {"name = \"w\"\njobs = 1\n" MIX, "neither \"concurrency\" nor \"rate\"; add one"},
        {HEAD "batch = 5\n" MIX, "w.toml:1:1: batch is 5 but concurrency only 4"},
        {HEAD "mix = 3\n", "w.toml:4:7: mix is not 1 to 16 tables; write [[mix]]"},
        {HEAD "mix = [3]\n", "w.toml:4:8: this entry of mix is an integer; write [[mix]]"},
        {HEAD "[[mix]]\nsize = 1\n", "w.toml:4:1: [[mix]] has no \"opcode\"; add it"},
        {HEAD "[[mix]]\nopcode = \"echo\"\n", "w.toml:4:1: [[mix]] has no \"size\"; add it"},
        {HEAD "[[mix]]\nopcode = \"eco\"\nsize = 1\n",
         "w.toml:5:10: opcode is \"eco\"; it may be one of echo, crc, simulate, pathfind, "
         "worldgen, "
         "analytics"},
        {HEAD "[[mix]]\nopcode = \"echo\"\nsize = 1\nwieght = 2\n",
         "w.toml:7:1: [[mix]] has no key \"wieght\"; did you mean \"weight\"?"},
        {HEAD "[[mix]]\nopcode = \"echo\"\nsize = 1\nweight = 0\n",
         "w.toml:7:10: weight is 0; it may be 1 to 1000000"},
        {HEAD "[[mix]]\nopcode = \"echo\"\nsize = \"2M\"\n",
         "w.toml:6:8: size is not a number of bytes from 0 B to 1.00 MiB"},
        {HEAD "[[mix]]\nopcode = \"echo\"\nsize = -1\n", "w.toml:6:8: size is not a number"},
        {HEAD "[[mix]]\nopcode = \"echo\"\nsize = { even = [1, 2] }\n",
         "w.toml:6:8: size has to be one of { uniform = [least, most] }"},
        {HEAD "[[mix]]\nopcode = \"echo\"\nsize = { uniform = [1] }\n",
         "w.toml:6:20: uniform is not a pair; write [least, most]"},
        {HEAD "[[mix]]\nopcode = \"echo\"\nsize = { uniform = [2, 1] }\n",
         "w.toml:6:20: uniform begins with the larger size; swap the two"},
        {HEAD "[[mix]]\nopcode = \"echo\"\nsize = { list = [] }\n",
         "w.toml:6:17: list is not a list of 1 to 16 sizes"},
        {HEAD "[[mix]]\nopcode = \"echo\"\nsize = { list = [1, true] }\n",
         "w.toml:6:21: the size is not a number of bytes"},
        {HEAD "[arena]\nring = 3\n" MIX, "w.toml:5:1: [arena] has no key \"ring\"; did you mean "
                                         "\"ring_capacity\"?"},
        {HEAD "[arena]\nring_capacity = 100\n" MIX, "w.toml:4:1: "},
        {HEAD "[arena]\nrequest_slots = [[64]]\n" MIX,
         "w.toml:5:18: this is no pair; write [slot bytes, slot count]"},
        {HEAD "[arena]\nrequest_slots = []\n" MIX, "w.toml:5:17: request_slots is not a list of 1 "
                                                   "to 8 pairs"},
        {HEAD "[arena]\nrequest_slots = [[64, 8]]\n[[mix]]\nopcode = \"echo\"\nsize = 65\n",
         "w.toml:1:1: echo asks for payloads of 65 bytes but the largest slot has 64"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        WEIR_EXPECT_STATUS(parse(table[i].text), WEIR_INVALID);
        WEIR_EXPECT_STR_HAS(error.text, table[i].message);
    }
}

WEIR_TEST(workload, the_shipped_ones_are_found_by_name_and_keep_their_promise)
{
    static const char *const names[] = {"mixed", "echo"};
    for (size_t i = 0; i < 2; i++) {
        WEIR_EXPECT_STATUS(weir_workload_load(names[i], &workload, &error), WEIR_OK);
        WEIR_EXPECT_STR_EQ(workload.name, names[i]);
        WEIR_EXPECT_TRUE(workload.idempotent);
    }
}

WEIR_TEST(workload, a_path_is_read_too)
{
    WEIR_EXPECT_STATUS(
        weir_workload_load(WEIR_SOURCE_DIR "/harness/workloads/echo.toml", &workload, &error),
        WEIR_OK);
    WEIR_EXPECT_STR_EQ(workload.name, "echo");
}

WEIR_TEST(workload, what_cannot_be_read_is_named_with_what_to_do)
{
    WEIR_EXPECT_STATUS(weir_workload_load("mixd", &workload, &error), WEIR_NOT_FOUND);
    WEIR_EXPECT_STR_HAS(error.text, "there is no workload \"mixd\" and no file of that name here; "
                                    "built in are echo, mixed, anything else is the path");
    WEIR_EXPECT_STATUS(weir_workload_load("./no/such.toml", &workload, &error), WEIR_SYSTEM);
    WEIR_EXPECT_STR_HAS(error.text, "cannot read the workload ./no/such.toml: No such file");
    WEIR_EXPECT_STATUS(weir_workload_load("/", &workload, &error), WEIR_SYSTEM);
    WEIR_EXPECT_STR_HAS(error.text, "cannot read the workload /: Is a directory");
}

WEIR_TEST(workload, sizes_can_be_capped)
{
    WEIR_EXPECT_STATUS(parse(HEAD "[[mix]]\nopcode = \"echo\"\nsize = { list = [1, 500, \"1M\"] }\n"
                                  "[[mix]]\nopcode = \"crc\"\nsize = { uniform = [200, 300] }\n"),
                       WEIR_OK);
    weir_workload_cap_sizes(&workload, 100);
    WEIR_EXPECT_EQ(workload.mix[0].size.list[0], 1);
    WEIR_EXPECT_EQ(workload.mix[0].size.list[1], 100);
    WEIR_EXPECT_EQ(workload.mix[0].size.list[2], 100);
    WEIR_EXPECT_EQ(workload.mix[1].size.least, 100);
    WEIR_EXPECT_EQ(workload.mix[1].size.most, 100);
}
