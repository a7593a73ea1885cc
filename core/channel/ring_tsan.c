/* Publishing orders what lies beside an envelope, giving back orders its next use: ThreadSanitizer
 * stays quiet. */
#include "channel/testing/ring_pair.h"

int main(void)
{
    ring_pair *pair = ring_pair_make();
    return pair != NULL ? ring_pair_run(pair) : 2;
}
