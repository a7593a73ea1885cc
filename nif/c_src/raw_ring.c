/* An arena's rings and gate: joining, publishing, draining, parking. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/os.h"
#include "raw_arena.h"

/* The other side is woken by its eventfd; a strategy that this side cannot use is answered by
 * silence, and the sleeper's own timed look ends the sleep. */
static int no_signal(void *context)
{
    (void)context;
    errno = ESRCH;
    return -1;
}

/* --- Joining --- */

typedef struct ends {
    weir_envelope_slice out_ring, in_ring;
    uint64_t *published;
    const uint64_t *out_consumed;
    uint64_t *consumed;
    weir_release_slice out_releases, in_releases;
    const uint64_t *out_released;
    uint64_t *released;
    uint32_t *parked;
    const uint32_t *bell, *peer_refused, *peer_parked;
    uint32_t *own_bell, *own_refused;
    const weir_size_class *out_class, *in_class;
    uint32_t out_classes, in_classes;
} ends;

static ends manager_ends(weir_arena *arena)
{
    struct weir_manager_control *own = arena->manager_control;
    struct weir_worker_control *other = arena->worker_control;
    return (ends){.out_ring = arena->request_ring,
                  .in_ring = arena->response_ring,
                  .published = &own->request_published,
                  .out_consumed = &other->request_consumed,
                  .consumed = &own->response_consumed,
                  .out_releases = arena->request_release,
                  .in_releases = arena->response_release,
                  .out_released = &other->request_released,
                  .released = &own->response_released,
                  .parked = &own->manager_parked,
                  .bell = &other->response_bell,
                  .peer_refused = &other->worker_refused,
                  .peer_parked = &other->worker_parked,
                  .own_bell = &own->request_bell,
                  .own_refused = &own->manager_refused,
                  .out_class = arena->config.request_class,
                  .in_class = arena->config.response_class,
                  .out_classes = arena->config.request_class_count,
                  .in_classes = arena->config.response_class_count};
}

static ends worker_ends(weir_arena *arena)
{
    struct weir_worker_control *own = arena->worker_control;
    struct weir_manager_control *other = arena->manager_control;
    return (ends){.out_ring = arena->response_ring,
                  .in_ring = arena->request_ring,
                  .published = &own->response_published,
                  .out_consumed = &other->response_consumed,
                  .consumed = &own->request_consumed,
                  .out_releases = arena->response_release,
                  .in_releases = arena->request_release,
                  .out_released = &other->response_released,
                  .released = &own->request_released,
                  .parked = &own->worker_parked,
                  .bell = &other->request_bell,
                  .peer_refused = &other->manager_refused,
                  .peer_parked = &other->manager_parked,
                  .own_bell = &own->response_bell,
                  .own_refused = &own->worker_refused,
                  .out_class = arena->config.response_class,
                  .in_class = arena->config.request_class,
                  .out_classes = arena->config.response_class_count,
                  .in_classes = arena->config.request_class_count};
}

weir_status weir_nif_arena_join(weir_nif_arena *arena, weir_error *error)
{
    weir_arena *memory = &arena->arena;
    const bool is_manager = arena->side == WEIR_NIF_SIDE_MANAGER;
    const ends to = is_manager ? manager_ends(memory) : worker_ends(memory);
    arena->out_bytes = is_manager ? memory->request_payload : memory->response_payload;
    arena->in_bytes = is_manager ? memory->response_payload : memory->request_payload;
    weir_ring_producer_init(&arena->out, to.out_ring, to.published, to.out_consumed, 0);
    weir_ring_consumer_init(&arena->in, to.in_ring, to.consumed, 0);
    weir_release_writer_init(&arena->releases, to.in_releases, to.released);
    weir_waker_init(&arena->waker, to.peer_parked, to.own_bell, to.own_refused, -1, no_signal,
                    NULL);
    weir_slot_map own;
    weir_slot_map_init(&own, to.out_class, to.out_classes);
    weir_slot_map_init(&arena->peer_map, to.in_class, to.in_classes);
    /* Not weir_sleeper_init: that is for threads, and this side is woken through the poll set
     * alone. */
    arena->sleeper = (weir_sleeper){.parked = to.parked,
                                    .bell = to.bell,
                                    .peer_refused = to.peer_refused,
                                    .eventfd = -1,
                                    .allowed = WEIR_STRATEGY_BIT(WEIR_WAKE_STRATEGY_EVENTFD),
                                    .strategy = WEIR_WAKE_STRATEGY_EVENTFD};
    arena->is_ours = calloc(own.slot_total + 1, 1);
    arena->is_held = calloc(arena->peer_map.slot_total + 1, 1);
    weir_status status = WEIR_NO_MEMORY;
    if (arena->is_ours != NULL && arena->is_held != NULL) {
        status = weir_slot_pool_init(&arena->pool, &own, to.out_releases, to.out_released);
    }
    if (status == WEIR_NO_MEMORY) {
        weir_error_set(error, "no memory for the lists of an arena");
    }
    return status;
}

void weir_nif_arena_part(weir_nif_arena *arena)
{
    weir_slot_pool_destroy(&arena->pool);
    free(arena->is_ours);
    free(arena->is_held);
    arena->is_ours = NULL;
    arena->is_held = NULL;
}

ERL_NIF_TERM weir_nif_arena_fault(ErlNifEnv *env, weir_nif_arena *arena,
                                  enum weir_error_code reason)
{
    if (arena->fault == WEIR_ERROR_CODE_NONE) {
        arena->fault = reason;
    }
    weir_error error;
    weir_error_set(&error, "the other side broke the protocol (%s); close the arena",
                   weir_error_code_name(arena->fault));
    return weir_nif_refusal(env, WEIR_PROTOCOL, error.text);
}

/* --- Publishing --- */

/* The slot that an own envelope names must be taken and not published before. */
static bool find_own_slot(const weir_nif_arena *arena, const struct weir_envelope *envelope,
                          uint32_t *slot)
{
    return weir_slot_map_find(&arena->pool.map, envelope->payload_offset, envelope->payload_bytes,
                              slot) == WEIR_OK &&
           arena->is_ours[*slot] != 0;
}

/* Reads the batch; false for anything but up to WEIR_NIF_JOBS_MAX binaries of one envelope each. */
static bool get_batch(ErlNifEnv *env, ERL_NIF_TERM list, struct weir_envelope *batch,
                      uint32_t *count)
{
    ERL_NIF_TERM head;
    *count = 0;
    while (enif_get_list_cell(env, list, &head, &list)) {
        ErlNifBinary bytes;
        if (*count == WEIR_NIF_JOBS_MAX || enif_inspect_binary(env, head, &bytes) == 0 ||
            bytes.size != sizeof *batch) {
            return false;
        }
        memcpy(&batch[(*count)++], bytes.data, sizeof *batch);
    }
    return enif_is_empty_list(env, list) != 0;
}

/* Each slot may go with one envelope only: they are marked while the batch is checked. */
static bool claim_slots(weir_nif_arena *arena, const struct weir_envelope *batch, uint32_t count)
{
    uint32_t claimed[WEIR_NIF_JOBS_MAX];
    uint32_t claims = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t slot = 0;
        if (batch[i].payload_bytes == 0) {
            continue;
        }
        if (!find_own_slot(arena, &batch[i], &slot)) {
            while (claims > 0) {
                arena->is_ours[claimed[--claims]] = 1;
            }
            return false;
        }
        arena->is_ours[slot] = 0;
        claimed[claims++] = slot;
    }
    return true;
}

static ERL_NIF_TERM publish(ErlNifEnv *env, weir_nif_arena *arena, struct weir_envelope *batch,
                            uint32_t count)
{
    const weir_status room = weir_ring_room(&arena->out, count);
    if (room == WEIR_PROTOCOL) {
        return weir_nif_arena_fault(env, arena, WEIR_ERROR_CODE_RING_INDEX);
    }
    const uint64_t known = weir_ring_room_known(&arena->out);
    const uint32_t fitting = room == WEIR_OK || known >= count ? count : (uint32_t)known;
    if (!claim_slots(arena, batch, fitting)) {
        return enif_make_badarg(env);
    }
    for (uint32_t i = 0; i < fitting; i++) {
        weir_envelope_seal(&batch[i], weir_ring_next_index(&arena->out));
        weir_ring_stage(&arena->out, &batch[i]);
    }
    weir_ring_publish(&arena->out);
    if (fitting > 0) {
        (void)weir_gate_wake(&arena->waker);
    }
    return weir_nif_ok(env, enif_make_uint(env, fitting));
}

ERL_NIF_TERM weir_nif_ring_publish(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    _Alignas(64) struct weir_envelope batch[WEIR_NIF_JOBS_MAX];
    uint32_t count = 0;
    weir_nif_arena *arena = NULL;
    ERL_NIF_TERM result;
    if (!get_batch(env, argv[1], batch, &count)) {
        return enif_make_badarg(env);
    }
    if (!weir_nif_arena_hold(env, argv[0], &arena, &result)) {
        return result;
    }
    result = publish(env, arena, batch, count);
    weir_nif_arena_let_go(arena);
    return result;
}

/* --- Draining --- */

/* Checks a copy, and notes the slot that it brings. */
static enum weir_error_code check(weir_nif_arena *arena, const struct weir_envelope *copy,
                                  uint64_t index)
{
    const enum weir_error_code reason =
        arena->side == WEIR_NIF_SIDE_MANAGER
            ? weir_envelope_check_response(copy, index, &arena->terms)
            : weir_envelope_check_request(copy, index, &arena->terms);
    if (reason != WEIR_ERROR_CODE_NONE || copy->payload_bytes == 0) {
        return reason;
    }
    uint32_t slot = 0;
    /* A slot that is held already cannot come again before it was released. */
    if (weir_slot_map_find(&arena->peer_map, copy->payload_offset, copy->payload_bytes, &slot) !=
            WEIR_OK ||
        arena->is_held[slot] != 0) {
        return WEIR_ERROR_CODE_PAYLOAD_RANGE;
    }
    arena->is_held[slot] = 1;
    return WEIR_ERROR_CODE_NONE;
}

static ERL_NIF_TERM drain(ErlNifEnv *env, weir_nif_arena *arena, uint32_t most)
{
    ERL_NIF_TERM taken[WEIR_NIF_JOBS_MAX];
    uint32_t count = 0;
    enum weir_error_code reason = arena->fault;
    while (count < most && reason == WEIR_ERROR_CODE_NONE) {
        _Alignas(64) struct weir_envelope copy;
        const uint64_t index = arena->in.head;
        if (weir_ring_take(&arena->in, &copy) != WEIR_OK) {
            break;
        }
        reason = check(arena, &copy, index);
        if (reason == WEIR_ERROR_CODE_NONE) {
            taken[count++] = weir_nif_bytes(env, &copy, sizeof copy);
        }
    }
    if (count > 0) {
        weir_ring_consumed(&arena->in);
    }
    if (reason != WEIR_ERROR_CODE_NONE) {
        const ERL_NIF_TERM refusal = weir_nif_arena_fault(env, arena, reason);
        if (count == 0) {
            return refusal; /* otherwise those before it first, and this at the next call */
        }
    }
    const bool has_more = reason == WEIR_ERROR_CODE_NONE && weir_ring_ready(&arena->in);
    return enif_make_tuple3(env, weir_nif_atoms.ok_, enif_make_list_from_array(env, taken, count),
                            has_more ? weir_nif_atoms.more_ : weir_nif_atoms.done_);
}

ERL_NIF_TERM weir_nif_ring_drain(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    uint32_t most = 0;
    weir_nif_arena *arena = NULL;
    ERL_NIF_TERM result;
    if (!weir_nif_get_u32(env, argv[1], 1, WEIR_NIF_JOBS_MAX, &most)) {
        return enif_make_badarg(env);
    }
    if (!weir_nif_arena_hold(env, argv[0], &arena, &result)) {
        return result;
    }
    weir_nif_arena_unpark(arena);
    result = drain(env, arena, most);
    weir_nif_arena_let_go(arena);
    return result;
}

/* --- Parking --- */

void weir_nif_arena_unpark(weir_nif_arena *arena)
{
    if (arena->is_parked) {
        arena->is_parked = false;
        weir_sleeper_disarm(&arena->sleeper);
        (void)weir_os()->eventfd_drain(arena->sleep_fd);
    }
}

ERL_NIF_TERM weir_nif_ring_park(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    weir_nif_arena *arena = NULL;
    ERL_NIF_TERM result;
    if (!weir_nif_arena_hold(env, argv[0], &arena, &result)) {
        return result;
    }
    const ERL_NIF_TERM message = enif_make_tuple2(env, enif_make_atom(env, "weir_ready"), argv[0]);
    if (arena->sleep_fd < 0) {
        weir_nif_arena_let_go(arena);
        return weir_nif_refusal(env, WEIR_INVALID, "call arena_wake_with first");
    }
    weir_nif_arena_unpark(arena);
    weir_sleeper_arm_as(&arena->sleeper, WEIR_WAKE_STRATEGY_EVENTFD);
    weir_sleeper_fence();
    arena->is_parked = true;
    if (weir_ring_ready(&arena->in) || arena->fault != WEIR_ERROR_CODE_NONE) {
        weir_nif_arena_unpark(arena);
        result = enif_make_atom(env, "busy");
    } else if (weir_nif_select(env, arena, arena->sleep_fd, message)) {
        arena->was_selected = true;
        result = enif_make_atom(env, "parked");
    } else {
        weir_nif_arena_unpark(arena);
        result = weir_nif_refusal(env, WEIR_UNSUPPORTED, "this descriptor cannot be waited for");
    }
    weir_nif_arena_let_go(arena);
    return result;
}
