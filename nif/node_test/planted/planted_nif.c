/* Mistakes in a NIF, made on purpose, to see that the sanitizer tells of them. */
#include <limits.h>
#include <string.h>

#include <erl_nif.h>

/* Writes @p argv[0] bytes into a block of 16 that the emulator gave. */
static ERL_NIF_TERM overflow(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    unsigned bytes = 0;
    if (!enif_get_uint(env, argv[0], &bytes)) {
        return enif_make_badarg(env);
    }
    volatile char *block = enif_alloc(16);
    for (unsigned i = 0; i < bytes; i++) {
        block[i] = 1;
    }
    enif_free((void *)block);
    return enif_make_uint(env, bytes);
}

/* Adds @p argv[0] to the largest int. */
static ERL_NIF_TERM add(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    int number = 0;
    return enif_get_int(env, argv[0], &number) ? enif_make_int(env, INT_MAX + number)
                                               : enif_make_badarg(env);
}

static ErlNifFunc functions[] = {{"overflow", 1, overflow, 0}, {"add", 1, add, 0}};

ERL_NIF_INIT(weir_planted, functions, NULL, NULL, NULL, NULL)
