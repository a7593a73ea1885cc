#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/os.h"
#include "channel/control.h"
#include "harness/testing/weir_test.h"

/* A path of exactly this length in a fresh directory; the directory is put into place of the
 * name. */
static void make_path(char *path, size_t length, char directory[64])
{
    strcpy(directory, "/tmp/weir-control-XXXXXX");
    WEIR_EXPECT_NOT_NULL(mkdtemp(directory));
    const size_t base = strlen(directory);
    memcpy(path, directory, base);
    memset(path + base, 's', length - base);
    path[base] = '/';
    path[length] = '\0';
}

WEIR_TEST(control_socket, takes_a_path_of_107_bytes)
{
    char path[256];
    char directory[64];
    int listener;
    int fd;
    pid_t pid;
    uid_t uid;
    make_path(path, 107, directory);
    WEIR_EXPECT_STATUS(weir_control_listen(path, &listener, NULL), WEIR_OK);
    WEIR_EXPECT_STATUS(weir_control_connect(path, weir_test_deadline(10), &fd, NULL), WEIR_OK);
    WEIR_EXPECT_STATUS(weir_control_peer(fd, &pid, &uid, NULL), WEIR_OK);
    WEIR_EXPECT_EQ(pid, getpid());
    WEIR_EXPECT_EQ(uid, geteuid());
    close(fd);
    close(listener);
    unlink(path);
    rmdir(directory);
}

WEIR_TEST(control_socket, names_length_limit_and_fix_of_a_path_of_108_bytes)
{
    char path[256];
    char directory[64];
    char joined[WEIR_CONTROL_PATH_BYTES];
    int fd;
    weir_error error = {.text = ""};
    make_path(path, 108, directory);
    WEIR_EXPECT_STATUS(weir_control_listen(path, &fd, &error), WEIR_INVALID);
    WEIR_EXPECT_EQ(fd, -1);
    WEIR_EXPECT_STR_HAS(error.text, "has 108 bytes");
    WEIR_EXPECT_STR_HAS(error.text, "at most 107");
    WEIR_EXPECT_STR_HAS(error.text, "shorter directory");
    error.text[0] = '\0';
    WEIR_EXPECT_STATUS(weir_control_connect(path, 0, &fd, &error), WEIR_INVALID);
    WEIR_EXPECT_STR_HAS(error.text, "has 108 bytes");
    WEIR_EXPECT_STATUS(weir_control_path(directory, path + strlen(directory) + 1, joined, &error),
                       WEIR_INVALID);
    WEIR_EXPECT_STR_HAS(error.text, "has 108 bytes");
    path[107] = '\0';
    WEIR_EXPECT_STATUS(weir_control_path(directory, path + strlen(directory) + 1, joined, NULL),
                       WEIR_OK);
    WEIR_EXPECT_STR_EQ(joined, path);
    rmdir(directory);
}

WEIR_TEST(control_socket, says_that_nobody_listens)
{
    char path[256];
    char directory[64];
    int fd;
    weir_error error;
    make_path(path, 60, directory);
    WEIR_EXPECT_STATUS(weir_control_connect(path, WEIR_NEVER, &fd, &error), WEIR_NOT_FOUND);
    WEIR_EXPECT_STR_HAS(error.text, "nobody listens");
    int listener;
    WEIR_EXPECT_STATUS(weir_control_listen(path, &listener, NULL), WEIR_OK);
    close(listener);
    WEIR_EXPECT_STATUS(weir_control_connect(path, WEIR_NEVER, &fd, &error), WEIR_NOT_FOUND);
    WEIR_EXPECT_STATUS(weir_control_listen(path, &listener, &error), WEIR_SYSTEM);
    WEIR_EXPECT_STR_HAS(error.text, "remove it if no manager");
    WEIR_EXPECT_STATUS(weir_control_connect("", WEIR_NEVER, &fd, &error), WEIR_INVALID);
    unlink(path);
    rmdir(directory);
}

WEIR_TEST(control_socket, gives_up_at_the_deadline_when_the_queue_is_full)
{
    char directory[64] = "/tmp/weir-control-XXXXXX";
    char path[WEIR_CONTROL_PATH_BYTES];
    WEIR_EXPECT_NOT_NULL(mkdtemp(directory));
    WEIR_EXPECT_STATUS(weir_control_path(directory, "s", path, NULL), WEIR_OK);
    const int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, sizeof path);
    WEIR_EXPECT_EQ(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    WEIR_EXPECT_EQ(listen(listener, 0), 0);
    int waiting;
    int late;
    weir_error error;
    WEIR_EXPECT_STATUS(weir_control_connect(path, WEIR_NEVER, &waiting, NULL), WEIR_OK);
    WEIR_EXPECT_STATUS(
        weir_control_connect(path, weir_deadline_in(20 * WEIR_NS_PER_MS), &late, &error),
        WEIR_TIMEOUT);
    WEIR_EXPECT_EQ(late, -1);
    WEIR_EXPECT_STR_HAS(error.text, "did not take the connection");
    close(waiting);
    close(listener);
    unlink(path);
    rmdir(directory);
}

static int failing_call;

static int fail_socket(int domain, int type, int protocol)
{
    errno = EMFILE;
    return failing_call == 0 ? -1 : socket(domain, type, protocol);
}

static int fail_bind(int fd, const struct sockaddr *address, socklen_t bytes)
{
    errno = EACCES;
    return failing_call == 1 ? -1 : bind(fd, address, bytes);
}

static int fail_listen(int fd, int backlog)
{
    errno = EOPNOTSUPP;
    return failing_call == 2 ? -1 : listen(fd, backlog);
}

WEIR_TEST(control_socket, leaves_nothing_behind_when_the_system_refuses_a_call)
{
    char path[256];
    char directory[64];
    weir_os_table table = *weir_os_linux();
    table.socket = fail_socket;
    table.bind = fail_bind;
    table.listen = fail_listen;
    make_path(path, 60, directory);
    for (failing_call = 0; failing_call < 3; failing_call++) {
        int fd;
        weir_os_replace(&table);
        const weir_status status = weir_control_listen(path, &fd, NULL);
        weir_os_replace(NULL);
        WEIR_EXPECT_STATUS(status, WEIR_SYSTEM);
        WEIR_EXPECT_EQ(fd, -1);
        WEIR_EXPECT_EQ(access(path, F_OK), -1);
    }
    WEIR_EXPECT_EQ(rmdir(directory), 0);
}
