/* The planted bug: the count of releases is published relaxed, and ThreadSanitizer must say so. */
#include "memory/testing/slots_pair_shared.h"

static void publish_relaxed(weir_release_writer *writer)
{
    weir_store_relaxed_u64(writer->released, writer->written);
}

int main(void)
{
    return slots_pair_run(publish_relaxed);
}
