/*
 * The planted bug: the real ring with a relaxed store where it publishes, and ThreadSanitizer must
 * say so. The name of the store is taken over for this file alone, after the vocabulary is defined
 * and before ring.h uses it; the consumed count, the ring's only other release, keeps its order.
 */
#include "base/atomic.h"

static const uint64_t *kept_in_order;

static inline void store_planted(uint64_t *address, uint64_t value)
{
    if (address == kept_in_order) {
        weir_store_release_u64(address, value);
    } else {
        weir_store_relaxed_u64(address, value);
    }
}

#define weir_store_release_u64 store_planted

#include "channel/testing/ring_pair.h"

int main(void)
{
    ring_pair *pair = ring_pair_make();
    if (pair == NULL) {
        return 2;
    }
    kept_in_order = &pair->consumed;
    return ring_pair_run(pair);
}
