/**
 * @file
 * A small host for a hosted manager: starts processes on order, takes turns, parks and polls.
 *
 * Purpose: what a runtime like the BEAM does with weir/host.h, in C, with knobs for the tests.
 *
 * Threads: the test's.
 *
 * Ownership: hosting_close destroys the manager and reaps every process that was started.
 */
#ifndef WEIR_MANAGER_TESTING_HOSTING_H
#define WEIR_MANAGER_TESTING_HOSTING_H

#include "manager/testing/house.h"
#include "weir/host.h"

#define HOSTING_ORDERS_MAX 256

typedef struct hosting {
    house house;
    weir_host host;
    const char *const *command;
    bool is_withheld;    /**< Vacant seats are not filled. */
    bool is_failing;     /**< Orders are answered with a failure. */
    bool is_forgetful;   /**< Orders are answered with nothing. */
    uint64_t bytes;      /**< Of a short turn; default 256 KiB. */
    size_t seats_filled; /**< Events "vacant" that were answered. */
    pid_t pids[HOSTING_ORDERS_MAX];
    size_t orders;
    size_t short_turns;
    size_t long_turns;
    size_t parks;
    size_t readable; /**< Polls that the descriptor ended. */
} hosting;

/** Opens a hosted manager with a pool of job workers, ready. */
weir_pool_id hosting_open(hosting *hosting, const weir_pool_options *options);

/** The same without waiting; the knobs may be set between begin and add. */
void hosting_begin(hosting *hosting);
weir_pool_id hosting_add(hosting *hosting, const weir_pool_options *options);
void hosting_await_ready(hosting *hosting, size_t workers);

void hosting_close(hosting *hosting);

#endif
