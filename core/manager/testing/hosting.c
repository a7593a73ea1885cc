#include "manager/testing/hosting.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHORT_BYTES (UINT64_C(256) << 10)
#define STEP_MS     2

static void start(void *context, const weir_start_order *order)
{
    hosting *hosting = context;
    const size_t number = hosting->orders++;
    if (number >= HOSTING_ORDERS_MAX || hosting->is_forgetful) {
        return;
    }
    if (hosting->is_failing) {
        WEIR_EXPECT_STATUS(weir_host_start_failed(hosting->house.manager, order->pool,
                                                  order->worker, order->generation,
                                                  "the host has no processes left"),
                           WEIR_OK);
        return;
    }
    const pid_t pid = fork();
    if (pid == 0) {
        setenv("WEIR_SOCKET", order->socket, 1);
        setenv("WEIR_TOKEN", order->token, 1);
        setenv("WEIR_CORRELATION", order->correlation, 1);
        execv(hosting->command[0], (char *const *)(uintptr_t)hosting->command);
        _exit(127);
    }
    hosting->pids[number] = pid;
}

static void fill_vacant_seats(hosting *hosting)
{
    house *house = &hosting->house;
    while (!hosting->is_withheld && hosting->seats_filled < house_count(house, "vacant")) {
        size_t seen = 0;
        uint32_t seat = 0;
        pthread_mutex_lock(&house->lock);
        for (size_t i = 0; i < house->event_count; i++) {
            if (strcmp(house->events[i].kind, "vacant") == 0 && seen++ == hosting->seats_filled) {
                seat = house->events[i].worker;
            }
        }
        pthread_mutex_unlock(&house->lock);
        hosting->seats_filled++;
        WEIR_EXPECT_STATUS(weir_host_start_worker(house->manager, 0, seat), WEIR_OK);
    }
}

/* A parent that does not wait keeps zombies, which a manager that is no parent must see as ended.
 */
static void step(void *context)
{
    hosting *hosting = context;
    weir_manager *manager = hosting->house.manager;
    fill_vacant_seats(hosting);
    weir_turn_limits limits = {.jobs = 64, .bytes = hosting->bytes};
    weir_turn turn;
    for (bool has_more = true; has_more;) {
        hosting->short_turns++;
        WEIR_EXPECT_NE(weir_host_turn(manager, &limits, &turn), WEIR_INVALID);
        WEIR_EXPECT_LE(turn.jobs, 64);
        has_more = turn.has_more;
    }
    if (turn.needs_long) {
        hosting->long_turns++;
        limits = (weir_turn_limits){.jobs = 64, .bytes = UINT64_C(64) << 20, .may_take_long = true};
        WEIR_EXPECT_NE(weir_host_turn(manager, &limits, &turn), WEIR_INVALID);
        return;
    }
    if (weir_host_park(manager, &turn) != WEIR_OK) {
        return;
    }
    hosting->parks++;
    struct pollfd ready = {.fd = weir_host_descriptor(manager), .events = POLLIN};
    hosting->readable += poll(&ready, 1, STEP_MS) == 1;
    WEIR_EXPECT_STATUS(weir_host_unpark(manager), WEIR_OK);
}

void hosting_begin(hosting *hosting)
{
    memset(hosting, 0, sizeof *hosting);
    hosting->bytes = SHORT_BYTES;
    hosting->host = (weir_host){.start = start, .context = hosting};
    const weir_manager_options options = {.host = &hosting->host};
    house_open(&hosting->house, &options);
    hosting->house.step = step;
    hosting->house.step_context = hosting;
}

weir_pool_id hosting_add(hosting *hosting, const weir_pool_options *options)
{
    hosting->command = options->command;
    return house_add(&hosting->house, options);
}

void hosting_await_ready(hosting *hosting, size_t workers)
{
    for (uint32_t i = 0; i < workers; i++) {
        (void)house_await_state(&hosting->house, i, WEIR_SEAT_READY);
    }
}

weir_pool_id hosting_open(hosting *hosting, const weir_pool_options *options)
{
    hosting_begin(hosting);
    const weir_pool_id pool = hosting_add(hosting, options);
    hosting_await_ready(hosting, options->worker_count);
    return pool;
}

void hosting_close(hosting *hosting)
{
    house_close(&hosting->house);
    for (size_t i = 0; i < hosting->orders && i < HOSTING_ORDERS_MAX; i++) {
        if (hosting->pids[i] > 0) {
            WEIR_EXPECT_EQ(waitpid(hosting->pids[i], NULL, WNOHANG), hosting->pids[i]);
        }
    }
}
