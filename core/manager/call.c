#include "weir/manager.h"

#include "base/atomic.h"
#include "base/os.h"

/* A look this often, although the end of the job always wakes. */
#define LOOK_NS WEIR_NS_PER_SECOND

typedef struct pending_call {
    weir_fill fill;
    void *context;
    weir_result *result;
    uint32_t is_over; /**< Atomic futex word. */
} pending_call;

static void fill_for_caller(void *context, void *payload, size_t bytes)
{
    pending_call *call = context;
    call->fill(call->context, payload, bytes);
}

static void take_end(void *context, const weir_result *result)
{
    pending_call *call = context;
    *call->result = *result;
    call->result->hold_ticket = NULL;
    /* SYNC(call.over): the result is written before the caller may look; the call's memory may be
     * gone right after. */
    uint32_t *word = &call->is_over;
    weir_store_release_u32(word, 1);
    (void)weir_os()->futex_wake_private(word, 1);
}

weir_status weir_call(weir_manager *manager, weir_pool_id pool, const weir_job_spec *spec,
                      weir_result *result)
{
    pending_call call = {.fill = spec->fill, .context = spec->context, .result = result};
    weir_job_spec own = *spec;
    own.fill = spec->fill != NULL ? fill_for_caller : NULL;
    own.done = take_end;
    own.context = &call;
    const weir_status status = weir_submit(manager, pool, &own, 1, NULL);
    if (status != WEIR_OK) {
        return status;
    }
    /* SYNC(call.over): pairs with take_end. */
    while (weir_load_acquire_u32(&call.is_over) == 0) {
        (void)weir_os()->futex_wait_private(&call.is_over, 0, weir_deadline_in(LOOK_NS));
    }
    if (result->payload != spec->result_buffer) { /* Read in place it would be gone by now. */
        result->payload = NULL;
        result->payload_bytes = 0;
    }
    return WEIR_OK;
}
