/* A real worker program, which got its descriptors over a socket, tries to change what it may only
 * read. */
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/testing/weir_test.h"
#include "memory/testing/arena_fixture_shared.h"
#include "memory/testing/intruder_shared.h"

static void become_intruder(void *argument)
{
    const int socket = *(const int *)argument;
    const char *path = weir_test_program("intruder_program");
    if (dup2(socket, 3) != 3 || fcntl(3, F_SETFD, 0) != 0) {
        _exit(126);
    }
    execl(path, path, (char *)NULL);
    _exit(127);
}

static void hear(int socket)
{
    char step;
    WEIR_EXPECT_EQ(intruder_receive(socket, &step, 1, NULL, NULL), 0);
}

static void tell(int socket)
{
    WEIR_EXPECT_EQ(intruder_send(socket, "x", 1, -1, -1), 0);
}

static void expect_refused(const char *complaint)
{
    if (complaint != NULL) {
        weir_test_fail(__FILE__, __LINE__, "in the manager: %s", complaint);
    }
}

WEIR_TEST(arena_intruder, is_refused_by_the_kernel_in_everything)
{
    const weir_arena_config config = fixture_config(WEIR_BACKING_MEMFD);
    weir_arena arena;
    weir_error error = {{0}};
    WEIR_EXPECT_STATUS(weir_arena_create(&config, 9, &arena, &error), WEIR_OK);
    memset(arena.request_payload.at, 0x11, arena.request_payload.bytes);
    int sockets[2];
    WEIR_EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
    const pid_t intruder = weir_test_fork(become_intruder, &sockets[1]);
    close(sockets[1]);
    const struct weir_welcome welcome = fixture_welcome(&arena);
    WEIR_EXPECT_EQ(intruder_send(sockets[0], &welcome, sizeof welcome, arena.manager_object.fd,
                                 arena.worker_object.fd),
                   0);
    hear(sockets[0]);
    WEIR_EXPECT_EQ(arena.response_payload.at[63], 0x5A);
    WEIR_EXPECT_STATUS(weir_arena_seal_worker_object(&arena, &error), WEIR_OK);
    tell(sockets[0]);
    hear(sockets[0]);
    WEIR_EXPECT_EQ(arena.response_payload.at[63], 0xA5);

    /* Nor may the manager write what is the worker's. */
    const intruder_target b = {
        .fd = arena.worker_object.fd,
        .mapping = arena.response_payload.at,
        .offset = (size_t)(arena.response_payload.at - arena.worker_object.base),
        .bytes = arena.worker_object.bytes,
    };
    expect_refused(intruder_try_size(&b));
    expect_refused(intruder_try_write(&b));
    tell(sockets[0]);
    WEIR_EXPECT_EQ(weir_test_wait(intruder, weir_test_deadline(20)), 0);
    close(sockets[0]);
    for (size_t i = 0; i < arena.request_payload.bytes; i++) {
        WEIR_EXPECT_EQ(arena.request_payload.at[i], 0x11);
    }
    arena.request_payload.at[0] = 0x12; /* the one writer still may */
    WEIR_EXPECT_EQ(arena.response_payload.at[63], 0xA5);
    weir_arena_destroy(&arena);
}
