#include <stdio.h>
#include <stdlib.h>

#include "harness/testing/weir_test.h"
#include "worker/handshake.h"

#define DIGITS "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static weir_status no_routine(weir_job *job, void *context)
{
    (void)job;
    (void)context;
    return WEIR_UNSUPPORTED;
}

static const weir_worker_routine echo = {WEIR_OPCODE_ECHO, no_routine};

static weir_worker_options plain(void)
{
    return (weir_worker_options){.routines = &echo, .routine_count = 1};
}

static char *no_arguments[] = {"worker", NULL};

WEIR_TEST(worker_identity, has_the_documented_defaults)
{
    const weir_worker_options options = plain();
    weir_worker_identity identity;
    setenv("WEIR_SOCKET", "/tmp/socket", 1);
    setenv("WEIR_TOKEN", DIGITS, 1);
    unsetenv("WEIR_CORRELATION");
    WEIR_EXPECT_STATUS(weir_worker_handshake_prepare(&options, 1, no_arguments, &identity, NULL),
                       WEIR_OK);
    WEIR_EXPECT_STR_EQ(identity.socket_path, "/tmp/socket");
    WEIR_EXPECT_STR_EQ(identity.role, "worker");
    WEIR_EXPECT_STR_EQ(identity.language, "c");
    WEIR_EXPECT_STR_EQ(identity.correlation, "");
    WEIR_EXPECT_EQ(identity.token[1], 0x11);
    WEIR_EXPECT_EQ(identity.token[31], 0xff);
    WEIR_EXPECT_EQ(identity.capabilities, WEIR_CAPABILITY_ALL);
    WEIR_EXPECT_EQ(identity.wake_strategies, 14);
    WEIR_EXPECT_EQ(identity.timeout_ns, UINT64_C(10000000000));
    WEIR_EXPECT_EQ(identity.opcode_count, 1);
    WEIR_EXPECT_EQ(identity.opcode[0], WEIR_OPCODE_ECHO);
    WEIR_EXPECT_MEM_EQ(identity.layout_digest, weir_layout_digest, 32);
    WEIR_EXPECT_NULL(getenv("WEIR_TOKEN"));
}

WEIR_TEST(worker_identity, the_command_line_goes_before_options_and_those_before_the_environment)
{
    char *words[] = {"worker", "--socket", "/a", "--correlation=b", "--other", NULL};
    weir_worker_options options = plain();
    weir_worker_identity identity;
    setenv("WEIR_SOCKET", "/environment", 1);
    setenv("WEIR_CORRELATION", "environment", 1);
    setenv("WEIR_TOKEN", DIGITS, 1);
    options.socket_path = "/options";
    WEIR_EXPECT_STATUS(weir_worker_handshake_prepare(&options, 5, words, &identity, NULL), WEIR_OK);
    WEIR_EXPECT_STR_EQ(identity.socket_path, "/a");
    WEIR_EXPECT_STR_EQ(identity.correlation, "b");
    setenv("WEIR_TOKEN", DIGITS, 1);
    WEIR_EXPECT_STATUS(weir_worker_handshake_prepare(&options, 1, no_arguments, &identity, NULL),
                       WEIR_OK);
    WEIR_EXPECT_STR_EQ(identity.socket_path, "/options");
    WEIR_EXPECT_STR_EQ(identity.correlation, "environment");
}

WEIR_TEST(worker_identity, offers_only_what_the_options_allow)
{
    weir_worker_options options = plain();
    weir_worker_identity identity;
    setenv("WEIR_SOCKET", "/s", 1);
    setenv("WEIR_TOKEN", DIGITS, 1);
    options.capabilities = WEIR_CAPABILITY_ZSTD;
    options.without_payload_crc = 1;
    options.wake_strategies = 1u << WEIR_WAKE_STRATEGY_SIGNAL;
    WEIR_EXPECT_STATUS(weir_worker_handshake_prepare(&options, 1, no_arguments, &identity, NULL),
                       WEIR_OK);
    WEIR_EXPECT_EQ(identity.capabilities, WEIR_CAPABILITY_ZSTD);
    WEIR_EXPECT_EQ(identity.wake_strategies, 1u << WEIR_WAKE_STRATEGY_SIGNAL);
}

/* Demands this refusal, and that the token is gone from the environment all the same. */
static void expect_refused(weir_worker_options options, int argc, char **argv, weir_status status,
                           const char *reason)
{
    weir_worker_identity identity;
    weir_error error = {.text = ""};
    setenv("WEIR_TOKEN", DIGITS, 1);
    WEIR_EXPECT_STATUS(weir_worker_handshake_prepare(&options, argc, argv, &identity, &error),
                       status);
    WEIR_EXPECT_STR_HAS(error.text, reason);
    WEIR_EXPECT_NULL(getenv("WEIR_TOKEN"));
}

WEIR_TEST(worker_identity, refuses_what_makes_no_sense_and_wipes_the_token_all_the_same)
{
    static const weir_worker_routine zero = {WEIR_OPCODE_NONE, no_routine};
    static const weir_worker_routine empty = {WEIR_OPCODE_ECHO, NULL};
    static weir_worker_routine many[65];
    char *dangling[] = {"worker", "--socket", NULL};
    char *newline[] = {"worker", "--correlation", "a\nb", NULL};
    char path[128];
    setenv("WEIR_SOCKET", "/s", 1);
    weir_worker_options options = plain();
    options.routine_count = 0;
    expect_refused(options, 1, no_arguments, WEIR_INVALID, "has 0 routines");
    options.routines = many;
    options.routine_count = 65;
    expect_refused(options, 1, no_arguments, WEIR_INVALID, "has 65 routines");
    options.routines = &zero;
    options.routine_count = 1;
    expect_refused(options, 1, no_arguments, WEIR_INVALID, "routine 1 of the worker has opcode 0");
    options.routines = &empty;
    expect_refused(options, 1, no_arguments, WEIR_INVALID, "no function");
    options = plain();
    options.role = "a role of thirty-two characters.";
    expect_refused(options, 1, no_arguments, WEIR_INVALID, "has 32 characters and may have 31");
    options.role = "r\xc3\xb6le";
    expect_refused(options, 1, no_arguments, WEIR_INVALID, "0xc3 at position 2");
    options = plain();
    expect_refused(options, 2, dangling, WEIR_INVALID, "--socket needs a value");
    expect_refused(options, 3, newline, WEIR_INVALID, "0x0a at position 2");
    memset(path, 'p', sizeof path);
    path[108] = '\0';
    options.socket_path = path;
    expect_refused(options, 1, no_arguments, WEIR_INVALID, "has 108 bytes");
    options.socket_path = "";
    expect_refused(options, 1, no_arguments, WEIR_NOT_FOUND, "no manager is named");
}
