/* The release of a slot orders its last read before its next write: ThreadSanitizer stays quiet. */
#include "memory/testing/slots_pair_shared.h"

int main(void)
{
    return slots_pair_run(weir_release_publish);
}
