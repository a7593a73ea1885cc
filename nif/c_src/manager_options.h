/**
 * @file
 * The options of a manager and of a pool, from Elixir's maps.
 *
 * Purpose: every key is checked; an unknown one, a wrong type or a wrong range is badarg. What
 * libweir refuses itself comes back with its sentence.
 *
 * Threads: any. Ownership: the read options point into their own buffers.
 */
#ifndef WEIR_NIF_MANAGER_OPTIONS_H
#define WEIR_NIF_MANAGER_OPTIONS_H

#include "nif_common.h"
#include "weir/manager.h"

#define WEIR_NIF_PATH_BYTES      1024u
#define WEIR_NIF_ARGUMENTS_MAX   64u
#define WEIR_NIF_ARGUMENTS_BYTES 8192u

typedef struct weir_nif_manager_arguments {
    weir_manager_options options;
    char directory[WEIR_NIF_PATH_BYTES];
    char name[64];
} weir_nif_manager_arguments;

typedef struct weir_nif_pool_arguments {
    weir_pool_options options;
    bool is_trusted;
    char role[32];
    const char *command[WEIR_NIF_ARGUMENTS_MAX + 1];
    char text[WEIR_NIF_ARGUMENTS_BYTES];
} weir_nif_pool_arguments;

bool weir_nif_read_manager_options(ErlNifEnv *env, ERL_NIF_TERM map,
                                   weir_nif_manager_arguments *arguments);
bool weir_nif_read_pool_options(ErlNifEnv *env, ERL_NIF_TERM map,
                                weir_nif_pool_arguments *arguments);

#endif
