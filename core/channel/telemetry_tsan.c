/* One thread writes samples whose fields all say the same, another reads: a copy is never a
 * mixture. */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/atomic.h"
#include "channel/telemetry.h"

#define SAMPLES 200000

static struct weir_telemetry shared;
static uint32_t is_done;

static void *write_samples(void *context)
{
    (void)context;
    for (uint64_t i = 1; i <= SAMPLES; i++) {
        struct weir_telemetry sample = {.beat_ns = i, .jobs_ok = i, .wakes_sent = i};
        sample.errors[23] = i;
        weir_telemetry_write(&shared, &sample);
        for (int k = 0; k < 20; k++) { /* leave gaps for the reader */
            weir_cpu_relax();
        }
    }
    weir_store_release_u32(&is_done, 1);
    return NULL;
}

int main(void)
{
    pthread_t writer;
    if (pthread_create(&writer, NULL, write_samples, NULL) != 0) {
        return 1;
    }
    uint64_t whole = 0;
    uint64_t torn = 0;
    bool is_last = false;
    while (!is_last) {
        is_last = weir_load_acquire_u32(&is_done) != 0;
        struct weir_telemetry copy;
        if (weir_telemetry_read(&shared, &copy) != WEIR_OK) {
            continue;
        }
        whole++;
        torn += copy.beat_ns != copy.jobs_ok || copy.beat_ns != copy.wakes_sent ||
                copy.beat_ns != copy.errors[23] || copy.sequence != 2 * copy.beat_ns;
    }
    pthread_join(writer, NULL);
    printf("%llu whole samples, %llu torn\n", (unsigned long long)whole, (unsigned long long)torn);
    return torn != 0 || whole == 0;
}
