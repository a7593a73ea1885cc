/* What the control socket's calls say when the operating system refuses. */
#include <errno.h>
#include <sys/socket.h>

#include "base/os.h"
#include "channel/control.h"
#include "harness/testing/weir_test.h"

WEIR_TEST(control_system, refuses_to_send_what_is_no_message)
{
    struct weir_ready message = {.tid = 1};
    const int list[5] = {0, 0, 0, 0, 0};
    weir_error error;
    WEIR_EXPECT_STATUS(weir_control_send(-1, (enum weir_message)7, &message, NULL, 0, &error),
                       WEIR_INVALID);
    WEIR_EXPECT_STATUS(weir_control_send(-1, (enum weir_message)0, &message, NULL, 0, &error),
                       WEIR_INVALID);
    WEIR_EXPECT_STATUS(weir_control_send(-1, WEIR_MESSAGE_READY, &message, list, 5, &error),
                       WEIR_INVALID);
    WEIR_EXPECT_STATUS(weir_control_send(-1, WEIR_MESSAGE_READY, &message, NULL, 0, &error),
                       WEIR_SYSTEM);
}

static int failure;
static int calls;

static ssize_t fail_receive(int fd, struct msghdr *message, int flags)
{
    (void)fd;
    (void)message;
    (void)flags;
    calls++;
    errno = failure;
    return -1;
}

static ssize_t fail_send(int fd, const struct msghdr *message, int flags)
{
    (void)fd;
    (void)message;
    (void)flags;
    calls++;
    errno = failure;
    return -1;
}

WEIR_TEST(control_system, turns_each_failure_of_the_system_into_a_status)
{
    static const struct {
        int error_number;
        weir_status receive;
        weir_status send;
    } cases[] = {
        {EAGAIN, WEIR_EMPTY, WEIR_FULL},
        {EINTR, WEIR_EMPTY, WEIR_FULL},
        {ECONNRESET, WEIR_PEER_DEAD, WEIR_PEER_DEAD},
        {EPIPE, WEIR_PEER_DEAD, WEIR_PEER_DEAD},
        {ENOMEM, WEIR_NO_MEMORY, WEIR_NO_MEMORY},
        {EBADF, WEIR_SYSTEM, WEIR_SYSTEM},
        {ETOOMANYREFS, WEIR_SYSTEM, WEIR_SYSTEM},
        {ENOTCONN, WEIR_PEER_DEAD, WEIR_PEER_DEAD},
    };
    weir_os_table table = *weir_os_linux();
    table.recvmsg = fail_receive;
    table.sendmsg = fail_send;
    weir_os_replace(&table);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        weir_control_message message = {.ready = {.tid = 1}};
        weir_control_descriptors descriptors;
        failure = cases[i].error_number;
        calls = 0;
        WEIR_EXPECT_STATUS(weir_control_receive(0, &message, &descriptors, NULL), cases[i].receive);
        WEIR_EXPECT_STATUS(weir_control_send(0, WEIR_MESSAGE_READY, &message, NULL, 0, NULL),
                           cases[i].send);
        WEIR_EXPECT_LE(calls, 40);
    }
    weir_os_replace(NULL);
}
