/* Who may come in: the token of a worker that waits to be heard, and that once. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "channel/control.h"
#include "channel/token.h"
#include "manager/testing/handshake_bench.h"
#include "manager/testing/house.h"

/* A worker's environment, as everything of the same user can read it. */
static char environment[65536];

static void read_environment(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    WEIR_EXPECT_GE(fd, 0);
    size_t used = 0;
    ssize_t bytes;
    while ((bytes = read(fd, environment + used, sizeof environment - 2 - used)) > 0) {
        used += (size_t)bytes;
    }
    environment[used] = environment[used + 1] = '\0';
    close(fd);
}

static const char *value_of(const char *name)
{
    const size_t length = strlen(name);
    for (const char *at = environment; *at != '\0'; at += strlen(at) + 1) {
        if (strncmp(at, name, length) == 0 && at[length] == '=') {
            return at + length + 1;
        }
    }
    weir_test_fail(__FILE__, __LINE__, "the worker's environment has no %s", name);
    return "";
}

static enum weir_message say_hello(const struct weir_hello *hello, int *fd,
                                   weir_control_message *answer)
{
    weir_control_descriptors descriptors;
    weir_control_message message = {.hello = *hello};
    WEIR_EXPECT_STATUS(
        weir_control_connect(value_of("WEIR_SOCKET"), weir_test_deadline(5), fd, NULL), WEIR_OK);
    WEIR_EXPECT_STATUS(weir_control_send(*fd, WEIR_MESSAGE_HELLO, &message, NULL, 0, NULL),
                       WEIR_OK);
    weir_status status = WEIR_EMPTY;
    for (int i = 0; i < 5000 && status == WEIR_EMPTY; i++) {
        status = weir_control_receive(*fd, answer, &descriptors, NULL);
        usleep(1000);
    }
    WEIR_EXPECT_STATUS(status, WEIR_OK);
    for (uint32_t i = 0; i < descriptors.count; i++) {
        close(descriptors.fd[i]);
    }
    return answer->header.kind;
}

WEIR_TEST(admission, a_token_serves_once_even_before_its_worker_is_ready)
{
    static house house;
    static handshake_bench bench;
    static const char *const arguments[] = {"--mute", NULL};
    house_open(&house, NULL);
    weir_pool_options options = house_pool(1, arguments);
    options.start_timeout_ns = 60 * WEIR_NS_PER_SECOND;
    (void)house_add(&house, &options);
    house_event spawned;
    house_await(&house, "spawned", 1, &spawned);
    read_environment(spawned.pid);
    WEIR_EXPECT_STATUS(weir_token_read(value_of("WEIR_TOKEN"), bench.token, NULL), WEIR_OK);
    bench.terms.correlation = value_of("WEIR_CORRELATION");
    struct weir_hello hello = bench_hello(&bench);
    memset(hello.role, 0, sizeof hello.role);
    memcpy(hello.role, options.role, strlen(options.role));
    weir_control_message answer;
    int first = -1;
    int second = -1;
    WEIR_EXPECT_EQ(say_hello(&hello, &first, &answer), WEIR_MESSAGE_WELCOME);
    WEIR_EXPECT_EQ(say_hello(&hello, &second, &answer), WEIR_MESSAGE_REJECT);
    WEIR_EXPECT_EQ(answer.reject.error_code, WEIR_ERROR_CODE_TOKEN);
    close(first);
    close(second);
    house_close(&house);
}
