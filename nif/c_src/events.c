#include "events.h"

#include "turns.h"

static void send_to_owner(weir_nif_home *home, const ErlNifPid *owner, ErlNifEnv *message,
                          ERL_NIF_TERM term)
{
    const weir_nif_round *round = weir_nif_round_now(home);
    (void)enif_send(round != NULL ? round->env : NULL, owner, message, term);
}

void weir_nif_tell_event(void *context, const weir_event *event)
{
    weir_nif_home *home = context;
    ErlNifPid owner;
    ErlNifEnv *message = enif_alloc_env();
    if (message == NULL) {
        return;
    }
    if (weir_nif_home_owner(home, &owner)) {
        const ERL_NIF_TERM term = enif_make_tuple8(
            message, enif_make_atom(message, "weir_event"), weir_nif_text(message, event->kind),
            weir_nif_text(message, event->pool), enif_make_uint(message, event->worker),
            enif_make_uint(message, event->generation), enif_make_int(message, event->pid),
            enif_make_uint64(message, event->time_ns), weir_nif_text(message, event->text));
        send_to_owner(home, &owner, message, term);
    }
    enif_free_env(message);
}

void weir_nif_tell_order(void *context, const weir_start_order *order)
{
    weir_nif_home *home = context;
    ErlNifPid owner;
    ErlNifEnv *message = enif_alloc_env();
    if (message == NULL) {
        return;
    }
    if (weir_nif_home_owner(home, &owner)) {
        const ERL_NIF_TERM term = enif_make_tuple7(
            message, enif_make_atom(message, "weir_start"), enif_make_uint(message, order->pool),
            enif_make_uint(message, order->worker), enif_make_uint(message, order->generation),
            weir_nif_text(message, order->socket), weir_nif_text(message, order->token),
            weir_nif_text(message, order->correlation));
        send_to_owner(home, &owner, message, term);
    }
    enif_free_env(message);
}
