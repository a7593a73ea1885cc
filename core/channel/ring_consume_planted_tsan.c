/*
 * The planted bug: the real ring gives slots back with a relaxed store, so that the producer's next
 * writing is not ordered behind the consumer's reading. As in ring_planted_tsan.c, only the name of
 * the store is taken over; publishing keeps its order.
 */
#include "base/atomic.h"

static const uint64_t *weakened;

static inline void store_planted(uint64_t *address, uint64_t value)
{
    if (address == weakened) {
        weir_store_relaxed_u64(address, value);
    } else {
        weir_store_release_u64(address, value);
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
    weakened = &pair->consumed;
    return ring_pair_run(pair);
}
