/*
 * A worker that tries everything it must not be able to do. Started with its socket as descriptor
 * 3; receives the terms and both descriptors, attaches, and tries: A at once, B's size before
 * READY, B's contents after the seal. Exit code 0: the kernel refused all of it; 1: it did not
 * (standard error says what); 2: the set-up failed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memory/arena.h"
#include "memory/testing/intruder_shared.h"

enum { SOCKET = 3 };

static void demand(const char *complaint, const char *when)
{
    if (complaint != NULL) {
        fprintf(stderr, "intruder, %s: %s\n", when, complaint);
        exit(1);
    }
}

static void demand_step(int failed, const char *what)
{
    if (failed) {
        fprintf(stderr, "intruder: %s failed\n", what);
        exit(2);
    }
}

static void tell(char step)
{
    demand_step(intruder_send(SOCKET, &step, 1, -1, -1), "sending");
}

static void hear(void)
{
    char step;
    demand_step(intruder_receive(SOCKET, &step, 1, NULL, NULL), "receiving");
}

static void attach(weir_arena *arena)
{
    struct weir_welcome welcome;
    int fds[2];
    demand_step(intruder_receive(SOCKET, &welcome, sizeof welcome, &fds[0], &fds[1]), "receiving");
    weir_error error = {{0}};
    if (weir_arena_attach(&welcome, fds[0], fds[1], arena, &error) != WEIR_OK) {
        fprintf(stderr, "intruder: %s\n", error.text);
        exit(2);
    }
}

int main(void)
{
    weir_arena arena;
    attach(&arena);
    const intruder_target a = {.fd = arena.manager_object.fd,
                               .mapping = arena.request_payload.at,
                               .offset =
                                   (size_t)(arena.request_payload.at - arena.manager_object.base),
                               .bytes = arena.manager_object.bytes};
    const intruder_target b = {.fd = arena.worker_object.fd,
                               .offset =
                                   (size_t)(arena.response_payload.at - arena.worker_object.base),
                               .bytes = arena.worker_object.bytes};
    demand(intruder_try_size(&a), "A");
    demand(intruder_try_write(&a), "A");
    demand(intruder_try_size(&b), "B before READY");
    memset(arena.response_payload.at, 0x5A, 64);
    tell('r');
    hear(); /* sealed */
    demand(intruder_try_size(&b), "B after READY");
    demand(intruder_try_write(&b), "B after READY");
    /* The mapping made before goes on being its own. */
    memset(arena.response_payload.at, 0xA5, 64);
    tell('w');
    hear();
    weir_arena_destroy(&arena);
    return 0;
}
